"""What a run keeps off or paused: what somebody has let go again meanwhile, and what is left behind at its end."""

from __future__ import annotations

from bot.core.commands import Purpose
from bot.core.run import Happened, Left, Moved, Run, RunStep
from bot.core.target import Kind

STOPS = ("hold", "disable")


def kept_still(run: Run) -> list[RunStep]:
    """What this run holds or has switched off now, and nobody was seen to let go; by each component's last step."""
    last = {s.component: s for s in run.steps if (s.status == "done" and s.verb in STOPS) or _lets_go(s)}
    return [s for s in last.values() if s.verb in STOPS and not s.error]


def _lets_go(s: RunStep) -> bool:
    """This run has begun itself to let it go: done, or killed before it could say so, or a ramp under way."""
    return s.verb in ("lift", "enable") and (s.status == "done" or s.attempts > 0 or s.stage > 0)


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
    if not touched or run.mode == "drill":
        return []
    listed = [x for x in left_behind(run) if x.what != "hold"]
    parts = list(dict.fromkeys(s.component for s in touched))
    were = f"{', '.join(parts)} {'was' if len(parts) == 1 else 'were'} changed"
    return [*listed, Left(what="hold", component="", say=f"{run.feature} is MIXED and held: {were}")]


def left_behind(run: Run) -> list[Left]:
    """What this run left off or paused, by what its steps did last to each component. A drill leaves nothing."""
    if run.mode == "drill":
        return []
    ours = (*STOPS, "lift", "enable")
    last = {s.component: s for s in run.steps if s.verb in ours and (s.status == "done" or s.stage > 0)}
    left = [
        Left(what="pipeline" if s.kind == Kind.pipeline else "flag", component=name, say=_left_words(s))
        for name, s in last.items()
        if (s.verb in STOPS and not s.error) or s.status != "done"
    ]
    if run.glass:
        left.append(Left(what="review", component="", say="run without approval: a review is due within 24 h"))
    if run.purpose in (Purpose.rollback, Purpose.hold) and run.mode == "live":
        left.append(Left(what="hold", component="", say=f"{run.feature} is held: CI is told not to deploy it"))
    return left


def _left_words(s: RunStep) -> str:
    if s.verb == "enable":
        share = f"{s.ramp[s.stage - 1]} %"
        return f"{s.component} is {'not as recorded, left out after ' if s.by else 'at '}{share} of its recorded rule"
    return f"{s.component} is held" if s.verb == "hold" else f"{s.component} is off"
