"""One step: pre-image and intent, then the act with key and fence, then the result. No transaction spans the act."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from bot.core import drilled, progress
from bot.core.errors import Fault, Halted, Moved, RollbotError, TargetError
from bot.core.playbook import DONE, Verb
from bot.core.ports import Component, Errand
from bot.core.run import Moved as Transition
from bot.core.run import Run, RunStep
from bot.core.target import Capture, Receipt
from bot.flows import ramp, sandboxes
from bot.flows.watch import gone_back, still_there
from bot.flows.work import Work
from bot.flows.world import World
from bot.store import lineage, releases, runs
from bot.store.write import Connection

BACKOFF = 1.0
"""Seconds before the first repetition of a step that failed for a reason that may pass; doubles."""


async def do_step(work: Work, run: Run, step: RunStep) -> None:
    """Brings one step one way forward: done, failed, or to be asked again; or leaves it, if a person has ended or
    paused the run: what is under way beside it ends by itself. Raises LostOwnership."""
    part = work.feature.part(step.component)
    try:
        if step.verb in drilled.OURS:
            await _own(work, run, step)
            return
        _known(step)
        _same_thing(work, step, part)
        if step.verb == "wait":
            await _wait(work, run, step, part)
        elif step.verb == Verb.verify and progress.never_enabled(run, step):
            await work.move(lambda r: progress.skipped(r, step.n, "it was not enabled", work.world.now()))
        elif step.verb == Verb.verify:
            await _verify(work, run, step, part)
        elif step.verb == Verb.enable and not (progress.verify_stands(run, step.n) or run.enable_anyway):
            await work.move(
                lambda r: progress.skipped(r, step.n, "not enabled: verification did not pass", work.world.now())
            )
        else:
            await _write(work, run, step, part)
    except Halted:
        return
    except Moved as e:
        await _moved(work, (await work.now(step.n)), e)
    except TargetError as e:
        await _trouble(work, step, e.message, retriable=e.retriable, fresh=isinstance(e, Unapproved))
    except Fault as e:  # the team's files, edited meanwhile: perhaps they are being written just now
        await _trouble(work, step, e.message, retriable=True)


def _known(step: RunStep) -> None:
    """A plan that another build has made may say more than this one can do. Raises TargetError."""
    if step.verb not in DONE:
        raise TargetError(
            f"this build of Rollbot does not know the verb {step.verb!r}, and has done nothing. Start the build that "
            "planned this, then Retry; or abort"
        )


async def _own(work: Work, run: Run, step: RunStep) -> None:
    """A drill's first or last step. A sandbox that can't be removed yet is tried again until it is gone."""
    if step.verb == drilled.MAKE:
        await sandboxes.make(work, run, step)
    elif why := await sandboxes.remove(work, run, step):
        await _again(work, step.n, why, drilled.AGAIN_S)


def _same_thing(work: Work, step: RunStep, part: Component) -> None:
    """What was approved and locked is one outside thing; an edited targets.yaml must not lead to another one."""
    there = work.world.targets.resource(part)
    if there != step.resource:
        raise TargetError(
            f"{step.component} is now {there}, and what was approved is {step.resource}: abort, ask again"
        )


async def _write(work: Work, run: Run, step: RunStep, part: Component) -> None:
    """hold, lift, disable, enable, restore: all of them restore some capture."""
    targets, world = work.world.targets, work.world
    if step.verb == Verb.enable and await gone_back(work, run):
        return
    before = step.before or await _pre_image(work, run, step, part)
    to = step.to or made(world, step, part, before)
    run = await world.store.write(lambda conn: _intended(conn, work, run, step.n, before, to))
    step = run.step(step.n)
    if step.before is None or step.to is None:
        raise TargetError(f"{step.component}: no pre-image was taken")
    aim = ramp.share(world, step, part, step.to)
    receipt = await targets.restore(part, work.errand(run, step, writes=True), aim, step.before)
    if receipt.again_after is not None:
        await _again(work, step.n, receipt.note, receipt.again_after)
    elif ramp.under_way(step):
        await ramp.given(work, step, aim)
    else:
        await work.world.store.write(lambda conn: _acted(conn, work, step, receipt))


def _intended(conn: Connection, work: Work, run: Run, n: int, before: Capture, to: Capture) -> Run:
    """Pre-image and intent, in one transaction."""
    now, origin = work.world.now(), _origin(conn, run, run.step(n))
    intended = partial(progress.intended, n=n, before=before, origin=origin, to=to, now=now)
    return runs.change(conn, run.id, intended, now, lease=work.lease)


def _acted(conn: Connection, work: Work, step: RunStep, receipt: Receipt) -> Run:
    """Result row, and what is thereby no longer left behind, in one transaction."""
    now = work.world.now()
    if step.verb in (Verb.lift, Verb.enable) and work.plan.body.mode == "live":
        releases.close_left(
            conn, work.feature.feature, "pipeline" if step.verb == Verb.lift else "flag", step.component, now
        )
    return runs.change(conn, work.lease.run, lambda r: progress.acted(r, step.n, receipt, now), now, lease=work.lease)


def made(world: World, step: RunStep, part: Component, before: Capture) -> Capture:
    """The capture that hold, lift and disable make from the present one."""
    if step.verb == Verb.hold:
        return world.targets.held(part, before)
    if step.verb == Verb.lift:
        return world.targets.lifted(part, before)
    if step.verb == Verb.disable:
        return world.targets.disabled(part, before)
    raise TargetError(f"{step.component}: the release holds no capture of it, so {step.verb} has nothing to bring back")


async def _pre_image(work: Work, run: Run, step: RunStep, part: Component) -> Capture:
    """What is there now; for a restore it must be what was approved to be replaced, or what this run brings anyway.

    Raises Unapproved."""
    targets = work.world.targets
    errand = work.errand(run, step, writes=False)
    if step.verb != Verb.restore:
        return await targets.capture(part, errand)
    before, now = await asyncio.gather(targets.capture(part, errand), targets.inspect(part, errand))
    if step.unsure:  # perhaps our own unfinished write; a person has looked at it and said: again
        return before
    approved = work.plan.body.live.get(step.component, "?")
    ours = {f"{s.to.pointer}#{s.to.digest}" for s in run.steps if s.to}
    if approved not in ("?", now.version) and now.version not in ours:
        was = approved.split("#", 1)[0]
        raise Unapproved(
            f"{step.component} is now {now.pointer}, and what was approved is to replace {was}: somebody changed it "
            "meanwhile. Nothing was written; abort, and ask again"
        )
    return before


class Unapproved(TargetError):
    """What would be overwritten is not what was approved to be overwritten."""


def _origin(conn: Connection, run: Run, step: RunStep) -> Capture | None:
    """*Stop the harm* on its card, a run that it took over from, or an earlier step changed this already: that
    pre-image is the one."""
    if step.origin is not None:
        return step.origin
    earlier = [s.origin for s in run.steps if s.component == step.component and s.n < step.n and s.changed and s.origin]
    if earlier:
        return earlier[0]
    return lineage.origin_of(conn, run, step.component)


async def _wait(work: Work, run: Run, step: RunStep, part: Component) -> None:
    if step.to is None:
        await work.of_step(step.n, lambda r: progress.skipped(r, step.n, "nothing to wait for", work.world.now()))
        return
    to = step.to
    seen = await work.world.targets.visible(part, work.errand(run, step, writes=False), to)
    if seen.visible:
        await work.of_step(step.n, lambda r: progress.waited(r, step.n, seen.note, work.world.now()))
        return
    if step.status == "again":
        await still_there(work, run, step, part)
    began = step.started_at or work.world.now()
    if work.world.now() - began > timedelta(seconds=step.timeout):
        error = f"still not visible after {step.timeout:.0f} s: {seen.seen} of {seen.total}. {seen.note}"
        await work.of_step(step.n, lambda r: progress.failed(r, step.n, error, work.world.now()))
        return
    # Soon at first, then ever later: what takes effect within a second is not waited for longer than that.
    waited = (work.world.now() - began).total_seconds()
    pause = min(seen.again_after, max(1.0, waited))
    await _again(work, step.n, f"{seen.seen} of {seen.total} see it. {seen.note}".strip(), pause)


async def _verify(work: Work, run: Run, step: RunStep, part: Component) -> None:
    if step.to is None:
        await work.move(lambda r: progress.skipped(r, step.n, "nothing recorded to compare with", work.world.now()))
        return
    run = await work.move(lambda r: progress.intended(r, step.n, None, None, step.to, work.world.now()))
    errand = work.errand(run, step, writes=False)
    there = await work.world.targets.inspect(part, errand)
    accuracy = await work.world.targets.verify(part, errand, step.to)
    slo = work.feature.slo.accuracy
    await work.move(lambda r: progress.checked(r, step.n, accuracy, slo, work.world.now(), there.version))


async def _again(work: Work, n: int, note: str, seconds: float) -> None:
    def asked_again(r: Run) -> Transition:
        step = r.step(n)
        now = work.world.now()
        update = {"status": "again", "note": note, "started_at": step.started_at or now}
        r = r.with_step(step.model_copy(update=update))
        wake = min(r.wake_at or now + timedelta(days=1), now + timedelta(seconds=seconds))
        return r.to(wake_at=wake, parked_at=now), []

    await work.of_step(n, asked_again)


async def _moved(work: Work, step: RunStep, e: Moved) -> None:
    """Somebody else wrote between pre-image and act; nothing of ours was done. If it is still the version that was
    approved, a fresh pre-image and another try; else a person must look."""
    part = work.feature.part(step.component)
    try:
        now_there = await work.world.targets.inspect(part, Errand(timeout=step.timeout))
    except RollbotError as trouble:
        await _trouble(work, step, trouble.message, retriable=True)
        return
    approved = work.plan.body.live.get(step.component)
    if step.stage:
        await _trouble(work, step, ramp.changed_meanwhile(step, now_there.pointer).message, retriable=False, fresh=True)
    elif step.unsure:
        half = f"it is now {now_there.pointer}, perhaps by this run's own unfinished write. Retry overwrites that"
        await _trouble(work, step, f"{e.message}; {half}", retriable=False)
    elif approved in (None, "?", now_there.version):
        await _trouble(work, step, e.message, retriable=True, fresh=True)
    else:
        await _trouble(work, step, f"{e.message} It is now {now_there.pointer}.", retriable=False, fresh=True)


async def _trouble(work: Work, step: RunStep, why: str, *, retriable: bool, fresh: bool = False) -> None:
    """Another try after a while, or a failed step."""
    run = await work.world.store.read(lambda c: runs.load(c, work.lease.run))
    tried = run.step(step.n).attempts if run else 0
    if retriable and max(tried, 1) <= step.retries:
        if fresh:
            await work.of_step(step.n, lambda r: (progress.forgot_before(r, step.n, why), []))
        else:
            await work.of_step(step.n, lambda r: _count(r, step.n))
        await _again(work, step.n, f"trying again: {why}", BACKOFF * 2 ** max(tried - 1, 0))
        return
    if fresh:
        await work.of_step(step.n, lambda r: (progress.forgot_before(r, step.n, why), []))
    await work.of_step(step.n, lambda r: progress.failed(r, step.n, why, work.world.now()))


def _count(r: Run, n: int) -> Transition:
    """An attempt that failed before its intent was written counts too."""
    step = r.step(n)
    tried = step.attempts if step.status == "running" else step.attempts + 1
    return r.with_step(step.model_copy(update={"attempts": tried})), []


async def flush_progress(work: Work) -> None:
    """Once a second, writes what the children reported into their steps, so that the thread shows a bar."""
    while True:
        await asyncio.sleep(1.0)
        latest, work.latest = work.latest, {}
        if not latest:
            continue

        def bars(r: Run, latest: dict[int, tuple[float, float, str]] = latest) -> Transition:
            for n, (done, total, note) in latest.items():
                step = r.step(n)
                if step.status == "running":
                    bar = {"done": done, "total": total, "note": note, "progress_at": work.world.now()}
                    r = r.with_step(step.model_copy(update=bar))
            return r, []

        await work.move(bars)
