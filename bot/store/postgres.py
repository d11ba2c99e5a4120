"""The store on PostgreSQL: any number of processes; the inbox has a connection and group commits of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.engines import asyncpg_engine
from bot.store.jobs import Fn, Job, StoreDown, T, clashed, down, fail, nothing_done, run_group, settle, sqlstate
from bot.store.listen import CHANNEL, Ear

BATCH = 256
CLOSED = "the store is closed: nothing was stored"
UNKNOWN = "whether the last write was stored is unknown"
POOL = 10


class PostgresStore:
    """Any number of processes. A lost reply may be a commit: what must not happen twice is idempotent by key."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url
        self.on_write: Callable[[], None] = nothing_done
        self._engine = asyncpg_engine(url, size=POOL)
        # One connection that no busy worker can take away.
        self._inbox = asyncpg_engine(url, size=1)
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._urgent: asyncio.Queue[Job | None] = asyncio.Queue()
        self._closed = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._ear = Ear(url, self._stored)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._work(), name="store-intake")

    def listen(self) -> None:
        """From now on ``on_write`` is also called when another process has taken something in."""
        self._ear.start()

    async def stop(self) -> None:
        """Returns when everything that was asked for before is stored, or its task has heard why not."""
        self._closed = True
        await self._ear.stop()
        self._urgent.put_nowait(None)
        if self._task:
            await asyncio.wait([self._task])
        await self._idle.wait()  # a connection in use would be left behind open
        await self._inbox.dispose()
        await self._engine.dispose()

    async def write(self, fn: Fn[T]) -> T:
        with self._in_use():
            result = await _twice(self._engine, fn)
        self.on_write()
        return result

    async def read(self, fn: Fn[T]) -> T:
        with self._in_use():
            return await _twice(self._reader, fn, doing="be read", outcome="try again")

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        if self._closed:
            raise StoreDown(CLOSED)
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def intake(self, fn: Fn[T]) -> T:
        if self._closed:
            raise StoreDown(CLOSED)
        job = Job(fn, self._stored)
        self._urgent.put_nowait(job)
        result: T = await job.future
        return result

    def _stored(self) -> None:
        self.on_write()

    async def _work(self) -> None:
        group: list[Job] = []
        try:
            while (job := await self._urgent.get()) is not None:
                group = [job, *self._more(BATCH - 1)]
                await self._commit(group)
                group = []
        finally:  # also when the loop is torn down: nobody may wait for ever
            self._closed = True
            for left in [*group, *self._more(self._urgent.qsize())]:
                fail([left], StoreDown(UNKNOWN if left in group else CLOSED))
                settle([left])

    def _more(self, most: int) -> list[Job]:
        """What waits behind the first one; the end mark goes back to the end."""
        found = [self._urgent.get_nowait() for _ in range(min(most, self._urgent.qsize()))]
        if None in found:
            self._urgent.put_nowait(None)
        return [job for job in found if job is not None]

    async def _commit(self, group: list[Job]) -> None:
        try:
            await self._attempt(group)
        except Exception as e:  # noqa: BLE001  whatever it is, everybody who waits must hear of it
            await self._once_more(group, e)
        settle(group)

    async def _attempt(self, group: list[Job]) -> None:
        await transaction(self._inbox, partial(_taken_in, group))

    async def _once_more(self, group: list[Job], error: Exception) -> None:
        """Two processes that take the same presses in another order deadlock: alone, each press gets through.
        A connection that was lost while nobody used it shows only now."""
        reason = error.__cause__ or error
        parts = [[job] for job in group] if clashed(reason) else [group] if _lost(reason) else []
        for part in parts:
            try:
                await self._attempt(part)
            except Exception as e:  # noqa: BLE001  as above
                fail(part, e)
        if not parts:
            fail(group, error)


def _taken_in(group: list[Job], conn: sa.Connection) -> None:
    """All of a group, and the news of it for the processes that listen, at its commit."""
    run_group(conn, group)
    conn.exec_driver_sql(f"NOTIFY {CHANNEL}")


def _lost(error: BaseException) -> bool:
    """The connection is gone. A second try meets a new one, or learns that there is none."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (sqlstate(error) or "").startswith(("08", "57P"))
    return isinstance(error, ConnectionError)


class _Cut(StoreDown):
    """The connection was lost before the commit."""


async def _twice(
    engine: AsyncEngine, fn: Fn[T], *, doing: str = "take writes", outcome: str = "nothing was stored"
) -> T:
    """A connection that was lost while nobody used it shows only at its next use."""
    try:
        return await transaction(engine, fn, doing=doing, outcome=outcome)
    except _Cut:
        return await transaction(engine, fn, doing=doing, outcome=outcome)


async def transaction(
    engine: AsyncEngine, fn: Fn[T], *, doing: str = "take writes", outcome: str = "nothing was stored"
) -> T:
    """One transaction around ``fn``. Raises StoreDown for trouble with the database, and what ``fn`` raises."""
    at = "connect"
    try:
        async with engine.connect() as conn:
            at = "run"
            result = await conn.run_sync(fn)
            at = "commit"
            await conn.commit()
    except (OSError, DBAPIError, sa.exc.TimeoutError) as e:
        if at == "connect" and isinstance(e, OSError):  # refused, or a name that does not resolve
            raise StoreDown(f"the database can't be reached ({e}): {outcome}") from e
        unheard = at == "commit" and (_lost(e) or not sqlstate(e))  # no answer, or none in time: it may be done
        told = down(e, doing=doing, outcome=UNKNOWN if unheard else outcome)
        if told is e:
            raise
        raise (_Cut(str(told)) if at == "run" and _lost(e) else told) from e
    return result
