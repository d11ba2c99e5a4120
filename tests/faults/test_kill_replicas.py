"""kill -9 at random moments: two worker replicas on one PostgreSQL, with either driver, roll real things to and fro."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import secrets
import statistics
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest
import pytest_asyncio

from bot.core.auditor import verify_export
from bot.core.commands import Decide, Request
from bot.core.run import Run
from bot.store import events, runs
from tests.faults.fleet import ANA, BEN, Fleet, close_fleet, make_fleet
from tests.faults.replicas import Replicas
from tests.outside.tools import gone
from tests.services import Postgres
from tests.targets.mlflow_world import NOLOAD

ALL = os.environ.get("ROLLBOT_FAULTS") == "all"
KILLS = 200 if ALL else 10
LEASE_S = 3.0
DRIVERS = ("embedded", "dbos")
pytestmark = pytest.mark.filterwarnings(NOLOAD)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """One for both drivers: the second one goes on where the first has left off."""
    made = await make_fleet(tmp_path_factory.mktemp("fleet"), postgres.new_database(), 4)
    yield made
    await close_fleet(made)


@dataclass
class Storm:
    """Approves every card, asks for the next rollback when one has ended, and kills meanwhile."""

    fleet: Fleet
    dice: random.Random
    more: bool = True
    asked: dict[int, str] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    killed: dict[int, float] = field(default_factory=dict)
    turn: dict[str, int] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    late: float = 0.0
    watching: asyncio.TimerHandle = field(init=False)

    def heard(self, run: int, state: str) -> None:
        """Each replica tells what came to rest, so most of it twice."""
        if run in self.asked and run not in self.ended and not state.startswith("taken over"):
            task = asyncio.create_task(self._answer(run, state))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _answer(self, number: int, state: str) -> None:
        if state.startswith("waiting approval"):
            run = await self.run(number)
            await self.fleet.say(Decide(run=number, yes=True, digest=run.plan_digest or ""), BEN)
        elif number not in self.ended:
            self.ended[number] = state
            await self.ask(self.asked[number])

    async def ask(self, name: str) -> None:
        """The release that is not there now."""
        if not self.more:
            if len(self.ended) == len(self.asked):
                self.quiet.set()
            return
        self.turn[name] = self.turn.get(name, 0) + 1
        self.fleet.wanted[name] = "v1" if self.fleet.serves(name) == "v2" else "v2"
        taken = await self.fleet.say(Request(feature=name, to=self.fleet.wanted[name]), ANA)
        self.asked[taken.run or 0] = name

    async def run(self, number: int) -> Run:
        found = await self.fleet.store.read(lambda c: runs.load(c, number))
        assert found
        return found

    def watch(self, due: float | None = None) -> None:
        """How late this machine is at worst, whatever it is asked for: nobody takes over sooner than it wakes up."""
        loop = asyncio.get_running_loop()
        self.late = max(self.late, loop.time() - (due or loop.time()))
        self.watching = loop.call_later(0.02, self.watch, loop.time() + 0.02)

    async def random_moment(self) -> None:
        """It is the moment that matters, not what is waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.dice.uniform(0, 2.5)):
                await self.quiet.wait()

    async def rage(self, replicas: Replicas) -> None:
        """Each kill hits one of two replicas at a random moment; the next one may come once two work again."""
        pair = [await replicas.start(), await replicas.start()]
        for name in self.fleet.names:
            await self.ask(name)
        while len(self.killed) < KILLS:
            for replica in pair:
                await replica.ready.wait()
            await self.random_moment()
            place = self.dice.randrange(2)
            self.killed[pair[place].pid] = await pair[place].kill()
            pair[place] = await replicas.start()
        self.more = False
        await self.quiet.wait()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(4 * 3600 if ALL else 600)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_kills_at_random_moments_have_no_effect(fleet: Fleet, driver: str, capsys: pytest.CaptureFixture) -> None:
    """Every effect happened once, no step is lost, the log is whole, locks and children left over are none, and what a
    dead worker had in hand was taken over within a second after its lease."""
    seed = int(os.environ.get("ROLLBOT_SEED") or secrets.randbelow(10**6))
    storm, before = Storm(fleet, random.Random(seed)), fleet.effects()
    replicas = Replicas({**fleet.environment, "ROLLBOT_DRIVER": driver}, LEASE_S, storm.heard)
    if driver == "dbos":
        from bot.drivers.dbos import migrate

        await asyncio.to_thread(migrate, fleet.database)
    storm.watch()
    try:
        await storm.rage(replicas)
    finally:
        storm.watching.cancel()
        await replicas.kill_all()
    took = sorted(await takeovers(fleet, storm))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{driver}: seed {seed}, {KILLS} kills, {len(storm.asked)} runs, {said(took)}"
            f"; the machine was up to {storm.late:.2f} s late\n"
        )

    assert {state.split()[0] for state in storm.ended.values()} == {"succeeded"}, storm.ended
    after = fleet.effects()
    for name in fleet.names:
        turns = storm.turn[name]
        did = {kind: after[name][kind] - before[name][kind] for kind in after[name]}
        assert did == {"dataset": turns, "model": turns, "flag": 2 * turns}, (seed, name)
        assert fleet.serves(name) == fleet.wanted[name]
    for number in storm.asked:
        await assert_no_step_lost(fleet, await storm.run(number))
    assert await fleet.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar()) == 0
    assert verify_export(await fleet.store.read(lambda c: list(events.exported(c, "rollbot")))).ok
    assert all(gone(int(line.split()[0])) for line in replicas.left()), replicas.left()
    assert took and took[-1] <= LEASE_S + 1.0 + storm.late, (seed, took)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(120)
