"""The disk is full in the middle of a run: it waits, tells nobody that it is done, and goes on when there is room."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.core.run import OPEN, Status
from bot.store import migrate, runs
from bot.store import tables as t
from bot.store.write import SqliteStore, StoreDown
from tests.faults.site import Site, site


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Site]:
    """A worker on a SQLite file whose disk can be filled."""
    url = f"sqlite:///{tmp_path / 'rollbot.db'}"
    migrate.migrate(url)
    store, engine = SqliteStore(url), migrate.engine_for(url)
    await store.start()
    async with site(store, engine) as made:
        yield made
    await store.stop()
    engine.dispose()


async def fill(made: Site) -> None:
    """Not a page more may be had, and none is free."""

    def limit(conn: sa.Connection) -> None:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await made.store.write(limit)
    size, n = 20_000, 0
    while size > 10:
        row = {"key": f"filler {n}", "value": "x" * size}
        n += 1
        try:
            await made.store.write(lambda c, row=row: c.execute(sa.insert(t.meta), row) and None)
        except StoreDown:
            size //= 2


def make_room(conn: sa.Connection) -> None:
    conn.exec_driver_sql("PRAGMA max_page_count = 1000000")


class Waits(logging.Handler):
    """Is told when driving a run has failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "R-1 does not work now" in record.getMessage() and "full" in record.getMessage():
            self.heard.set()


async def test_a_full_disk_in_the_middle_of_a_run(small: Site) -> None:
    """Nothing is said to be done that is not; with room again the run ends exact, and each effect was one."""
    filling: list[asyncio.Task[None]] = []
    small.once("dataset", lambda: filling.append(asyncio.create_task(fill(small))))
    waits, logger = Waits(), logging.getLogger("bot.drivers")
    logger.addHandler(waits)
    number = await small.approved()
    async with asyncio.timeout(60):
        await waits.heard.wait()
        await asyncio.wait(filling)
    logger.removeHandler(waits)

    run = small.look(lambda c: runs.load(c, number))
    assert run.status in OPEN and "outcome" not in small.told(number)
    done = {s.component for s in run.steps if s.status == "done" and s.verb in ("hold", "disable", "restore")}
    assert {n for n in done if small.systems[n].value not in ("held", "off", "d1", "m1")} == set()

    await small.store.write(make_room)
    run = await small.ended(number)
    assert run.status == Status.succeeded, run.why
    assert "outcome" in small.told(number)
    small.exact()
