"""Commands on their way into the inbox: what shares a commit shares a statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from bot.core.commands import Actor, Command, Request
from bot.store import inbox
from bot.store import tables as t
from bot.store.inbox import Taken

_NAMES = ("request_key", "actor", "command", "run", "answer", "created_at")


@dataclass(frozen=True)
class Taking:
    """One ``inbox.take``, for ``Store.intake``."""

    key: str
    actor: Actor
    command: Command
    answer: str
    now: datetime

    def __call__(self, conn: sa.Connection) -> Taken:
        return inbox.take(conn, self.key, self.actor, self.command, self.answer, self.now)

    @staticmethod
    def together(conn: sa.Connection, several: Sequence[Taking]) -> list[Taken]:
        """As each by itself, in this order. To PostgreSQL a trip for each is what a storm of presses waits for; to
        SQLite there is none."""
        plain = conn.dialect.name == "postgresql" and not any(isinstance(s.command, Request) for s in several)
        return _at_once(conn, several) if plain else [taking(conn) for taking in several]


def _at_once(conn: sa.Connection, several: Sequence[Taking]) -> list[Taken]:
    rows = [inbox.plain_row(s.key, s.actor, s.command, s.answer, s.now) for s in several]
    made = {
        r.request_key: r.id
        for r in conn.execute(_ROWS, {f"all_{name}": [row[name] for row in rows] for name in _NAMES})
    }
    return [inbox.taken_as(conn, row, made.pop(row["request_key"], None)) for row in rows]


def _rows() -> Any:
    columns = [t.inbox.c[name] for name in _NAMES]
    lists = [sa.bindparam(f"all_{c.name}", type_=postgresql.ARRAY(c.type)) for c in columns]
    given = (
        sa.func.unnest(*lists).table_valued(*(sa.column(c.name, c.type) for c in columns)).render_derived(name="given")
    )
    into = postgresql.insert(t.inbox).from_select(columns, sa.select(*(given.c[name] for name in _NAMES)))
    unless = into.on_conflict_do_nothing(index_elements=["request_key"])
    return unless.returning(t.inbox.c.id, t.inbox.c.request_key)


_ROWS = _rows()
