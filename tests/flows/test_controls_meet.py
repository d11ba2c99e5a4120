"""What people do at the very moment at which a run, another person or another replica does something else."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from bot.core.commands import Abort, CaptureRelease, Decide, Pause, Purpose, Request, Retry, Skip
from bot.core.errors import TargetError
from bot.core.ports import Component, Errand
from bot.core.run import Run, Status
from bot.core.target import Capture, Receipt
from bot.flows.apply import Applier
from bot.flows.drive import drive
from bot.flows.guard import Guard
from bot.store import inbox, locks, releases
from tests.flows.company import Company, two_releases
from tests.flows.house import BEN, CLEO, SAM, write_flag
from tests.flows.test_controls import half
from tests.flows.test_ramp import write_two


@pytest.fixture
async def asked(company: Company) -> Run:
    """A rollback to v1 whose card stands."""
    await two_releases(company)
    return await company.house.ask("v1", reason="fares are wrong")


async def applied(company: Company) -> None:
    await Applier(company.house.world).apply_all()


async def test_what_was_left_out_while_it_was_looked_at_stays_left_out(company: Company, asked: Run) -> None:
    """Paused and skipped while a look at consumers is under way: what that look finds does not bring the step back."""
    house, look = company.house, company.folder / "look"
    await asyncio.to_thread(os.mkfifo, look)
    (company.folder / "unseen").write_text("")
    going = asyncio.create_task(house.approve(asked))
    writer = await asyncio.to_thread(look.open, "wb")  # blocks until somebody looks
    n = next(s.n for s in asked.steps if s.verb == "wait")
    await house.say(Pause(run=asked.id), BEN)
    await house.say(Skip(run=asked.id, step=n, reason="its servers are down"), BEN)
    await applied(company)
    assert (await house.run(asked.id)).step(n).status == "skipped"
    look.unlink()
    writer.close()
    await going

    run = await house.run(asked.id)
    assert (run.status, run.step(n).status) == (Status.paused, "skipped"), run.step(n)


async def test_locks_stay_while_a_step_of_an_aborted_run_writes(company: Company, asked: Run) -> None:
    """Whatever that step says of how far it is: what puts it back waits until it is over, and has the last word."""
    house, began, goes_on, wrote = company.house, asyncio.Event(), asyncio.Event(), asyncio.Event()
    real = house.world.targets.restore

    async def slow(part: Component, errand: Errand, to: Capture, before: Capture) -> Receipt:
        if part.name == "model" and not began.is_set():
            began.set()
            while errand.progress and not goes_on.is_set():
                errand.progress(1, 100, "rows")
                await asyncio.sleep(0)
        return await real(part, errand, to, before)

    object.__setattr__(house.world.targets, "restore", slow)
    house.store.on_write = wrote.set
    await house.say(Decide(run=asked.id, yes=True, digest=asked.plan_digest or ""), BEN)
    await applied(company)
    going = asyncio.create_task(drive(house.world, asked.id))
    await began.wait()
    held = await house.store.read(lambda c: locks.held(c, asked.id))
    await house.say(Abort(run=asked.id), BEN)
    await applied(company)
    while not any(s.done for s in (await house.run(asked.id)).steps):  # said, and stored
        wrote.clear()
        await wrote.wait()
    assert await house.store.read(lambda c: locks.held(c, asked.id)) == held != []
    back = await house.ask("v2", purpose=Purpose.put_back, of_run=asked.id)
    await house.say(Decide(run=back.id, yes=True, digest=back.plan_digest or ""), CLEO)
    await applied(company)
    await drive(house.world, back.id)
    assert (await house.run(back.id)).started_at is None

    goes_on.set()
    await going
    assert company.model() == 2
    assert await house.store.read(lambda c: locks.held(c, asked.id)) == []
    house.clock.advance(3)
    await house.settle()
    anew = await house.approve(await house.run(back.id))  # of another state than the one that was approved first
    assert (anew.plan_no, anew.status, company.model()) == (2, Status.succeeded, 3)


@pytest.mark.parametrize("wish", [{"playbook": "stop"}, {"without": ["nosuch"]}, {"to": "v9"}], ids=str)
async def test_what_can_not_be_meant_ends_no_run(company: Company, asked: Run, wish: dict[str, object]) -> None:
    """A way that can't be planned is refused before the run that it would take over from is ended for it."""
    first = await half(company, asked)
    wanted = {"feature": "fares", "to": "v1", "instead_of": first.id, "channel": "C1", **wish}
    taken = await company.house.say(Request.model_validate(wanted), BEN)
    await company.house.settle()
    second, first = await company.house.run(taken.run), await company.house.run(first.id)

    assert (second.status, first.status) == (Status.refused, Status.waiting), (second.why, first.why)
    assert await company.house.store.read(lambda c: locks.held(c, first.id))


