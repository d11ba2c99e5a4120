"""What makes a run a drill: its first step makes sandboxes, its last removes them, and no end comes before that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from bot.core.commands import Actor
from bot.core.errors import Refused
from bot.core.plan import PlanStep
from bot.core.ports import Component
from bot.core.run import Happened, Moved, Place, Run, RunStep, Status
from bot.core.text import count, span

MAKE, REMOVE = "make-sandbox", "remove-sandbox"
OURS = (MAKE, REMOVE)
BANNER = "DRILL - production is not touched"
LEFT_OUT = "not drilled: "
COPY_S = 1800.0
"""Seconds that making one sandbox may take: a table is copied."""
AGAIN_S = 60.0
"""Between two tries to remove a sandbox. They go on until it is gone."""


def sandbox_of(resource: str, run: str) -> str:
    """The resource of a drill's step until its sandbox stands; no real thing is called so, and nobody else locks it."""
    return f"sandbox of {resource} for {run}"


def wrapped(
    steps: list[PlanStep], parts: Iterable[Component], resources: Mapping[str, str], run: str
) -> list[PlanStep]:
    """The same steps in sandboxes. Every part of the feature is looked at first and last, also those left alone."""
    mine = list(parts)
    last = max((s.group for s in steps), default=0) + 1
    within = {name: sandbox_of(resource, run) for name, resource in resources.items()}

    def own(verb: str, group: int) -> list[PlanStep]:
        return [
            PlanStep(
                n=0, group=group, verb=verb, component=p.name, kind=p.kind, resource=within[p.name], timeout=COPY_S
            )
            for p in mine
        ]

    inside = [s.model_copy(update={"resource": within[s.component]}) for s in steps]
    whole = [*own(MAKE, -1), *inside, *own(REMOVE, last)]
    return [s.model_copy(update={"n": n}) for n, s in enumerate(whole)]


def acts_on(run: Run, component: str) -> bool:
    return any(s.component == component and s.verb not in OURS for s in run.steps)


def left_out(step: RunStep) -> bool:
    """Skipped, since its part has no sandbox."""
    return step.status == "skipped" and step.note.startswith(LEFT_OUT)


def placed(run: Run, component: str) -> bool:
    """Its sandbox stands, or stood, at a known place."""
    return any(s.place for s in run.steps if s.component == component)


def unsaid(run: Run, component: str) -> bool:
    """Its sandbox was asked for, and no answer says where it is or that there is none: all of it may stand, or half."""
    return any(_unsaid(s) for s in run.steps if s.component == component)


def _unsaid(step: RunStep) -> bool:
    # The version is noted just before the first asking. Attempts say less: they count what failed before that, and a
    # retry counts anew.
    return step.verb == MAKE and bool(step.version) and not step.place and not left_out(step)


def stands(verify: RunStep) -> bool:
    """Proved; or there was nothing to prove, since a drill could make no sandbox of this part."""
    return verify.status == "done" or left_out(verify)


def nothing_made(run: Run) -> list[RunStep]:
    """The first steps of a drill that could make no sandbox at all: it has shown nothing."""
    making = [s for s in run.steps if s.verb == MAKE]
    return making if not any(s.place for s in making) else []


def made(run: Run, n: int, place: Place, now: datetime) -> Moved:
    """A sandbox stands. From here on the steps of its part act there and nowhere else."""
    step = run.step(n).model_copy(update={"status": "done", "place": place, "ended_at": now})
    moved = run.with_step(step)
    inside = {s.n for s in run.steps if s.component == step.component and s.verb != MAKE}
    at = [s.model_copy(update={"resource": place.resource}) if s.n in inside else s for s in moved.steps]
    facts = {"component": step.component, "resource": place.resource}
    return moved.to(steps=at), [Happened(act="sandbox_made", before=place.version, facts=facts)]


def seen(run: Run, n: int, version: str) -> Moved:
    """The version that production has. Where it could not be read, ``?``."""
    return run.with_step(run.step(n).model_copy(update={"version": version})), []


def not_drilled(run: Run, n: int, why: str, now: datetime) -> Moved:
    """No sandbox of this part can be made, so nothing is done to it."""
    step, note = run.step(n), f"{LEFT_OUT}{why}"
    mine = [s for s in run.steps if s.component == step.component and s.verb != REMOVE]
    fresh = {"status": "skipped", "note": note, "ended_at": now}
    skipped = {s.n: s.model_copy(update=fresh) for s in mine}
    facts = {"step": n, "verb": MAKE, "component": step.component}
    event = Happened(act="step_skipped", facts=facts, texts={"why": note})
    return run.to(steps=[skipped.get(s.n, s) for s in run.steps]), [event]


