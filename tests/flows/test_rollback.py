"""A rollback from request to outcome, with real targets in real children."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from bot.core.commands import Abort, Accept, CaptureRelease, Decide, Purpose, Request, Retry, RunAnyway
from bot.core.run import Status
from bot.store import events, inbox, releases, runs
from tests.flows.house import ANA, BEN, SAM, STANDARD, House, write_flag


async def capture(house: House, version: str) -> dict[str, object] | None:
    taken = await house.say(CaptureRelease(feature="fares", version=version))
    await house.settle()
    return await house.store.read(lambda c: inbox.result_of(c, taken.id))


@contextlib.contextmanager
def no_writing(house: House) -> Iterator[None]:
    """The flag file can be read and not written: somebody else holds the lock. A step waits half as long for it."""
    playbook = house.folder / "playbooks/playbooks/standard.yaml"
    playbook.write_text(STANDARD.replace("timeout: 4s", "timeout: 2s"))
    folder = os.open(house.folder, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(folder)


async def two_releases(house: House) -> None:
    """v1 serves everybody, v2 a quarter; v2 is live."""
    first = await capture(house, "v1")
    assert first and first["ok"], first
    house.clock.advance(25 * 3600)
    write_flag(house.folder, share=25)
    second = await capture(house, "v2")
    assert second and second["ok"], second


async def test_a_rollback_brings_the_flag_back_and_proves_it(house: House) -> None:
    """After request, approval and run the flag's rule is v1's, v1 is live, and the feature is held."""
    await two_releases(house)
    before = house.flag()
    run = await house.ask("v1", reason="fares are wrong")

    assert (run.status, run.waiting_for) == (Status.waiting, "approval"), run.why
    assert house.flag() == before

    run = await house.approve(run)

    assert run.status == Status.succeeded, run.why
    assert "targeting" not in house.flag()
    stints = await house.store.read(lambda c: releases.stints(c, "fares"))
    assert [(s.version, s.rolled_back, s.until is None) for s in stints] == [
        ("v1", False, False),
        ("v2", True, False),
        ("v1", False, True),
    ]
    assert await house.store.read(lambda c: releases.hold(c, "fares"))


async def test_the_same_request_twice_is_one_run(house: House) -> None:
    """A second identical request while the first is open gets the first run, and nothing new is written."""
    await two_releases(house)
    first = await house.say(Request(feature="fares", to="v1", channel="C1"))
    second = await house.say(Request(feature="fares", to="v1", channel="C1"), BEN)

    assert first.run == second.run
    assert "already" in second.answer


async def test_the_same_key_twice_is_one_row(house: House) -> None:
    """The same bytes or trigger again get the first answer again."""
    first = await house.say(Request(feature="fares", to="v1"), key="k")
    again = await house.say(Request(feature="fares", to="v1"), key="k")

    assert (first.run, first.answer, first.fresh, again.fresh) == (again.run, again.answer, True, False)


async def test_the_requester_never_counts(house: House) -> None:
    """The requester's yes is refused, told and recorded; the run goes on waiting."""
    await two_releases(house)
    run = await house.ask("v1")
    run = await house.approve(run, ANA)

    assert run.waiting_for == "approval"
    said = await house.store.read(lambda c: events.of_run(c, run.id))
    assert [e["act"] for e in said][-1] == "press_refused"


async def test_a_stranger_does_not_count(house: House) -> None:
    """Somebody outside the group can't approve."""
    await two_releases(house)
    run = await house.approve(await house.ask("v1"), SAM)

    assert run.waiting_for == "approval"


async def test_a_rejected_run_ends(house: House) -> None:
    """One no by an approver ends it, and nothing was changed."""
    await two_releases(house)
    before = house.flag()
    run = await house.approve(await house.ask("v1"), yes=False)

    assert run.status == Status.rejected
    assert house.flag() == before


async def test_a_second_press_changes_nothing(house: House) -> None:
    """After the end, an approval is refused and told."""
    await two_releases(house)
    run = await house.approve(await house.ask("v1"))
    again = await house.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN)
    await house.settle()
    result = await house.store.read(lambda c: inbox.result_of(c, again.id))

    assert result and not result["ok"]
    assert "already succeeded" in str(result["error"])


async def test_stop_needs_nobody_and_put_back_knows_the_first_pre_image(house: House) -> None:
    """*Stop the harm* switches the flag off at once; after the rollback, put back brings v2's rule, not 'off'."""
    await two_releases(house)
    run = await house.ask("v1")
    stop = await house.ask("", purpose=Purpose.stop, of_run=run.id)

    assert stop.status == Status.succeeded, stop.why
    assert house.flag()["defaultVariant"] == "off"

    run = await house.approve(run)
    assert run.status == Status.succeeded, run.why

    back = await house.ask("v2", purpose=Purpose.put_back, of_run=run.id)
    back = await house.approve(back)

    assert back.status == Status.succeeded, back.why
    assert house.flag()["targeting"] == {"fractional": [["on", 25], ["off", 75]]}


