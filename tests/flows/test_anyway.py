"""What a run that people have helped on does, says and waits for from then on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from bot.core.commands import Accept, Decide, Pause, Purpose, Resume
from bot.core.errors import TargetError
from bot.core.ports import Component, Errand
from bot.core.run import Run, Status
from bot.core.target import Capture, Receipt
from bot.flows.apply import Applier
from bot.flows.drive import drive
from bot.store import inbox, runs
from tests.flows.company import Company, two_releases
from tests.flows.house import BEN, CLEO, STANDARD, House
from tests.flows.test_ramp import once
from tests.flows.test_stalls import Stalls, page


async def by_playbook(company: Company, text: str) -> Run:
    """A rollback to v1 by this playbook; its card stands."""
    await two_releases(company)
    playbook = company.house.folder / "playbooks/playbooks/standard.yaml"
    await asyncio.to_thread(playbook.write_text, text)
    return await company.house.ask("v1")


WRONG = json.dumps({"matched": 0, "expected": 1, "where": "at consumers"})


@pytest.fixture
async def asked(company: Company) -> Run:
    """A rollback to v1 whose card stands."""
    return await by_playbook(company, STANDARD)


@pytest.fixture
def down(company: Company, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The flag can't be switched on until this is called."""
    targets = company.house.world.targets
    real = targets.restore

    async def restore(part: Component, errand: Errand, to: Capture, before: Capture) -> Receipt:
        open_ = await company.house.store.read(runs.open_runs)
        if any(s.verb == "enable" and s.status == "running" for r in open_ for s in r.steps):
            raise TargetError("the flag system is down", retriable=False)
        return await real(part, errand, to, before)

    monkeypatch.setattr(targets, "restore", restore)
    return lambda: monkeypatch.setattr(targets, "restore", real)


async def anyway(house: House, run: Run) -> Run:
    await house.say(Accept(run=run.id, reason="let it in", enable=True), BEN)
    await house.settle()
    return await house.run(run.id)


async def test_an_enable_that_failed_is_done_anyway(company: Company, asked: Run, down: Callable[[], None]) -> None:
    """Enable anyway switches the flag on and reads it back, or waits for a person again; it is never only said."""
    run = await company.house.approve(asked)
    assert (run.waiting_for, run.why) == ("person", "enable flag: the flag system is down")
    run = await anyway(company.house, run)
    assert (run.waiting_for, run.why) == ("person", "enable flag: the flag system is down")
    assert company.house.flag()["defaultVariant"] == "off"
    down()
    run = await anyway(company.house, run)

    assert (run.status, [s.status for s in run.steps if s.component == "flag"]) == (Status.degraded, ["done"] * 3)
    assert company.house.flag()["defaultVariant"] == "on"


async def test_an_enable_that_was_not_begun_is_done_anyway(company: Company) -> None:
    """The read-back of the model was accepted, so the flag stayed off; a later read-back fails, and is where a person
    says that traffic may come back."""
    house = company.house
    run = await by_playbook(company, f"{STANDARD}  - verify: model\n")
    (company.folder / "says_verify").write_text(WRONG)
    run = await house.approve(run)
    await house.say(Accept(run=run.id, reason="known"), BEN)
    await house.settle()
    run = await house.run(run.id)
    off = [s.note for s in run.steps if s.component == "flag" and s.status == "skipped"]
    assert (run.waiting_for, off) == ("person", ["not enabled: verification did not pass", "it was not enabled"])
    run = await anyway(house, run)

    assert (run.status, [s.status for s in run.steps if s.component == "flag"]) == (Status.degraded, ["done"] * 3)
    assert house.flag()["defaultVariant"] == "on"


async def test_what_is_wrong_when_it_is_read_again_is_not_verified(company: Company, down: Callable[[], None]) -> None:
    """All was verified, the enable failed, and after a Retry the model reads back wrong: the outcome names no time at
    which it was verified, and traffic does not come back without a reason."""
    house = company.house
    run = await house.approve(await by_playbook(company, STANDARD.replace("  - verify: flag\n", "")))
    assert run.waiting_for == "person" and run.verified_at, run.why
    down()
    (company.folder / "says_verify").write_text(WRONG)
    run = await company.retry(run)
    await house.say(Accept(run=run.id, reason="later"), BEN)
    await house.settle()
    run = await house.run(run.id)
    assert (run.status, run.verified_at) == (Status.degraded, None)
    enabling = await house.ask("", purpose=Purpose.enable)
    assert enabling.status == Status.refused, enabling.why


async def test_a_pause_is_no_time_of_waiting(company: Company, asked: Run) -> None:
    """A wait that was paused for an hour has its ten minutes again: no alert at once, and no person is called."""
    house = company.house
    (company.folder / "unseen").write_text("")
    await house.say(Decide(run=asked.id, yes=True, digest=asked.plan_digest or ""), BEN)
    run = asked
    for _ in range(40):
        await once(house)
        run = await house.run(run.id)
        if any(s.verb == "wait" and s.status == "again" for s in run.steps):
            break
        house.clock.advance(1)
    await house.say(Pause(run=run.id), BEN)
    await once(house)
    house.clock.advance(3600)
    await house.say(Resume(run=run.id), BEN)
    await Applier(house.world).apply_all()
    assert await Stalls(house.world, page).when_due() == 0
    await once(house)
    run = await house.run(run.id)
    assert (run.status, run.waiting_for) == (Status.waiting, "time"), run.why
    house.clock.advance(601)
    await drive(house.world, run.id)
    assert "still not visible after 600 s" in (await house.run(run.id)).why


async def test_a_voided_plan_was_decided_by_nobody(company: Company, asked: Run) -> None:
    """Its approval counts no more, and when the new plan has expired nobody is named as who did that."""
    house = company.house
    company.put_model(7)
    run = await house.approve(asked)
    assert (run.waiting_for, run.plan_no) == ("approval", 2)
    house.clock.advance(2 * 3600)
    await house.settle()
    taken = await house.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), CLEO)
    await house.settle()
    answer = await house.store.read(lambda c: inbox.result_of(c, taken.id)) or {}
    assert answer["error"] == "R-1 is already expired"
