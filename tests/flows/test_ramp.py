"""A flag that comes back by shares: parked between them, faster or slower when people say so, and never over somebody
else's hand."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.core.commands import Abort, Accept, CaptureRelease, Decide, Pause, Resume, Retry, Skip, Speed
from bot.core.plan import PlanStep
from bot.core.run import Run, Status
from bot.core.target import Kind
from bot.core.text import hhmm
from bot.flows.apply import Applier
from bot.flows.clockwork import wake_overslept
from bot.flows.drive import drive
from bot.flows.offers import estimate
from bot.store import runs
from tests.flows.company import Company, two_releases
from tests.flows.house import BEN, FARES, STANDARD, House, write_flag

RAMPED = STANDARD.replace("- enable: flag", "- {enable: flag, ramp: [25, 50, 100], every: 5m}")


async def once(house: House) -> None:
    """Applies and drives what is due now; time stands still."""
    applier = Applier(house.world)
    while True:
        busy = await applier.apply_all()
        due = await house.store.read(lambda c: runs.due(c, house.clock.now()))
        for run in due:
            await drive(house.world, run)
        if not busy and not due:
            return


def share(house: House, name: str = "fares", file: str = "flags.json") -> int:
    """Percent of the keys that get the feature, as the flag file says."""
    flag = json.loads((house.folder / file).read_text())["flags"][name]
    targeting = flag.get("targeting")
    if not isinstance(targeting, dict):
        return 100 if flag["defaultVariant"] == "on" else 0
    return int(targeting["fractional"][0][1])


async def later(company: Company, seconds: float) -> int:
    company.house.clock.advance(seconds)
    await once(company.house)
    return share(company.house)


@pytest.fixture
async def ramping(company: Company) -> Run:
    """Back on v1, verified, and a quarter of the flag is given."""
    await two_releases(company)
    (company.house.folder / "playbooks/playbooks/standard.yaml").write_text(RAMPED)
    run = await company.house.ask("v1")
    await company.house.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN)
    for _ in range(20):
        await once(company.house)
        run = await company.house.run(run.id)
        if any(s.stage for s in run.steps):
            break
        company.house.clock.advance(1)
    assert (share(company.house), run.waiting_for) == (25, "time"), run.why
    return run


async def end(company: Company, run: Run) -> Run:
    await once(company.house)
    for _ in range(20):
        run = await company.house.run(run.id)
        if not run.open or run.waiting_for == "person":
            break
        await later(company, 1)
    return run


async def test_a_flag_comes_back_by_shares(company: Company, ramping: Run) -> None:
    """A quarter, half, and the recorded rule, five minutes apart, with no lease in between; then it is verified."""
    assert [await later(company, 299), await later(company, 1), await later(company, 300)] == [25, 50, 100]
    run = await end(company, ramping)
    assert (run.status, run.verified_at is not None) == (Status.succeeded, True), run.why
    assert (await company.acts(run)).count("step_ramped") == 2
    assert "stop_undone" not in await company.acts(run)


async def test_a_ramp_goes_faster_and_at_once(company: Company, ramping: Run) -> None:
    """A minute between shares counts from the last share; 0 gives the rest now."""
    await later(company, 50)
    await company.house.say(Speed(run=ramping.id, every=60), BEN)
    assert await later(company, 0) == 25
    assert (await company.house.run(ramping.id)).why == "25 % since 04:02, 50 % at 04:03"
    assert await later(company, 10) == 50
    await company.house.say(Speed(run=ramping.id, every=0), BEN)
    assert await later(company, 0) == 100
    assert (await end(company, ramping)).status == Status.succeeded


def test_the_pauses_of_a_ramp_are_estimated() -> None:
    """What is verified after the flag is verified after all its shares."""

    def step(group: int, verb: str, **more: Any) -> PlanStep:
        return PlanStep(n=group, group=group, verb=verb, component="flag", kind=Kind.flag, resource="f", **more)

    steps = [step(0, "disable"), step(1, "enable", ramp=[25, 50], every=20.0), step(2, "verify")]
    assert estimate(steps, {("disable", "flag"): 1.0, ("verify", "flag"): 0.5}) == (1.0, 41.5)


async def test_a_flag_that_somebody_turns_in_a_ramp_stays_as_it_is(company: Company, ramping: Run) -> None:
    """Their hand counts: the run waits for a person, and Skip leaves the flag as they put it."""
    await asyncio.to_thread(write_flag, company.house.folder, share=1)
    assert await later(company, 300) == 1
    run = await end(company, ramping)
    assert (run.waiting_for, "was at 25 % of its rule, and somebody has set it to" in run.why) == ("person", True)
    await company.house.say(Skip(run=run.id, reason="one percent is enough"), BEN)
    run = await end(company, await company.house.run(run.id))
    await company.house.say(Accept(run=run.id, reason="it is as we want it"), BEN)
    run = await end(company, await company.house.run(run.id))
    assert (share(company.house), run.status) == (1, Status.degraded)
    assert "flag is not as recorded, left out after 25 % of its recorded rule" in [x.say for x in run.left]


async def test_a_ramp_that_ends_half_way_says_where(company: Company, ramping: Run) -> None:
    """Aborted at a quarter: that is what it left behind."""
    await company.house.say(Abort(run=ramping.id), BEN)
    await once(company.house)
    run = await company.house.run(ramping.id)
    assert "flag is at 25 % of its recorded rule" in [x.say for x in run.left]


async def test_a_paused_ramp_gives_no_share(company: Company, ramping: Run) -> None:
    """However much time passes; resumed, it goes on."""
    await company.house.say(Pause(run=ramping.id), BEN)
    assert await later(company, 900) == 25
    await company.house.say(Resume(run=ramping.id), BEN)
    assert await later(company, 0) == 50


async def test_a_look_at_a_ramp_gives_no_share_early(company: Company, ramping: Run) -> None:
    """Paused and resumed within the five minutes, the next share still comes five minutes after the one before."""
    await later(company, 60)
    for command in (Pause(run=ramping.id), Resume(run=ramping.id)):
        await company.house.say(command, BEN)
        await once(company.house)
    assert [await later(company, 0), await later(company, 239), await later(company, 1)] == [25, 25, 50]


async def test_the_speed_counts_on_the_clock_as_it_is_now(company: Company, ramping: Run) -> None:
    """Set back by two hours after a share: a minute between shares is a minute, not two hours and one."""
    company.house.clock.advance(-7200)
    await wake_overslept(company.house.world)
    await company.house.say(Speed(run=ramping.id, every=60), BEN)
    assert [await later(company, 0), await later(company, 60)] == [25, 50]


async def test_what_is_said_of_the_next_share_is_so(company: Company, ramping: Run) -> None:
    """Faster and slower: the step and the run say the time at which it really comes."""
    start = company.house.clock.now()
    await later(company, 60)
    for every in (120, 600):
        await company.house.say(Speed(run=ramping.id, every=every), BEN)
        await once(company.house)
        run = await company.house.run(ramping.id)
        step = next(s for s in run.steps if s.stage)
        due = hhmm(start + timedelta(seconds=every))
        assert step.note == run.why == f"25 % since {hhmm(start)}, 50 % at {due}"


TWO = f"{FARES}  second: {{kind: flag, target: flags, flag: second}}\n"
BOTH = """
playbook: standard
steps:
  - disable: flag
  - {enable: flag, ramp: [25, 50], every: 5m}
