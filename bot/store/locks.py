"""Locks on outside things: a run that has started holds them until it has ended and no worker is writing for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from bot.store import tables as t
from bot.store.codec import iso
from bot.store.engines import lease_clock, upsert


def lock(conn: sa.Connection, run: int, resources: Iterable[str], now: datetime) -> int | None:
    """Takes all resource locks, by name; None if taken, else the run that holds one. Then only those are kept that it
    had before: what it took over from another run must not be free in between."""
    had = held(conn, run)
    for resource in sorted(set(resources)):
        holder = _lock_one(conn, run, resource, now)
        if holder != run:
            free(conn, run, but=had)
            return holder
    return None


def _lock_one(conn: sa.Connection, run: int, resource: str, now: datetime) -> int:
    """Who holds it now. What an ended run has left, because its worker died, is taken over here, in the order of
    names: freeing all such locks at once would deadlock with whoever takes some of them one by one."""
    row = upsert(conn, t.resource_locks).values(resource=resource, run=run, taken_at=iso(now))
    taking = row.on_conflict_do_nothing(index_elements=["resource"])
    here = t.resource_locks.c.resource == resource
    while True:
        conn.execute(taking)
        holder = conn.execute(sa.select(t.resource_locks.c.run).where(here)).scalar()
        if holder is None:  # freed between our insert and our look
            continue
        if holder == run or not _over(conn, holder):
            return int(holder)
        conn.execute(sa.delete(t.resource_locks).where(here, t.resource_locks.c.run == holder))


def _over(conn: sa.Connection, run: int) -> bool:
    """It has ended, and no worker holds it any more."""
    ended = sa.select(t.runs.c.id).where(t.runs.c.id == run, t.runs.c.ended_at.is_not(None))
    return conn.execute(ended).first() is not None and not driven(conn, run)


def driven(conn: sa.Connection, run: int) -> bool:
    """A worker holds this run now, so a write may be under way."""
    held = sa.select(t.runs.c.id).where(t.runs.c.id == run, t.runs.c.lease_until > lease_clock(conn.dialect.name))
    return conn.execute(held).first() is not None


def held(conn: sa.Connection, run: int) -> list[str]:
    """What this run has locked now, by name."""
    rows = conn.execute(sa.select(t.resource_locks.c.resource).where(t.resource_locks.c.run == run))
    return sorted(row.resource for row in rows)


def force(conn: sa.Connection, run: int) -> None:
    """Frees what this run has locked whoever works on it: that one has lost it, and can write nothing more to it."""
    taken = sa.update(t.runs).where(t.runs.c.id == run)
    conn.execute(taken.values(fence=t.runs.c.fence + 1, owner=None, lease_until=None))
    free(conn, run)


def free(conn: sa.Connection, run: int, *, but: Iterable[str] = ()) -> None:
    mine = sa.delete(t.resource_locks).where(t.resource_locks.c.run == run)
    conn.execute(mine.where(t.resource_locks.c.resource.not_in(list(but))))
