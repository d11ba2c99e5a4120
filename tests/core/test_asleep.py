"""What must be woken when the clock is set back, and what sleeps as it should."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core import asleep, progress
from bot.core.run import Run, Status
from tests.core.runs import T0, run, waiting

BACK = timedelta(hours=-2)
PARKED = progress.parked(run(status=Status.running), "8 of 9 see it", 600.0, T0)
RECHECKED = waiting(wake_at=T0 + timedelta(seconds=progress.RECHECK))


@pytest.mark.parametrize("sleeper", [PARKED, RECHECKED], ids=["parked", "card"])
def test_what_lay_down_later_than_now_oversleeps(sleeper: Run) -> None:
    """As the clock went on it sleeps until its time; after the clock was set back it is to sleep as long as it wished,
    from now on, and a card is looked at now; once."""
    assert [asleep.overslept(sleeper, T0 + timedelta(seconds=s)) for s in (0, 5, 1000)] == [False] * 3
    now = T0 + BACK
    woken, events = asleep.woken(now, sleeper)
    wake = now + timedelta(seconds=600 if sleeper is PARKED else 0)
    assert (woken.wake_at, woken.status, events) == (wake, sleeper.status, [])
    assert not asleep.overslept(woken, now)


@pytest.mark.parametrize(
    "other",
    [
        run(status=Status.running),
        PARKED.to(status=Status.paused, waiting_for=None),
        waiting(),
        waiting(waiting_for="person", wake_at=T0),
        PARKED.to(parked_at=None),  # from a build that did not say so
    ],
)
def test_others_are_left_alone(other: Run) -> None:
    """What does not wait for time stays as it is, whatever the clock does."""
    assert asleep.woken(T0 + BACK, other) == (other, [])
