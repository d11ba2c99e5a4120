"""DBOS Transact as the driver: PostgreSQL, any number of replicas, one queue of wake-ups.

A wake-up is a short workflow that any replica may take: it calls ``drive`` once and keeps nothing. The run itself stays
in our tables, under our leases, so a wake-up that is lost, doubled, late, or left over by a dead replica does no harm.
Only its public interface is used. It runs in threads and on an event loop of its own: here it costs a call per wake-up,
and the loop's own pool of threads, which it would put its own in the place of, stays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, error

from bot.core.errors import RollbotError
from bot.drivers.sweep import SLOTS, Sweeper
from bot.flows.world import World
from bot.store.runs import Due
from bot.store.write import Connection

log = logging.getLogger(__name__)
APP, SCHEMA, WAKE_UP = "rollbot", "dbos", "rollbot-drive"
VERSION = "drive-1"
"""Pinned: made of the code, as it is by default, each build would leave the wake-ups of the one before lying."""
QUEUE, STOPS = "rollbot-drive", "rollbot-stop-harm"
QUEUE_S = 0.2
"""Seconds between two looks of a replica into a queue."""
OVERDUE_S = 1.0
"""Seconds after which a wake-up that nobody came to is not waited for any longer."""
ENDING_S = 5.0
"""Seconds that DBOS may take to end. Without its database it waits for that, each time for up to a minute."""
THREADS, CONNECTIONS = 16, 4
MIGRATE = "run 'rollbot migrate' with ROLLBOT_DRIVER=dbos first"
KEPT = timedelta(days=1)
"""How long a wake-up is kept after it was asked for. None lasts that long; those of dead replicas end here."""
PRUNE_S, PRUNE_NEXT_S, PRUNE_MOST = 3600.0, 10.0, 500
"""Seconds between two times that old ones are looked for, the same while there are more, and how many go at a time. A
run that waits for another one is woken every two seconds: 43,200 times a day, fewer than can go."""


@dataclass(frozen=True)
class Asked:
    """A wake-up that this process asked for: at which fence, and when (the loop's clock)."""

    fence: int
    at: float


class Dbos(Sweeper):
    """One a process, since DBOS is. ``url``: the database of the store, migrated by ``migrate``."""

    def __init__(self, world: World, url: str) -> None:
        super().__init__(world)
        self._url = url
        self._asked: dict[int, Asked] = {}
        self._home: asyncio.AbstractEventLoop | None = None
        self._prune_at = 0.0
        # It raises where DBOS itself would wait for its database, and so would whoever looks for what is due.
        self._client = DBOSClient(
            system_database_url=url,
            dbos_system_schema=SCHEMA,
            application_name=APP,
            lazy=True,
            retry_connection_errors=False,
        )

    async def start(self) -> None:
        """Raises RollbotError if DBOS can't work on this database."""
        self._home = asyncio.get_running_loop()
        _here.append(self)
        try:
            await asyncio.to_thread(self._launch)
        except Exception as e:
            await self.stop()
            if isinstance(e, error.DBOSInitializationError):
                raise RollbotError(f"the database has not what dbos keeps there: {MIGRATE}") from e
            raise RollbotError(f"dbos can't start: {' '.join(str(e).split())}") from e
        self._prune_at = self._home.time() + PRUNE_NEXT_S
        await super().start()

    def _launch(self) -> None:
        """In a thread without an event loop: it would take that one for its own."""
        config: DBOSConfig = {
            "name": APP,
            "system_database_url": self._url,
            "dbos_system_schema": SCHEMA,
            "run_migrations": False,
            "executor_id": self.world.owner,
            "application_version": VERSION,
            "log_level": "WARNING",
            "max_executor_threads": THREADS,
            "sys_db_pool_size": CONNECTIONS,
        }
        DBOS(config=config)
        said = logging.getLogger("dbos")
        said.setLevel(logging.CRITICAL)  # what it says of a failed launch with a traceback, we say in a line
        DBOS.launch()
        said.setLevel(logging.WARNING)
        said.addFilter(_seldom)
        for queue, most in ((QUEUE, SLOTS), (STOPS, None)):
            DBOS.register_queue(
                queue, worker_concurrency=most, polling_interval_sec=QUEUE_S, on_conflict="always_update"
            )

    async def stop(self) -> None:
        _here.remove(self)
        await super().stop()
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        threading.Thread(target=_end, args=(loop, over, self._client), daemon=True).start()
        try:
            async with asyncio.timeout(ENDING_S):
                await over.wait()
        except TimeoutError:
            log.warning("dbos did not end within %g s: is its database away?", ENDING_S)

    async def sweep(self) -> int:
        handed = await super().sweep()
        if self._now() > self._prune_at:
            gone = await asyncio.to_thread(_prune, self._client, (self.world.now() - KEPT).isoformat())
            self._prune_at = self._now() + (PRUNE_S if gone < PRUNE_MOST else PRUNE_NEXT_S)
        return handed

    async def _hand_out(self, due: list[Due]) -> int:
        """A wake-up is asked for once, by a name that all replicas use, so it is one. Past the queue goes what a dead
        worker has left behind, and what nobody came to for a while: the queue, whoever took it from there, or all are
        dead or busy. Each replica takes that over as soon as it can, and the claim decides."""
        self._asked = {d.run: a for d in due if (a := self._asked.get(d.run)) and a.fence == d.fence}
        taken = await self._take([d.run for d in due if d.orphaned or self._overdue(d.run)])
        fresh = [d for d in due if not d.orphaned and d.run not in self._asked]
        if fresh:
            stops = await self._stops_among([d.run for d in fresh])
            self._asked |= {d.run: Asked(d.fence, self._now()) for d in fresh}
            await self.world.store.write(partial(self._ask, fresh, stops))
        return len(taken) + len(fresh)

    def _overdue(self, run: int) -> bool:
        asked = self._asked.get(run)
        return asked is not None and self._now() > asked.at + OVERDUE_S

    def _ask(self, due: list[Due], stops: set[int], conn: Connection) -> None:
        for d in due:
            name, queue = f"R-{d.run}:{d.fence}", STOPS if d.run in stops else QUEUE
            options: EnqueueOptions = {"queue_name": queue, "workflow_name": WAKE_UP, "workflow_id": name}
            self._client.enqueue_in_transaction(conn, options | {"app_version": VERSION}, d.run)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def taken(self, run: int) -> None:
        """On DBOS' loop: the run is driven on ours. Returns when that is over, however it ends."""
        if self._home is not None:
            done = asyncio.run_coroutine_threadsafe(self._once_more(run), self._home)
            await asyncio.wait([asyncio.wrap_future(done)])

    async def _once_more(self, run: int) -> None:
        while old := self._tasks.get(run):  # it lost its lease, as this process was frozen, and is about to notice
            await asyncio.wait([old])
        if self in _here and await self._take([run]):  # without a slot it is soon overdue, and waits for one as such
            await asyncio.wait([self._tasks[run]])


SELDOM_S = 60.0
_last: dict[tuple[str, int], float] = {}


def _seldom(record: logging.LogRecord) -> bool:
    """What it says at one place is heard once a minute: while its database is away it says it five times a second."""
    place, now = (record.pathname, record.lineno), time.monotonic()
    heard = now - _last.get(place, -SELDOM_S) >= SELDOM_S
    if heard:
        _last[place] = now
    return heard


_here: list[Dbos] = []
"""The one of this process, while it works: DBOS calls a function of this module."""


@DBOS.workflow(name=WAKE_UP)
async def wake_up(run: int) -> None:
    """One wake-up."""
    for driver in _here:
        await driver.taken(run)


def _end(loop: asyncio.AbstractEventLoop, over: asyncio.Event, client: DBOSClient) -> None:
    DBOS.destroy()
    client.destroy()
    with contextlib.suppress(RuntimeError):  # nobody waits any more
        loop.call_soon_threadsafe(over.set)


def _prune(client: DBOSClient, before: str) -> int:
    """A few hundred a time; what is left is for the next time, or for another replica. How many those were."""
    old = client.list_workflows(name=WAKE_UP, end_time=before, limit=PRUNE_MOST, load_input=False, load_output=False)
    if old:
        client.delete_workflows([w.workflow_id for w in old])
    return len(old)


def migrate(url: str) -> None:
    """Makes DBOS' own tables, or brings them to what this build needs. Safe to run again."""
    DBOS.migrate(url, schema=SCHEMA)
