"""Stall alerts, and what people do meanwhile: a pause, a resume, another pace of a ramp."""

from __future__ import annotations

import asyncio

import pytest

from bot.core import stall
from bot.core.commands import Decide, Pause, Resume, Speed
from bot.core.ports import Component, Errand
from bot.core.run import Moved, Run, Status
from bot.core.target import Capture, Receipt
from bot.flows.apply import Applier
from bot.flows.drive import drive
from bot.flows.stalls import Stalls
from bot.store import history, runs
from tests.flows.company import Company, two_releases
from tests.flows.house import BEN
from tests.flows.test_ramp import end, later, once, ramping
from tests.flows.test_stalls import alerts, page

__all__ = ["ramping"]


async def waits(company: Company) -> Run:
    """A rollback that waits for consumers, who see nothing of it. After a minute that is too long."""
    house = company.house
    await two_releases(company)
    (company.folder / "unseen").write_text("")
    asked = await house.ask("v1")

    def impatient(r: Run) -> Moved:
        steps = [s.model_copy(update={"stall_after": 60.0}) if s.verb == "wait" else s for s in r.steps]
        return r.to(steps=steps), []

    await house.store.write(lambda c: runs.change(c, asked.id, impatient, house.clock.now()))
    await house.say(Decide(run=asked.id, yes=True, digest=asked.plan_digest or ""), BEN)
    run = asked
    while not any(s.verb == "wait" and s.status == "again" for s in run.steps):
        await once(house)
        house.clock.advance(1)
        run = await house.run(asked.id)
    return run


async def looked(company: Company, stalls: Stalls, seconds: int, times: int) -> int:
    """How many alerts were said, while the worker worked on."""
    said = 0
    for _ in range(times):
        company.house.clock.advance(seconds)
        await once(company.house)
        said += await stalls.when_due()
    return said


async def test_what_was_paused_and_stalls_then_is_said(company: Company) -> None:
    """While it is paused nothing is said; let go on, it is slow a minute later, and that is said by who looked
    meanwhile, too."""
    house, run = company.house, await waits(company)
    stalls = Stalls(house.world, page)
    await stalls.when_due()
    await house.say(Pause(run=run.id), BEN)
    assert await looked(company, stalls, 30, 6) == 0
    assert (await house.run(run.id)).status == Status.paused
    await house.say(Resume(run=run.id), BEN)
    assert await looked(company, stalls, 20, 8) > 0


async def test_a_pause_takes_an_alert_back(company: Company) -> None:
    """A step of a paused run is not slow: its alert says that it is over."""
    house, run = company.house, await waits(company)
    stalls = Stalls(house.world, page)
    assert await looked(company, stalls, 20, 4) == 1
    (alert,) = await alerts(house, run)
    await house.say(Pause(run=run.id), BEN)
    await looked(company, stalls, 15, 1)
    (over,) = await alerts(house, run)
    assert over.wanted > alert.wanted and stall.said_of(await house.run(run.id), over.body) is None


@pytest.mark.parametrize("how", ["all at once", "paused"])
async def test_a_share_is_as_old_as_its_own_beginning(company: Company, ramping: Run, how: str) -> None:
    """After the rest before it, or an hour's pause, it has just begun: nothing is said of it for two minutes."""
    house, began, goes_on = company.house, asyncio.Event(), asyncio.Event()
    real = house.world.targets.restore

    async def slow(part: Component, errand: Errand, to: Capture, before: Capture) -> Receipt:
        began.set()
        await goes_on.wait()
        return await real(part, errand, to, before)

    object.__setattr__(house.world.targets, "restore", slow)
    house.clock.advance(250)
    if how == "paused":
        await house.say(Pause(run=ramping.id), BEN)
        await once(house)
        house.clock.advance(3600)
        await house.say(Resume(run=ramping.id), BEN)
    await house.say(Speed(run=ramping.id, every=0), BEN)
    await Applier(house.world).apply_all()

    async def driven() -> None:
        while not began.is_set():
            house.clock.advance(1)
            await drive(house.world, ramping.id)

    going = asyncio.create_task(driven())
    await began.wait()
    stalls = Stalls(house.world, page)
    assert await stalls.when_due() == 0
    house.clock.advance(130)
    assert await stalls.when_due() == 1
    goes_on.set()
    await going


async def test_the_rests_of_a_ramp_are_no_history(company: Company, ramping: Run) -> None:
    """What a ramp took says nothing of how long a share takes, so it is not kept."""
    for _ in range(4):
        await later(company, 300)
    run = await end(company, ramping)
    assert run.status == Status.succeeded
    took = await company.house.store.read(lambda c: history.history(c, "fares"))
    assert ("enable", "flag") not in took and took[("restore", "model")]
