"""Putting back what a run changed: what of it there is, and what is asked for, in Slack and at the terminal."""

from __future__ import annotations

from bot.core.commands import Abort, Purpose, Request
from bot.core.errors import Usage
from bot.core.run import Run

ABLE = (Purpose.rollback, Purpose.put_back)


def changed(run: Run) -> bool:
    """In production."""
    return run.mode != "drill" and any(s.touched and s.origin is not None for s in run.steps)


def in_the_middle(run: Run) -> bool:
    """An open run that can be ended for a new one that puts back what it has done so far."""
    return run.open and run.started_at is not None and run.purpose in ABLE and changed(run)


def putting_back(run: Run, *, reason: str, channel: str) -> tuple[Abort | None, Request]:
    """A run that is still open is ended first: it holds the locks that putting back needs. Raises Usage where there is
    nothing to put back; then nothing is asked for, and the run stays as it is."""
    if run.mode == "drill":
        raise Usage(f"{run.name} was a drill: production was not touched, so there is nothing to put back.")
    if not any(s.touched for s in run.steps):
        raise Usage(f"{run.name} changed nothing, so there is nothing to put back.")
    request = Request(
        feature=run.feature,
        purpose=Purpose.put_back,
        of_run=run.id,
        reason=reason,
        incident=run.incident,
        channel=channel or run.channel,
    )
    return (Abort(run=run.id, reason="to be put back") if run.open else None), request
