"""How databases are reached, and times as text."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from bot.core.errors import MissingExtra
from bot.store import codec, inbox, migrate
from bot.store.write import PostgresStore, SqliteStore, open_store
from tests.store.deeds import NOW, took


async def test_what_psql_understands_works(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """A URL as companies hand it out, with sslmode and its like, works for the store and for migrations."""
    url = replicas[0].url + "?sslmode=prefer&application_name=rollbot-test"
    store = open_store(url.replace("postgresql://", "postgres://"))
    await store.start()
    taken = await store.intake(took("k"))
    name = await store.read(lambda c: c.execute(sa.text("SELECT current_setting('application_name')")).scalar())
    await store.stop()

    assert (taken.fresh, name) == (True, "rollbot-test")
    assert await asyncio.to_thread(migrate.migrate, url) == (migrate.newest(), migrate.newest())


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the PostgreSQL extra the error is one line that says what to install."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'rollbot\[postgres\]'"):
        open_store("postgresql://127.0.0.1/rollbot")


async def test_every_commit_on_sqlite_reaches_the_disk(sqlite: SqliteStore) -> None:
    """WAL with full synchronisation, foreign keys enforced, for the writer; readers can't write."""

    def settings(conn: sa.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "query_only")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await sqlite.write(settings) == ["wal", 2, 1, 0]
    assert await sqlite.read(settings) == ["wal", 2, 1, 1]
    assert await sqlite.read(inbox.waiting) == []


def test_times_as_text_sort_as_times() -> None:
    """The text of a time in any zone is UTC with microseconds, reads back equal, and sorts; a naive one raises."""
    times = [
        NOW,
        NOW + timedelta(microseconds=1),
        (NOW + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=-9))),
        datetime(2027, 1, 1, tzinfo=UTC),
    ]
    texts = [codec.iso(at) for at in times]

    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {27}
    assert [codec.when(text) for text in texts] == times
    assert (codec.maybe_iso(None), codec.maybe_when(None)) == (None, None)
    with pytest.raises(ValueError, match="without a zone"):
        codec.iso(NOW.replace(tzinfo=None))
