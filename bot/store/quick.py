"""Statements before an ack, and those of each step. SQLAlchemy's way to run one takes 0.2 ms in a process that has
just woken up, SQLite 0.05 (measured); so on SQLite the compiled text goes to the driver itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

Values = Mapping[str, object]


class Quick:
    """One statement, made per dialect and compiled once. ``columns``: what an INSERT sets by its values."""

    def __init__(self, make: Callable[[str], Any], columns: tuple[str, ...] | None = None) -> None:
        self._make, self._columns = make, columns
        self._made: dict[str, Any] = {}
        self._sqlite: tuple[str, tuple[str, ...], Values] | None = None

    def first(self, conn: sa.Connection, values: Values) -> Mapping[str, Any] | None:
        """The first row, by column. Raises what SQLAlchemy raises."""
        if conn.dialect.name == "sqlite":
            return self._by_driver(conn, values)
        row = conn.execute(self._statement(conn.dialect.name), values).first()
        return None if row is None else row._asdict()

    def run(self, conn: sa.Connection, values: Values) -> None:
        """For a statement that answers nothing. Raises as ``first``."""
        if conn.dialect.name == "sqlite":
            self._by_driver(conn, values)
        else:
            conn.execute(self._statement(conn.dialect.name), values)

    def _statement(self, dialect: str) -> Any:
        if dialect not in self._made:
            self._made[dialect] = self._make(dialect)
        return self._made[dialect]

    def _by_driver(self, conn: sa.Connection, values: Values) -> Mapping[str, Any] | None:
        if self._sqlite is None:
            made = self._make("sqlite").compile(dialect=conn.dialect, column_keys=self._columns)
            self._sqlite = str(made), tuple(made.positiontup or ()), made.params
        text, names, fixed = self._sqlite
        said = tuple(values[name] if name in values else fixed[name] for name in names)
        cursor = conn.connection.cursor()
        try:
            cursor.execute(text, said)
            row = cursor.fetchone() if cursor.description else None
            found = None if row is None else dict(zip((c[0] for c in cursor.description), row, strict=True))
        except sqlite3.Error as e:
            raise sa.exc.DBAPIError.instance(text, said, e, sqlite3.Error) from e
        finally:
            cursor.close()
        return found
