"""Others go on working while a run does: what they change is noticed, said, never overwritten and never called done."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp.test_utils import make_mocked_request

from bot.core.commands import Abort, Pause, Purpose, Request, Resume
from bot.core.run import Run, Status
from bot.slack.views.live import line_of
from bot.store import inbox, releases, runs
from bot.web.hooks import Hooks
from tests.flows.company import Company, two_releases
from tests.flows.house import BEN, CLEO, SAM

NINE, THREE = json.dumps({"number": 9}), json.dumps({"number": 3})
ON = json.dumps(
    {"flags": {"fares": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}}}
)


@pytest.fixture
async def asked(company: Company) -> Run:
    """A rollback to v1 whose card stands."""
    await two_releases(company)
    return await company.house.ask("v1", reason="fares are wrong")


async def test_all_of_it_goes_back_and_forth(company: Company, asked: Run) -> None:
    """Flag, pipeline and model: v1 is back and read at consumers; put back brings v2's."""
    run = await company.house.approve(asked)

    assert run.status == Status.succeeded, run.why
    assert company.model() == 2 and run.verified_at
    back = await company.house.approve(await company.house.ask("v2", purpose=Purpose.put_back, of_run=run.id))
    assert (back.status, company.model()) == (Status.succeeded, 3), back.why


async def test_what_nobody_approved_to_replace_is_not_overwritten(company: Company, asked: Run) -> None:
    """Somebody ships model 9 after the start, before our write: it stays, nothing is enabled, a person is asked."""
    company.after("hold", model=NINE)
    run = await company.house.approve(asked)

    assert (run.waiting_for, company.model()) == ("person", 9)
    assert "model is now 9, and what was approved is to replace 3" in run.why
    assert company.house.flag()["defaultVariant"] == "off"


async def test_what_was_verified_and_then_changed_is_not_called_verified(company: Company, asked: Run) -> None:
    """Changed between the read-back and the end: no flag comes on, the run is not done, and a retry overwrites nothing
    that nobody approved to replace."""
    company.after("verify", model=NINE)
    run = await company.house.approve(asked)

    assert (run.waiting_for, run.verified_at) == ("person", None)
    assert "verified, but somebody has changed it since: it is now 9" in run.why
    run = await company.retry(run)
    assert (run.waiting_for, company.model()) == ("person", 9), run.why
    assert company.house.flag()["defaultVariant"] == "off"


async def test_retry_brings_back_what_did_not_stay(company: Company, asked: Run) -> None:
    """CI makes v2's model live again after the read-back; Retry restores v1's once more, and put back still knows what
    was there at first."""
    company.after("verify", model=THREE)
    run = await company.retry(await company.house.approve(asked))

    assert (run.status, company.model()) == (Status.succeeded, 2), run.why
    back = await company.house.approve(await company.house.ask("v2", purpose=Purpose.put_back, of_run=run.id))
    assert (back.status, company.model()) == (Status.succeeded, 3), back.why


async def test_an_apply_during_the_wait_is_said_and_not_waited_out(company: Company, asked: Run) -> None:
    """While consumers still cache, CI applies v2's model again: said at once; Retry restores v1's."""
    (company.folder / "unseen").write_text("")
    company.after("visible", model=THREE)
    before = company.house.clock.now()
    run = await company.house.approve(asked)

    assert run.waiting_for == "person"
    assert "brought back to 2, and somebody has changed it since: it is now 3" in run.why
    assert (company.house.clock.now() - before).total_seconds() < 30
    (company.folder / "unseen").unlink()
    run = await company.retry(run)
    assert (run.status, company.model()) == (Status.succeeded, 2), run.why


async def test_a_flag_switched_on_by_hand_is_said_at_its_step(company: Company, asked: Run) -> None:
    """The run goes on, since what is served gets right all the sooner; its step and the log say it, once."""
    company.after("restore", flags=ON)
    run = await company.house.approve(asked)
    step = next(s for s in run.steps if s.verb == "disable")

    assert run.status == Status.succeeded, run.why
    assert line_of(step, company.house.clock.now()).startswith("! disable flag")
    assert "somebody has changed it since: it is now on" in step.error
    assert (await company.acts(run)).count("stop_undone") == 1


