"""Who may write a run now: leases, and the fence that grows with every new owner."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bot.core.errors import LostOwnership
from bot.store import tables as t
from bot.store.engines import lease_clock
from bot.store.locks import free
from bot.store.quick import Quick


@dataclass(frozen=True)
class Lease:
    """Who may write a run now. ``fence`` grows with every new owner."""

    run: int
    owner: str
    fence: int


def claim(conn: sa.Connection, run: int, owner: str, ttl: float) -> Lease | None:
    """Takes a free or lapsed lease; None if somebody else drives this run."""
    row = conn.execute(_claim(conn.dialect.name), {"of": run, "by": owner, "ttl": ttl}).first()
    return Lease(run, owner, row.fence) if row else None


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


def save(conn: sa.Connection, lease: Lease, values: dict[str, object]) -> None:
    """Writes these columns of the run under the lease. Raises LostOwnership, with nothing written."""
    renamed = {f"new_{name}": value for name, value in values.items()}
    row = _saving(tuple(values)).first(conn, {**renamed, **_whose(lease)})
    if row is None:
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
    mine = sa.and_(t.runs.c.id == lease.run, t.runs.c.owner == lease.owner, t.runs.c.fence == lease.fence)
    given = sa.update(t.runs).where(mine).values(lease_until=None, owner=None)
    row = conn.execute(given.returning(t.runs.c.ended_at)).first()
    if row is not None and row.ended_at is not None:
        free(conn, lease.run)


def void_leases(conn: sa.Connection) -> None:
    """At start on SQLite: the file lock is ownership, so nobody else can hold one."""
    locked = t.runs.c.id.in_(sa.select(t.resource_locks.c.run))  # ended while a worker held it
    for mine in (t.runs.c.ended_at.is_(None), locked):
        conn.execute(sa.update(t.runs).where(mine).values(lease_until=None, owner=None))
