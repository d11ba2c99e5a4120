"""The office: Slack, the bot and a platform, once over each transport or over HTTP alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services import FakeClock
from tests.slack.office import Office, open_office


@pytest.fixture
async def office(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Office]:
    """Over signed HTTP."""
    async with open_office(tmp_path, clock, "http") as made:
        yield made


@pytest.fixture(params=["http", "socket"])
async def both(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Office]:
    """The same test over signed HTTP and over Socket Mode."""
    async with open_office(tmp_path, clock, request.param) as made:
        yield made
