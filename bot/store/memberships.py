"""Who was in which group when the chat system last answered; for the time when it doesn't."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa

from bot.core.ports import Membership
from bot.store import tables as t
from bot.store.codec import iso, when
from bot.store.engines import upsert


def keep(conn: sa.Connection, group: str, found: Membership) -> None:
    """The newest answer replaces the one before."""
    values = {"members": json.dumps(sorted(found.members)), "as_of": iso(found.as_of)}
    row = upsert(conn, t.memberships).values(group=group, **values)
    conn.execute(row.on_conflict_do_update(index_elements=["group"], set_=values))


def last(conn: sa.Connection, group: str, not_before: datetime) -> Membership | None:
    """The last answer, marked stale; None if there is none since ``not_before``."""
    row = conn.execute(sa.select(t.memberships).where(t.memberships.c.group == group)).first()
    if row is None or when(row.as_of) < not_before:
        return None
    return Membership(members=frozenset(json.loads(row.members)), as_of=when(row.as_of), stale=True)
