"""Numbers about this database, and whether it takes writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from bot.store import inbox
from bot.store import tables as t
from bot.store.codec import iso, maybe_when
from bot.store.engines import upsert


@dataclass(frozen=True)
class Counts:
    """How much there is, and how much waits."""

    runs: dict[str, int]
    inbox_waiting: int
    oldest_waiting: datetime | None
    messages_due: int
    held: int


def writable(conn: sa.Connection, now: datetime) -> datetime | None:
    """Writes a row to prove that it can; says when the oldest unapplied row of the inbox was stored."""
    values = {"value": iso(now)}
    row = upsert(conn, t.meta).values(key="last_health_check", **values)
    conn.execute(row.on_conflict_do_update(index_elements=["key"], set_=values))
    return maybe_when(inbox.oldest_waiting(conn))


def counts(conn: sa.Connection) -> Counts:
    """Open runs and what waits are counted by partial indexes; ended runs are not, or this would grow with the log."""
    open_ = sa.select(t.runs.c.status, sa.func.count().label("n")).where(t.runs.c.ended_at.is_(None))
    waiting = sa.select(sa.func.count()).where(t.inbox.c.applied_at.is_(None))
    due = sa.select(sa.func.count()).where(t.messages.c.wanted > t.messages.c.sent)
    held = sa.select(sa.func.count()).where(t.holds.c.lifted_at.is_(None))
    return Counts(
        runs={r.status: int(r.n) for r in conn.execute(open_.group_by(t.runs.c.status))},
        inbox_waiting=int(conn.execute(waiting.select_from(t.inbox)).scalar_one()),
        oldest_waiting=maybe_when(inbox.oldest_waiting(conn)),
        messages_due=int(conn.execute(due.select_from(t.messages)).scalar_one()),
        held=int(conn.execute(held.select_from(t.holds)).scalar_one()),
    )
