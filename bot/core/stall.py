"""When a step counts as stalled, and when that is said. Pure: times in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.core.run import Run, RunStep, Status
from bot.core.target import Value

ENOUGH = 5
"""Times that a step must have been done before its own history says how long it takes."""
FLOOR = 30.0
"""Nobody is called for less, however short a step usually is: people need longer than that to look."""
THIN = 120.0
"""Where history is thin and the playbook says nothing. What waits for a cache may do so until its time-out."""
MOST = 5
"""Alerts for one step."""
GAP = 60.0
"""Before the second alert; each gap is twice the one before."""
PROGRESS = 60.0
"""A step that said within this time how far it is goes on: it is not said again to be stalled."""


class Limit(Value):
    """``seconds``: longer than that is stalled. ``usual``: what 95 of 100 earlier times stayed under; None if there
    are too few of them."""

    seconds: float
    usual: float | None = None


def limit(step: RunStep, history: Sequence[float]) -> Limit:
    """From this step's own history, else from ``stall_after``. The percentile is the nearest rank (ISO 3534-1)."""
    if len(history) >= ENOUGH:
        usual = sorted(history)[math.ceil(0.95 * len(history)) - 1]
        return Limit(seconds=max(FLOOR, usual), usual=usual)
    default = step.timeout if step.verb == "wait" else min(THIN, step.timeout)
    return Limit(seconds=step.stall_after or default)


def alerts_due(age: float, after: Limit) -> int:
    """How many alerts should have been said of a step that began ``age`` ago."""
    gap = max(GAP, after.seconds)
    return sum(age >= after.seconds + gap * (2**n - 1) for n in range(MOST))


def next_due(age: float, after: Limit) -> float:
    """Seconds until the next alert would be due; infinite if all were."""
    gap = max(GAP, after.seconds)
    later = [after.seconds + gap * (2**n - 1) - age for n in range(MOST)]
    return min((s for s in later if s > 0), default=math.inf)


def under_way(run: Run, step: RunStep) -> bool:
    """It has begun, and is neither over nor a ramp between two shares: that one takes its time on purpose. Nor does
    anybody look at what a run waits for that is paused, or that waits for a person."""
    if step.started_at is None or step.status != "again":
        return step.started_at is not None and step.status == "running"
    return not step.ramp and run.status != Status.paused and run.waiting_for != "person"


def begun(step: RunStep) -> datetime | None:
    """When what is under way began: this try of it, or this share of its ramp."""
    return step.share_at or step.started_at


def age(step: RunStep, now: datetime) -> float:
    """Seconds since then."""
    return (now - (begun(step) or now)).total_seconds()


def said_of(run: Run, alert: Mapping[str, object]) -> RunStep | None:
    """The step that an alert speaks of, if the same try of it is still under way."""
    step = next((s for s in run.steps if s.n == alert.get("step")), None)
    if step is None or not run.open or not under_way(run, step):
        return None
    since = begun(step)
    return step if since and alert.get("since") == since.isoformat() else None
