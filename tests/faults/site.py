"""A worker in real time on a real database, with simulated outside systems: what breaks here is the database's side."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bot.core.auditor import verify_export
from bot.core.commands import Actor, CaptureRelease, Command, Decide
from bot.core.run import OPEN, Run
from bot.core.target import Kind
from bot.drivers import Driver
from bot.drivers.embedded import Embedded
from bot.flows.world import World
from bot.store import events, inbox, runs
from bot.store import tables as t
from bot.store.jobs import StoreDown
from bot.store.write import Store
from bot.worker import Worker
from tests.faults.simulated.mishaps import Mishaps
from tests.faults.simulated.night import BAD, GOOD
from tests.faults.simulated.outside import Outside
from tests.faults.simulated.papers import Papers
from tests.faults.simulated.people import ANA, BEN, ROLLBACK
from tests.faults.simulated.process import Process
from tests.faults.simulated.systems import Effect, Ledger, System

PATIENCE_S = 60.0


class Still(Mishaps):
    """Nothing goes wrong, and nothing takes long."""

    def short(self) -> float:
        return 0.0002

    def unseen(self) -> float:
        return 0.0


class Today:
    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass
class Site:
    """``engine`` is a way to the database past everything that breaks."""

    store: Store
    engine: sa.Engine
    systems: dict[str, System]
    worker: Worker
    clock: Today
    keys: int = 0
    wrote: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ledger(self) -> Ledger:
        return self.systems["flag"].ledger

    def once(self, component: str, strike: Callable[[], object]) -> None:
        """Strikes when this component has been written whole for the first time from now on."""

        def after(effect: Effect) -> None:
            if effect.component == component and effect.whole:
                self.ledger.after = lambda _: None
                strike()

        self.ledger.after = after

    async def say(self, command: Command, who: str = ANA) -> inbox.Taken:
        """Says it again, as Slack does, while the database does not answer in time."""
        self.keys += 1
        key, actor = f"key {self.keys}", Actor(kind="person", id=who, via="slack", channel="C1")
        now = self.clock.now()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(StoreDown):
                    return await self.store.intake(lambda c: inbox.take(c, key, actor, command, "{run}", now))

    def look(self, fn: Callable[[sa.Connection], Any]) -> Any:
        with self.engine.connect() as conn:
            return fn(conn)

    async def until(self, holds: Callable[[sa.Connection], Any]) -> Any:
        """Looks again after each write of the worker; fails when that takes a minute."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.wrote.clear()
                try:
                    if found := await self.store.read(holds):
                        return found
                except StoreDown:
                    pass
                await self.wrote.wait()

    async def approved(self) -> int:
        """The number of a rollback to v1 that was just approved."""
        number = (await self.say(ROLLBACK)).run or 0
        run: Run = await self.until(lambda c: waits(c, number))
        await self.say(Decide(run=number, yes=True, digest=run.plan_digest or ""), BEN)
        return number

    async def ended(self, number: int) -> Run:
        run: Run = await self.until(lambda c: _rests(c, number))
        return run

    def exact(self) -> None:
        """v1 is served, each effect was one, nothing is locked, one end stands in the log, and the log is whole."""
        assert {n: s.value for n, s in self.systems.items()} == {**GOOD, "pipeline": "held"}
        whole = Counter(e.key for e in self.ledger.effects if e.whole and e.key)
        assert set(whole.values()) == {1}, whole
        assert self.look(lambda c: c.execute(sa.select(t.resource_locks.c.run)).all()) == []
        acts = self.look(lambda c: list(c.execute(sa.select(t.events.c.act)).scalars()))
        assert acts.count("run_ended") == 1
        report = verify_export(self.look(lambda c: list(events.exported(c, "rollbot"))))
        assert report.ok, report.fault

    def told(self, number: int) -> list[str]:
        """What was to be said of this run so far, by purpose."""
        mine = sa.select(t.messages.c.purpose).where(t.messages.c.run == number)
        return self.look(lambda c: list(c.execute(mine).scalars()))


def waits(conn: sa.Connection, number: int) -> Run | None:
    run = runs.load(conn, number)
    return run if run and run.waiting_for == "approval" else None


def _rests(conn: sa.Connection, number: int) -> Run | None:
    run = runs.load(conn, number)
    return run if run and (run.status not in OPEN or run.waiting_for == "person") else None


@contextlib.asynccontextmanager
async def site(
    store: Store, engine: sa.Engine, *, lease_s: float = 2.0, driver: Callable[[World], Driver] = Embedded
) -> AsyncIterator[Site]:
    """v1 and v2 were captured, v2 is live, and the worker works."""
    ledger, process, clock = Ledger(), Process("w1", Still(0, calm=True), mortal=False), Today()
    systems = {n: System(n, Kind(n), v, ledger, parts=2) for n, v in GOOD.items()}
    targets, papers = Outside(process, systems, clock.now, lambda _key, _process: None), Papers()
    world = World(store=store, targets=targets, people=papers, books=papers, clock=clock, owner="w1", lease_s=lease_s)
    worker = Worker(world, driver(world))
    made = Site(store, engine, systems, worker, clock)
    await worker.start()

    def on_write() -> None:
        made.wrote.set()
        worker.poke()

    store.on_write = on_write
    try:
        await _captured(made)
        yield made
    finally:
        await worker.stop()


async def _captured(made: Site) -> None:
    for version, values in (("v1", GOOD), ("v2", BAD)):
        for name, value in values.items():
            made.systems[name].value = value
        taken = await made.say(CaptureRelease(feature="fares", version=version))
        result = await made.until(lambda c, taken=taken: inbox.result_of(c, taken.id))
        assert result["ok"], result
