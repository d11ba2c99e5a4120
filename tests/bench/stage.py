"""A worker at work, on either database, over targets that take no time: what is left is how soon a run begins, and what
the bot itself adds to each step."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from bot.core.commands import Abort, Actor, Command, Decide, Request
from bot.core.feature import Feature
from bot.core.playbook import Playbook, Step
from bot.core.ports import Component, Errand
from bot.core.run import Run
from bot.core.target import Capture, Kind, Receipt
from bot.drivers import Driver
from bot.flows.world import World
from bot.store import inbox, migrate, runs
from bot.store.write import open_store
from bot.worker import Worker
from tests.bench.instant import ANA, BEN, KINDS, Instant, Nobody, Shelf, SystemClock, add_release, release

STEPS = 12
PARTS = {f"part_{n:02}": KINDS[n % len(KINDS)] for n in range(STEPS)}
RAMP: dict[str, object] = {"enable": "flag", "ramp": [25, 50], "every": "30m"}
PATIENCE_S = 60.0
LOOK_S = 0.05
"""Between two looks at a run: each costs the process that is measured as much as a step's own reads."""


class Noted(Instant):
    """Says when something of a feature was first written."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.written = asyncio.Event()

    async def restore(self, c: Component, errand: Errand, capture: Capture, before: Capture) -> Receipt:
        self.first.setdefault(str(c.params["of"]), time.perf_counter())
        self.written.set()
        return await super().restore(c, errand, capture, before)


class Books(Shelf):
    """Each feature has things of its own; the names of some end with a ramp of half an hour for each share."""

    def feature(self, name: str) -> Feature:
        kinds = {**self.components, "flag": Kind.flag}
        specs = {p: {"target": "instant", "kind": kind, "of": f"{name}/"} for p, kind in kinds.items()}
        known = {"feature": name, "owner": "@ml-oncall", "channel": "#ml", "playbook": name}
        return Feature.model_validate({**known, "components": specs})

    def playbook(self, name: str) -> Playbook:
        parts = [f"name:{part}" for part in self.components]
        last = RAMP if name.startswith("ramp") else {"enable": "flag"}
        steps = [*({"restore": part} for part in parts), {"verify": parts}, last]
        return Playbook(playbook=name, steps=[Step.model_validate(step) for step in steps])


@dataclass
class Stage:
    """``begun``: seconds from a press of *Approve* to the first write, and ``run`` as it stood afterwards."""

    world: World
    noted: Noted
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def say(self, command: Command, who: str) -> int | None:
        actor, key = Actor(kind="person", id=who, via="slack", channel="C1"), f"key-{next(self.numbers)}"
        return (
            await self.world.store.intake(lambda c: inbox.take(c, key, actor, command, "{run}", self.world.now()))
        ).run

    async def until(self, number: int, good: Callable[[Run], bool]) -> Run:
        """Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                run = await self.world.store.read(lambda c: runs.load(c, number))
                if run is not None and good(run):
                    return run
                await asyncio.sleep(LOOK_S)

    async def begin(self, prefix: str) -> tuple[float, Run]:
        """A new feature is taken back: seconds from the press of *Approve* to the first write, and the run at rest."""
        name = f"{prefix}_{next(self.numbers):05}"
        made = release(name, "v12", self.world.books.feature(name).parts())
        await self.world.store.write(lambda c: add_release(c, *made))
        number = await self.say(Request(feature=name, to="v12", channel="C1", reason="ETAs are too long"), ANA)
        assert number
        run = await self.until(number, lambda r: r.waiting_for == "approval" or not r.open)
        assert run.open, run.why
        self.noted.written.clear()
        pressed = time.perf_counter()
        await self.say(Decide(run=number, yes=True, digest=run.plan_digest or ""), BEN)
        async with asyncio.timeout(PATIENCE_S):
            await self.noted.written.wait()
        rested = await self.until(number, lambda r: not r.open or r.waiting_for in ("time", "person"))
        return self.noted.first[f"{name}/"] - pressed, rested

    async def end(self, run: Run) -> None:
        await self.say(Abort(run=run.id), ANA)
        await self.until(run.id, lambda r: not r.open)


def step_ms(run: Run) -> list[float]:
    """Milliseconds from the end of each restore to the end of the next one."""
    ends = [s.ended_at for s in run.steps if s.ended_at and s.verb == "restore"]
    assert len(ends) == STEPS, (run.status, run.why)
    return [(b - a).total_seconds() * 1000 for a, b in pairwise(ends)]


@asynccontextmanager
async def open_stage(url: str, driver: Callable[[World], Driver], owner: str = "bench") -> AsyncIterator[Stage]:
    """On an empty database."""
    await asyncio.to_thread(migrate.migrate, url)
    store, noted = open_store(url), Noted()
    async with AsyncExitStack() as opened:
        await store.start()
        opened.push_async_callback(store.stop)
        books = Books(PARTS, [])
        world = World(store=store, targets=noted, people=Nobody(), books=books, clock=SystemClock(), owner=owner)
        worker = Worker(world, driver(world))
        await worker.start()
        opened.push_async_callback(worker.stop)
        yield Stage(world, noted)
