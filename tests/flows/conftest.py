"""The house of the flow tests, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flows.company import Company, write_company
from tests.flows.house import House, close_house, open_house
from tests.services import FakeClock


@pytest.fixture
async def house(tmp_path: Path, clock: FakeClock, database_url: str) -> AsyncIterator[House]:
    """A feature with one flag, two databases."""
    made = await open_house(tmp_path, clock, database_url)
    yield made
    await close_house(made)


@pytest.fixture
def company(house: House) -> Company:
    """The house with a pipeline and a model besides."""
    return write_company(house)