"""


def write_two(house: House, of_second: int = 100) -> None:
    """Two flags, the first one as it is."""
    file = house.folder / "flags.json"
    flags = json.loads(file.read_text())["flags"]
    second: dict[str, object] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    if of_second < 100:
        second["targeting"] = {"fractional": [["on", of_second], ["off", 100 - of_second]]}
    file.write_text(json.dumps({"flags": {**flags, "second": second}}))


async def test_of_two_ramps_neither_brings_the_other_forward(house: House) -> None:
    """Somebody turns the second flag in the middle of its ramp. Retry goes on with that one; the first one's next share
    comes when it is due, and no sooner."""
    (house.folder / "playbooks/features/fares.yaml").write_text(TWO)
    (house.folder / "playbooks/playbooks/standard.yaml").write_text(BOTH)
    for version, of_second in (("v1", 100), ("v2", 30)):
        await asyncio.to_thread(write_two, house, of_second)
        await house.say(CaptureRelease(feature="fares", version=version))
        await house.settle()
        house.clock.advance(25 * 3600)
    run = await house.ask("v1")
    await house.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN)

    async def shares(after: float) -> tuple[int, int]:
        house.clock.advance(after)
        await once(house)
        return share(house), share(house, "second")

    assert await shares(0) == (25, 25)
    await asyncio.to_thread(write_two, house, 1)
    assert await shares(300) == (50, 1)
    await house.say(Retry(run=run.id), BEN)
    assert await shares(10) == (50, 50)
    assert [await shares(289), await shares(1), await shares(9)] == [(50, 50), (100, 50), (100, 50)]
    assert await shares(1) == (100, 100)
