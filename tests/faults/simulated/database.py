"""One database for all workers: the real SQL on SQLite in memory, a transaction at a time, in virtual time."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from bot.store import migrate
from bot.store import tables as t
from bot.store.engines import sqlite_engine
from bot.store.jobs import Fn, T


@functools.cache
def _connection() -> sa.Connection:
    """One for all seeds: to make one takes longer than to fill it."""
    return sqlite_engine("sqlite://", begin="BEGIN IMMEDIATE").connect()


def _raw() -> sqlite3.Connection:
    raw: Any = _connection().connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


@functools.cache
def empty() -> bytes:
    """The newest schema with nothing in it."""
    conn = _connection()
    with conn.begin():
        t.metadata.create_all(conn)
        migrate.triggers(conn)
    return _raw().serialize()


class Database:
    """``clock`` is the lease clock. ``after`` is called with the connection and the writing
    process after each write, before it is committed."""

    def __init__(self, image: bytes, clock: Callable[[], float]) -> None:
        self._conn = _connection()
        _raw().deserialize(image)
        _raw().create_function("rollbot_clock", 0, clock)
        self.after: Callable[[sa.Connection, str], None] = lambda _conn, _writer: None

    def write(self, fn: Fn[T], writer: str) -> T:
        with self._conn.begin():
            result = fn(self._conn)
            self.after(self._conn, writer)
        return result

    def read(self, fn: Fn[T]) -> T:
        with self._conn.begin():
            return fn(self._conn)

    def image(self) -> bytes:
        return _raw().serialize()
