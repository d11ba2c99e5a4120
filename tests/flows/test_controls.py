"""What people can do to a run that is stuck, slow or too fast, at any moment; each once, recorded, and by who may."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from bot.core.commands import Abort, Accept, Command, Purpose, Request, Skip, Unlock
from bot.core.errors import LostOwnership
from bot.core.run import Run, Status
from bot.store import events, inbox, leases, locks, releases, runs
from bot.store import tables as t
from tests.flows.company import Company
from tests.flows.house import BEN, CLEO, SAM, House, write_flag


@pytest.fixture
async def asked(company: Company) -> Run:
    """v0, v1 and v2, which is live; a rollback to v1 whose card stands."""
    for number, version in ((1, "v0"), (2, "v1"), (3, "v2")):
        company.put_model(number)
        await asyncio.to_thread(write_flag, company.house.folder, share=25 if version == "v2" else 100)
        assert (await company.capture(version))["ok"]
        company.house.clock.advance(25 * 3600)
    return await company.house.ask("v1", reason="fares are wrong")


async def half(company: Company, run: Run) -> Run:
    """Approved, and the model's restore writes half and fails."""
    (company.folder / "half").write_text("1")
    run = await company.house.approve(run)
    (company.folder / "half").unlink()
    assert (run.waiting_for, company.model()) == ("person", -1), run.why
    return run


async def press(house: House, command: Command, who: str = BEN) -> dict[str, object]:
    taken = await house.say(command, who)
    await house.settle()
    return await house.store.read(lambda c: inbox.result_of(c, taken.id)) or {}


async def put_back(company: Company, run: Run) -> Run:
    return await company.house.approve(await company.house.ask("v2", purpose=Purpose.put_back, of_run=run.id))


async def test_a_step_is_left_out_with_a_reason(company: Company, asked: Run) -> None:
    """By who may. What was not restored is not called verified, the flag stays off, and its half is put back."""
    run = await half(company, asked)
    refused = [
        await press(company.house, Skip(run=run.id, reason="x"), SAM),
        await press(company.house, Skip(run=run.id)),
    ]
    await press(company.house, Skip(run=run.id, reason="the registry is down"))
    stuck = await company.house.run(run.id)
    assert (stuck.waiting_for, stuck.why.split(":")[0]) == ("person", "verify model")
    await press(company.house, Skip(run=run.id, reason="known"))
    run = await company.house.run(run.id)

    assert [r.get("rule") for r in refused] == ["skip", "reason"]
    assert (run.status, company.house.flag()["defaultVariant"]) == (Status.degraded, "off")
    assert run.verified_at is None
    assert (await company.acts(run)).count("step_skipped") >= 2
    assert [(d.person, d.what, d.why) for d in run.deeds] == [
        (BEN, "left out restore model", "the registry is down"),
        (BEN, "left out verify model", "known"),
    ]
    assert (await put_back(company, run)).status == Status.succeeded
    assert company.model() == 3


async def test_an_accepted_half_write_is_put_back_too(company: Company, asked: Run) -> None:
    """Accept as it is leaves the model half written; put back knows what was there before."""
    run = await half(company, asked)
    await press(company.house, Accept(run=run.id, reason="later"))
    await press(company.house, Accept(run=run.id, reason="its read-back, too"))
    assert (await put_back(company, await company.house.run(run.id))).status == Status.succeeded
    assert company.model() == 3


async def test_of_a_paused_run_a_step_is_left_out_by_its_number(company: Company, asked: Run) -> None:
    """What failed or has not begun; a number that can't be is answered with those that can."""
    run = await half(company, asked)
    restore = next(s.n for s in run.steps if (s.verb, s.component) == ("restore", "model"))
    wrong = await press(company.house, Skip(run=run.id, step=0, reason="x"))
    assert wrong["error"] == f"{run.name}: step 0 can't be left out now; these can: {restore} (restore model)"


async def test_another_run_takes_over_from_one_that_is_stuck(company: Company, asked: Run) -> None:
    """Its locks go over without being free in between, it ends as aborted, and what was there before the first of the
    two is what is put back."""
    house, first = company.house, await half(company, asked)
    held = await house.store.read(lambda c: locks.held(c, first.id))
    second = await house.ask("v0", instead_of=first.id, reason="v1 can't be restored")
    first = await house.run(first.id)

    assert (first.status, first.why) == (Status.aborted, f"{second.name} takes over from here")
    assert (second.status, second.waiting_for) == (Status.waiting, "approval")
    assert held and await house.store.read(lambda c: locks.held(c, second.id)) == held
    second = await house.approve(second, CLEO)
    assert (second.status, company.model()) == (Status.succeeded, 1), second.why
    assert (await put_back(company, second)).status == Status.succeeded
    assert (company.model(), house.flag().get("targeting")) == (3, {"fractional": [["on", 25], ["off", 75]]})


