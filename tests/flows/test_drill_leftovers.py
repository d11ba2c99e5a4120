"""A sandbox whose making never answered is found and removed before its drill ends, however that drill was ended."""

from __future__ import annotations

import asyncio

import pytest

from bot.core import drilled
from bot.core.commands import Abort, Retry
from bot.core.errors import TargetError
from bot.core.ports import Component, Errand
from bot.core.run import Run, Status
from bot.flows.apply import Applier
from bot.flows.drive import drive
from tests.flows.company import Company
from tests.flows.company import two_releases as company_releases
from tests.flows.house import BEN, House
from tests.flows.test_drills import acts, copies, drill
from tests.flows.test_rollback import two_releases


class Mute:
    """Makes the sandbox, and then gives no answer within its time; says where one is that is to be removed, unless it
    is ``dead``. ``asked``: how often."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.dead = 0, False
        self.entered, self.goes_on = asyncio.Event(), asyncio.Event()
        self.goes_on.set()
        self._real = house.world.targets.sandbox
        monkeypatch.setattr(house.world.targets, "sandbox", self.sandbox)

    async def sandbox(self, part: Component, errand: Errand) -> Component:
        self.asked += 1
        made = await self._real(part, errand)
        self.entered.set()
        await self.goes_on.wait()
        if (errand.context or {}).get("to_remove") and not self.dead:
            return made
        raise TargetError("no answer within 1800 s", retriable=True)


@pytest.fixture
async def mute(house: House, monkeypatch: pytest.MonkeyPatch) -> Mute:
    await two_releases(house)
    return Mute(house, monkeypatch)


def removal(run: Run) -> tuple[str, str]:
    (step,) = [s for s in run.steps if s.verb == drilled.REMOVE]
    return step.status, step.note


async def stuck(house: House) -> Run:
    """A drill whose sandbox stands, though nobody said so; it waits for a person."""
    run = await house.approve(await drill(house))
    assert (run.status, run.waiting_for) == (Status.waiting, "person"), run.why
    assert run.step(0).place is None and copies(house)
    return run


async def test_a_sandbox_that_nobody_answered_for_is_removed(house: House, mute: Mute) -> None:
    """After the last repetition the drill is aborted: the sandbox goes, the log says so, and then the drill ends."""
    run = await stuck(house)
    await house.say(Abort(run=run.id), BEN)
    await house.settle()
    run = await house.run(run.id)

    assert copies(house) == [] and mute.asked == 4
    assert (run.status, removal(run)) == (Status.aborted, ("done", "")), run.why
    assert "its sandboxes were removed" in run.why and "sandbox_removed" in await acts(house)


async def test_a_retry_that_is_aborted_before_it_begins_leaves_none(house: House, mute: Mute) -> None:
    """*Retry* begins the count of attempts anew; that something may stand is not forgotten with it."""
    run = await stuck(house)
    await house.say(Retry(run=run.id), BEN)
    await house.say(Abort(run=run.id), BEN)
    await house.settle()

    assert copies(house) == []
    assert (await house.run(run.id)).status == Status.aborted and mute.asked == 4


async def test_making_that_fails_while_the_drill_ends_leaves_none(house: House, mute: Mute) -> None:
    """Aborted while the sandbox is being made for the first time: what never answers is removed all the same."""
    mute.goes_on.clear()
    run = await drill(house)
    approving = asyncio.create_task(house.approve(run))
    await mute.entered.wait()
    await house.say(Abort(run=run.id), BEN)
    await Applier(house.world).apply_all()
    mute.goes_on.set()
    await approving
    run = await house.run(run.id)

    assert copies(house) == []
    assert (run.status, run.step(0).status, removal(run)) == (Status.aborted, "failed", ("done", "")), run.why


async def test_what_can_not_be_found_yet_is_looked_for_until_it_is(house: House, mute: Mute) -> None:
    """The system does not answer at the end either: the drill stays open, says what may be left, and asks again a
    minute later. A second abort would end it, with the same words."""
    run = await stuck(house)
    mute.dead = True
    await house.say(Abort(run=run.id), BEN)
    await Applier(house.world).apply_all()
    await drive(house.world, run.id)
    waits = await house.run(run.id)
    assert (waits.status, waits.waiting_for) == (Status.waiting, "time"), waits
    assert "may have left a sandbox: no answer within 1800 s" in waits.why and copies(house)
    mute.dead = False
    await house.settle(patience=200)

    assert copies(house) == [] and (await house.run(run.id)).status == Status.aborted


async def test_where_the_real_thing_is_another_one_now_nothing_new_is_made(house: House, mute: Mute) -> None:
    """An edited targets.yaml leads to another flag file: asking there would make a second sandbox and leave the first.
    Aborting once more ends the drill, and names what is left."""
    run = await stuck(house)
    targets = house.folder / "playbooks/targets.yaml"
    (house.folder / "other").mkdir()
    (house.folder / "other/flags.json").write_bytes((house.folder / "flags.json").read_bytes())
    targets.write_text(targets.read_text().replace("../flags.json", "../other/flags.json"))
    await house.say(Abort(run=run.id), BEN)
    await Applier(house.world).apply_all()
    await drive(house.world, run.id)
    assert "is another thing now" in (await house.run(run.id)).why and mute.asked == 3
    await house.say(Abort(run=run.id), BEN)
    await house.settle()
    run = await house.run(run.id)

    assert (run.status, [p.name for p in (house.folder / "other").iterdir()]) == (Status.aborted, ["flags.json"])
    assert "sandboxes are left of flag" in run.why


async def test_what_was_never_asked_for_is_not_looked_for(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts without sandbox programs are not drilled: their systems are asked no second time at the end."""
    house = company.house
    await company_releases(company)
    asked: list[str] = []
    real = house.world.targets.sandbox

    async def counted(part: Component, errand: Errand) -> Component:
        asked.append(part.name)
        return await real(part, errand)

    monkeypatch.setattr(house.world.targets, "sandbox", counted)
    run = await house.approve(await drill(house))

    assert run.status == Status.succeeded, run.why
    assert sorted(asked) == ["flag", "model", "pipeline"]
