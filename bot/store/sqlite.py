"""The store on SQLite: one thread writes, the inbox first, in group commits; several threads read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from bot.store.engines import sqlite_engine
from bot.store.jobs import Fn, Job, StoreDown, T, down, fail, nothing_done, run_group, settle

BATCH = 256
READERS = 4
CLOSED = "the store is closed: nothing was stored"


class Line:
    """What waits to be written. The inbox overtakes, but after each of its groups one other write has its turn:
    a storm of presses must not keep a run from renewing its lease."""

    def __init__(self) -> None:
        self._urgent: deque[Job] = deque()
        self._normal: deque[Job] = deque()
        self._lock = threading.Lock()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()  # in C: a Condition takes longer to wake a thread
        self._asleep = self._closed = self._owed = False

    def put(self, job: Job, *, urgent: bool) -> None:
        """Raises StoreDown if it is closed: then nobody would ever take the job out again."""
        with self._lock:
            if self._closed:
                raise StoreDown(CLOSED)
            (self._urgent if urgent else self._normal).append(job)
            self._wake()

    def take(self) -> list[Job]:
        """Waits for the next group; an empty one means closed, and all that was put in has been handed out."""
        while True:
            with self._lock:
                if self._urgent or self._normal or self._closed:
                    return self._next()
                self._asleep = True
            self._bell.get()

    def _next(self) -> list[Job]:
        if self._normal and (self._owed or not self._urgent):
            self._owed = False
            return [self._normal.popleft()]
        self._owed = True
        return [self._urgent.popleft() for _ in range(min(BATCH, len(self._urgent)))]

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._bell.put(None)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._wake()


class SqliteStore:
    """One process, one writer thread, several readers (WAL)."""

    dialect = "sqlite"

    def __init__(self, url: str) -> None:
        self.url = url
        self.on_write: Callable[[], None] = nothing_done
        self._writer = sqlite_engine(url, begin="BEGIN IMMEDIATE")
        self._reader = sqlite_engine(url, begin="BEGIN", read_only=True)
        self._file = sa.make_url(url).database or ""
        self._id: tuple[int, int] | None = None
        self._line = Line()
        self._thread = threading.Thread(target=self._work, name="store-write", daemon=True)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    async def start(self) -> None:
        self._thread.start()

    def listen(self) -> None:
        """There is no other process."""

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

    def _same_file(self) -> None:
        """SQLite goes on in a file that was deleted or moved away, and what it stores there is lost at the next start.
        Raises StoreDown."""
        found = file_id(self._file)
        self._id = self._id or found
        if found is None or found != self._id:
            raise StoreDown(
                f"{self._file} was moved or deleted while rollbot works on it: nothing was stored. Stop rollbot, put "
                "the file back with its -wal, and start it again"
            )

    def _work(self) -> None:
        conn: sa.Connection | None = None
        while group := self._line.take():
            conn = self._commit(conn, group)
        if conn is not None:
            conn.close()

    def _commit(self, conn: sa.Connection | None, group: list[Job]) -> sa.Connection | None:
        """The connection is kept for the next group, unless there was trouble."""
        try:
            if conn is None and self._id is not None:
                self._same_file()  # to connect would make an empty file where ours is missing
            conn = conn or self._writer.connect()
            with conn.begin():
                run_group(conn, group)
                self._same_file()
        except BaseException as e:  # noqa: BLE001  whatever it is, everybody who waits must hear of it
            fail(group, down(e))
            _closed(conn)
            conn = None
        settle(group)
        return conn


def file_id(file: str) -> tuple[int, int] | None:
    """Which file stands there now; None: there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116  each commit asks
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _closed(conn: sa.Connection | None) -> None:
    if conn is not None:
        with contextlib.suppress(Exception):
            conn.close()
