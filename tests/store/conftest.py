"""Stores for the tests of the SQL layer: on both databases, or on the one whose ways are looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from bot.store.write import PostgresStore, SqliteStore, Store, open_store
from tests.fresh import emptied, prepare


@pytest.fixture
def postgres_url(kept_database: str) -> Callable[[], str]:
    """The URL of a database with the newest schema and nothing in it; one a test."""
    return partial(emptied, kept_database)


async def opened(url: str) -> Store:
    """A started store on a database with the newest schema."""
    prepare(url)
    made = open_store(url)
    await made.start()
    return made


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """One store; the test runs once on each kind of database."""
    made = await opened(database_url)
    yield made
    await made.stop()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """One store on SQLite."""
    made = await opened(f"sqlite:///{tmp_path / 'rollbot.db'}")
    assert isinstance(made, SqliteStore)
    yield made
    await made.stop()


@pytest.fixture
async def replicas(postgres_url: Callable[[], str]) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Two stores on one PostgreSQL database, as two processes have them."""
    url = postgres_url()
    one, other = await opened(url), await opened(url)
    assert isinstance(one, PostgresStore)
    assert isinstance(other, PostgresStore)
    yield one, other
    await one.stop()
    await other.stop()
