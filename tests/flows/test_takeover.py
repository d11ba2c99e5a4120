"""Who goes on with another worker's run says so in the log, once; and what another build has planned waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.commands import Abort, Retry
from bot.core.run import Status
from bot.flows.drive import drive
from bot.store import events, leases, runs
from tests.flows.house import BEN, House
from tests.flows.test_rollback import two_releases


async def acts(house: House, run: int) -> list[str]:
    return [str(e["act"]) for e in await house.store.read(lambda c: events.of_run(c, run))]


async def test_a_lapsed_lease_of_another_worker_is_told_once(house: House) -> None:
    """The one who goes on tells who was lost, at which fence; claims after that tell nothing."""
    await two_releases(house)
    run = await house.ask("v1")
    lost = await house.store.write(lambda c: leases.claim(c, run.id, "w0", 0.0))
    for _ in range(2):
        await drive(house.world, run.id)
    await drive(replace(house.world, owner="w2"), run.id)

    told = [
        e["facts"] for e in await house.store.read(lambda c: events.of_run(c, run.id)) if e["act"] == "ownership_lost"
    ]
    assert lost and told == [{"worker": "w0", "fence": lost.fence}]


async def test_a_lease_of_ones_own_that_lapsed_is_no_loss(house: House) -> None:
    """Nobody else has had the run meanwhile."""
    await two_releases(house)
    run = await house.ask("v1")
    assert await house.store.write(lambda c: leases.claim(c, run.id, house.world.owner, 0.0))
    await drive(house.world, run.id)

    assert "ownership_lost" not in await acts(house, run.id)


@pytest.mark.parametrize("on_failure", ["stop", "continue"])
@pytest.mark.parametrize(("verb", "serves"), [("disable", "on"), ("enable", "off")])
async def test_a_verb_that_this_build_does_not_know_waits_for_a_person(
    house: House, on_failure: str, verb: str, serves: str
) -> None:
    """Planned by another build: the step is not done and says why, the run waits, its locks kept; the build that knows
    the verb goes on with Retry. Nothing is done, also where the plan says what should be there after it."""
    await two_releases(house)
    run = await house.ask("v1")
    n = next(s.n for s in run.steps if s.verb == verb)
    await house.store.write(lambda c: _another_verb(c, house, run.id, n, "evict", on_failure))
    run = await house.approve(run)

    assert (run.status, run.waiting_for) == (Status.waiting, "person")
    assert "does not know the verb 'evict'" in run.why and house.flag()["defaultVariant"] == serves
    assert await house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar()) == 1

    await house.store.write(lambda c: _another_verb(c, house, run.id, n, verb, on_failure))
    await house.say(Retry(run=run.id), BEN)
    await house.settle()
    assert (await house.run(run.id)).status == Status.succeeded


async def test_a_run_with_an_unknown_verb_can_be_given_up(house: House) -> None:
    """Abort ends it and frees what it holds."""
    await two_releases(house)
    run = await house.ask("v1")
    await house.store.write(lambda c: _another_verb(c, house, run.id, run.steps[0].n, "evict", "stop"))
    run = await house.approve(run)
    await house.say(Abort(run=run.id), BEN)
    await house.settle()

    assert (await house.run(run.id)).status == Status.aborted
    assert await house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar()) == 0


def _another_verb(conn, house: House, run: int, n: int, verb: str, on_failure: str) -> None:
    """As another build would have stored it."""

    def move(r):
        step = r.step(n)
        return r.with_step(step.model_copy(update={"verb": verb, "on_failure": on_failure})), []

    runs.change(conn, run, move, house.clock.now())
