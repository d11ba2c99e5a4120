"""Replicas that are frozen past their lease, and replicas that a deploy replaces: no second effect, no other plan, no
run lost, whichever driver they have."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.fleet import Fleet, close_fleet, make_fleet
from tests.faults.pair import Pair
from tests.faults.replicas import Replicas
from tests.outside.tools import gone
from tests.services import Postgres
from tests.targets.mlflow_world import NOLOAD

LEASE_S = 2.0
RESTORES = "  - restore: dataset\n  - restore: model\n"
ONCE = {"dataset": 1, "model": 1, "flag": 2}
pytestmark = [
    pytest.mark.filterwarnings(NOLOAD),
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    made = await make_fleet(tmp_path_factory.mktemp("fleet"), postgres.new_database(), 2)
    yield made
    await close_fleet(made)


@pytest_asyncio.fixture(params=["embedded", "dbos"], loop_scope="module")
async def pair(request: pytest.FixtureRequest, fleet: Fleet) -> AsyncIterator[Pair]:
    if request.param == "dbos":
        from bot.drivers.dbos import migrate

        await asyncio.to_thread(migrate, fleet.database)
    more = {"ROLLBOT_DRIVER": request.param, "ROLLBOT_TEST_WARM": "1"}
    made = Pair(fleet, Replicas({**fleet.environment, **more}, LEASE_S))
    made.crowd.heard = made.heard
    made.two = [await made.crowd.start(), await made.crowd.start()]
    for replica in made.two:
        await replica.ready.wait()
    yield made
    await made.crowd.kill_all()


def thaw(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def tried(pids: list[int], seconds: float) -> None:
    """The late child has written, or been refused, and is gone; or it waits for its parent, and won't go."""
    for pid in pids:
        gone(pid, seconds)


async def test_what_is_done_late_is_no_second_effect(pair: Pair) -> None:
    """Frozen between the yes and the write, and thawed after another replica has done it: first the child goes on, then
    its parent. Nothing is done twice, and the log says once that the run was lost. A flag is locked by the frozen
    child: there the late write comes first, and the other replica finds that it is done."""
    fleet, releases = pair.fleet, ["v1", "v2"] * 2
    for point, to in zip(
        ("restore dataset 1", "restore model 1", "restore model 2", "restore flag 1"), releases, strict=True
    ):
        before = fleet.effects()["fares0"]
        for replica in pair.two:
            await replica.arm(point)
        number = await pair.asked("fares0", to)
        pair.agreed.add(number)
        await pair.approve(number)
        ice, _ = await pair.frozen()
        below = await ice.stopped()
        await pair.of(number, "taken over 1").wait()
        if "flag" not in point:
            assert (await pair.end_of(number)).startswith("succeeded"), point
        thaw(below)
        await asyncio.to_thread(tried, below[-1:], 3.0)
        thaw([ice.pid])
        assert (await pair.end_of(number)).startswith("succeeded"), point
        after = fleet.effects()["fares0"]
        assert {kind: after[kind] - before[kind] for kind in after} == ONCE, point
        assert (fleet.serves("fares0"), await pair.losses(number)) == (to, 1), point
    assert [await replica.end() for replica in pair.two] == [0, 0]
    assert not pair.crowd.left()


async def test_a_deploy_changes_no_plan_and_loses_no_run(pair: Pair) -> None:
    """All workers are replaced by those of a new build while one run is in the middle and another one's card waits, and
    the team has edited playbook, feature and policy. What had begun goes on by the plan that it has. What waits is not
    carried out as the edited files say: the approval of the old card is void, and a new card says what is new."""
    fleet, to = pair.fleet, "v1" if pair.fleet.serves("fares0") == "v2" else "v2"
    for replica in pair.two:
        await replica.arm("restore model 1")
    waiting = await pair.asked("fares1", to)
    before = fleet.effects()
    begun = await pair.asked("fares0", to)
    pair.agreed.add(begun)
    await pair.approve(begun)
    ice, _ = await pair.frozen()
    below = await ice.stopped()
    for replica in pair.two:
        replica.process.terminate()
    thaw([ice.pid, *below])
    assert [await replica.over() for replica in pair.two] == [0, 0]

    books = fleet.folder / "playbooks"
    kept = {file: file.read_text() for file in (books / "playbooks/standard.yaml", books / "policy.yaml")}
    steps = books / "playbooks/standard.yaml"
    steps.write_text(kept[steps].replace(RESTORES, "".join(RESTORES.splitlines(keepends=True)[::-1])))
    (books / "policy.yaml").write_text(kept[books / "policy.yaml"].replace("name: one", "name: another"))
    feature = books / "features/fares0.yaml"
    kept[feature] = feature.read_text()
    feature.write_text(kept[feature].replace("consumers: [pricing]", "consumers: [pricing, eta]\nplaybook: gone"))
    pair.two = [await pair.crowd.start(ROLLBOT_TEST_BUILD="2") for _ in range(2)]

    assert (await pair.end_of(begun)).startswith("succeeded")
    after = fleet.effects()
    assert {kind: after["fares0"][kind] - before["fares0"][kind] for kind in ONCE} == ONCE
    assert await pair.restored(begun) == ["dataset", "model"]
    await pair.approve(waiting)
    await pair.of(waiting, "waiting approval 2").wait()
    assert await pair.restored(waiting) == ["model", "dataset"]
    assert after["fares1"] == fleet.effects()["fares1"] == before["fares1"]

    for file, text in kept.items():
        file.write_text(text)
    await pair.approve(waiting)  # of the other order, which is not what would be done now either
    await pair.of(waiting, "waiting approval 3").wait()
    await pair.approve(waiting)
    assert (await pair.end_of(waiting)).startswith("succeeded")
    assert fleet.serves("fares1") == to