async def test_nothing_starts_after_an_abort(company: Company, asked: Run) -> None:
    """Aborted while a pre-image is being taken: the write that would have followed never happens."""
    gate = company.folder / "gate"
    await asyncio.to_thread(_pipe, gate)
    going = asyncio.create_task(company.house.approve(asked))
    writer = await asyncio.to_thread(gate.open, "wb")  # blocks until the pre-image is being read
    await company.house.say(Abort(run=asked.id, reason="wrong one"))
    aborting = asyncio.create_task(company.house.settle())
    await _until(company, asked.id, Status.aborted)
    gate.unlink()  # for whoever comes to it later
    writer.close()
    await asyncio.gather(going, aborting)

    run = await company.house.run(asked.id)
    assert (run.status, company.model()) == (Status.aborted, 3), run.why
    assert "restore" not in [s.verb for s in run.steps if s.status == "done"]
    assert await company.house.store.read(lambda c: releases.hold(c, "fares")), "half-way is held"
    again = await company.house.ask("v1", reason="now it is the right one")
    assert again.waiting_for == "approval"


async def test_nothing_starts_while_paused_and_it_goes_on_where_it_was(company: Company, asked: Run) -> None:
    """Paused while a pre-image is being taken: the write that would have followed waits for Resume. What was done is
    not done again, locks are kept, somebody who may not can neither pause nor resume, and the end is verified."""
    house, gate = company.house, company.folder / "gate"
    await asyncio.to_thread(_pipe, gate)
    going = asyncio.create_task(house.approve(asked))
    writer = await asyncio.to_thread(gate.open, "wb")  # blocks until the pre-image is being read
    await house.say(Pause(run=asked.id, reason="look at the lake first"), BEN)
    pausing = asyncio.create_task(house.settle())
    await _until(company, asked.id, Status.paused)
    gate.unlink()
    writer.close()
    await asyncio.gather(going, pausing)

    for command in (Pause(run=asked.id), Resume(run=asked.id)):
        await house.say(command, SAM)
    await house.settle()
    run = await house.run(asked.id)
    assert (run.status, run.why, company.model()) == (Status.paused, "paused: look at the lake first", 3)
    assert "restore" not in [s.verb for s in run.steps if s.status == "done"]
    assert await house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar())

    await house.say(Resume(run=asked.id), CLEO)
    await house.settle()
    run, acts = await house.run(asked.id), await company.acts(run)
    assert (run.status, company.model()) == (Status.succeeded, 2), run.why
    assert [acts.count(a) for a in ("run_paused", "run_resumed")] == [1, 1]
    assert all(s.attempts <= 1 for s in run.steps)


async def test_only_what_is_at_work_can_be_paused(company: Company, asked: Run) -> None:
    """A card that waits for approval and a run that is over have nothing at work, and the answer says so."""
    house = company.house
    early = await house.say(Pause(run=asked.id), BEN)
    await house.settle()
    said = await house.store.read(lambda c: inbox.result_of(c, early.id))
    assert said and said["error"] == "R-1 waits for approval: nothing is at work that could be paused"
    run = await house.approve(asked)
    late = await house.say(Pause(run=run.id), BEN)
    await house.settle()
    said = await house.store.read(lambda c: inbox.result_of(c, late.id))
    assert said and said["error"] == "R-1 is already succeeded"


def _pipe(path: object) -> None:
    import os

    os.mkfifo(str(path))


async def _until(company: Company, run: int, status: Status) -> None:
    wrote = asyncio.Event()
    company.house.store.on_write = wrote.set
    while True:
        wrote.clear()  # before the look, or a write between the two is waited for in vain
        if (await company.house.run(run)).status == status:
            return
        await wrote.wait()


async def test_ci_is_held_off_while_a_run_works(company: Company, asked: Run) -> None:
    """GET /gate answers 423 from the first step on, not only after the end; a card that waits holds nobody."""
    hooks = Hooks(company.house.world, {})
    request = make_mocked_request("GET", "/gate/fares", match_info={"feature": "fares"})
    assert (await hooks.gate(request)).status == 200
    company.after("hold", model=NINE)
    run = await company.house.approve(asked)
    answer = await hooks.gate(request)

    assert (answer.status, json.loads(answer.text or "")["run"]) == (423, run.name)


