"""A drill from its schedule to its outcome: announced once, practised in sandboxes, and production is as it was."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from bot.core import drilled, onward
from bot.core.commands import Abort, Decide, Purpose, Request, Unlock
from bot.core.run import Run, Status
from bot.flows import clockwork, drills
from bot.flows.apply import Applier
from bot.flows.drive import drive
from bot.store import events, releases, runs
from tests.flows.company import Company
from tests.flows.company import two_releases as company_releases
from tests.flows.house import BEN, House, write_flag
from tests.flows.test_rollback import two_releases


async def acts(house: House) -> list[str]:
    rows = await house.store.read(lambda c: list(events.exported(c, "rollbot")))
    return [json.loads(json.loads(row)["body"])["act"] for row in rows[1:]]


def copies(house: House) -> list[str]:
    return sorted(p.name for p in house.folder.iterdir() if ".rollbot" in p.name)


async def drill(house: House, to: str = "v1") -> Run:
    return await house.ask(to, mode="drill")


async def test_a_drill_restores_in_a_sandbox_and_removes_it(house: House) -> None:
    """Approved and run like a rollback; the flag, what is live, holds, what is left and the catalogue of what features
    stand on are as they were, and no sandbox is left."""
    await two_releases(house)
    before, flags = house.flag(), (house.folder / "flags.json").read_bytes()
    run = await drill(house)
    assert (run.status, run.waiting_for) == (Status.waiting, "approval"), run.why
    run = await house.approve(run)

    assert run.status == Status.succeeded, run.why
    verbs = [s.verb for s in run.steps]
    assert (verbs[0], verbs[-1]) == (drilled.MAKE, drilled.REMOVE)
    assert {s.status for s in run.steps} == {"done"}
    assert run.verified_at and run.applied_at
    assert run.step(0).place is not None and copies(house) == []
    assert (house.flag(), (house.folder / "flags.json").read_bytes()) == (before, flags)
    assert run.production == ["Production has the versions that it had before: 1 part of 1"]

    def production(c: object) -> tuple[object, ...]:
        stints = [(s.version, s.until is None) for s in releases.stints(c, "fares")]
        return stints, releases.hold(c, "fares"), releases.left(c, feature="fares"), runs.at_work(c, "fares")

    stints, hold, left, busy = await house.store.read(production)
    assert stints == [("v1", False), ("v2", True)]
    assert not hold and not left and not busy and not run.left
    assert await house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar()) == 0
    there = await house.store.read(lambda c: c.exec_driver_sql("SELECT resource FROM catalogue").scalars().all())
    assert not [name for name in there if "sandbox" in name]


async def test_what_a_step_writes_to_is_the_sandbox(house: House) -> None:
    """While the drill runs, between its steps, the real flag never changes and the copy does."""
    await two_releases(house)
    run = await drill(house)
    real, seen = house.flag(), []

    def look(_: object) -> None:
        seen.append(house.flag())

    house.store.on_write = lambda: look(None)
    run = await house.approve(run)

    assert run.status == Status.succeeded, run.why
    assert len(seen) > 10 and all(flag == real for flag in seen)
    wrote = [s for s in run.steps if s.verb in ("disable", "enable")]
    assert all(s.changed for s in wrote) and all(".rollbot-" in s.resource for s in wrote)


async def test_an_aborted_drill_ends_when_its_sandboxes_are_gone(house: House) -> None:
    """Aborted while it waits for a person half-way: the sandbox goes first, then it is aborted; nothing else is begun,
    and a second abort meanwhile is refused."""
    await two_releases(house)
    run = await _stuck(house)
    assert copies(house)
    await house.say(Abort(run=run.id), BEN)
    await house.say(Abort(run=run.id), BEN)
    await house.settle()
    run = await house.run(run.id)

    assert (run.status, run.why.split(";")[0]) == (Status.aborted, "aborted"), run.why
    assert copies(house) == []
    assert {s.verb: s.status for s in run.steps if s.n > 1} == {
        "enable": "failed",
        "verify": "skipped",
        drilled.REMOVE: "done",
    }
    assert (await acts(house)).count("press_refused") == 1
    assert not await house.store.read(lambda c: releases.hold(c, "fares"))
    assert not await house.store.read(lambda c: releases.left(c, feature="fares"))


async def _stuck(house: House) -> Run:
    """A drill that waits for a person with its sandbox made: the rule that it wants to bring back is damaged there."""
    playbook = house.folder / "playbooks/playbooks/standard.yaml"
    playbook.write_text(playbook.read_text().replace("  - enable: flag\n", "  - {enable: flag, retries: 0}\n"))
    run = await drill(house)
    await house.say(_yes(run), BEN)
    await _until(house, run.id, "disable")
    for name in copies(house):
        (house.folder / name).write_text("{}")
    await house.settle()
    run = await house.run(run.id)
    assert (run.status, run.waiting_for) == (Status.waiting, "person"), run.why
    return run


def _yes(run: Run) -> Decide:
    return Decide(run=run.id, yes=True, digest=run.plan_digest or "")


async def _until(house: House, number: int, verb: str) -> None:
    """Drives until the first step of this verb is done, and stops there as if the worker had died."""
    await Applier(house.world).apply_all()
    stop = asyncio.Event()

    def look() -> None:
        stop.set()

    house.store.on_write = look
    task = asyncio.create_task(drive(house.world, number))
    while True:
        stop.clear()
        run = await house.run(number)
        if any(s.verb == verb and s.status == "done" for s in run.steps):
            break
        assert not task.done(), run
        await stop.wait()
    task.cancel()
    await asyncio.wait([task])


async def test_a_drill_whose_worker_died_goes_on_and_leaves_nothing(house: House) -> None:
    """Cancelled after the sandbox was made and the flag there switched off: another one ends it exact."""
    await two_releases(house)
    flag = house.flag()
    run = await drill(house)
    await house.say(_yes(run), BEN)
    await _until(house, run.id, "disable")
    assert copies(house)
    await house.settle()

    assert (await house.run(run.id)).status == Status.succeeded
    assert copies(house) == [] and house.flag() == flag


async def test_neither_skip_nor_unlock_leaves_a_sandbox(house: House) -> None:
    """Making and removing sandboxes are no steps that a person may leave out; taking its locks by force ends a drill
    as an abort does."""
    await two_releases(house)
    run = await _stuck(house)
    for paused in (run, run.to(status=Status.paused, waiting_for=None)):
        assert not [s for s in onward.skippable(paused) if s.verb in drilled.OURS]
    await house.say(Unlock(run=run.id, reason="it is in the way"), BEN)
    await house.settle()

    assert (await house.run(run.id)).status == Status.aborted
    assert copies(house) == []


async def test_a_drill_that_nobody_finishes_is_ended(house: House) -> None:
    """After 8 hours, paused or waiting; its sandboxes go. One that is younger is left alone."""
    await two_releases(house)
    run = await _stuck(house)
    house.clock.advance(timedelta(hours=7, minutes=59))
    assert await drills.end_overlong(house.world) == 0
    house.clock.advance(timedelta(minutes=1))
    assert await drills.end_overlong(house.world) == 1
    await house.settle()
    run = await house.run(run.id)

    assert (run.status, run.why) == (Status.aborted, "not finished after 8 h, so it was ended")
    assert copies(house) == []


async def test_a_sandbox_that_can_not_be_removed_is_tried_until_it_is(house: House) -> None:
    """A minute apart, holding no lease; the run ends only then. Pausing it meanwhile is refused."""
    await two_releases(house)
    run = await _stuck(house)
    copy = house.folder / copies(house)[0]
    copy.unlink()
    copy.mkdir()  # what can't be unlinked
    await house.say(Abort(run=run.id), BEN)
    await Applier(house.world).apply_all()
    await drive(house.world, run.id)
    await drive(house.world, run.id)
    stuck = await house.run(run.id)
    assert (stuck.status, stuck.waiting_for) == (Status.waiting, "time"), stuck
    assert "still there" in stuck.why
    copy.rmdir()
    await house.settle(patience=200)

    assert (await house.run(run.id)).status == Status.aborted


async def test_production_that_changes_meanwhile_is_said(house: House) -> None:
    """By somebody unknown: in the outcome and as an event."""
    await two_releases(house)
    run = await drill(house)
    await house.say(_yes(run), BEN)
    await _until(house, run.id, "disable")
    write_flag(house.folder, share=50)
    await house.settle()
    run = await house.run(run.id)

    assert run.status == Status.succeeded, run.why
    assert run.production[0].startswith("Production changed by nobody that Rollbot knows of"), run.production
    assert "production_moved" in await acts(house)


async def test_production_that_another_run_changes_is_explained(house: House) -> None:
    """Stopping the harm in production while a drill of the same feature runs: neither waits for the other."""
    await two_releases(house)
    run = await drill(house)
    await house.say(_yes(run), BEN)
    await _until(house, run.id, "disable")
    stop = await house.stop()
    assert stop.status == Status.succeeded
    run = await house.run(run.id)

    assert run.status == Status.succeeded, run.why
    assert run.production[0].startswith(f"Changed in production meanwhile by {stop.name}"), run.production
    assert "production_moved" not in await acts(house)


async def test_a_live_rollback_beside_a_drill(house: House) -> None:
    """Both run; the drill holds no lock of production, and the rollback goes live."""
    await two_releases(house)
    practice = await drill(house)
    await house.say(_yes(practice), BEN)
    await _until(house, practice.id, "disable")
    live = await house.ask("v1")
    assert not [x for x in (await _doubts(house, live)) if practice.name in x]
    live = await house.approve(live)

    assert live.status == Status.succeeded, live.why
    assert (await house.run(practice.id)).status == Status.succeeded


async def _doubts(house: House, run: Run) -> list[str]:
    made = await house.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    assert made
    return list(made.seen.doubts)


async def test_a_drill_settles_nothing_that_is_left_behind(house: House) -> None:
    """Production's flag is off after *Stop the harm*; that a drill switches its copy on does not change that."""
    await two_releases(house)
    stop = await house.stop()
    run = await house.approve(await drill(house))

    assert run.status == Status.succeeded, run.why
    left = await house.store.read(lambda c: releases.left(c, feature="fares"))
    assert [(item["run"], item["what"]) for item in left] == [(stop.id, "flag")]


