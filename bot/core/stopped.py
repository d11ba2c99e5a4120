"""What a run keeps off or paused: what somebody has let go again meanwhile, and what is left behind at its end."""

from __future__ import annotations

from bot.core.commands import Purpose
from bot.core.run import Happened, Left, Moved, Run, RunStep
from bot.core.target import Kind

STOPS = ("hold", "disable")


def kept_still(run: Run) -> list[RunStep]:
    """What this run holds or has switched off now, and nobody was seen to let go; by each component's last step."""
    last = {s.component: s for s in run.steps if s.status == "done" and s.verb in (*STOPS, "lift", "enable")}
    return [s for s in last.values() if s.verb in STOPS and not s.error]


def slipped(run: Run, *, n: int, pointer: str) -> Moved:
    """Somebody has let go what step ``n`` stopped."""
    step = run.step(n)
    error = f"somebody has changed it since: it is now {pointer}"
    event = Happened(
        act="stop_undone", facts={"step": n, "verb": step.verb, "component": step.component, "now": pointer}
    )
    return run.with_step(step.model_copy(update={"error": error})), [event]


def aborted_left(run: Run) -> list[Left]:
    """What a run that did not come to its end leaves: nothing if it changed nothing, else a feature that is mixed."""
    touched = [s for s in run.steps if s.touched]
    if not touched:
        return []
    listed = [x for x in left_behind(run) if x.what != "hold"]
    parts = ", ".join(dict.fromkeys(s.component for s in touched))
    return [*listed, Left(what="hold", component="", say=f"{run.feature} is MIXED and held: {parts} were changed")]


def left_behind(run: Run) -> list[Left]:
    """What this run left off or paused, by what its steps did last to each component."""
    last = {s.component: s for s in run.steps if s.status == "done" and s.verb in ("hold", "lift", "disable", "enable")}
    left = [
        Left(what="pipeline" if s.kind == Kind.pipeline else "flag", component=name, say=_left_words(s))
        for name, s in last.items()
        if s.verb in STOPS and not s.error
    ]
    if run.glass:
        left.append(Left(what="review", component="", say="run without approval: a review is due within 24 h"))
    if run.purpose == Purpose.rollback and run.mode == "live":
        left.append(Left(what="hold", component="", say=f"{run.feature} is held: CI is told not to deploy it"))
    return left


def _left_words(s: RunStep) -> str:
    return f"{s.component} is held" if s.verb == "hold" else f"{s.component} is off"
