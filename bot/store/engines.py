"""Engines and the SQL that differs between the two databases: pragmas, the lease clock, row locks."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON")
"""synchronous=FULL: with NORMAL in WAL mode the last commits may be lost at power loss (SQLite's documentation)."""


def sqlite_engine(url: str, *, begin: str) -> sa.Engine:
    """Emits BEGIN itself: the driver's own deferred BEGIN loses updates silently (350 of 400, measured)."""
    engine = sa.create_engine(url.replace("sqlite://", "sqlite+pysqlite://", 1) if url.startswith("sqlite://") else url)

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None
        dbapi.create_function("rollbot_clock", 0, time.monotonic)
        for pragma in PRAGMAS:
            dbapi.execute("PRAGMA " + pragma)

    @event.listens_for(engine, "begin")
    def _begin(conn: sa.Connection) -> None:
        conn.exec_driver_sql(begin)

    return engine


def async_url(url: str) -> str:
    """``postgresql://`` with the asyncpg driver."""
    return "postgresql+asyncpg://" + url.split("://", 1)[1]


def sync_url(url: str) -> str:
    """``postgresql://`` with the psycopg driver, for migrations."""
    return url if url.startswith("sqlite") else "postgresql+psycopg://" + url.split("://", 1)[1]


def lease_clock(conn: sa.Connection) -> sa.ColumnElement[float]:
    """The one clock of leases, in seconds: the database's wall clock on PostgreSQL, this machine's monotonic
    clock on SQLite, where the file lock is ownership and all leases are void at start."""
    if conn.dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))
    return sa.func.rollbot_clock(type_=sa.Float(53))


def upsert(conn: sa.Connection, table: sa.Table) -> Any:
    """``INSERT ... ON CONFLICT`` for this database."""
    if conn.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        return pg_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
