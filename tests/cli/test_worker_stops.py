"""The worker's loops end when they are told to, whatever happens in that moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.drivers.embedded import Embedded
from bot.wiring import Parts, build, load_settings
from bot.worker import Worker
from tests.cli.terminal import Terminal


@pytest.fixture
def here(terminal: Terminal) -> Iterator[Path]:
    """In a folder with a database."""
    with contextlib.chdir(terminal.folder):
        yield terminal.folder


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Parts]:
    parts = build(load_settings(), warm=())
    await parts.start()
    try:
        yield parts
    finally:
        await parts.stop()


async def ticks(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def started(driver: Embedded) -> None:
    """The driver waits for its event."""
    await driver.start()
    while not driver._wake._waiters:  # noqa: ASYNC110  the event of waiting for an event
        await asyncio.sleep(0)


@pytest.mark.parametrize("later", range(6))
async def test_a_driver_that_is_woken_while_it_is_stopped_stops(here: Path, later: int) -> None:
    """A wake-up a few ticks before the stop takes nothing away from it (the loop had gone on for ever)."""
    async with opened() as parts:
        driver = Embedded(parts.world)
        await started(driver)
        driver.wake()
        await ticks(later)
        async with asyncio.timeout(20):
            await driver.stop()


async def test_a_worker_that_is_poked_all_the_time_stops(here: Path) -> None:
    """Commits go on until the last moment."""
    async with opened() as parts:
        worker = Worker(parts.world, parts.driver())
        await worker.start()
        poking = asyncio.create_task(poke_on(worker))
        async with asyncio.timeout(20):
            await worker.stop()
        poking.cancel()
        await asyncio.wait([poking])


async def poke_on(worker: Worker) -> None:
    while True:
        worker.poke()
        await asyncio.sleep(0)
