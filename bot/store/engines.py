"""Engines and the SQL that differs between the two databases: pragmas, the lease clock, row locks."""

from __future__ import annotations

import importlib
import sqlite3
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.core.errors import MissingExtra

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON")
"""synchronous=FULL: with NORMAL in WAL mode the last commits may be lost at power loss (SQLite's documentation)."""
CONNECT_S, COMMAND_S = 5.0, 10.0
"""Seconds that PostgreSQL may take to let us in, and for one statement."""
IDLE_S = 5
"""Seconds after which PostgreSQL ends a transaction that does nothing. Ours are never idle, so its process is frozen,
and the rows it has locked (the head of the log) would stop everybody else."""

SETTINGS = f"""
SET idle_in_transaction_session_timeout = '{IDLE_S}s';
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3
"""
"""Of each connection. Some firewalls forget one that nobody has used for minutes, and say so to neither side: at night,
the first press would wait for ``COMMAND_S`` and fail. With the server asking whether we live, they remember it."""


def sqlite_engine(url: str, *, begin: str, read_only: bool = False) -> sa.Engine:
    """Emits BEGIN itself: the driver's own deferred BEGIN loses updates silently (350 of 400, measured)."""
    engine = sa.create_engine(url.replace("sqlite://", "sqlite+pysqlite://", 1) if url.startswith("sqlite://") else url)

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None
        dbapi.create_function("rollbot_clock", 0, time.monotonic)
        for pragma in (*PRAGMAS, "query_only=ON") if read_only else PRAGMAS:
            dbapi.execute("PRAGMA " + pragma)

    @event.listens_for(engine, "begin")
    def _begin(conn: sa.Connection) -> None:
        try:
            conn.connection.cursor().execute(begin)  # each transaction passes here: SQLAlchemy's own way takes 0.1 ms
        except sqlite3.OperationalError as e:
            raise sa.exc.OperationalError(begin, None, e) from e

    return engine


async def asyncpg_connect(url: str) -> Any:
    """One connection. The driver reads the URL itself, so everything that psql understands works (``sslmode`` and its
    like). Raises MissingExtra."""
    asyncpg = _asyncpg()
    conn = await asyncpg.connect("postgresql://" + url.split("://", 1)[1], timeout=CONNECT_S, command_timeout=COMMAND_S)
    try:
        await conn.execute(SETTINGS)
    except BaseException:
        conn.terminate()  # nobody else knows of it yet
        raise
    return conn


def asyncpg_engine(url: str, *, size: int) -> AsyncEngine:
    """An engine over such connections. None is asked before each use whether it lives, which is a trip: whoever uses
    one tries again. Raises MissingExtra."""
    _asyncpg()

    async def connect() -> Any:
        return await asyncpg_connect(url)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_size=size)


def _asyncpg() -> Any:
    try:
        return importlib.import_module("asyncpg")
    except ImportError:
        raise MissingExtra("postgres", "asyncpg") from None


def sync_url(url: str) -> str:
    """``postgresql://`` with the psycopg driver, for migrations."""
    return url if url.startswith("sqlite") else "postgresql+psycopg://" + url.split("://", 1)[1]


def lease_clock(dialect: str) -> sa.ColumnElement[float]:
    """The one clock of leases, in seconds: the database's wall clock on PostgreSQL, this machine's monotonic
    clock on SQLite, where the file lock is ownership and all leases are void at start."""
    if dialect == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))
    return sa.func.rollbot_clock(type_=sa.Float(53))


def upsert(conn: sa.Connection, table: sa.Table) -> Any:
    """``INSERT ... ON CONFLICT`` for this database."""
    return upsert_on(conn.dialect.name, table)


def upsert_on(dialect: str, table: sa.Table) -> Any:
    """The same, for statements that are built once: building one takes longer than SQLite takes to run it."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)
