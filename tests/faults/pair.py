"""Two replicas on one fleet, and what they say of each run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bot.core.commands import Decide, Request
from bot.core.run import Run
from bot.store import events, runs
from tests.faults.fleet import ANA, BEN, Fleet
from tests.faults.replicas import Replica, Replicas


@dataclass
class Pair:
    """Two replicas. What they say of each run can be waited for."""

    fleet: Fleet
    crowd: Replicas
    two: list[Replica] = field(default_factory=list)
    agreed: set[int] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    rest: dict[int, str] = field(default_factory=dict)
    said: dict[tuple[int, str], asyncio.Event] = field(default_factory=dict)

    def heard(self, run: int, state: str) -> None:
        self.of(run, state).set()
        if "approval" in state and run in self.agreed:  # a slow machine: what had not answered has, and the card is new
            task = asyncio.create_task(self.approve(run))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        if "approval" not in state and "taken" not in state:
            self.rest.setdefault(run, state)
            self.of(run, "rest").set()

    def of(self, run: int, state: str) -> asyncio.Event:
        return self.said.setdefault((run, state), asyncio.Event())

    async def frozen(self) -> tuple[Replica, Replica]:
        """Whichever gets there first freezes; the other one shall not."""
        waits = [asyncio.create_task(replica.freezing.wait()) for replica in self.two]
        done, late = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        ice, other = self.two if waits[0] in done else self.two[::-1]
        await other.arm("")
        return ice, other

    async def asked(self, feature: str, to: str) -> int:
        """A rollback whose card stands."""
        number = (await self.fleet.say(Request(feature=feature, to=to), ANA)).run or 0
        await self.of(number, "waiting approval").wait()
        return number

    async def run(self, number: int) -> Run:
        found = await self.fleet.store.read(lambda c: runs.load(c, number))
        assert found
        return found

    async def approve(self, number: int) -> None:
        digest = (await self.run(number)).plan_digest or ""
        await self.fleet.say(Decide(run=number, yes=True, digest=digest), BEN)

    async def end_of(self, run: int) -> str:
        await self.of(run, "rest").wait()
        return self.rest[run]

    async def restored(self, number: int) -> list[str]:
        """What its plan restores, in order."""
        return [s.component for s in (await self.run(number)).steps if s.verb == "restore"]

    async def losses(self, run: int) -> int:
        bodies = await self.fleet.store.read(lambda c: events.of_run(c, run))
        return [b["act"] for b in bodies].count("ownership_lost")
