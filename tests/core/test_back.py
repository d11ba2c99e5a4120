"""What putting back asks for, and when there is nothing to put back."""

from __future__ import annotations

import pytest

from bot.core import before
from bot.core.back import putting_back
from bot.core.commands import Purpose
from bot.core.errors import Usage
from bot.core.run import Run, Status
from tests.core.runs import T0, run, step, waiting

DONE = [step(0, "restore model", "done", changed=True)]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (waiting(), "R-17 changed nothing, so there is nothing to put back."),
        (run(status=Status.running, mode="drill", steps=DONE), "R-17 was a drill: production was not touched"),
    ],
)
def test_nothing_to_put_back_is_said_before_anything_is_asked_for(at: Run, words: str) -> None:
    """A card that waits for approval and an open drill are told so, and no abort is made."""
    with pytest.raises(Usage, match=words):
        putting_back(at, reason="", channel="")


def test_an_open_run_is_ended_first() -> None:
    """It holds the locks that putting back needs; one that is over is not ended again. That is said before."""
    busy = run(status=Status.running, started_at=T0, steps=DONE, channel="C1")
    over = busy.to(status=Status.succeeded)
    ending, request = putting_back(busy, reason="wrong", channel="")
    assert ending is not None
    assert (ending.run, request.purpose, request.of_run) == (17, Purpose.put_back, 17)
    assert (request.reason, request.channel) == ("wrong", "C1")
    assert putting_back(over, reason="", channel="C2")[0] is None
    assert before.put_back(busy).startswith("R-17 is ended first. Then a new run puts back")
    assert before.put_back(over).startswith("A new run restores what was there before")
