"""What is half done, not answered, outdated or impossible is never called nothing, done or approved."""

from __future__ import annotations

import asyncio
import os
from functools import partial

import pytest

from bot.core.commands import Abort, Accept, CaptureRelease, Decide, Purpose, Request
from bot.core.run import Run, Status
from bot.drivers.embedded import Embedded
from bot.drivers.sweep import SLOTS
from bot.flows.apply import Applier
from bot.outside.books import TeamBooks
from bot.outside.registry import Registry
from bot.store import inbox, releases, runs
from bot.targets import command, flagd
from tests.flows.company import Company, two_releases
from tests.flows.house import BEN, CLEO

NINE = '{"number": 9}'


@pytest.fixture
async def asked(company: Company) -> Run:
    """A rollback to v1 whose card stands."""
    await two_releases(company)
    return await company.house.ask("v1", reason="fares are wrong")


async def half(company: Company, run: Run, code: int) -> Run:
    """Approved, and the model's restore writes half and fails each time."""
    (company.folder / "half").write_text(str(code))
    run = await company.house.approve(run)
    assert (run.waiting_for, company.model()) == ("person", -1), run.why
    (company.folder / "half").unlink()
    return run


async def put_back(company: Company, run: Run) -> Run:
    return await company.house.approve(await company.house.ask("v2", purpose=Purpose.put_back, of_run=run.id))


async def test_a_half_written_restore_is_not_nothing(company: Company, asked: Run) -> None:
    """Aborted after it: said, held, and put back to what was there before."""
    run = await half(company, asked, 1)
    await company.house.say(Abort(run=run.id), BEN)
    await company.house.settle()
    run = await company.house.run(run.id)

    assert "restore model failed: it may be half done" in run.why
    assert await company.house.store.read(lambda c: releases.hold(c, "fares"))
    back = await put_back(company, run)
    assert (back.status, company.model()) == (Status.succeeded, 3), back.why


async def test_what_a_run_still_works_on_is_not_let_go(company: Company, asked: Run) -> None:
    """Lifting and enabling while a run is at work are refused to everybody, with that as the reason; afterwards not."""
    run = await half(company, asked, 1)
    refused = [await company.house.ask("", purpose=p) for p in (Purpose.lift, Purpose.enable)]
    await company.house.say(Abort(run=run.id), BEN)
    await company.house.settle()

    assert [(r.status, r.why) for r in refused] == [
        (Status.refused, f"{run.name} is changing fares now: {verb} it when that has ended")
        for verb in ("lift", "enable")
    ]
    assert (await company.house.ask("", purpose=Purpose.lift)).status == Status.succeeded


async def test_the_live_release_is_asked_for_with_open_eyes(company: Company) -> None:
    """Its card says that it is live, and what would go back."""
    await two_releases(company)
    run = await company.house.ask("v2")
    plan = await company.house.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))

    assert plan
    assert "v2 is live already: what was changed or arrived since its capture would go back" in plan.seen.doubts


async def test_our_own_half_write_is_not_taken_for_what_was_there(company: Company, asked: Run) -> None:
    """A second try finds the half of the first: the first pre-image stays, a person hears what it may be, Retry ends
    it exactly, and put back knows v2."""
    run = await half(company, asked, os.EX_TEMPFAIL)
    assert "perhaps by this run's own unfinished write" in run.why

    run = await company.retry(run)
    assert (run.status, company.model()) == (Status.succeeded, 2), run.why
    assert (await put_back(company, run)).status == Status.succeeded
    assert company.model() == 3


async def test_a_faulty_policy_from_the_start_stops_nobody(company: Company) -> None:
    """Started with it, the worker stops harm all the same; anything else needs two people, and the card says why."""
    house = company.house
    await two_releases(company)
    (house.folder / "playbooks/policy.yaml").write_text("policy: [1\n")
    registry = Registry({"flagd": flagd.TARGETS, "command": command.TARGETS})
    house.world.books = TeamBooks(house.folder / "playbooks", registry)
    stop = await house.stop()
    assert (stop.status, house.flag()["defaultVariant"]) == (Status.succeeded, "off")

    run = await house.ask("v1")
    plan = await house.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    assert run.requirement and run.requirement.say() == "2 of @ml-oncall"
    assert plan and plan.seen.doubts[0].startswith("policy: ")


