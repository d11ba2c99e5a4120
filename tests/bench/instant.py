"""A platform that takes no time: targets that answer at once in this process, and a team's files in memory. What is
left to measure is the bot itself, on its real store."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.core.commands import Actor, Command, Decide, Request
from bot.core.feature import ComponentSpec, Feature
from bot.core.playbook import Playbook, Step
from bot.core.policy import Policy
from bot.core.ports import Component, Errand, Membership
from bot.core.release import Moment, Release, sides
from bot.core.run import Run
from bot.core.target import Accuracy, Capture, Diff, Kind, Readiness, Receipt, State, Visibility
from bot.flows.apply import Applier
from bot.flows.drive import drive
from bot.flows.world import World
from bot.store import inbox, migrate, releases, runs
from bot.store.write import Connection, open_store

ANA, BEN = "T1/UANA", "T1/UBEN"
FEATURE = "driver_stats"
KINDS = (Kind.dataset, Kind.definition, Kind.online, Kind.model)


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Instant:
    """``core.ports.Targets``. As much is said of each component as our own targets say."""

    def resource(self, c: Component) -> str:
        return f"instant:{c.params.get('of', '')}{c.name}"

    def fault(self, c: Component) -> str | None:
        return None

    async def inspect(self, c: Component, errand: Errand) -> State:
        return State(
            kind=c.kind, resource=self.resource(c), pointer="v13", digest="sha256:" + "d" * 64, facts=facts(13)
        )

    async def capture(self, c: Component, errand: Errand, at: str | None = None) -> Capture:
        return capture(c, "v13")

    async def readiness(self, c: Component, errand: Errand, capture: Capture) -> Readiness:
        return Readiness(status="ready")

    async def diff(self, c: Component, errand: Errand, capture: Capture) -> Diff:
        return Diff(same=False, summary="v13 -> v12", counts={"rows_changed": 50_000})

    async def restore(self, c: Component, errand: Errand, capture: Capture, before: Capture) -> Receipt:
        return Receipt(changed=True, pointer=capture.pointer)

    async def visible(self, c: Component, errand: Errand, capture: Capture) -> Visibility:
        return Visibility(visible=True)

    async def verify(self, c: Component, errand: Errand, capture: Capture) -> Accuracy:
        return Accuracy(matched=200_000, expected=200_000)

    def disabled(self, c: Component, now: Capture) -> Capture:
        return now

    def at(self, c: Component, now: Capture, percent: int) -> Capture:
        return now

    def held(self, c: Component, now: Capture) -> Capture:
        return now

    def lifted(self, c: Component, now: Capture) -> Capture:
        return now


def facts(n: int) -> dict[str, object]:
    return {f"field_{i}": f"Float64, version {n}, from the nightly job" for i in range(8)}


def capture(c: Component, version: str) -> Capture:
    """As large as those of the practice platform are on average: 1 kB."""
    return Capture(
        kind=c.kind,
        resource=Instant().resource(c),
        pointer=version,
        digest="sha256:" + "c" * 64,
        facts=facts(12),
        data={"definition": "x" * 300},
        taken_at=datetime.now(UTC),
    )


def feature(name: str, components: dict[str, Kind]) -> Feature:
    specs = {
        part: ComponentSpec.model_validate({"target": "instant", "kind": kind}) for part, kind in components.items()
    }
    return Feature(feature=name, owner="@ml-oncall", channel="#ml", components=specs)


@dataclass
class Shelf:
    """``flows.world.Books``: every feature has the same components, restored one after the other, verified at once."""

    components: dict[str, Kind]
    names: list[str] = field(default_factory=lambda: [FEATURE])

    def feature_names(self) -> list[str]:
        return self.names

    def feature(self, name: str) -> Feature:
        return feature(name, self.components)

    def known_faults(self) -> list[str]:
        return []

    def playbook(self, name: str) -> Playbook:
        parts = [f"name:{part}" for part in self.components]
        steps = [*({"restore": part} for part in parts), {"verify": parts}]
        return Playbook(playbook=name, steps=[Step.model_validate(step) for step in steps])

    def policy(self) -> Policy:
        return Policy.model_validate({"rules": [{"approve": 1, "from": "@ml-oncall"}], "groups": {"ml-oncall": [BEN]}})

    def policy_fault(self) -> str | None:
        return None

    def page_fault(self) -> str | None:
        return None


class Nobody:
    """``core.ports.People``: only what the policy lists."""

    async def group(self, handle: str) -> Membership | None:
        return None

    async def name(self, person: str) -> str:
        return person


@dataclass
class Engine:
    """A store with one release, and the worker's loops by hand."""

    world: World
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def say(self, command: Command, who: str) -> int:
        """Into the inbox, and applied. The run that it is about."""
        actor = Actor(kind="person", id=who, via="slack", channel="C1")
        key, now = f"key-{next(self.numbers)}", self.world.now()
        taken = await self.world.store.intake(lambda c: inbox.take(c, key, actor, command, "{run}", now))
        await Applier(self.world).apply_all()
        assert taken.run is not None
        return taken.run

    async def run(self, number: int) -> Run:
        found = await self.world.store.read(lambda c: runs.load(c, number))
        assert found is not None
        return found

    async def planned(self, to: str = "v12", of: str = FEATURE, channel: str = "C1") -> Run:
        """A run that waits for approval."""
        number = await self.say(Request(feature=of, to=to, channel=channel, reason="ETAs are too long"), ANA)
        await drive(self.world, number)
        return await self.run(number)

    async def approved(self, run: Run) -> None:
        assert run.waiting_for == "approval", (run.status, run.why)
        await self.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN)


def release(name: str, version: str, parts: list[Component]) -> tuple[Release, Moment]:
    now = datetime.now(UTC)
    code, data = sides({p.name: capture(p, version) for p in parts})
    made = Release(feature=name, version=version, digest="sha256:" + "e" * 64, captures=code, created_at=now)
    return made, Moment(feature=name, version=version, at=now, captures=data)


def add_release(conn: Connection, made: Release, moment: Moment) -> None:
    releases.add(conn, made)
    releases.add_moment(conn, moment)


@asynccontextmanager
async def open_engine(url: str, components: dict[str, Kind]) -> AsyncIterator[Engine]:
    """On a new database."""
    await asyncio.to_thread(migrate.migrate, url)
    store, shelf = open_store(url), Shelf(components)
    await store.start()
    world = World(store=store, targets=Instant(), people=Nobody(), books=shelf, clock=SystemClock(), owner="bench")
    made = release(FEATURE, "v12", shelf.feature(FEATURE).parts())
    await store.write(lambda c: add_release(c, *made))
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(store.stop)
        yield Engine(world)
