"""A drill's own steps: sandboxes are made first and removed last, and production is only read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from bot.core import drilled, progress
from bot.core.errors import LostOwnership, RollbotError, TargetError
from bot.core.feature import ComponentSpec, Feature
from bot.core.plan import Plan
from bot.core.ports import Component, Errand
from bot.core.run import Moved as Transition
from bot.core.run import Place, Run, RunStep
from bot.flows.work import Work
from bot.flows.world import World
from bot.store import runs
from bot.store.leases import Lease
from bot.store.write import Connection

LOOK_S = 60.0
RECENT = 50
"""Runs among which somebody is looked for who changed production meanwhile."""


def work_on(world: World, lease: Lease, run: Run, plan: Plan, alive: Callable[[], Awaitable[None]]) -> Work:
    """What a run works with. In a drill each part that has a sandbox *is* that sandbox, for every step alike."""
    feature = Feature.model_validate(plan.feature_doc)
    places = {s.component: s.place for s in run.steps if s.place}
    if run.mode == "drill" and places:
        feature, plan = _inside(feature, plan, places)
    return Work(world, lease, feature, plan, alive)


def _inside(feature: Feature, plan: Plan, places: dict[str, Place]) -> tuple[Feature, Plan]:
    specs = dict(feature.components)
    for part in feature.parts():
        if part.name in places:
            own = {k: v for k, v in places[part.name].params.items() if k not in ("target", "kind")}
            specs[part.name] = ComponentSpec.model_validate({**own, "target": part.target, "kind": part.kind})
    live = {n: places[n].version if n in places else v for n, v in plan.body.live.items()}
    body = plan.body.model_copy(update={"live": live})
    return feature.model_copy(update={"components": specs}), plan.model_copy(update={"body": body})


async def make(work: Work, run: Run, step: RunStep) -> None:
    """Where there can be no sandbox, nothing is done to that part. Raises TargetError for what may pass."""
    world, real = work.world, _real(work, step)
    _same_thing(work, run, step, real)
    await work.move(partial(drilled.seen, n=step.n, version=await _version(work, run, real)))
    if not drilled.acts_on(run, step.component):
        await work.move(partial(_not_drilled, work, step.n, "nothing of this drill touches it"))
        return
    await work.move(lambda r: progress.intended(r, step.n, None, None, None, world.now()))
    try:
        place = await _made(work, run, step, real)
    except TargetError as e:
        if e.retriable:
            raise
        await work.move(partial(_not_drilled, work, step.n, e.message))
        return
    await work.move(lambda r: drilled.made(r, step.n, place, world.now()))


def _same_thing(work: Work, run: Run, step: RunStep, real: Component) -> None:
    """A sandbox is beside its thing, so an edited targets.yaml would lead to another one. Raises TargetError."""
    if drilled.sandbox_of(work.world.targets.resource(real), run.name) != step.resource:
        raise TargetError(f"{step.component} is another thing now than when this was planned: abort, ask again")


async def _copy(work: Work, run: Run, step: RunStep, real: Component, *, to_remove: bool = False) -> Component:
    """The sandbox, made now or found where an earlier try has left it. One that is only to be removed is not made by a
    target that can say where it would be; of the others the same key gets the same one."""
    targets = work.world.targets
    errand = replace(work.errand(run, step, writes=True), key=_key(run, step))
    if to_remove:
        errand = replace(errand, context={**(errand.context or {}), "to_remove": True})
    copy = await targets.sandbox(real, errand)
    if targets.resource(copy) == targets.resource(real):
        raise TargetError("its sandbox is the real thing")
    return copy


async def _made(work: Work, run: Run, step: RunStep, real: Component) -> Place:
    targets = work.world.targets
    copy = await _copy(work, run, step, real)
    resource = targets.resource(copy)
    try:
        there = await targets.inspect(copy, Errand(timeout=LOOK_S, context=work.about(run)))
    except TargetError:  # it stands, and must be known before it can be removed
        return Place(params=copy.params, resource=resource, version="?")
    return Place(params=copy.params, resource=resource, version=there.version)


def _key(run: Run, step: RunStep) -> str:
    """The same for every repetition, whatever the plan; another for a run of this number in another database."""
    return f"{run.name}@{run.created_at.isoformat()}:sandbox:{step.component}"


def _not_drilled(work: Work, n: int, why: str, run: Run) -> Transition:
    return drilled.not_drilled(run, n, why, work.world.now())


async def remove(work: Work, run: Run, step: RunStep) -> str:
    """Why the sandbox could not be removed yet; empty if it is gone. Then production is read once more."""
    placed, unsaid = drilled.placed(run, step.component), drilled.unsaid(run, step.component)
    await work.move(lambda r: progress.intended(r, step.n, None, None, None, work.world.now()))
    try:
        if placed or unsaid:
            await _discard(work, run, step, known=placed)
        version = await _version(work, run, _real(work, step))
    except LostOwnership:
        raise
    except RollbotError as e:
        return f"{'its sandbox is still there' if placed else 'it may have left a sandbox'}: {e.message}"
    await work.move(lambda r: drilled.removed(r, step.n, version, work.world.now(), there=placed or unsaid))
    return ""


async def _discard(work: Work, run: Run, step: RunStep, *, known: bool) -> None:
    """Where a sandbox is whose making got no answer, only its target can say; all of it may stand there, half or
    nothing."""
    part = work.feature.part(step.component)
    if not known:
        real = _real(work, step)
        _same_thing(work, run, step, real)
        part = await _copy(work, run, step, real, to_remove=True)
    await work.world.targets.discard(part, work.errand(run, step, writes=False))


def _real(work: Work, step: RunStep) -> Component:
    """The part in production, which only this file ever looks at in a drill."""
    return Feature.model_validate(work.plan.feature_doc).part(step.component)


async def _version(work: Work, run: Run, real: Component) -> str:
    try:
        return (await work.world.targets.inspect(real, Errand(timeout=LOOK_S, context=work.about(run)))).version
    except TargetError:
        return "?"


async def ending(world: World, run: Run) -> Callable[[Run], Transition]:
    """How this run ends; a drill says what production had before and after."""
    if run.mode != "drill":
        return lambda r: progress.finished(r, world.now())
    by = await world.store.read(lambda c: _changed_by(c, run))

    def end(r: Run) -> Transition:
        compared, events = drilled.compared(r, by)
        ended, more = progress.finished(compared, world.now())
        return ended, [*events, *more]

    return end


def _changed_by(conn: Connection, run: Run) -> dict[str, str]:
    """Which other run has changed a thing since this one began. A sandbox is named after its thing, whatever the team's
    files say by now."""
    since, moved = run.started_at or run.created_at, drilled.moved_in_production(run)
    made = [s for s in run.steps if s.verb == drilled.MAKE and s.component in moved]
    found: dict[str, str] = {}
    for other in runs.newest(conn, limit=RECENT):
        if other.mode == "live" and other.started_at and (other.ended_at is None or other.ended_at >= since):
            touched = {drilled.sandbox_of(s.resource, run.name) for s in other.steps if s.touched}
            found |= {s.component: other.name for s in made if s.resource in touched and s.component not in found}
    return found
