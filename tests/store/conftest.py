"""Stores for the tests of the SQL layer: on both databases, or on the one whose ways are looked at."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from bot.store import migrate
from bot.store import tables as t
from bot.store.write import PostgresStore, SqliteStore, Store, open_store
from tests.services import Postgres


@functools.cache
def fresh_file() -> bytes:
    """A SQLite database with the newest schema. Migrating one takes longer than most tests here."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fresh.db"
        migrate.migrate(f"sqlite:///{file}")
        return file.read_bytes()


@pytest.fixture(scope="session")
def kept_database(postgres: Postgres) -> str:
    """One database for all tests here: a hundred of them are a hundred thousand files."""
    url = postgres.new_database()
    migrate.migrate(url)
    return url


@pytest.fixture
def postgres_url(kept_database: str) -> Callable[[], str]:
    """The URL of a database with the newest schema and nothing in it; one a test."""

    def emptied() -> str:
        with psycopg.connect(kept_database) as conn:
            conn.execute("SET session_replication_role = replica")  # or the triggers refuse, as they should
            conn.execute(f"TRUNCATE {', '.join(t.metadata.tables)} RESTART IDENTITY")
        return kept_database

    return emptied


def prepare(url: str) -> None:
    """What migrating a new file gives; an old one is left alone."""
    file = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite") and not file.exists():
        file.write_bytes(fresh_file())


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
