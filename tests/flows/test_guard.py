"""After a rollback: whoever brings the bad release back is noticed, and one responder restores again."""

from __future__ import annotations

import json

import pytest

from bot.core.commands import Accept, Purpose, Request
from bot.core.run import Run, Status
from bot.flows.guard import Guard
from bot.store import messages, releases
from tests.flows.company import Company, two_releases
from tests.flows.house import ANA, BEN, SAM


@pytest.fixture
async def back(company: Company) -> Run:
    """v1 is back and verified; the feature is held."""
    await two_releases(company)
    run = await company.house.approve(await company.house.ask("v1", reason="fares are wrong"))
    assert run.verified_at, run.why
    return run


async def drifts(company: Company) -> list[dict[str, object]]:
    due = await company.house.store.read(messages.due)
    return [dict(m.body) for m in due if m.purpose == "drift" and m.parent]


async def again(company: Company, back: Run, who: str, **more: object) -> Run:
    """Asks for the same once more, as the button does."""
    wish = {"feature": "fares", "to": "v1", "of_run": back.id, "channel": "C1", **more}
    taken = await company.house.say(Request.model_validate(wish), who)
    await company.house.settle()
    return await company.house.run(taken.run)


async def test_what_brings_the_bad_release_back_is_said_once(company: Company, back: Run) -> None:
    """Within a minute, in the thread and the log, by what it is now; each state once, also by two replicas; nothing is
    said while all is as it was brought."""
    guard, other = Guard(company.house.world), Guard(company.house.world)
    assert await guard.when_due() == 0
    company.put_model(9)
    assert await guard.when_due() == 0, "it was looked at less than half a minute ago"
    company.house.clock.advance(30)
    assert [await g.when_due() for g in (guard, other)] == [1, 0]
    company.house.clock.advance(30)
    assert await guard.when_due() == 0
    company.put_model(3)
    company.house.clock.advance(30)
    assert await guard.when_due() == 1
    assert await drifts(company) == [{"moved": {"model": "9"}}, {"moved": {"model": "3"}}]
    assert (await company.acts(back)).count("drift_seen") == 2


async def test_what_was_put_right_by_hand_and_comes_back_is_said_again(company: Company, back: Run) -> None:
    """A job that undoes the rollback each night is said each night, by two replicas once; and not because nobody could
    say for a while what stands there."""
    guard, other, said = Guard(company.house.world), Guard(company.house.world), []
    away = company.folder / "model.json"
    for number in (3, None, 3, 2, 3, 2, 3):
        if number is None:
            away.unlink()
        else:
            company.put_model(number)
        company.house.clock.advance(30)
        said.append([await g.when_due() for g in (guard, other)])
    assert said == [[1, 0], [0, 0], [0, 0], [0, 0], [1, 0], [0, 0], [1, 0]]
    assert len(await drifts(company)) == 3


async def test_the_guard_does_not_sleep_when_the_clock_is_set_back(company: Company, back: Run) -> None:
    """A look two hours ahead, as it seems now, keeps nobody from looking."""
    guard = Guard(company.house.world)
    assert await guard.when_due() == 0
    company.put_model(9)
    company.house.clock.advance(-7200)
    assert await guard.when_due() == 1


async def test_one_responder_restores_again(company: Company, back: Run) -> None:
    """The same release to the letter needs no new approval while the hold lasts; the new run holds it from then on."""
    company.put_model(3)
    run = await again(company, back, BEN)
    assert (run.status, company.model(), run.nods) == (Status.succeeded, 2, []), run.why
    assert run.verified_at and run.requirement and run.requirement.rule == "repeats R-1, which holds fares"
    hold = await company.house.store.read(lambda c: releases.hold(c, "fares"))
    assert hold and hold["run"] == run.name


@pytest.mark.parametrize("more", [{"to": "v2"}, {"without": ["model"]}, {"of_run": None}], ids=str)
async def test_anything_else_needs_approval(company: Company, back: Run, more: dict[str, object]) -> None:
    """Another release, a part left out, or a request of one's own is not what was approved."""
    company.put_model(9)
    run = await again(company, back, BEN, **more)
    assert (run.status, run.waiting_for, company.model()) == (Status.waiting, "approval", 9), run.why


