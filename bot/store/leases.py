"""Who may write a run now: leases, and the fence that grows with every new owner."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bot.core.errors import LostOwnership
from bot.store import tables as t
from bot.store.engines import lease_clock
from bot.store.locks import free
from bot.store.quick import Quick, Row, Values


@dataclass(frozen=True)
class Lease:
    """Who may write a run now. ``fence`` grows with every new owner. ``taken_from``: who had it, and let it lapse."""

    run: int
    owner: str
    fence: int
    taken_from: str | None = field(default=None, compare=False)


def claim(conn: sa.Connection, run: int, owner: str, ttl: float) -> Lease | None:
    """Takes a free or lapsed lease; None if somebody else drives this run."""
    before = _BEFORE.first(conn, {"of": run})
    row = conn.execute(_claim(conn.dialect.name), {"of": run, "by": owner, "ttl": ttl}).first()
    if row is None or before is None:
        return None
    return Lease(run, owner, row.fence, before["owner"] if before["owner"] != owner else None)


# Locked, or two who claim at once would both read the owner before.
_BEFORE = Quick(lambda _: sa.select(t.runs.c.owner).where(t.runs.c.id == sa.bindparam("of")).with_for_update())


@functools.cache
def _claim(dialect: str) -> sa.Executable:
    clock = lease_clock(dialect)
    free_now = sa.or_(t.runs.c.lease_until.is_(None), t.runs.c.lease_until <= clock)
    query = sa.update(t.runs).where(t.runs.c.id == sa.bindparam("of"), t.runs.c.ended_at.is_(None), free_now)
    until = clock + sa.bindparam("ttl", type_=sa.Float)
    query = query.values(owner=sa.bindparam("by"), fence=t.runs.c.fence + 1, lease_until=until)
    return query.returning(t.runs.c.fence)


def renew(conn: sa.Connection, lease: Lease, ttl: float) -> None:
    """Raises LostOwnership if the lease has lapsed or moved on."""
    clock = lease_clock(conn.dialect.name)
    query = sa.update(t.runs).where(_mine(conn.dialect.name)).values(lease_until=clock + ttl)
    if conn.execute(query.returning(t.runs.c.id), _whose(lease)).first() is None:
        raise LostOwnership(f"R-{lease.run} has another owner")


def next_lapse(conn: sa.Connection) -> float | None:
    """Seconds until the first lease lapses that nobody renews; None if there is none."""
    return conn.execute(_next_lapse(conn.dialect.name)).scalar()


@functools.cache
def _next_lapse(dialect: str) -> sa.Executable:
    clock = lease_clock(dialect)
    held = sa.select(sa.func.min(t.runs.c.lease_until - clock))
    return held.where(t.runs.c.ended_at.is_(None), t.runs.c.lease_until > clock)


def save(conn: sa.Connection, lease: Lease, values: Values, rows: Sequence[Row] = ()) -> None:
    """Writes these columns of the run under the lease, and ``rows``. Raises LostOwnership: the transaction is to be
    undone then."""
    named = {f"new_{name}": value for name, value in values.items()} | _whose(lease)
    if _saving(tuple(values)).with_rows(conn, named, rows) is None:
        raise LostOwnership(f"R-{lease.run} has another owner")


def confirm(conn: sa.Connection, lease: Lease) -> None:
    """For the rest of this transaction nobody else owns the run. Raises LostOwnership."""
    save(conn, lease, {"fence": lease.fence})


@functools.cache
def _saving(columns: tuple[str, ...]) -> Quick:
    new: dict[str, Any] = {c: sa.bindparam(f"new_{c}") for c in columns}
    return Quick(lambda d: sa.update(t.runs).where(_mine(d)).values(new).returning(t.runs.c.id))


def _mine(dialect: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        t.runs.c.id == sa.bindparam("of"),
        t.runs.c.owner == sa.bindparam("by"),
        t.runs.c.fence == sa.bindparam("with_fence"),
        t.runs.c.lease_until > lease_clock(dialect),
    )


def _whose(lease: Lease) -> dict[str, object]:
    return {"of": lease.run, "by": lease.owner, "with_fence": lease.fence}


def release(conn: sa.Connection, lease: Lease) -> None:
    """Gives a lease back; harmless if it is no longer ours."""
    row = _GIVEN.first(conn, _whose(lease))
    if row is not None and row["ended_at"] is not None:
        free(conn, lease.run)


def _given() -> sa.Executable:
    held = (t.runs.c.id == sa.bindparam("of"), t.runs.c.owner == sa.bindparam("by"))
    query = sa.update(t.runs).where(*held, t.runs.c.fence == sa.bindparam("with_fence"))
    return query.values(lease_until=None, owner=None).returning(t.runs.c.ended_at)


_GIVEN = Quick(lambda _: _given())


def void_leases(conn: sa.Connection) -> None:
    """At start on SQLite: the file lock is ownership, so nobody else can hold one."""
    locked = t.runs.c.id.in_(sa.select(t.resource_locks.c.run))  # ended while a worker held it
    for mine in (t.runs.c.ended_at.is_(None), locked):
        conn.execute(sa.update(t.runs).where(mine).values(lease_until=None, owner=None))