async def test_another_persons_copy_takes_nothing_over(company: Company, asked: Run) -> None:
    """Two say the same at once, and a second replica applies the later one first: the one who may does not lend that
    right to the one who asked, and the run stays as it is."""
    house, first = company.house, await half(company, asked)
    wish = Request(feature="fares", to="v1", instead_of=first.id, without=["pipeline"], channel="C1")
    one, two = await house.say(wish, SAM), await house.say(wish, BEN)
    assert one.run == two.run
    items = {i.id: i for i in await house.store.read(inbox.waiting)}
    await Applier(house.world).apply(items[two.id])
    await Applier(house.world).apply(items[one.id])
    await house.settle()

    assert (await house.run(one.run)).status == Status.refused
    assert (await house.run(first.id)).waiting_for == "person"


async def test_a_hold_by_hand_does_not_end_what_a_rollback_guards(company: Company, asked: Run) -> None:
    """Asked for while the rollback was at work: when both are over, what brings the bad release back is still said."""
    house, gate = company.house, company.folder / "gate"
    await asyncio.to_thread(os.mkfifo, gate)
    going = asyncio.create_task(house.approve(asked))
    writer = await asyncio.to_thread(gate.open, "wb")
    hold = await house.say(Request(feature="fares", purpose=Purpose.hold, reason="nobody ships", channel="C1"), BEN)
    await applied(company)
    await drive(house.world, hold.run or 0)
    gate.unlink()
    writer.close()
    await going
    await house.settle()
    run, held = await house.run(asked.id), await house.run(hold.run)
    assert (run.status, held.open) == (Status.succeeded, False), (run.why, held.why)
    stands = await house.store.read(lambda c: releases.hold(c, "fares"))
    assert stands and stands["run"] == run.name, (stands, held.status, held.why)
    company.put_model(3)
    assert await Guard(house.world).when_due() == 1


async def test_a_stop_that_was_left_out_is_not_called_done(company: Company) -> None:
    """The flag could not be switched off and a person skipped it: the harm goes on, and nothing says DONE."""
    await two_releases(company)
    flags = company.house.folder / "flags.json"
    good = await asyncio.to_thread(flags.read_text)
    await asyncio.to_thread(flags.write_text, "{}")
    run = await company.house.stop()
    assert run.waiting_for == "person", run.why
    await asyncio.to_thread(flags.write_text, good)
    await company.house.say(Skip(run=run.id, reason="I do it by hand"), BEN)
    await company.house.settle()
    run = await company.house.run(run.id)

    assert (run.status, run.why) == (Status.degraded, "disable flag left out")
    assert company.house.flag()["defaultVariant"] == "on"


@pytest.mark.parametrize("verb", ["restore", "visible"])
@pytest.mark.parametrize("seconds", ["1e300", "-5"])
async def test_a_program_that_says_when_to_ask_again_may_say_anything(
    company: Company, asked: Run, verb: str, seconds: str
) -> None:
    """A time that can't be is said at the step; neither the run nor its worker stumbles over it."""
    (company.folder / f"says_{verb}").write_text(f'{{"visible": false, "again_after": {seconds}}}')
    run = await company.house.approve(asked)

    assert run.waiting_for == "person", run.why
    assert "again_after: Input should be" in run.why