async def test_who_dies_with_a_wake_up_in_its_hand_delays_nobody(fleet: Fleet) -> None:
    """With dbos, whoever takes a wake-up may die before it claims the run. Another one goes on at once, not when a part
    of the lease is over, which is an hour here."""
    from bot.drivers.dbos import migrate

    await asyncio.to_thread(migrate, fleet.database)
    cards: asyncio.Queue[str] = asyncio.Queue()
    replicas = Replicas(
        {**fleet.environment, "ROLLBOT_DRIVER": "dbos"}, 3600.0, lambda _run, state: cards.put_nowait(state)
    )
    for replica in [await replicas.start(ROLLBOT_TEST_SNATCH="1"), await replicas.start()]:
        await replica.ready.wait()
    await fleet.say(Request(feature=fleet.names[0], to="v1"), ANA)
    while await cards.get() != "waiting approval":
        pass
    await replicas.kill_all()


def said(took: list[float]) -> str:
    if not took:
        return "nothing taken over"
    p95 = took[int(len(took) * 0.95)]
    middle = statistics.median(took)
    return f"{len(took)} taken over after {middle:.2f} s (median), {p95:.2f} (p95), {took[-1]:.2f} (most)"


async def assert_no_step_lost(fleet: Fleet, run: Run) -> None:
    """Each step is done, and its result stands in the log once."""
    assert {s.status for s in run.steps} == {"done"}, run.name
    bodies = await fleet.store.read(lambda c: events.of_run(c, run.id))
    done = [b["facts"]["step"] for b in bodies if b["act"] == "step_done"]  # type: ignore[index]
    assert sorted(done) == sorted(s.n for s in run.steps), run.name


async def takeovers(fleet: Fleet, storm: Storm) -> list[float]:
    """How long each run of a dead worker was nobody's, by the events of those who went on."""
    took: list[float] = []
    for number in storm.asked:
        for body in await fleet.store.read(lambda c, n=number: events.of_run(c, n)):
            if body["act"] == "ownership_lost":
                worker = json.loads(json.dumps(body["facts"]))["worker"]
                at = datetime.fromisoformat(str(body["at"])).timestamp()
                took.append(at - storm.killed[int(worker.split("-")[-2])])
    return took
