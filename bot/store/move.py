"""Moves a whole database to another, empty one: SQLite to PostgreSQL when a team outgrows one process. Nothing lives
outside the tables but captured bytes, so runs that wait go on where they were."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from bot.core.errors import Fault
from bot.store import events
from bot.store import tables as t
from bot.store.migrate import engine_for, is_current, migrate
from bot.store.occurrences import get_meta, set_meta

BATCH = 1000
FORGOTTEN = {"workers", "duties"}
"""Who is at work is found out anew."""
MOVED = "moved_to"
"""Marks the old one: what was done there would be done twice, and its log would be another one under the same key."""
VOID = {"owner": None, "lease_until": None}
"""Of runs: leases are counted on the clock of the database that gave them."""
Said = Callable[[str, int], None]


def move(source: str, target: str, said: Said) -> int:
    """Copies everything in one transaction of the target; how many rows. ``said`` hears of each table. Nobody may work
    on the source meanwhile. Raises Fault if the source has an older schema, or the target is not empty; then, and if
    anything fails on the way, nothing was moved."""
    migrate(target)
    old, new = engine_for(source), engine_for(target)
    try:
        with old.begin() as here, new.begin() as there:
            if not is_current(here):
                raise Fault(f"{source} has an older schema: run 'rollbot migrate' on it first")
            if filled := [table.name for table in t.metadata.sorted_tables if _count(there, table)]:
                raise Fault(
                    f"{sa.make_url(target).database} is not empty (it has {filled[0]}): move into a new database"
                )
            moved = sum(_table(here, there, table, said) for table in t.metadata.sorted_tables)
            _numbers_go_on(there)
            if events.head(here) != events.head(there):
                raise Fault("the log is not the same in both: nothing was moved")
            set_meta(here, MOVED, f"{sa.make_url(target).database} on PostgreSQL")  # stands once the target does
            return moved
    finally:
        old.dispose()
        new.dispose()


def not_moved(conn: sa.Connection) -> None:
    """Raises Fault for a database whose place another one has taken."""
    if to := get_meta(conn, MOVED):
        raise Fault(
            f"this database was moved to {to}, where its runs and its log go on: set ROLLBOT_DATABASE_URL to that one"
        )


def _count(conn: sa.Connection, table: sa.Table) -> int:
    return int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _table(here: sa.Connection, there: sa.Connection, table: sa.Table, said: Said) -> int:
    if table.name in FORGOTTEN:
        return 0
    query = sa.select(table).where(t.meta.c.key != MOVED) if table is t.meta else sa.select(table)
    rows = here.execute(query).mappings()
    moved = 0
    while batch := rows.fetchmany(BATCH):
        fresh = VOID if table is t.runs else {}
        there.execute(sa.insert(table), [{**row, **fresh} for row in batch])
        moved += len(batch)
    if moved != _count(there, table):
        raise Fault(f"{table.name}: {moved} rows were read and {_count(there, table)} stand: nothing was moved")
    said(table.name, moved)
    return moved


def _numbers_go_on(conn: sa.Connection) -> None:
    """The next run is numbered after the last one that was moved."""
    if conn.dialect.name != "postgresql":
        return
    for table in t.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            last = f"(SELECT coalesce(max({column.name}), 0) + 1 FROM {table.name})"  # noqa: S608  our own names
            sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
            conn.exec_driver_sql(f"SELECT setval({sequence}, {last}, false)")
