"""Each occurrence of a scheduled thing is claimed by a unique key, so that two replicas never do it twice."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from bot.store import tables as t
from bot.store.codec import iso
from bot.store.engines import upsert


def claim(conn: sa.Connection, key: str, now: datetime) -> bool:
    """True for exactly one caller, for ever."""
    row = upsert(conn, t.occurrences).values(key=key, at=iso(now)).on_conflict_do_nothing(index_elements=["key"])
    return conn.execute(row.returning(t.occurrences.c.key)).first() is not None


def first_meta(conn: sa.Connection, key: str, value: str) -> str:
    """A fact about this database itself, as it was stored first: ``value`` if it was not known."""
    row = upsert(conn, t.meta).values(key=key, value=value)
    conn.execute(row.on_conflict_do_nothing(index_elements=["key"]))
    return str(conn.execute(sa.select(t.meta.c.value).where(t.meta.c.key == key)).scalar_one())


def get_meta(conn: sa.Connection, key: str) -> str | None:
    """A fact about this database itself."""
    found = conn.execute(sa.select(t.meta.c.value).where(t.meta.c.key == key)).scalar()
    return str(found) if found is not None else None


def set_meta(conn: sa.Connection, key: str, value: str) -> None:
    row = upsert(conn, t.meta).values(key=key, value=value)
    conn.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
