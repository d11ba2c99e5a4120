"""The worker: applies the inbox, drives runs, publishes messages, and ticks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.core.errors import RollbotError
from bot.drivers import Driver
from bot.flows import liveness
from bot.flows.apply import Applier
from bot.flows.outages import Repeated
from bot.flows.world import World

log = logging.getLogger(__name__)
POLL_S = 0.5
"""Seconds between two looks at the inbox where nobody pokes: the back-up for what another process has written."""
ACK_FIRST_S = 0.01
"""Seconds between something written and the look at it: whoever wrote gets its answer out first. In one process the
work that follows would otherwise stand before the ack in the loop (measured: 5 to 10 ms of it)."""
ACKS_FIRST_S = 0.05
"""The same while more is being written: a burst of presses is acked before the first of them is worked on."""
TICK_S = 15


class Publisher(Protocol):
    """Sends what is due; how many messages were touched."""

    async def publish_due(self) -> int: ...

    async def rest(self) -> None:
        """Another process may send at once."""
        ...


Tick = Callable[[], Awaitable[object]]


class Worker:
    """One per process. ``ticks``: what is done every 15 seconds, each on its own."""

    def __init__(
        self, world: World, driver: Driver, publisher: Publisher | None = None, ticks: list[Tick] | None = None
    ) -> None:
        self.world = world
        self.applier = Applier(world)
        self.driver = driver
        self.publisher = publisher
        self._ticks = ticks or []
        self._inbox = asyncio.Event()
        self._outbox = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._soon: asyncio.TimerHandle | None = None
        self._poked = self._latest = 0.0
        self.beat: float = 0.0

    async def start(self) -> None:
        self.world.store.on_write = self.poke
        self.world.store.listen()
        await self.driver.start()
        self._tasks = [asyncio.create_task(self._loop(self._inbox, self._apply), name="apply")]
        if self.publisher:
            self._tasks.append(asyncio.create_task(self._loop(self._outbox, self._publish), name="publish"))
        await liveness.beat(self.world)
        self._scheduler.add_job(self._alive, "interval", seconds=liveness.BEAT_S, coalesce=True, max_instances=1)
        for tick in self._ticks:
            self._scheduler.add_job(
                self._told(tick), "interval", seconds=TICK_S, coalesce=True, max_instances=1, misfire_grace_time=None
            )
        self._scheduler.start()

    def poke(self) -> None:
        """Something was written: look soon instead of at the next poll."""
        loop = asyncio.get_running_loop()
        self._poked = loop.time()
        if self._soon is None:
            self._latest = self._poked + ACKS_FIRST_S
            self._soon = loop.call_at(self._poked + ACK_FIRST_S, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        when = min(self._poked + ACK_FIRST_S, self._latest)
        if when > loop.time():  # poked again meanwhile
            self._soon = loop.call_at(when, self._look)
            return
        self._soon = None
        self._inbox.set()
        self._outbox.set()
        self.driver.wake()

    async def stop(self) -> None:
        """Runs in hand are given back; they go on at the next start."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None  # or a worker that is started again would hear no poke
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for task in self._tasks:  # first: they would begin anew what is ended below
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.applier.stop()
        await self.driver.stop()
        with contextlib.suppress(RollbotError):
            await liveness.farewell(self.world)
            if self.publisher:
                await self.publisher.rest()

    @staticmethod
    def _told(tick: Tick) -> Tick:
        tries = Repeated(tick.__name__, log)

        async def tell() -> None:
            try:
                await tick()
            except Exception as e:  # noqa: BLE001  the next time may be better
                tries.failed(e)
            else:
                tries.worked()

        return tell

    async def _alive(self) -> None:
        with contextlib.suppress(RollbotError):  # the database is away, and so is whoever would read it
            await liveness.beat(self.world)

    async def _apply(self) -> int:
        self.beat = asyncio.get_running_loop().time()
        return await self.applier.apply_all()

    async def _publish(self) -> int:
        return await self.publisher.publish_due() if self.publisher else 0

    async def _loop(self, event: asyncio.Event, work: Callable[[], Awaitable[int]]) -> None:
        tries = Repeated(work.__name__.strip("_"), log)
        while True:
            event.clear()
            try:
                busy = await work()
                tries.worked()
            except Exception as e:  # noqa: BLE001  the next time may be better
                tries.failed(e)
                busy = 0
            if not busy:
                with contextlib.suppress(TimeoutError):
                    # Not wait_for: before Python 3.12 it loses a cancellation in the moment in which the event is set.
                    async with asyncio.timeout(POLL_S):
                        await event.wait()