HASTY = """
playbook: {name}
steps:
  - hold: pipeline
  - restore: model
  - enable: flag
  - verify: [model, flag]
"""


@pytest.mark.parametrize(("name", "asked"), [("hasty", "hasty"), ("standard", None)], ids=["another", "edited since"])
async def test_another_way_to_the_same_needs_approval(
    company: Company, back: Run, name: str, asked: str | None
) -> None:
    """The same release by other steps, which let traffic in before the read-back, is not what was approved."""
    (company.house.folder / f"playbooks/playbooks/{name}.yaml").write_text(HASTY.format(name=name))
    company.put_model(9)
    run = await again(company, back, BEN, playbook=asked)
    assert (run.status, run.waiting_for, company.model()) == (Status.waiting, "approval", 9), run.why


async def test_without_the_hold_it_needs_approval_and_nothing_is_said(company: Company, back: Run) -> None:
    """Whoever lifted it has let the next release in."""
    lifted = await again(company, back, BEN, purpose=Purpose.lift, to="")
    assert lifted.status == Status.succeeded, lifted.why
    company.put_model(9)
    assert await Guard(company.house.world).when_due() == 0
    assert (await again(company, back, BEN)).waiting_for == "approval"


async def test_what_people_put_back_and_accepted_is_not_undone_without_approval(company: Company, back: Run) -> None:
    """Put back half-way and accepted by a person, the hold stays, and the rollback before it is no authority any more;
    nor is said that somebody has changed what Rollbot itself did."""
    house = company.house
    (company.folder / "half").write_text("3")
    run = await house.approve(await house.ask("v2", purpose=Purpose.put_back, of_run=back.id))
    assert run.waiting_for == "person", run.why
    for _ in ("the restore that failed", "what it is now, read back"):
        await house.say(Accept(run=run.id, reason="we go on from here"), BEN)
        await house.settle()
    (company.folder / "half").unlink()
    assert (await house.run(run.id)).status == Status.degraded
    hold = await house.store.read(lambda c: releases.hold(c, "fares"))
    assert hold and hold["run"] == back.name and company.model() != 2
    assert await Guard(house.world).when_due() == 0
    repeated = await again(company, back, BEN)
    assert repeated.waiting_for == "approval", (repeated.status, repeated.why)


async def test_what_was_accepted_without_proof_is_guarded_and_not_repeated_freely(company: Company) -> None:
    """A rollback that could not be verified, and that a person accepted, holds the feature too: whoever undoes it is
    noticed. Repeating it needs an approval, since nobody has proved that it was right."""
    house = company.house
    await two_releases(company)
    run = await house.ask("v1")
    company.after("visible", model=json.dumps({"number": 7}))
    run = await house.approve(run)
    assert run.waiting_for == "person", (run.status, run.why)
    await house.say(Accept(run=run.id, reason="the ETAs are right"), BEN)
    await house.settle()
    run = await house.run(run.id)
    for _ in range(4):
        if run.open:
            await house.say(Accept(run=run.id, reason="the ETAs are right"), BEN)
            await house.settle()
            run = await house.run(run.id)
    assert (run.status, run.verified_at) == (Status.degraded, None), run.why
    company.put_model(9)
    house.clock.advance(30)
    assert await Guard(house.world).when_due() == 1
    repeated = await again(company, run, BEN)
    assert repeated.waiting_for == "approval", (repeated.status, repeated.why)


async def test_a_stranger_restores_nothing_again(company: Company, back: Run) -> None:
    """Whoever may not control runs may not start one that nobody approves; the requester of the first one may."""
    company.put_model(9)
    refused = await again(company, back, SAM)
    assert (refused.status, company.model()) == (Status.refused, 9)
    assert (await again(company, back, ANA)).status == Status.succeeded


async def test_a_rollback_that_was_not_verified_is_no_authority(company: Company, back: Run) -> None:
    """What was never read back is guarded, and not repeated without a look."""
    await company.house.store.write(
        lambda c: c.exec_driver_sql("UPDATE runs SET body = replace(body, '\"verified_at\"', '\"x\"')").rowcount
    )
    company.put_model(9)
    assert await Guard(company.house.world).when_due() == 1
    assert (await again(company, back, BEN)).waiting_for == "approval"
