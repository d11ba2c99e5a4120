"""The disk is full: nobody is told that anything is stored, reading goes on, and afterwards writing does too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.core.commands import Actor, Request
from bot.store import inbox, migrate
from bot.store import tables as t
from bot.store.write import Fn, SqliteStore, StoreDown

NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)
ANA = Actor(kind="person", id="T1/ANA", via="slack", channel="C1")
LARGE = "x" * 40_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    url = f"sqlite:///{tmp_path / 'rollbot.db'}"
    migrate.migrate(url)
    made = SqliteStore(url)
    await made.start()
    yield made
    await made.stop()


def press(key: str, reason: str = "") -> Fn[inbox.Taken]:
    request = Request(feature=key, to="v1", reason=reason)
    return lambda conn: inbox.take(conn, key, ANA, request, "{run} begins", NOW)


async def no_more_pages(store: SqliteStore, spare: int) -> None:
    """The file may not grow by more than a few pages, as on a full disk."""

    def limit(conn: sa.Connection) -> None:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + spare}")

    await store.write(limit)


async def keys(store: SqliteStore) -> list[str]:
    return await store.read(lambda c: list(c.execute(sa.select(t.inbox.c.request_key)).scalars()))


async def test_a_press_on_a_full_disk_is_not_acknowledged(store: SqliteStore) -> None:
    """The press hears in words that nothing was stored; what was stored before can be read; space heals it."""
    await store.intake(press("before"))
    await no_more_pages(store, 2)
    with pytest.raises(StoreDown, match=r"full.*nothing was stored"):
        await store.intake(press("large", LARGE))

    assert await keys(store) == ["before"]
    await no_more_pages(store, 1000)
    assert (await store.intake(press("large", LARGE))).fresh
    assert await keys(store) == ["before", "large"]


async def test_a_full_disk_in_the_middle_of_a_group(store: SqliteStore) -> None:
    """SQLite undoes the whole transaction by itself: everybody in the group hears of it, and nobody is stored."""
    await store.intake(press("before"))
    await no_more_pages(store, 2)
    work = [press("a"), press("b"), press("large", LARGE), press("c")]
    said = await asyncio.gather(*(store.intake(fn) for fn in work), return_exceptions=True)
    alone = await store.intake(press("small"))

    assert [type(e) for e in said] == [StoreDown] * 4, said
    assert all("full" in str(e) for e in said)
    assert alone.fresh
    assert await keys(store) == ["before", "small"]


async def test_a_database_that_is_broken_says_so(tmp_path: Path) -> None:
    """A file that is no database is trouble with the database, in words, for reading and writing."""
    file = tmp_path / "rollbot.db"
    file.write_bytes(b"this is no database, " * 500)
    store = SqliteStore(f"sqlite:///{file}")
    await store.start()
    said = await asyncio.gather(store.intake(press("a")), store.read(inbox.waiting), return_exceptions=True)
    await store.stop()

    assert [type(e) for e in said] == [StoreDown] * 2
    assert all("not a database" in str(e) for e in said)