async def test_a_take_over_that_nobody_approves_frees_the_locks(company: Company, asked: Run) -> None:
    """Rejected, the feature is held and mixed as after an abort, and nothing is locked."""
    first = await half(company, asked)
    second = await company.house.ask("v0", instead_of=first.id)
    await company.house.approve(second, yes=False)

    assert not await company.house.store.read(lambda c: locks.held(c, second.id))
    assert await company.house.store.read(lambda c: releases.hold(c, "fares"))


@pytest.mark.parametrize(("who", "rule"), [(SAM, "control"), (BEN, "")])
async def test_who_may_take_over(company: Company, asked: Run, who: str, rule: str) -> None:
    """Whoever may abort the first; else both stay as they are and the new run is refused."""
    first = await half(company, asked)
    taken = await company.house.say(
        Request(feature="fares", to="v0", instead_of=first.id, channel="C1", reason="x"), who
    )
    await company.house.settle()
    second = await company.house.run(taken.run)

    ended = Status.waiting if rule else Status.aborted
    assert ((await company.house.run(first.id)).status, second.status == Status.refused) == (ended, bool(rule))


async def test_what_is_not_at_rest_is_not_taken_over(company: Company, asked: Run) -> None:
    """A run that waits for approval, one that has ended, and one of another feature are named for what they are."""
    house = company.house
    waits = await house.ask("v0", instead_of=asked.id)
    await press(house, Abort(run=asked.id))
    ended = await house.ask("v0", instead_of=asked.id, reason="again")
    nowhere = await house.ask("v0", instead_of=999)

    assert [r.status for r in (waits, ended, nowhere)] == [Status.refused] * 3
    assert waits.why == f"{asked.name} has not begun: ask for a new rollback instead"
    assert ended.why == f"{asked.name} is already aborted: ask for a new rollback"
    assert nowhere.why == "there is no R-999 to take over from"


async def test_locks_are_taken_away_by_force(company: Company, asked: Run) -> None:
    """By who may, with a reason; the run ends, its owner has lost it, the resources are in the log, and what waited
    behind it begins."""
    house, run = company.house, await half(company, asked)
    fence = await _fence(house, run.id)
    held = await house.store.read(lambda c: locks.held(c, run.id))
    behind = await house.ask("v0", reason="the other way")
    await house.say(Abort(run=behind.id), BEN)
    refused = [await press(house, Unlock(run=run.id, reason="x"), SAM), await press(house, Unlock(run=run.id))]
    done = await press(house, Unlock(run=run.id, reason="its host is gone"))
    again = await press(house, Unlock(run=run.id, reason="once more"))
    run = await house.run(run.id)

    assert [r.get("rule") for r in (*refused, again)] == ["unlock", "reason", "nothing locked"]
    assert done["ok"] and run.status == Status.aborted
    assert not await house.store.read(lambda c: locks.held(c, run.id))
    assert await _fence(house, run.id) == fence + 1
    forced = [e for e in await house.store.read(lambda c: events.of_run(c, run.id)) if e["act"] == "locks_forced"]
    assert [e["facts"] for e in forced] == [{"resources": held}]


async def _fence(house: House, run: int) -> int:
    return await house.store.read(lambda c: c.execute(sa.select(t.runs.c.fence).where(t.runs.c.id == run)).scalar_one())


async def test_an_owner_whose_locks_were_forced_writes_nothing_more(company: Company, asked: Run) -> None:
    """Its next save is refused, also for a run that has ended already."""
    house, run = company.house, await half(company, asked)
    lease = await house.store.write(lambda c: leases.claim(c, run.id, "w2", 60.0))
    assert lease
    await press(house, Unlock(run=run.id, reason="its host is gone"))

    with pytest.raises(LostOwnership):
        await house.store.write(lambda c: leases.confirm(c, lease))


async def test_a_feature_is_held_by_hand(company: Company, asked: Run) -> None:
    """With a reason, without approval: its pipeline is held and CI is told, once. Lifted, it says what is not put
    right by that."""
    house = company.house
    await press(house, Abort(run=asked.id))
    silent = await house.ask("", purpose=Purpose.hold)
    held = await house.ask("", purpose=Purpose.hold, reason="labels are late")
    hold = await house.store.read(lambda c: releases.hold(c, "fares"))
    twice = await house.ask("", purpose=Purpose.hold, reason="again")
    pipeline = (company.folder / "held").read_text()
    lifted = await house.ask("", purpose=Purpose.lift, reason="they are here")
    plan = await house.store.read(lambda c: runs.load_plan(c, lifted.id, lifted.plan_no))

    assert (silent.status, silent.why) == (Status.refused, "say why: hold fares because REASON")
    assert (held.status, pipeline) == (Status.succeeded, "hold")
    assert hold and (hold["reason"], hold["run"]) == ("labels are late", held.name)
    assert twice.why == f"fares is held already, by {held.name}: labels are late"
    assert lifted.status == Status.succeeded and not await house.store.read(lambda c: releases.hold(c, "fares"))
    assert plan and "Rollbot did not change the code of pipeline. Is the fix merged?" in plan.seen.doubts
