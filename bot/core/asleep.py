"""What sleeps until a time by the clock on the wall: when that clock is set back, it must not sleep on for hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from bot.core.progress import RECHECK
from bot.core.run import Moved, Run, Status

FAR: Final = timedelta(seconds=60)
"""A sleep that ends sooner needs nobody who looks after it."""


def overslept(run: Run, now: datetime) -> bool:
    """It lay down at a time that has not come yet, so the clock was set back meanwhile."""
    if run.status != Status.waiting or run.wake_at is None or run.wake_at <= now:
        return False
    if run.waiting_for == "approval":
        return run.wake_at > now + timedelta(seconds=RECHECK)
    return run.waiting_for == "time" and run.parked_at is not None and run.parked_at > now


def woken(now: datetime, run: Run) -> Moved:
    """What was to sleep ten minutes sleeps ten minutes from now on, and a card is looked at again now; what does not
    oversleep is left alone."""
    if not overslept(run, now) or run.wake_at is None:
        return run, []
    if run.waiting_for == "approval" or run.parked_at is None:
        return run.to(wake_at=now), []
    return run.to(wake_at=now + (run.wake_at - run.parked_at), parked_at=now), []
