"""A ramp and what else happens in that moment: a press before the run rests, and a retry of what is done beside it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bot.core.commands import CaptureRelease, Decide, Pause, Resume, Speed
from bot.core.errors import TargetError
from bot.core.ports import Component, Errand
from bot.core.run import Run, RunStep
from bot.core.target import Capture, Receipt
from bot.flows import ramp
from bot.flows.apply import Applier
from bot.flows.work import Work
from tests.flows.company import Company, two_releases
from tests.flows.house import BEN, House, write_flag
from tests.flows.test_ramp import BOTH, RAMPED, TWO, later, once, share


@pytest.mark.parametrize("moment", ["as a share was given", "as it is about to park"])
async def test_faster_is_not_lost_while_the_run_is_about_to_rest(
    company: Company, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed between a share and the rest after it: what was said is what happens."""
    house, pressed = company.house, asyncio.Event()
    await two_releases(company)
    (house.folder / "playbooks/playbooks/standard.yaml").write_text(RAMPED)
    given, read = ramp.given, house.world.store.read

    async def press() -> None:
        if not pressed.is_set():
            pressed.set()
            await house.say(Speed(run=run.id, every=0), BEN)
            await Applier(house.world).apply_all()

    async def giving(work: Work, step: RunStep, wrote: Capture) -> Run:
        after = await given(work, step, wrote)
        if moment == "as a share was given":
            await press()
        return after

    async def reading(fn: Any) -> Any:
        found = await read(fn)
        if isinstance(found, tuple) and isinstance(found[0], Run) and any(s.stage for s in found[0].steps):
            await press()
        return found

    run = await house.ask("v1")
    monkeypatch.setattr(ramp, "given", giving)
    if moment == "as it is about to park":
        monkeypatch.setattr(house.world.store, "read", reading)
    await house.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN)
    for _ in range(20):
        await once(house)
        if pressed.is_set():
            break
        house.clock.advance(1)
    assert pressed.is_set()
    assert await later(company, 5) == 100


@pytest.mark.parametrize("what", ["nothing", "slower", "pause and resume"])
@pytest.mark.parametrize("last", ["the share", "the failure"])
async def test_a_retry_is_not_put_off_by_the_ramp_beside_it(
    house: House, what: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two flags in one group, one has given a share and rests for minutes, and the other one is to be tried again in
    a second."""
    run, targets, failed, given = await two_in_files(house), house.world.targets, asyncio.Event(), asyncio.Event()
    restore = targets.restore

    async def trouble(part: Component, errand: Errand, to: Capture, before: Capture) -> Receipt:
        if not errand.key.endswith(".0") or failed.is_set():
            return await restore(part, errand, to, before)
        if part.name == "second":
            await (given.wait() if last == "the failure" else asyncio.sleep(0))
            failed.set()
            raise TargetError("busy, try again", retriable=True)
        await (failed.wait() if last == "the share" else asyncio.sleep(0))
        receipt = await restore(part, errand, to, before)
        given.set()
        return receipt

    monkeypatch.setattr(targets, "restore", trouble)
    await house.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN)
    await once(house)
    assert (share(house), share(house, "second", "other.json")) == (25, 0)
    for command in {"slower": [Speed(run=run.id, every=3600)], "pause and resume": PAUSED}.get(what, []):
        await house.say(command.model_copy(update={"run": run.id}), BEN)
        await once(house)
    house.clock.advance(5)
    await once(house)
    assert (share(house), share(house, "second", "other.json")) == (25, 25)


PAUSED: list[Pause | Resume] = [Pause(run=0), Resume(run=0)]


async def two_in_files(house: House) -> Run:
    """A rollback, ready for approval, of two flags that are in files of their own."""
    books = house.folder / "playbooks"
    (books / "features/fares.yaml").write_text(TWO.replace("flags, flag: second", "other, flag: second"))
    with (books / "targets.yaml").open("a") as targets:
        targets.write("other: {type: flagd, file: ../other.json}\n")
    (books / "playbooks/standard.yaml").write_text(BOTH)
    for version, of in (("v1", 100), ("v2", 30)):
        await asyncio.to_thread(write_flag, house.folder, share=of)
        rule: dict[str, object] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
        if of < 100:
            rule["targeting"] = {"fractional": [["on", of], ["off", 100 - of]]}
        (house.folder / "other.json").write_text(json.dumps({"flags": {"second": rule}}))
        await house.say(CaptureRelease(feature="fares", version=version))
        await house.settle()
        house.clock.advance(25 * 3600)
    run = await house.ask("v1")
    assert run.waiting_for == "approval", run.why
    return run
