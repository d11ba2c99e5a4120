"""What only one worker may do at a time, for as long as it says that it is there: posting, in order and paced."""

from __future__ import annotations

import sqlalchemy as sa

from bot.core.errors import LostOwnership
from bot.store import tables as t
from bot.store.engines import lease_clock, upsert


def take(conn: sa.Connection, duty: str, owner: str, seconds: float) -> bool:
    """True if this owner has it now, for so long; renewed by taking it again."""
    clock = lease_clock(conn.dialect.name)
    row = upsert(conn, t.duties).values(duty=duty, owner=owner, until=clock + seconds)
    free = sa.or_(t.duties.c.owner == owner, t.duties.c.until <= clock)
    mine = {"owner": owner, "until": clock + seconds}
    row = row.on_conflict_do_update(index_elements=["duty"], set_=mine, where=free)
    return conn.execute(row.returning(t.duties.c.owner)).first() is not None


def free(conn: sa.Connection, duty: str, owner: str) -> bool:
    """Nobody else has it. Only read: a write would wake all who look for work, and they would ask again."""
    others = sa.and_(t.duties.c.owner != owner, t.duties.c.until > lease_clock(conn.dialect.name))
    return conn.execute(sa.select(t.duties.c.duty).where(t.duties.c.duty == duty, others)).first() is None


def confirm(conn: sa.Connection, duty: str, owner: str) -> None:
    """For the rest of this transaction nobody else has it. Raises LostOwnership."""
    mine = sa.and_(
        t.duties.c.duty == duty, t.duties.c.owner == owner, t.duties.c.until > lease_clock(conn.dialect.name)
    )
    if conn.execute(sa.select(t.duties.c.duty).where(mine).with_for_update()).first() is None:
        raise LostOwnership(f"{duty} has another owner")


def give_back(conn: sa.Connection, duty: str, owner: str) -> None:
    """Harmless if it is no longer ours."""
    conn.execute(sa.delete(t.duties).where(t.duties.c.duty == duty, t.duties.c.owner == owner))
