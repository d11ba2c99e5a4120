"""What the driver dbos begins, how much of it at once, and what it leaves behind; on a real database, by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from bot.drivers import dbos, sweep
from bot.drivers.dbos import Asked, Dbos
from bot.flows.world import World
from bot.store import migrate
from bot.store.jobs import Fn, T
from bot.store.runs import Due
from bot.store.write import PostgresStore
from tests.faults.simulated.papers import Papers
from tests.faults.site import Today


class SlowStore(PostgresStore):
    """Its reads wait for ``go``."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reading, self.go = asyncio.Event(), asyncio.Event()

    async def read(self, fn: Fn[T]) -> T:
        self.reading.set()
        await self.go.wait()
        return await super().read(fn)


@dataclass
class Bench:
    """A driver that nobody has started, and how many drives of each run are under way; they last until ``over``."""

    driver: Dbos
    store: SlowStore
    live: Counter[int] = field(default_factory=Counter)
    most: Counter[int] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def drive(self, _world: World, run: int) -> None:
        self.live[run] += 1
        self.most[run] = max(self.most[run], self.live[run])
        try:
            await self.over.wait()
        finally:
            self.live[run] -= 1

    def brought(self, run: int) -> asyncio.Task[None]:
        """The queue hands a wake-up to this process."""
        return asyncio.create_task(self.driver._once_more(run))

    async def handed(self, *due: Due) -> int:
        return await self.driver._hand_out(list(due))


@pytest.fixture
async def bench(postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    url = await asyncio.to_thread(postgres_url)
    await asyncio.to_thread(migrate.migrate, url)
    await asyncio.to_thread(dbos.migrate, url)
    store, papers = SlowStore(url), Papers()
    await store.start()
    world = World(store=store, targets=None, people=papers, books=papers, clock=Today(), owner="w1")  # type: ignore[arg-type]
    made = Bench(Dbos(world, url), store)
    monkeypatch.setattr(sweep, "drive", made.drive)
    monkeypatch.setattr(dbos, "_here", [made.driver])
    yield made
    made.over.set()
    await made.driver.idle()
    await store.stop()
    await asyncio.to_thread(made.driver._client.destroy)


async def turns() -> None:
    """Lets everything happen that needs no waiting."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_run_that_the_queue_brings_meanwhile_is_not_begun_twice(bench: Bench) -> None:
    """All slots but one are taken, and while the sweep asks the database which runs may go beyond them, the queue
    brings one of those: one drive, which is known, and so can be ended."""
    bench.store.go.set()
    await bench.handed(*(Due(run, 0, orphaned=True) for run in range(1, 8)))
    for run in (20, 21, 22):
        bench.driver._asked[run] = Asked(0, asyncio.get_running_loop().time() - 5)
    bench.store.go.clear()
    bench.store.reading.clear()
    sweeping = asyncio.create_task(bench.handed(*(Due(run, 0, orphaned=False) for run in (20, 21, 22))))
    await bench.store.reading.wait()
    coming = bench.brought(20)
    await turns()
    bench.store.go.set()
    await sweeping
    await turns()
    assert bench.most[20] == 1
    bench.over.set()
    await bench.driver.idle()
    await coming
    assert not +bench.live


async def test_a_process_drives_eight_runs_at_a_time(bench: Bench) -> None:
    """However they come: left behind by a dead worker, or brought by the queue. What finds no slot is begun later."""
    bench.store.go.set()
    await bench.handed(*(Due(run, 0, orphaned=True) for run in range(6)))
    coming = [bench.brought(run) for run in range(10, 18)]
    async with asyncio.timeout(20):
        await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
    await turns()
    assert bench.live.total() == sweep.SLOTS
    bench.over.set()
    await asyncio.wait(coming)


async def test_wake_ups_are_gone_after_a_day(bench: Bench) -> None:
    """One run that waits behind another leaves a wake-up every two seconds. Those of more than a day ago go, however
    many, a few hundred at a time; those of today stay."""
    bench.store.go.set()
    await bench.handed(*(Due(run, 0, orphaned=False) for run in range(1200)))
    old = int((datetime.now(UTC) - timedelta(days=2)).timestamp() * 1000)
    aged = sa.text("UPDATE dbos.workflow_status SET created_at = :old, status = 'SUCCESS'").bindparams(old=old)
    await bench.store.write(lambda c: c.execute(aged))
    await bench.handed(*(Due(run, 0, orphaned=False) for run in range(2000, 2003)))
    left = sa.text("SELECT count(*) FROM dbos.workflow_status")
    kept = []
    for _ in range(3):
        bench.driver._prune_at = 0.0
        before = asyncio.get_running_loop().time()
        await bench.driver.sweep()
        kept.append(await bench.store.read(lambda c: c.execute(left).scalar()))
        more = bench.driver._prune_at < before + dbos.PRUNE_S / 2
        assert more == (kept[-1] > 3), "it comes back soon while there is more"
    assert kept == [703, 203, 3]