async def test_a_drill_can_not_be_put_back_or_enabled_from(house: House) -> None:
    """What it replaced was a copy; that must never reach production."""
    await two_releases(house)
    run = await house.approve(await drill(house))
    flag = house.flag()
    for purpose in (Purpose.put_back, Purpose.enable, Purpose.lift):
        taken = await house.say(Request(feature="fares", purpose=purpose, of_run=run.id, reason="x"), BEN)
        await house.settle()
        asked = await house.run(taken.run)
        assert asked.status == Status.refused and "was a drill" in asked.why, asked.why
    assert house.flag() == flag


async def test_what_has_no_sandbox_is_skipped_and_said(company: Company) -> None:
    """Programs without sandbox: the pipeline is not held and the model stays; the flag is drilled all the same."""
    house = company.house
    await company_releases(company)
    run = await house.approve(await drill(house))

    assert run.status == Status.succeeded, run.why
    skipped = {s.component for s in run.steps if drilled.left_out(s)}
    assert skipped == {"pipeline", "model"}
    assert all("has no sandbox" in s.note for s in run.steps if drilled.left_out(s))
    assert (company.folder / "held").read_text() == "lift" and company.model() == 3
    enabled = next(s for s in run.steps if s.verb == "enable")
    assert enabled.status == "done"
    assert run.production == ["Production has the versions that it had before: 3 parts of 3"]


async def test_a_drill_that_could_drill_nothing_is_degraded(company: Company) -> None:
    """Nothing was shown, so it did not succeed."""
    house = company.house
    await company_releases(company)
    run = await house.ask("v1", mode="drill", without=["flag"])
    run = await house.approve(run)

    assert run.status == Status.degraded


async def test_nobody_is_paged_for_a_drill(house: House) -> None:
    """Reminders are part of the practice; waking somebody at night is not."""
    policy = house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + "page: http://127.0.0.1:9/page\n")
    await two_releases(house)
    await drill(house)
    paged: list[object] = []

    async def pager(*words: object) -> None:
        paged.append(words)

    house.clock.advance(600)
    assert await clockwork.remind(house.world, pager) == 3
    assert paged == []