def removed(run: Run, n: int, version: str, now: datetime, *, there: bool) -> Moved:
    """The sandbox is gone, if one was ``there``, and this is what production has now."""
    step = run.step(n)
    note = "" if there else "there was none"
    gone = step.model_copy(update={"status": "done", "version": version, "note": note, "ended_at": now})
    facts = {"component": step.component}
    return run.with_step(gone), [Happened(act="sandbox_removed", after=version, facts=facts)] if there else []


def removing(steps: Iterable[RunStep]) -> bool:
    return any(s.verb == REMOVE for s in steps)


def to_prove(run: Run, group: list[RunStep]) -> bool:
    """Is this the moment for a last look at what was verified? In a drill it is before the sandboxes go."""
    over = not group or removing(group)
    return over and not run.ends_as and all(s.status == "pending" for s in run.steps if s.verb == REMOVE)


def winding_up(run: Run, ended: Run, why: str = "") -> Run:
    """How an end that people bring about is reached: ``ended`` itself, unless sandboxes stand or are being made. Those
    go first, and nothing else is begun. Where a sandbox can't be removed, asking again is the end in any case. Raises
    Refused for asking again too soon."""
    begun = any(
        s.verb == MAKE and (s.place or _unsaid(s) or s.status in ("running", "again", "failed")) for s in run.steps
    )
    left = [s for s in run.steps if s.verb == REMOVE and s.status != "done"]
    if run.ends_as:
        if not any(s.status == "again" for s in left):
            raise Refused(f"{run.name} is ending already: its sandboxes are being removed", rule="finished")
        names = ", ".join(s.component for s in left)
        return ended.to(why=f"{run.ends_why}; sandboxes are left of {names}")
    if not (begun and left):
        return ended
    steps = [
        s.model_copy(update={"status": "skipped", "note": str(ended.status)}) if _no_more(s) else s for s in run.steps
    ]
    return ended.to(
        steps=steps,
        status=Status.running,
        why="ending: its sandboxes are being removed",
        ends_as=ended.status,
        ends_why=why or f"{ended.status}; its sandboxes were removed, production was not touched",
        paused_by="",
        ended_at=None,
        wake_at=None,
    )


def _no_more(step: RunStep) -> bool:
    """A sandbox that is being made is made whole: its answer says where it is."""
    if step.verb == REMOVE or step.status in ("done", "skipped", "failed"):
        return False
    return step.verb != MAKE or step.status == "pending"


def overrun(run: Run, after: float, actor: Actor, now: datetime) -> Moved:
    """Nobody has brought it to its end."""
    if not run.open or run.ends_as:
        return run, []
    why = f"not finished after {span(after)}, so it was ended"
    ended = run.to(status=Status.aborted, waiting_for=None, why=why, ended_at=now, wake_at=None, decided_by=actor.id)
    return winding_up(run, ended, why), [Happened(act="run_aborted", actor=actor, facts={"rule": "too long"})]


def moved_in_production(run: Run) -> dict[str, tuple[str, str]]:
    """Parts whose version at the end is not the one at the start."""
    before, after = _read(run, MAKE), _read(run, REMOVE)
    return {n: (v, after[n]) for n, v in before.items() if n in after and after[n] != v}


def _read(run: Run, verb: str) -> dict[str, str]:
    return {s.component: s.version for s in run.steps if s.verb == verb and s.version not in ("", "?")}


def compared(run: Run, by: Mapping[str, str]) -> Moved:
    """What was read in production before and after, in words. ``by``: runs that account for a change, by part."""
    moved = moved_in_production(run)
    alone = {n: v for n, v in moved.items() if n not in by}
    same = sorted(_read(run, MAKE).keys() & _read(run, REMOVE).keys() - moved.keys())
    blind = sorted({s.component for s in run.steps if s.verb == REMOVE} - moved.keys() - set(same))
    said = (
        [f"Production changed by nobody that Rollbot knows of while this drill ran: {_arrows(alone)}"] if alone else []
    )
    said += [f"Changed in production meanwhile by {by[n]}: {_arrows({n: moved[n]})}" for n in moved if n in by]
    said += (
        [f"Production has the versions that it had before: {count(len(same), 'part')} of {_all(run)}"] if same else []
    )
    said += [f"Not read in production before and after: {', '.join(blind)}"] if blind else []
    event = Happened(act="production_moved", facts={n: {"before": a, "after": b} for n, (a, b) in alone.items()})
    return run.to(production=said), [event] if alone else []


def _all(run: Run) -> int:
    return sum(s.verb == REMOVE for s in run.steps)


def _arrows(moved: Mapping[str, tuple[str, str]]) -> str:
    return ", ".join(f"{name} {_short(a)} -> {_short(b)}" for name, (a, b) in moved.items())


def _short(version: str) -> str:
    pointer, _, digest = version.partition("#")
    return f"{pointer} ({digest[7:15]})" if digest else pointer