async def test_cards_of_the_same_thing_show_each_other(company: Company, asked: Run) -> None:
    """Two runs wait: each card names the other; when one is done, the other is planned anew, approvals void."""
    house = company.house
    other = await house.ask("v1", reason="the flag too", without=["model"])
    plans = [await house.store.read(lambda c, r=r: runs.load_plan(c, r.id, 1)) for r in (asked, other)]
    assert [p and p.seen.doubts[-1] for p in plans] == [
        f"{other.name} (fares to v1) waits for approval too",
        f"{asked.name} (fares to v1) waits for approval too",
    ]
    assert (await house.approve(asked)).status == Status.succeeded
    other = await house.run(other.id)
    assert (other.plan_no, other.waiting_for) == (2, "approval")


async def test_a_slow_system_is_checked_behind_the_card(company: Company) -> None:
    """What can't answer within the time of a plan is asked again with patience, also what has no capture to check."""
    await two_releases(company)
    company.house.world.plan_s = 0.001
    run = await company.house.ask("v1")
    plan = await company.house.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    assert plan and plan.seen.not_checked and "pipeline" in plan.seen.unanswered

    company.house.clock.advance(60)
    await company.house.settle()
    run = await company.house.run(run.id)
    plan = await company.house.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    assert plan and (plan.seen.not_checked, plan.seen.unanswered) == ([], [])
    assert (run.waiting_for, plan.body.live["model"][0]) == ("approval", "3")


async def test_the_flag_of_what_was_not_verified_needs_a_reason(company: Company, asked: Run) -> None:
    """After a rollback that ended unverified a bare enable is refused; a reason lets traffic in. A stranger may not."""
    house = company.house
    company.after("verify", model=NINE)
    run = await house.approve(asked)
    await house.say(Abort(run=run.id, reason="by hand"), BEN)
    await house.settle()

    async def enable(who: str, **more: object) -> Run:
        order = {"feature": "fares", "purpose": Purpose.enable, "of_run": run.id, "channel": "C1", **more}
        taken = await house.say(Request.model_validate(order), who)
        await house.settle()
        return await house.run(taken.run)

    assert "say why" in (await enable(BEN)).why
    assert (await enable(SAM, reason="I want it")).status == Status.refused
    assert house.flag()["defaultVariant"] == "off"
    assert (await enable(CLEO, reason="looked at by hand")).status == Status.succeeded
    assert house.flag()["defaultVariant"] == "on"


async def test_a_policy_made_stricter_meanwhile_asks_for_more(company: Company, asked: Run) -> None:
    """One yes under yesterday's rule does not start what needs two today; and where two must say no, one does not end
    it."""
    house, policy = company.house, company.house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text().replace("approve: 1", "approve: 2, deny: 2"))
    run = await house.approve(asked)
    assert (run.waiting_for, run.plan_no, company.model()) == ("approval", 2, 3)

    run = await house.approve(run, BEN, yes=False)
    assert run.waiting_for == "approval"
    run = await house.approve(run, CLEO, yes=False)
    assert (run.status, company.model()) == (Status.rejected, 3)


async def test_what_no_step_would_read_back_is_not_planned(company: Company) -> None:
    """A playbook that restores and never verifies is refused: its end could not be told from a lie."""
    book = company.house.folder / "playbooks/playbooks/standard.yaml"
    book.write_text(book.read_text().replace("  - verify: model\n", "").replace("  - verify: flag\n", ""))
    await two_releases(company)
    run = await company.house.ask("v1")

    assert (run.status, company.model()) == (Status.refused, 3)
    assert "model is restored and never verified" in run.why


async def test_an_older_name_for_what_is_live_is_refused(company: Company) -> None:
    """The live data would be recorded as the older release's."""
    await two_releases(company)
    company.put_model(2)
    house = company.house
    (house.folder / "flags.json").write_text(ON)
    assert (await company.capture("v3"))["ok"]
    refused = await company.capture("v1")

    assert not refused["ok"] and "v3" in str(refused["error"]), refused
