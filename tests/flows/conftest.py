"""The house of the flow tests, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.core.run import Run
from bot.store import runs
from tests.flows.company import Company, write_company
from tests.flows.house import House, close_house, open_house
from tests.fresh import emptied
from tests.services import FakeClock


@pytest.fixture(autouse=True)
def as_its_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run that is taken from memory, by whatever these tests do, is what its rows say."""
    whole = runs._whole

    def compared(conn: sa.Connection, number: int, body: str) -> Run:
        found = whole(conn, number, body)
        assert runs._by_rows(conn, number, body) == found
        return found

    monkeypatch.setattr(runs, "_whole", compared)


@pytest.fixture
def postgres_url(kept_database: str) -> Callable[[], str]:
    """The URL of a database with the newest schema and nothing in it; one a test."""
    return partial(emptied, kept_database)


@pytest.fixture
async def house(tmp_path: Path, clock: FakeClock, database_url: str) -> AsyncIterator[House]:
    """A feature with one flag, two databases."""
    made = await open_house(tmp_path, clock, database_url)
    yield made
    await close_house(made)


@pytest.fixture
async def company(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Company]:
    """The house with a pipeline and a model besides. On SQLite: what is asked there is about rules, not about SQL."""
    made = await open_house(tmp_path, clock, f"sqlite:///{tmp_path / 'rollbot.db'}")
    yield write_company(made)
    await close_house(made)
