"""One simulated night: a feature with a bad release, its workers, and whatever the seed lets go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bot.core.commands import Actor, CaptureRelease, Command
from bot.core.errors import RollbotError
from bot.core.target import Kind
from bot.drivers.embedded import Embedded
from bot.flows.clockwork import wake_overslept
from bot.flows.world import World
from bot.store import inbox
from bot.store.jobs import StoreDown
from bot.store.write import Connection
from bot.worker import TICK_S, Worker
from tests.faults.simulated.database import Database, empty
from tests.faults.simulated.loop import VirtualLoop, lapse
from tests.faults.simulated.mishaps import Mishaps
from tests.faults.simulated.outside import Outside
from tests.faults.simulated.papers import Papers
from tests.faults.simulated.process import Process, Wire
from tests.faults.simulated.rules import Rules
from tests.faults.simulated.systems import Ledger, System

START = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)
GOOD = {"flag": "on", "pipeline": "runs", "dataset": "d1", "model": "m1"}
BAD = {"flag": "half", "pipeline": "runs", "dataset": "d2", "model": "m2"}


@dataclass
class Night:
    """``now`` is the wall clock, which jumps; leases follow the loop's time, which does not. ``alone``: one process at
    a time, on SQLite; else several on one database. ``answers`` by request key."""

    mishaps: Mishaps
    loop: VirtualLoop
    image: bytes
    values: dict[str, str]
    alone: bool = False
    database_class: type[Database] = Database
    system_class: type[System] = System
    parts: int | None = None
    shift: timedelta = timedelta()
    processes: dict[str, Process] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    answers: dict[str, set[tuple[str, int | None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dice = random.Random(f"{self.mishaps.seed} systems")
        ledger = Ledger()
        self.systems = {
            n: self.system_class(
                n, Kind(n), v, ledger, counts=dice.random() < 0.5, parts=self.parts or dice.choice([1, 1, 2])
            )
            for n, v in self.values.items()
        }
        self.database = self.database_class(self.image, self.loop.time)
        self.rules = Rules(self.systems, self.database.read, self.mishaps.say)
        self.database.read(self.rules.catch_up)
        self.database.after = self.rules.after_write
        self.web = Process("web", self.mishaps, mortal=False)
        self.wire = Wire(self.web, self.database, "postgresql")
        self.loop.set_exception_handler(self._lost)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.loop.now) + self.shift

    async def lapse(self, seconds: float) -> None:
        await lapse(seconds)

    async def rest(self) -> None:
        """Leases lapse, and what is on its way arrives."""
        await lapse(60)

    def _lost(self, _loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        error = about.get("exception")
        if error is None or not _known(error):
            self.rules.broke(f"an error that nobody heard: {about['message']} {error!r}")

    def begin(self) -> None:
        """One more worker."""
        name = f"w{len(self.processes) + 1}"
        process = self.processes[name] = Process(name, self.mishaps)
        wire = Wire(process, self.database, "sqlite" if self.alone else "postgresql")
        targets, papers = Outside(process, self.systems, self.now, self.rules.owns), Papers()
        world = World(store=wire, targets=targets, people=papers, books=papers, clock=self, owner=name)
        self.workers[name] = Worker(world, Embedded(world))
        process.on_death = lambda: self.replaced(name)
        process.run(partial(self._start, name))
        process.run(partial(_ticks, world))
        self.mishaps.say(f"{name} begins")

    async def _start(self, name: str) -> None:
        """A process that can't start is started again, by whoever looks after it."""
        try:
            await self.workers[name].start()
        except StoreDown:
            self.processes[name].die()

    def replaced(self, name: str) -> None:
        self.workers.pop(name, None)
        self.loop.call_later(self.mishaps.dice.choice([0.1, 1.0, 8.0, 20.0]), self.begin)

    def lose_a_worker(self) -> None:
        self.processes[next(iter(self.workers))].die()

    async def deploy(self) -> None:
        """One worker is stopped as a deploy does it, and a new one begins."""
        for name, worker in list(self.workers.items())[:1]:
            process = self.processes[name]
            await asyncio.wait([process.run(worker.stop)])  # it may die on the way
            if self.workers.pop(name, None):
                process.on_death = lambda: None
                process.die()
                self.begin()

    async def say(self, command: Command, who: str, key: str) -> inbox.Taken:
        """As Slack does it: the same press comes again until it is answered."""
        actor = Actor(kind="person", id=who, via="slack", channel="C1")
        while True:
            try:
                taken = await self.wire.intake(partial(_take, key, actor, command, self.now()))
            except StoreDown:
                await lapse(1)
                continue
            self.answers.setdefault(key, set()).add((taken.answer, taken.run))
            for worker in self.workers.values():
                worker.poke()
            return taken


def _take(key: str, actor: Actor, command: Command, now: datetime, conn: Connection) -> inbox.Taken:
    return inbox.take(conn, key, actor, command, "{run} begins", now)


async def _ticks(world: World) -> None:
    """What the real worker does every 15 seconds, as far as it concerns runs."""
    while True:
        await lapse(TICK_S)
        with contextlib.suppress(StoreDown):
            await wake_overslept(world)


@functools.cache
def two_releases() -> bytes:
    """A database in which v1 and then v2 were captured, and v2 is live; made by the real flows, once."""
    loop = VirtualLoop()
    night = Night(Mishaps(0, calm=True), loop, empty(), dict(GOOD), shift=timedelta(hours=-50))
    try:
        loop.run_until_complete(_captured(night))
        return night.database.image()
    finally:
        loop.close()


async def _captured(night: Night) -> None:
    night.begin()
    for version, values in (("v1", GOOD), ("v2", BAD)):
        for name, value in values.items():
            night.systems[name].value = value
        taken = await night.say(CaptureRelease(feature="fares", version=version), "T1/ANA", version)
        await lapse(20)
        result = night.database.read(lambda c, taken=taken: inbox.result_of(c, taken.id))
        assert result and result["ok"], result
        night.shift += timedelta(hours=25)
    (worker,) = night.workers.values()
    await worker.stop()


class Heard(logging.Handler):
    """What the bot logs with an error that is none of its own kinds is a bug."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(logging.ERROR)
        self._rules = rules

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not _known(error):
            self._rules.broke(f"{record.getMessage()}: {error!r}")


def _known(error: BaseException) -> bool:
    """Of the bot's own kinds: said in words, and tried again."""
    if isinstance(error, BaseExceptionGroup):
        return all(_known(e) for e in error.exceptions)
    return isinstance(error, RollbotError)