async def test_a_stop_waits_for_no_slot(company: Company) -> None:
    """All slots are taken by other runs: it is begun at once."""
    await two_releases(company)
    driver = Embedded(company.house.world)
    busy = [asyncio.get_running_loop().create_future() for _ in range(SLOTS)]
    driver._tasks = {900 + n: asyncio.ensure_future(f) for n, f in enumerate(busy)}
    for number, task in driver._tasks.items():
        task.add_done_callback(partial(driver._gone, number))
    taken = await company.house.say(Request(feature="fares", purpose=Purpose.stop, channel="C1"))
    await Applier(company.house.world).apply_all()
    assert await driver.sweep() == 1
    for future in busy:
        future.set_result(None)
    await driver.idle()
    await company.house.settle()

    assert (await company.house.run(taken.run)).status == Status.succeeded


async def test_an_accepted_rollback_was_one(company: Company, asked: Run) -> None:
    """Its outcome was taken as it is: v1 is live, v2 is a release that was rolled back from."""
    house = company.house
    company.after("verify", flags="{}")
    run = await house.approve(asked)
    assert run.waiting_for == "person", run.why
    await house.say(Accept(run=run.id, reason="read by hand"), BEN)
    await house.settle()

    assert (await house.run(run.id)).status == Status.degraded
    stints = await house.store.read(lambda c: releases.stints(c, "fares"))
    assert [(s.version, s.rolled_back) for s in stints] == [("v1", False), ("v2", True), ("v1", False)]


async def test_what_somebody_let_go_is_not_left_behind(company: Company, asked: Run) -> None:
    """A pipeline that was lifted by hand is not listed as held; its step says what happened."""
    company.after("verify", held="lift")
    run = await company.house.approve(asked)
    left = await company.house.store.read(lambda c: releases.left(c, run=run.id))

    assert run.status == Status.succeeded, run.why
    assert [item["what"] for item in left] == ["hold"]
    assert "somebody has changed it since" in next(s.error for s in run.steps if s.verb == "hold")


async def test_an_edited_connection_leads_to_no_other_thing(company: Company, asked: Run) -> None:
    """targets.yaml points elsewhere in the middle of a run: nothing is written there."""
    other = company.house.folder / "flags2.json"
    untouched = (company.house.folder / "flags.json").read_text()
    other.write_text(untouched)
    company.after("hold", targets="flags: {type: flagd, file: ../flags2.json}\njobs: {type: command}\n")
    run = await company.house.approve(asked)

    assert run.waiting_for == "person" and "flags2.json#fares, and what was approved is" in run.why
    assert other.read_text() == untouched


async def test_a_stricter_policy_counts_also_where_a_system_is_silent(company: Company, asked: Run) -> None:
    """Not knowing is no new risk, but yesterday's rule is no requirement."""
    policy = company.house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text().replace("approve: 1", "approve: 2"))
    company.house.world.plan_s = 0.001
    run = await company.house.approve(asked)

    assert (run.waiting_for, company.model()) == ("approval", 3)
    assert run.requirement and run.requirement.say() == "2 of @ml-oncall"


async def test_moved_and_moved_back_needs_new_approvals(company: Company, asked: Run) -> None:
    """The third plan is the first again: who approved that one can, and has to, approve it anew."""
    house = company.house
    company.put_model(9)
    run = await house.approve(asked)
    assert run.plan_no == 2
    company.put_model(3)
    run = await house.approve(run)
    assert (run.plan_no, run.plan_digest, run.yes) == (3, asked.plan_digest, [])
    run = await house.approve(run)

    assert (run.status, company.model()) == (Status.succeeded, 2), run.why


async def test_a_press_counts_by_the_time_it_was_made(company: Company, asked: Run) -> None:
    """Made in time and judged late, it counts; made after the card's end it does not, whoever looks first."""
    house = company.house
    house.clock.advance(2 * 3600)
    late = await house.approve(asked)
    assert (late.status, company.model()) == (Status.expired, 3)

    run = await house.ask("v1", reason="again")
    await house.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), CLEO)
    house.clock.advance(2 * 3600)
    await house.settle()
    assert (await house.run(run.id)).status == Status.succeeded


