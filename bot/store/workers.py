"""Which workers have lately been seen, on the lease clock: hosts whose clocks differ agree on it."""

from __future__ import annotations

import sqlalchemy as sa

from bot.store import tables as t
from bot.store.engines import lease_clock, upsert

FORGOTTEN_S = 86_400.0
"""Seconds after which a worker that is gone is no longer listed."""


def beat(conn: sa.Connection, owner: str) -> None:
    """This worker is at work now."""
    clock = lease_clock(conn.dialect.name)
    row = upsert(conn, t.workers).values(owner=owner, seen=clock)
    conn.execute(row.on_conflict_do_update(index_elements=["owner"], set_={"seen": clock}))
    conn.execute(sa.delete(t.workers).where(t.workers.c.seen < clock - FORGOTTEN_S))


def gone(conn: sa.Connection, owner: str) -> None:
    """This worker has ended by itself."""
    conn.execute(sa.delete(t.workers).where(t.workers.c.owner == owner))


def silent_for(conn: sa.Connection) -> float | None:
    """Seconds since any worker was seen; None if none ever was, or since this machine began anew."""
    ago = lease_clock(conn.dialect.name) - sa.func.max(t.workers.c.seen)
    found = conn.execute(sa.select(ago)).scalar()
    return float(found) if found is not None and found >= 0 else None
