"""The product's main job on the real practice stack, without Slack: import, stop, roll back, prove, put back."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.core.commands import Actor, CaptureRelease, Command, Decide, Purpose, Request
from bot.core.run import Run, Status, verdict
from bot.practice.stack.build import make_stack
from bot.practice.stack.stack import Stack
from bot.store import inbox, migrate, releases, runs
from bot.store.inbox import Taken
from bot.wiring import Parts, build, load_settings
from bot.worker import Worker

FEATURE = "driver_stats"


@dataclass
class Office:
    """The bot in this process, and an event for every write."""

    parts: Parts
    worker: Worker
    wrote: asyncio.Event

    async def say(self, command: Command, who: str) -> Taken:
        actor, store = Actor(kind="person", id=who, via="slack"), self.parts.store
        now = self.parts.world.now()
        return await store.intake(lambda c: inbox.take(c, secrets.token_hex(8), actor, command, "{run}", now))

    async def result(self, taken: Taken) -> dict[str, object]:
        while True:
            self.wrote.clear()
            found = await self.parts.store.read(lambda c: inbox.result_of(c, taken.id))
            if found is not None:
                return found
            await self.wrote.wait()

    async def until(self, number: int | None, good: Callable[[Run], bool]) -> Run:
        while True:
            self.wrote.clear()
            run = await self.parts.store.read(lambda c: runs.load(c, number or 0))
            if run and good(run):
                return run
            await self.wrote.wait()

    async def card(self, request: Request) -> Run:
        taken = await self.say(request, "T/ANA")
        return await self.until(taken.run, lambda r: r.status != Status.planning)

    async def approved(self, run: Run) -> Run:
        result = await self.result(await self.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), "T/BEN"))
        assert result["ok"], result
        return await self.until(run.id, lambda r: not r.open or r.waiting_for in ("person", "approval"))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with make_stack(tmp_path / "stack", drivers=300) as made:
        made.start_serving()
        made.write_playbooks(oncall=["BEN"])
        yield made


@pytest.fixture
async def office(tmp_path: Path, stack: Stack) -> AsyncIterator[Office]:
    url = f"sqlite:///{tmp_path / 'rollbot.db'}"
    migrate.migrate(url)
    parts = build(
        load_settings(
            database_url=url,
            playbooks=stack.playbooks,
            artifacts=str(tmp_path / "artifacts"),
            audit_key_file=tmp_path / "audit.key",
        )
    )
    await parts.start()
    worker, wrote = Worker(parts.world, parts.driver()), asyncio.Event()
    await worker.start()

    def on_write() -> None:
        wrote.set()
        worker.poke()

    parts.store.on_write = on_write
    yield Office(parts, worker, wrote)
    await worker.stop()
    await parts.stop()


async def bad_release(office: Office, stack: Stack) -> None:
    """v12 was live before the bot was installed; v13 is live and bad, and the pipeline goes on."""
    await asyncio.to_thread(stack.publish, "v12")
    await asyncio.to_thread(stack.run_rounds, 2)
    version = await asyncio.to_thread(stack.delta_version)
    await asyncio.to_thread(stack.publish, "v13")
    found = await office.result(await office.say(CaptureRelease(feature=FEATURE, version="v13"), "T/ANA"))
    assert found["ok"], found
    pointers = {"dataset": str(version), "definition": "v1", "model": "2"}
    order = CaptureRelease(
        feature=FEATURE, version="v12", pointers=pointers, live_from="2026-11-12T09:00", live_to="2026-11-22T10:00"
    )
    found = await office.result(await office.say(order, "T/ANA"))
    assert found["ok"], found
    await asyncio.to_thread(stack.start_pipeline, 1.0)


def flag(stack: Stack) -> str:
    return str(json.loads(stack.layout.flags.read_text())["flags"]["use_driver_stats"]["defaultVariant"])


@pytest.mark.timeout(400)
async def test_imported_stopped_rolled_back_proved_and_put_back(office: Office, stack: Stack) -> None:
    """A release from before the bot was installed is brought back and proved at consumers while a pipeline writes;
    then everything is put back as it was, the pipeline too, and nothing is left behind but what it says."""
    await bad_release(office, stack)
    assert (await asyncio.to_thread(stack.eta_error)).release == "v13"

    run = await office.card(Request(feature=FEATURE, to="v12"))
    assert run.waiting_for == "approval", run.why
    stopped = await office.card(Request(feature=FEATURE, purpose=Purpose.stop, of_run=run.id))
    stopped = await office.until(stopped.id, lambda r: not r.open)
    assert (stopped.status, flag(stack)) == (Status.succeeded, "off")

    run = await office.approved(run)
    assert run.status == Status.succeeded, run.why
    _, accuracy = verdict(run)
    assert accuracy and (accuracy.ratio, accuracy.missing, accuracy.extra, accuracy.null) == (1.0, 0, 0, 0)
    assert accuracy.where == "at consumers"
    error = await asyncio.to_thread(stack.eta_error)
    assert error.release == "v12" and error.bias is not None and abs(error.bias) < 0.05
    assert flag(stack) == "on"
    left = await office.parts.store.read(lambda c: releases.left(c, feature=FEATURE))
    assert {item["what"] for item in left} == {"pipeline", "hold"}

    back = await office.approved(await office.card(Request(feature=FEATURE, purpose=Purpose.put_back, of_run=run.id)))
    assert back.status == Status.succeeded, back.why
    assert (await asyncio.to_thread(stack.eta_error)).release == "v13"
    assert flag(stack) == "on"
    assert not await office.parts.store.read(lambda c: releases.left(c, feature=FEATURE))
    assert not await office.parts.store.read(lambda c: releases.hold(c, FEATURE))
    await rating_and_back(office, stack, back)


async def rating_and_back(office: Office, stack: Stack, back: Run) -> None:
    """All four features of v13 were read back, also the one that v12 lacks; and v13 goes back once more, although its
    rows hold what v12's definition can't serve."""
    online = next(s for s in back.steps if (s.verb, s.component) == ("verify", "online"))
    assert online.accuracy and online.to and online.accuracy.expected == 4 * int(online.to.data["keys"])
    again = await office.approved(await office.card(Request(feature=FEATURE, purpose=Purpose.put_back, of_run=back.id)))
    assert again.status == Status.succeeded, again.why
    assert (await asyncio.to_thread(stack.eta_error)).release == "v12"


@pytest.mark.timeout(400)
async def test_a_release_whose_model_is_gone_is_refused_with_offers(office: Office, stack: Stack) -> None:
    """Which component, why, and what can be done instead; nothing is changed."""
    await bad_release(office, stack)
    await asyncio.to_thread(stack.delete_model_files, "v12")
    run = await office.card(Request(feature=FEATURE, to="v12"))

    assert run.status == Status.refused
    assert "model" in run.why
    plan = await office.parts.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    assert plan and "v12 without model" in [o.label for o in plan.seen.offers]
    assert flag(stack) == "on"

    run = await office.card(Request(feature=FEATURE, to="v12", without=["model"]))
    assert run.waiting_for == "approval", run.why
    plan = await office.parts.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    assert plan and "model stays as it is" in plan.seen.doubts
    assert plan.seen.doubts[0].startswith("MIXED: model 3 stays") and "rating" in plan.seen.doubts[0]
