"""A worker as a process that can freeze, be stopped, or disappear at any await: then nothing of it reaches anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bot.store.jobs import Fn, StoreDown, T
from tests.faults.simulated.database import Database
from tests.faults.simulated.loop import OWNER, lapse
from tests.faults.simulated.mishaps import Mishaps


class Process:
    """``passes`` is called wherever something leaves or enters it: there it may be told to die or to freeze."""

    def __init__(self, name: str, mishaps: Mishaps, *, mortal: bool = True) -> None:
        self.name, self.mishaps, self.mortal = name, mishaps, mortal
        self.alive = True
        self.on_death: Callable[[], None] = lambda: None
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self._thawed = asyncio.Event()
        self._thawed.set()

    def run(self, work: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
        """Begins a task of this process; what that begins is of this process too."""

        async def owned() -> Any:
            OWNER.set(self)
            return await work()

        task = asyncio.get_running_loop().create_task(owned())
        self.tasks[task] = None
        task.add_done_callback(lambda done: self.tasks.pop(done, None))
        return task

    async def passes(self, where: str) -> None:
        self.mishaps.passed(self, where)
        if not self.alive:
            raise StoreDown("this process is gone")
        while not self._thawed.is_set():
            await self._thawed.wait()
        if not self.alive:
            raise StoreDown("this process is gone")

    def die(self) -> None:
        """Its tasks go; what they do on their way out reaches nobody."""
        if not self.alive:
            return
        self.alive = False
        self._thawed.set()
        for task in list(self.tasks):
            task.cancel()
        self.on_death()

    @property
    def frozen(self) -> bool:
        return not self._thawed.is_set()

    def freeze(self, seconds: float) -> None:
        self._thawed.clear()
        asyncio.get_running_loop().call_later(seconds, self._thawed.set)


class Wire:
    """The store as one process reaches it: ``flows.world``'s Store. ``dialect`` "sqlite": it is the only process."""

    def __init__(self, process: Process, database: Database, dialect: str) -> None:
        self.process, self.database, self.dialect = process, database, dialect
        self.on_write: Callable[[], None] = lambda: None

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def listen(self) -> None:
        """Nobody calls from another process: what they wrote is found by the next poll."""

    async def write(self, fn: Fn[T]) -> T:
        return await self._asked(fn, "write")

    async def intake(self, fn: Fn[T]) -> T:
        return await self._asked(fn, "intake")

    async def read(self, fn: Fn[T]) -> T:
        return await self._asked(fn, "read")

    async def _asked(self, fn: Fn[T], how: str) -> T:
        mishaps = self.process.mishaps
        await self.process.passes(f"{how} begins")
        trouble = mishaps.of_database(how)
        await lapse(mishaps.short())
        await self.process.passes(f"{how} arrives")
        if trouble == "down":
            raise StoreDown("the database can't take writes now (simulated): nothing was stored")
        if how == "read":
            result = self.database.read(fn)
        else:
            result = self.database.write(fn, self.process.name)
            self.on_write()
        await lapse(mishaps.short())
        await self.process.passes(f"{how} is answered")
        if trouble == "lost":
            raise StoreDown("the reply was lost (simulated): whether the last write was stored is unknown")
        return result
