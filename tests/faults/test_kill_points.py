"""Two real replicas with either driver, of which one dies at a named point: before or after the commit of each intent
and each result. What is between the writes of one restore is in test_failpoints.py and test_frozen_replicas.py."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from bot.core.auditor import verify_export
from bot.store import events
from tests.faults.fleet import Fleet, close_fleet, make_fleet
from tests.faults.pair import Pair
from tests.faults.replicas import Replicas
from tests.faults.simulated.failpoints import point_name
from tests.services import Postgres
from tests.targets.mlflow_world import NOLOAD

LONG = os.environ.get("ROLLBOT_FAULTS") == "all"
LEASE_S = 2.0
FARES = "fares0"
ONCE = {"dataset": 1, "model": 1, "flag": 2}
STEPS = [
    *("disable flag", "restore dataset", "restore model"),
    *("verify dataset", "verify model", "enable flag", "verify flag"),
]
NAMES = [
    *("run_planned", "run_approved", "run_started", "run_ended"),
    *(f"{act}: {step}" for step in STEPS for act in ("step_begun", "step_done")),
    *("step_done: wait dataset", "step_done: wait model"),
]
POINTS = [f"{when} {name}" for name in NAMES for when in ("before", "after")]
FEW = ["after step_begun: restore dataset", "before step_done: restore model", "after run_ended"]
pytestmark = [
    pytest.mark.filterwarnings(NOLOAD),
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    made = await make_fleet(tmp_path_factory.mktemp("fleet"), postgres.new_database(), 1)
    yield made
    await close_fleet(made)


@dataclass
class Mortal(Pair):
    """``folder``: where a replica reads at which point it dies."""

    folder: Path = field(default_factory=Path)

    async def rolled(self, point: str = "") -> int:
        """Takes the feature to its other release; one replica dies at this point, and another one is started."""
        to = "v1" if self.fleet.serves(FARES) == "v2" else "v2"
        (self.folder / "struck").unlink(missing_ok=True)
        if point:
            (self.folder / "armed").write_text(point)
        number = await self.asked(FARES, to)
        self.agreed.add(number)
        await self.approve(number)
        assert (await self.end_of(number)).startswith("succeeded")
        assert self.fleet.serves(FARES) == to
        if point:
            await self._replaced()
        return number

    async def _replaced(self) -> None:
        """The point may come a moment after the end of the run is known."""
        await asyncio.wait([replica.listening for replica in self.two], return_when=asyncio.FIRST_COMPLETED)
        (dead,) = [n for n, replica in enumerate(self.two) if replica.listening.done()]
        assert await self.two[dead].over() == -signal.SIGKILL
        self.two[dead] = await self.crowd.start()
        await self.two[dead].ready.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "dbos"])
async def pair(
    request: pytest.FixtureRequest, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mortal]:
    if request.param == "dbos":
        from bot.drivers.dbos import migrate

        await asyncio.to_thread(migrate, fleet.database)
    folder = tmp_path_factory.mktemp("points")
    more = {"ROLLBOT_DRIVER": request.param, "ROLLBOT_TEST_POINTS": str(folder)}
    made = Mortal(fleet, Replicas({**fleet.environment, **more}, LEASE_S), folder=folder)
    made.crowd.heard = made.heard
    made.two = [await made.crowd.start(), await made.crowd.start()]
    for replica in made.two:
        await replica.ready.wait()
    yield made
    await made.crowd.kill_all()


async def test_the_list_is_complete(pair: Mortal) -> None:
    """A rollback passes these points and no others, but for what web takes in: the request, and a second yes, for both
    replicas tell of the card."""
    number = await pair.rolled()

    bodies = await pair.fleet.store.read(lambda c: events.of_run(c, number))
    assert {point_name(b) for b in bodies} - {"run_requested", "press_refused"} == set(NAMES)


@pytest.mark.parametrize("point", POINTS if LONG else FEW)
async def test_a_replica_that_dies_there_does_no_harm(pair: Mortal, point: str) -> None:
    """The run goes on with another replica and succeeds; each effect is one, nothing is locked, the log is whole."""
    before = pair.fleet.effects()[FARES]
    number = await pair.rolled(point)

    after = pair.fleet.effects()[FARES]
    assert {kind: after[kind] - before[kind] for kind in after} == ONCE
    assert {s.status for s in (await pair.run(number)).steps} <= {"done", "skipped"}
    store = pair.fleet.store
    bodies = await store.read(lambda c: events.of_run(c, number))
    ended = [point_name(b) for b in bodies if "step_done" in point_name(b)]
    assert sorted(ended) == sorted(name for name in NAMES if "step_done" in name)
    assert await store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar()) == 0
    assert verify_export(await store.read(lambda c: list(events.exported(c, "rollbot")))).ok
