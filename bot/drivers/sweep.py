"""What all drivers share: they look for what is due, and drive a run in a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from functools import partial

from bot.flows.drive import drive
from bot.flows.outages import Repeated
from bot.flows.world import World
from bot.store import leases, runs
from bot.store.runs import Due

log = logging.getLogger(__name__)
POLL_S = 0.5
"""Seconds between two looks where nobody wakes it. A lease that lapses sooner is looked at when it does."""
LAPSED_S = 0.02
SLOTS = 8
"""Runs that one process drives at a time, besides those that only stop harm."""


class Sweeper(ABC):
    """In one process no run is driven twice at once: what has lost its lease ends before the run is begun anew."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._wake = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._pause = POLL_S

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._serve(), name="sweep")

    def wake(self) -> None:
        """A hint; it may be lost or doubled."""
        self._wake.set()

    async def stop(self) -> None:
        """Ends the work in hand. Children are stopped; their steps are repeated with the same key at the next start."""
        tasks = [t for t in [self._loop, *self._tasks.values()] if t]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def sweep(self) -> int:
        """Hands out what is due; how many runs that were."""
        due, lapse = await self.world.store.read(lambda c: (runs.dues(c, self.world.now()), leases.next_lapse(c)))
        self._pause = POLL_S if lapse is None else min(POLL_S, lapse + LAPSED_S)
        return await self._hand_out(due)

    @abstractmethod
    async def _hand_out(self, due: list[Due]) -> int:
        """How many of these runs were begun or asked for now."""

    async def _take(self, due: list[int]) -> list[int]:
        """Begins here what there is a slot for; whoever stops harm waits for none. Which ones that were."""
        ready = [run for run in due if run not in self._tasks]
        fresh = ready[: max(0, SLOTS - len(self._tasks))]
        if rest := ready[len(fresh) :]:
            fresh += sorted(await self._stops_among(rest))
        fresh = [run for run in fresh if run not in self._tasks]  # the queue may have brought it meanwhile
        for run in fresh:
            self._begin(run)
        return fresh

    async def _stops_among(self, due: list[int]) -> set[int]:
        """Which of these only stop harm: they wait for no slot."""
        return set(await self.world.store.read(lambda c: runs.stops_among(c, due))) if due else set()

    def _begin(self, run: int) -> asyncio.Task[None]:
        task = asyncio.create_task(self._drive(run))
        self._tasks[run] = task
        task.add_done_callback(partial(self._gone, run))
        return task

    def _gone(self, run: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(run) is task:
            del self._tasks[run]
        self._wake.set()

    async def idle(self) -> None:
        """Waits until no run is being driven (for tests and the terminal)."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _drive(self, run: int) -> None:
        try:
            await drive(self.world, run)
        except Exception as e:  # noqa: BLE001
            # A bug or the database gone: the run keeps its place, the lease lapses, the sweep tries again.
            Repeated(f"R-{run}", log).failed(e)
            await asyncio.sleep(POLL_S)

    async def _serve(self) -> None:
        tries = Repeated("the sweep", log)
        while True:
            self._wake.clear()
            self._pause = POLL_S
            try:
                await self.sweep()
                tries.worked()
            except Exception as e:  # noqa: BLE001  the next time may be better
                tries.failed(e)
            with contextlib.suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it loses a cancellation in the moment in which the event is set.
                async with asyncio.timeout(self._pause):
                    await self._wake.wait()
