"""The store on SQLite: one thread writes, the inbox first, in group commits; several threads read."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from bot.store.engines import sqlite_engine
from bot.store.jobs import Fn, Job, StoreDown, T, down, fail, nothing_done, run_group

BATCH = 256
READERS = 4
CLOSED = "the store is closed: nothing was stored"


class Line:
    """What waits to be written. The inbox overtakes, but after each of its groups one other write has its turn:
    a storm of presses must not keep a run from renewing its lease."""

    def __init__(self) -> None:
        self._urgent: deque[Job] = deque()
        self._normal: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._owed = False

    def put(self, job: Job, *, urgent: bool) -> None:
        """Raises StoreDown if it is closed: then nobody would ever take the job out again."""
        with self._changed:
            if self._closed:
                raise StoreDown(CLOSED)
            (self._urgent if urgent else self._normal).append(job)
            self._changed.notify()

    def take(self) -> list[Job]:
        """Waits for the next group; an empty one means closed, and all that was put in has been handed out."""
        with self._changed:
            while not (self._urgent or self._normal or self._closed):
                self._changed.wait()
            if self._normal and (self._owed or not self._urgent):
                self._owed = False
                return [self._normal.popleft()]
            self._owed = True
            return [self._urgent.popleft() for _ in range(min(BATCH, len(self._urgent)))]

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()


class SqliteStore:
    """One process, one writer thread, several readers (WAL)."""

    dialect = "sqlite"

    def __init__(self, url: str) -> None:
        self.url = url
        self.on_write: Callable[[], None] = nothing_done
        self._writer = sqlite_engine(url, begin="BEGIN IMMEDIATE")
        self._reader = sqlite_engine(url, begin="BEGIN", read_only=True)
        self._line = Line()
        self._thread = threading.Thread(target=self._work, name="store-write", daemon=True)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    async def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Returns when everything that was asked for before is stored, or its task has heard why not."""
        self._line.close()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._pool.shutdown)
        self._writer.dispose()
        self._reader.dispose()

    async def write(self, fn: Fn[T]) -> T:
        return await self._put(fn, urgent=False)

    async def intake(self, fn: Fn[T]) -> T:
        return await self._put(fn, urgent=True)

    async def read(self, fn: Fn[T]) -> T:
        def run() -> T:
            with self._reader.begin() as conn:
                return fn(conn)

        try:
            reading = self._pool.submit(run)
        except RuntimeError:
            raise StoreDown(CLOSED) from None
        try:
            return await asyncio.wrap_future(reading)
        except sa.exc.DBAPIError as e:
            told = down(e, doing="be read", outcome="try again")
            if told is e:
                raise
            raise told from e

    async def _put(self, fn: Fn[T], *, urgent: bool) -> T:
        job = Job(fn, self._stored)
        self._line.put(job, urgent=urgent)
        result: T = await job.future
        return result

    def _stored(self) -> None:
        self.on_write()

    def _work(self) -> None:
        while group := self._line.take():
            self._commit(group)

    def _commit(self, group: list[Job]) -> None:
        try:
            with self._writer.begin() as conn:
                run_group(conn, group)
        except BaseException as e:  # noqa: BLE001  whatever it is, everybody who waits must hear of it
            fail(group, down(e))
        for job in group:
            job.settle()
