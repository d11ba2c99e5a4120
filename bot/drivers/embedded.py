"""The default driver: our own lease loop in this process. After a restart a run goes on within two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from bot.flows.drive import drive
from bot.flows.world import World
from bot.store import leases, runs

log = logging.getLogger(__name__)
POLL_S = 1.0
SLOTS = 8


class Embedded:
    """One task per run that is due, at most ``SLOTS`` at a time and besides them all that stop harm; a parked run costs
    nothing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._wake = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self.world.store.dialect == "sqlite":
            await self.world.store.write(leases.void_leases)
        self._loop = asyncio.create_task(self._serve())

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
        """Begins what is due; how many runs were begun."""
        due = await self.world.store.read(lambda c: runs.due(c, self.world.now()))
        ready = [run for run in due if run not in self._tasks]
        fresh = ready[: max(0, SLOTS - len(self._tasks))]
        if rest := ready[len(fresh) :]:  # whoever stops harm waits for no slot
            fresh += await self.world.store.read(lambda c: runs.stops_among(c, rest))
        for run in fresh:
            task = asyncio.create_task(self._drive(run))
            self._tasks[run] = task
            task.add_done_callback(partial(self._gone, run))
        return len(fresh)

    def _gone(self, run: int, _task: asyncio.Task[None]) -> None:
        self._tasks.pop(run, None)
        self._wake.set()

    async def idle(self) -> None:
        """Waits until no run is being driven (for tests and the terminal)."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _drive(self, run: int) -> None:
        try:
            await drive(self.world, run)
        except Exception:
            # A bug or the database gone: the run keeps its place, the lease lapses, the sweep tries again.
            log.exception("R-%s: driving failed", run)
            await asyncio.sleep(POLL_S)

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.sweep()
            except Exception:
                log.exception("the sweep failed")
            with contextlib.suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it loses a cancellation in the moment in which the event is set.
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
