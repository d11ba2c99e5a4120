"""What a control will do, said before it is confirmed: the same sentences under a button and at the terminal."""

from __future__ import annotations

from bot.core.commands import Purpose
from bot.core.errors import Usage
from bot.core.onward import skippable, to_skip
from bot.core.run import Run, RunStep

ALL_AT_ONCE = "The flag goes to its recorded rule now, without the shares that are left."
LIFT = "CI may deploy again and the pipeline runs. Rollbot did not change their code: is the fix merged?"


def subject(run: Run) -> str:
    """``driver_stats v13 -> v12``, not escaped."""
    match run.purpose:
        case Purpose.stop:
            return f"{run.feature}: stop the harm"
        case Purpose.put_back:
            return f"{run.feature}: put {run.to_version or 'it'} back"
        case Purpose.hold:
            return f"{run.feature}: hold it"
        case Purpose.lift:
            return f"{run.feature}: lift the hold"
        case Purpose.enable:
            return f"{run.feature}: switch its flag on"
        case _:
            arrow = f"{run.from_version} -> " if run.from_version else "to "
            return f"{run.feature} {arrow}{run.to_version or '?'}"


def reject(run: Run) -> str:
    return f"{run.name} ends. It can be asked for again."


def pause(run: Run) -> str:  # noqa: ARG001  one shape for all controls
    return "The step under way ends by itself. Nothing starts after it until somebody presses Resume; locks stay."


def abort(run: Run) -> str:
    """Of a drill nothing stays."""
    if run.mode == "drill":
        return "Nothing of this drill starts any more, and its sandboxes are removed. Production was not touched."
    return "The step under way ends by itself and nothing starts after it. What was changed stays until it is put back."


def put_back(run: Run) -> str:
    """A run that is still open is ended first."""
    if run.open:
        return f"{run.name} is ended first. Then a new run puts back what it changed, with its own approval."
    return "A new run restores what was there before, with its own approval."


def switch(run: Run) -> str:
    return (
        f"{run.name} ends with this, and a new run takes over its locks and what is to be put back. It needs its own "
        "approval; until then everything stays as it is now."
    )


def skip(run: Run, step: int | None = None) -> str:
    """Names what is left out: ``step``, or where the run stands. Raises Usage where that is nothing."""
    steps = ", ".join(f"{s.verb} {s.component}" for s in _skipped(run, step))
    if not steps:
        raise Usage(f"{run.name} has no step that can be left out now.")
    return f"{subject(run)}: {steps} is left out and the run goes on. What is not read back is not called verified."


def _skipped(run: Run, step: int | None) -> list[RunStep]:
    return to_skip(run) if step is None else [s for s in skippable(run) if s.n == step]


def accept(run: Run, *, enable: bool) -> str:  # noqa: ARG001  as above
    """``enable``: traffic is let back in all the same."""
    return "The flag is switched on although verification did not pass." if enable else "The run goes on as it is."


def unlock(run: Run) -> str:
    return (
        f"{run.name} ({subject(run)}) loses its locks and ends, whatever works on it. A step of it may still be "
        "writing: look at its systems first. Another run may begin at once."
    )