async def test_a_replaced_version_voids_approvals(house: House) -> None:
    """A plan that was looked at again and differs is shown again; the old approval does not count."""
    await two_releases(house)
    run = await house.ask("v1")
    digest = run.plan_digest
    feature = house.folder / "playbooks/features/fares.yaml"
    feature.write_text(feature.read_text().replace("[pricing]", "[pricing, eta]"))
    run = await house.approve(run)

    assert run.waiting_for == "approval"
    assert run.plan_digest != digest
    assert run.plan_no == 2


async def test_an_unknown_version_is_refused_with_suggestions(house: House) -> None:
    """Nothing is changed, and near versions are named."""
    await two_releases(house)
    run = await house.ask("v11")

    assert run.status == Status.refused
    assert "v1" in run.why


async def test_break_glass_needs_the_typed_version(house: House) -> None:
    """Members only, with a reason and the version typed by hand; the run carries the badge and a review is due."""
    await two_releases(house)
    run = await house.ask("v1")
    order = {"run": run.id, "digest": run.plan_digest, "reason": "nobody is awake"}
    await house.say(RunAnyway.model_validate({**order, "version": "v2"}), BEN)
    await house.settle()
    assert (await house.run(run.id)).waiting_for == "approval"
    await house.say(RunAnyway.model_validate({**order, "version": "v1"}), SAM)
    await house.settle()
    assert (await house.run(run.id)).waiting_for == "approval"
    await house.say(RunAnyway.model_validate({**order, "version": "v1"}), BEN)
    await house.settle()
    run = await house.run(run.id)

    assert run.status == Status.succeeded, run.why
    assert run.glass
    left = await house.store.read(lambda c: releases.left(c, run=run.id))
    assert "review" in [item["what"] for item in left]


async def test_abort_ends_an_open_run(house: House) -> None:
    """The requester may abort; the run ends and its locks are free."""
    await two_releases(house)
    run = await house.ask("v1")
    await house.say(Abort(run=run.id, reason="wrong feature"))
    await house.settle()

    assert (await house.run(run.id)).status == Status.aborted


async def test_a_dead_system_is_not_checked_and_retried(house: House) -> None:
    """A system that does not answer leaves a card that says so; when it answers, the card is made anew."""
    await two_releases(house)
    flags = house.folder / "flags.json"
    text = flags.read_text()
    flags.unlink()
    os.mkfifo(flags)  # whoever reads it waits for ever
    house.world.plan_s = 1.0
    run = await house.ask("v1")
    plan = await house.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))

    assert run.waiting_for == "approval", run.why
    assert plan and plan.seen.not_checked == ["flag"]

    flags.unlink()
    flags.write_text(text)
    house.world.plan_s = 10.0
    house.clock.advance(0.01 * 3600)
    await house.settle()
    run = await house.run(run.id)
    plan = await house.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))

    assert plan and plan.seen.not_checked == []
    assert (await house.approve(run)).status == Status.succeeded


async def test_a_failed_step_waits_for_a_person(house: House) -> None:
    """A step that keeps failing leaves the run waiting, locks kept; retry goes on when the system is back."""
    await two_releases(house)
    with no_writing(house):
        run = await house.approve(await house.ask("v1"))

    assert (run.status, run.waiting_for) == (Status.waiting, "person"), (run.status, run.why)

    await house.say(Retry(run=run.id), BEN)
    await house.settle()

    assert (await house.run(run.id)).status == Status.succeeded


async def test_nobody_decides_and_the_run_expires(house: House) -> None:
    """After the approvals' life the run ends as expired."""
    await two_releases(house)
    run = await house.ask("v1")
    house.clock.advance(1.1 * 3600)
    await house.settle()

    assert (await house.run(run.id)).status == Status.expired


async def test_another_code_side_under_the_same_version_is_refused(house: House) -> None:
    """A release is immutable; the same one again only adds a moment."""
    await two_releases(house)
    write_flag(house.folder, share=50)
    result = await capture(house, "v2")

    assert result and not result["ok"]
    assert "immutable" in str(result["error"])


async def test_accepting_needs_a_reason(house: House) -> None:
    """An outcome is accepted with a reason or not at all."""
    await two_releases(house)
    with no_writing(house):
        run = await house.approve(await house.ask("v1"))
    await house.say(Accept(run=run.id, reason=" "), BEN)
    await house.settle()
    assert (await house.run(run.id)).waiting_for == "person"
    await house.say(Accept(run=run.id, reason="done by hand"), BEN)
    await house.settle()

    assert (await house.run(run.id)).status == Status.degraded