@pytest.mark.parametrize("text", ["flags: [", "flags: {type: flagd, file: ../flags.json}\n"], ids=["faulty", "gone"])
async def test_a_connection_that_is_lost_in_the_middle_waits_for_a_person(
    company: Company, asked: Run, text: str
) -> None:
    """The team's file is broken, or names the connection no more: the step says so with the file, and Retry goes on
    once it is whole again."""
    file = company.house.folder / "playbooks/targets.yaml"
    good = await asyncio.to_thread(file.read_text)
    company.after("hold", targets=text)
    run = await company.house.approve(asked)
    assert run.waiting_for == "person" and "targets.yaml" in run.why, run.why
    await asyncio.to_thread(file.write_text, good)
    run = await company.retry(run)

    assert (run.status, company.model()) == (Status.succeeded, 2), run.why


async def test_after_a_retry_what_may_pass_is_waited_for(
    company: Company, asked: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's Retry begins the step at once; a failure that may pass is then given its time, as at first."""
    house, tries = company.house, []
    (company.folder / "half").write_text("3")
    run = await house.approve(asked)
    assert run.waiting_for == "person", run.why
    (company.folder / "half").unlink()

    async def busy(part: Component, *_: object) -> Receipt:
        tries.append(part.name)
        raise TargetError("busy", retriable=True)

    monkeypatch.setattr(house.world.targets, "restore", busy)
    await house.say(Retry(run=run.id), BEN)
    await Applier(house.world).apply_all()
    await drive(house.world, run.id)
    run = await house.run(run.id)
    assert (tries, run.waiting_for) == (["model"], "time"), run.why
    assert run.wake_at and run.wake_at > house.clock.now()


async def test_a_paused_run_whose_worker_ended_in_a_step_says_what_can_be_done(
    company: Company, asked: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy ends the worker in the middle of a step of a run that was just paused: nothing that is waited for would
    ever come, and the refusal of another way says so."""
    house, reached = company.house, asyncio.Event()

    async def endless(*_: object) -> Receipt:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(house.world.targets, "restore", endless)
    await house.say(Decide(run=asked.id, yes=True, digest=asked.plan_digest or ""), BEN)
    await Applier(house.world).apply_all()
    driving = asyncio.create_task(drive(house.world, asked.id))
    await reached.wait()
    await house.say(Pause(run=asked.id), BEN)
    await Applier(house.world).apply_all()
    driving.cancel()
    await asyncio.wait([driving])
    taken = await house.say(Request(feature="fares", to="v2", instead_of=asked.id, channel="C1"), BEN)
    await house.settle()
    new = await house.run(taken.run)
    assert (new.status, (await house.run(asked.id)).status) == (Status.refused, Status.paused)
    assert "its worker ended in the middle of" in new.why
    assert "Resume lets it end that; Abort gives it up" in new.why


async def test_two_flags_say_once_what_somebody_changed(company: Company) -> None:
    """Both are about to be enabled, and find that the model is no longer what was verified: one event, one red step."""
    house = company.house
    feature = house.folder / "playbooks/features/fares.yaml"
    feature.write_text(feature.read_text() + "  second: {kind: flag, target: flags, flag: second}\n")
    for version, share, number in (("v1", 100, 2), ("v2", 30, 3)):
        company.put_model(number)
        await asyncio.to_thread(write_flag, house.folder, share=share)
        await asyncio.to_thread(write_two, house, share)
        await house.say(CaptureRelease(feature="fares", version=version))
        await house.settle()
        house.clock.advance(25 * 3600)
    run = await house.ask("v1")
    company.after("verify", model=json.dumps({"number": 9}))
    run = await house.approve(run)
    assert run.waiting_for == "person", run.why
    assert (await company.acts(run)).count("step_failed") == 1
