"""Which runs wait for people: asked every few seconds, so their bodies are left alone."""

from __future__ import annotations

import sqlalchemy as sa

from bot.store import tables as t

_COLUMNS = (t.runs.c.id, t.runs.c.waiting_for, t.runs.c.fence, t.runs.c.expires_at)
_FOR_PEOPLE = sa.select(*_COLUMNS).where(t.runs.c.ended_at.is_(None), t.runs.c.waiting_for.in_(("approval", "person")))
_FOR_PEOPLE = _FOR_PEOPLE.order_by(t.runs.c.id).limit(sa.bindparam("most", type_=sa.Integer))


def for_people(conn: sa.Connection, limit: int = 10_000) -> dict[int, str]:
    """Open runs that wait for an approval or for help, by id, oldest first: for what, and since which turn of whoever
    drove them. It is another text when a run has come to wait anew."""
    rows = conn.execute(_FOR_PEOPLE, {"most": limit})
    return {r.id: f"{r.waiting_for} {r.fence} {r.expires_at}" for r in rows}