async def test_what_never_began_has_no_outcome_to_accept(company: Company, asked: Run) -> None:
    """A feature file that breaks before the start: Accept is refused, Retry goes on when it is mended."""
    house, file = company.house, company.house.folder / "playbooks/features/fares.yaml"
    sound = file.read_text()
    file.write_text("feature: [fares\n")
    run = await house.approve(asked)
    assert (run.waiting_for, run.started_at) == ("person", None)
    await house.say(Accept(run=run.id, reason="why not"), BEN)
    await house.settle()
    assert (await house.run(run.id)).waiting_for == "person"
    file.write_text(sound)

    assert (await company.retry(run)).status == Status.succeeded


async def test_a_verified_rollback_ends_what_an_aborted_one_left(company: Company, asked: Run) -> None:
    """MIXED is not said of a feature that is whole again, and the hold's reason is the new run's."""
    house = company.house
    run = await half(company, asked, 1)
    await house.say(Abort(run=run.id), BEN)
    await house.settle()
    company.put_model(3)
    run = await house.approve(await house.ask("v1", reason="once more"))
    left = await house.store.read(lambda c: releases.left(c, feature="fares"))
    hold = await house.store.read(lambda c: releases.hold(c, "fares"))

    assert run.status == Status.succeeded, run.why
    assert not [item for item in left if "MIXED" in str(item["say"])]
    assert hold and hold["reason"] == f"rolled back to v1 by {run.name}"


async def test_what_is_live_half_way_is_no_release(company: Company, asked: Run) -> None:
    """While a run works, and after one that was aborted half-way, capturing is refused and says what to do; a person
    who lifts the hold may capture."""
    house = company.house
    run = await half(company, asked, 1)
    refused = await company.capture("v3")
    assert f"{run.name} is changing fares now" in str(refused["error"])
    await house.say(Abort(run=run.id), BEN)
    await house.settle()
    refused = await company.capture("v3")
    assert "MIXED" in str(refused["error"]) and await house.store.read(lambda c: releases.hold(c, "fares"))

    await house.say(Request(feature="fares", purpose=Purpose.lift, channel="C1"), BEN)
    await house.settle()
    assert (await company.capture("v3"))["ok"]


async def test_an_order_to_capture_is_never_carried_out_late(company: Company) -> None:
    """What lay while no worker ran, or is followed by an order for another release, would record the wrong one."""
    house = company.house
    company.put_model(2)
    first = await house.say(CaptureRelease(feature="fares", version="v1"))
    second = await house.say(CaptureRelease(feature="fares", version="v2"))
    await house.settle()
    found = [await house.store.read(lambda c, i=i: inbox.result_of(c, i)) for i in (first.id, second.id)]
    assert [bool(f and f["ok"]) for f in found] == [False, True]
    assert "came after this one (v2)" in str(found[0] and found[0]["error"])

    late = await house.say(CaptureRelease(feature="fares", version="v3"))
    house.clock.advance(600)
    await house.settle()
    result = await house.store.read(lambda c: inbox.result_of(c, late.id))
    assert result and "10 min ago" in str(result["error"])


async def test_a_release_captured_with_its_flag_off_enables_nothing(company: Company) -> None:
    """Captured while the harm was stopped, its rule is off: enable says so instead of *done*."""
    await two_releases(company)
    stop = await company.house.stop()
    assert (await company.capture("v3"))["ok"]
    run = await company.house.ask("", purpose=Purpose.enable, of_run=stop.id)
    assert run.status == Status.refused, run.why
    taken = await company.house.say(Request(feature="fares", purpose=Purpose.enable, channel="C1"), BEN)
    await company.house.settle()

    assert "was captured with flag off" in (await company.house.run(taken.run)).why
    left = await company.house.store.read(lambda c: releases.left(c, feature="fares"))
    assert "flag" in [item["what"] for item in left]
