"""A small real house for the flows: a store, a folder of playbooks, real targets in real children, a clock by hand."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bot.core.commands import Actor, Command, Decide, Purpose, Request
from bot.core.ports import Membership
from bot.core.run import Run, Status
from bot.flows.apply import Applier
from bot.flows.drive import drive
from bot.flows.world import World
from bot.outside.books import TeamBooks
from bot.outside.child import Children
from bot.outside.registry import Registry, TargetPort
from bot.store import inbox, runs
from bot.store.inbox import Taken
from bot.store.write import Store, open_store
from bot.targets import command, flagd
from tests.flows import table
from tests.flows.kept import kept_children
from tests.fresh import prepare
from tests.services import FakeClock

ANA, BEN, CLEO, SAM = "T1/ANA", "T1/BEN", "T1/CLEO", "T1/SAM"
POLICY = """
policy: 1
groups: {ml-oncall: [T1/BEN, T1/CLEO]}
rules:
  - {name: one, approve: 1, from: "@ml-oncall"}
"""
STANDARD = """
playbook: standard
steps:
  - hold: pipeline
  - {disable: flag, timeout: 4s, retries: 1}
  - restore: dataset
  - restore: model
  - verify: dataset
  - verify: model
  - enable: flag
  - verify: flag
"""
STOP = """
playbook: stop
steps:
  - hold: pipeline
  - disable: flag
"""


@dataclass
class Nobody:
    """People: only what the policy lists."""

    async def group(self, handle: str) -> Membership | None:
        return None

    async def name(self, person: str) -> str:
        return person


@dataclass
class House:
    """Drive the loop by hand: ``say`` puts into the inbox, ``settle`` applies and drives until nothing is due."""

    folder: Path
    world: World
    store: Store
    children: Children
    clock: FakeClock
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def say(self, command: Command, who: str = ANA, key: str | None = None) -> Taken:
        actor = Actor(kind="person", id=who, via="slack", channel="C1")
        name = key or f"key-{next(self.numbers)}"
        return await self.store.intake(lambda c: inbox.take(c, name, actor, command, "{run} begins", self.clock.now()))

    async def settle(self, *, patience: int = 50) -> None:
        """Applies the inbox and drives due runs; time jumps to the next wake-up while something is parked for time."""
        applier = Applier(self.world)
        for _ in range(patience):
            busy = await applier.apply_all()
            await applier.idle()
            due = await self.store.read(lambda c: runs.due(c, self.clock.now()))
            await asyncio.gather(*(drive(self.world, r) for r in due))
            if not busy and not due and not await self._sleepers():
                return
        raise AssertionError("the house does not come to rest")

    async def _sleepers(self) -> bool:
        parked = [r for r in await self.store.read(runs.open_runs) if r.waiting_for == "time" and r.wake_at]
        if parked:
            self.clock.advance(timedelta(seconds=1))
        return bool(parked)

    async def run(self, number: int | None) -> Run:
        found = await self.store.read(lambda c: runs.load(c, number or 0))
        assert found is not None
        return found

    async def ask(self, to: str = "v1", **more: object) -> Run:
        """A request, planned."""
        taken = await self.say(Request.model_validate({"feature": "fares", "to": to, "channel": "C1", **more}))
        await self.settle()
        return await self.run(taken.run)

    async def stop(self) -> Run:
        return await self.ask("", purpose=Purpose.stop)

    async def approve(self, run: Run, who: str = BEN, *, yes: bool = True) -> Run:
        await self.say(Decide(run=run.id, yes=yes, digest=run.plan_digest or ""), who)
        await self.settle()
        return await self.run(run.id)

    def flag(self) -> dict[str, object]:
        return dict(json.loads((self.folder / "flags.json").read_text())["flags"]["fares"])


def write_flag(folder: Path, *, share: int = 100) -> None:
    """The flag of the feature: ``share`` percent of the keys get it."""
    rule: dict[str, object] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    if share < 100:
        rule["targeting"] = {"fractional": [["on", share], ["off", 100 - share]]}
    (folder / "flags.json").write_text(json.dumps({"flags": {"fares": rule}}))


def write_books(folder: Path, feature: str) -> Path:
    books = folder / "playbooks"
    for sub in ("features", "playbooks"):
        (books / sub).mkdir(parents=True, exist_ok=True)
    (books / "policy.yaml").write_text(POLICY)
    (books / "targets.yaml").write_text("flags: {type: flagd, file: ../flags.json}\n")
    (books / "playbooks/standard.yaml").write_text(STANDARD)
    (books / "playbooks/stop.yaml").write_text(STOP)
    (books / "features/fares.yaml").write_text(feature)
    return books


FARES = """
feature: fares
owner: "@ml-oncall"
channel: "#ml"
consumers: [pricing]
components:
  flag: {target: flags, flag: fares}
"""


def write_table(folder: Path, live: str, **more: object) -> None:
    """The table of the feature; it holds 37, 38 and 39."""
    times = {str(n): f"2026-11-{n - 20}T09:00:00+00:00" for n in (37, 38, 39)}
    (folder / "table.json").write_text(json.dumps({"live": live, "versions": times, **more}))


def with_table(house: House) -> None:
    """The feature gets a dataset, which a program speaks for."""
    file = house.folder / "table.json"
    verbs = ("inspect", "capture", "restore", "verify")
    argv = {verb: [sys.executable, "-I", "-S", table.__file__, verb, str(file)] for verb in verbs}
    books = house.folder / "playbooks"
    (books / "targets.yaml").write_text((books / "targets.yaml").read_text() + "jobs: {type: command}\n")
    part = json.dumps({"target": "jobs", **argv})
    (books / "features/fares.yaml").write_text(f"{FARES}  dataset: {part}\n")
    write_table(house.folder, "38")


async def open_house(folder: Path, clock: FakeClock, url: str) -> House:
    write_flag(folder)
    books = write_books(folder, FARES)
    prepare(url)
    store = open_store(url)
    await store.start()
    registry = Registry({"flagd": flagd.TARGETS, "command": command.TARGETS})
    children = kept_children(str(folder / "artifacts"))
    await children.start()
    team = TeamBooks(books, registry)
    targets = TargetPort(registry, children, team.connections, clock)
    world = World(store=store, targets=targets, people=Nobody(), books=team, clock=clock, owner="w1")
    return House(folder, world, store, children, clock)


async def close_house(house: House) -> None:
    await house.children.stop()
    await house.store.stop()


ENDS = (Status.succeeded, Status.degraded)
