"""Statements before an ack, and those of each step. SQLAlchemy's way to run one takes 0.2 ms in a process that has
just woken up, SQLite 0.05 (measured); so on SQLite the compiled text goes to the driver itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

Values = Mapping[str, object]
Row = tuple["Quick", Values]
"""An INSERT, and what it inserts."""
TOGETHER = 8
"""Rows that go in one statement: a step's change has a handful, and each number of them is a statement of its own."""


class Quick:
    """One statement, made per dialect and compiled once. ``columns``: what an INSERT sets by its values."""

    def __init__(self, make: Callable[[str], Any], columns: tuple[str, ...] | None = None) -> None:
        self._make, self._columns = make, columns
        self._made: dict[str, Any] = {}
        self._with: dict[tuple[Quick, ...], Quick] = {}
        self._sqlite: tuple[str, tuple[str, ...], Values] | None = None

    def first(self, conn: sa.Connection, values: Values) -> Mapping[str, Any] | None:
        """The first row, by column; None for a statement that answers nothing. Raises what SQLAlchemy raises."""
        if conn.dialect.name == "sqlite":
            return self._by_driver(conn, values)
        result = conn.execute(self._statement(conn.dialect.name), values)
        row = result.first() if result.returns_rows else None
        return None if row is None else row._asdict()

    def run(self, conn: sa.Connection, values: Values) -> None:
        """For a statement that answers nothing. Raises as ``first``."""
        if conn.dialect.name == "sqlite":
            self._by_driver(conn, values)
        else:
            conn.execute(self._statement(conn.dialect.name), values)

    def all(self, conn: sa.Connection, rows: Sequence[Values]) -> None:
        """``run`` for each of them, in one trip to PostgreSQL. Raises as ``first``."""
        if conn.dialect.name == "sqlite":
            for values in rows:
                self._by_driver(conn, values)
        elif rows:
            conn.execute(self._statement(conn.dialect.name), list(rows))

    def with_rows(self, conn: sa.Connection, values: Values, rows: Sequence[Row]) -> Mapping[str, Any] | None:
        """``first``, and INSERTs of one row each; in one trip to PostgreSQL if they are few. They are done whatever the
        first one finds: undo the transaction if it finds nothing. Raises as ``first``."""
        few = conn.dialect.name != "sqlite" and len(rows) <= TOGETHER
        together, rest = (rows, []) if few else ([], rows)
        named = {f"row_{n}_{name}": value for n, (_, row) in enumerate(together) for name, value in row.items()}
        found = self._together(tuple(of for of, _ in together)).first(conn, {**values, **named})
        for of, some in groupby(rest, itemgetter(0)):
            of.all(conn, [row for _, row in some])
        return found

    def _together(self, inserts: tuple[Quick, ...]) -> Quick:
        if inserts not in self._with:
            named = [partial(insert.named, n=n) for n, insert in enumerate(inserts)]
            self._with[inserts] = Quick(lambda d: self._statement(d).add_cte(*(name(d) for name in named)))
        return self._with[inserts] if inserts else self

    def named(self, dialect: str, n: int) -> sa.CTE:
        """This INSERT, to go with another statement; its values are named after ``n``."""
        new: dict[str, Any] = {name: sa.bindparam(f"row_{n}_{name}") for name in self._columns or ()}
        made: sa.CTE = self._statement(dialect).values(new).cte(f"row_{n}")
        return made

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
