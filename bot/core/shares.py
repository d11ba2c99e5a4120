"""The shares of a ramp: one is given, the next is due later; at another pace if people say so. Pure transitions."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.progress import next_group
from bot.core.run import Happened, Moved, Run, RunStep
from bot.core.target import Capture
from bot.core.text import hhmm


def ramped(run: Run, n: int, wrote: Capture, now: datetime) -> Moved:
    """One share of a ramp is given: the next one follows after a while, and is written over this one or not at all."""
    step = run.step(n)
    given = {"stage": step.stage + 1, "staged_at": now, "attempts": 0, "changed": True, "unsure": False}
    rests = _said(step.model_copy(update={**given, "status": "again", "before": wrote}), now)
    facts = {"step": n, "component": step.component, "percent": step.ramp[step.stage]}
    return rested(run.with_step(rests), now), [Happened(act="step_ramped", facts=facts)]


def resting(step: RunStep) -> bool:
    """Between two shares."""
    return step.stage > 0 and step.staged_at is not None and step.status == "again"


def early(step: RunStep, now: datetime) -> bool:
    """Between two shares, and the next one is not due. After the clock was set back only the run's own time says so."""
    return resting(step) and step.staged_at is not None and step.staged_at <= now < next_share(step, now)


def rested(run: Run, now: datetime) -> Run:
    """Woken again when the first of the shares that are still to be given is due."""
    coming = [next_share(s, now) for s in run.steps if resting(s)]
    if run.wake_at and any(s.status == "again" and not resting(s) for s in run.steps):
        coming.append(run.wake_at)
    return run.to(wake_at=min(coming), parked_at=now) if coming else run


def next_share(step: RunStep, now: datetime) -> datetime:
    """When a ramp that rests gives its next share. One given ahead of now was before the clock was set back."""
    return min(step.staged_at or now, now) + timedelta(seconds=step.every)


def waits_anew(run: Run, now: datetime) -> Run:
    """What consumers have not seen yet is waited for as long as at first: nobody looked while people took their time,
    and that says nothing about how long it takes."""
    waits = {s.n for s in run.steps if s.verb == "wait" and s.status == "again"}
    return run.to(steps=[s.model_copy(update={"started_at": now}) if s.n in waits else s for s in run.steps])


def going_on(run: Run, now: datetime) -> Run:
    """A run that people let go on: driven again now, or where only a ramp rests, when its next share is due."""
    run = waits_anew(run, now)
    group = next_group(run)
    due = [next_share(s, now) for s in group if resting(s)]
    wake = max(now, min(due)) if due and len(due) == len(group) else None
    return run.to(steps=[_said(s, now) if resting(s) else s for s in run.steps], wake_at=wake)


def at_pace(run: Run, every: float, now: datetime) -> Run:
    """All shares that are still to be given follow one another by ``every`` so many seconds."""
    to_come = {s.n for s in run.steps if s.ramp and s.status in ("pending", "running", "again")}
    paced = [s.model_copy(update={"every": every}) if s.n in to_come else s for s in run.steps]
    moved = run.to(steps=[_said(s, now) if resting(s) else s for s in paced])
    rests = [s for s in moved.steps if resting(s)]
    if not rests or run.wake_at is None or run.waiting_for not in (None, "time"):
        return moved
    moved = rested(moved, now)
    moved = moved.to(wake_at=max(now, moved.wake_at or now))
    return moved.to(why=rests[0].note) if run.waiting_for else moved


def _said(step: RunStep, now: datetime) -> RunStep:
    """With what it has given and when the next share is due, in words."""
    following, since = [*step.ramp, 100][step.stage], step.staged_at or now
    note = (
        f"{step.ramp[step.stage - 1]} % since {hhmm(since)}, {following} % at {hhmm(max(now, next_share(step, now)))}"
    )
    return step.model_copy(update={"note": note})
