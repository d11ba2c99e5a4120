"""What begins again when a person helps a run on, and from when its time counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.core import decide as d
from bot.core import onward as o
from bot.core import progress as g
from bot.core.back import changed
from bot.core.commands import Accept, Actor, Resume, Retry, Skip
from bot.core.decide import Judging
from bot.core.errors import Refused
from bot.core.run import Moved, Run, RunStep, Status
from bot.core.target import Accuracy
from tests.core.runs import BEN, EXACT, ONCALL, T0, capture, run, step, who

STUCK = run(status=Status.waiting, waiting_for="person", started_at=T0)
LATER = T0 + timedelta(minutes=20)
ANYWAY = Accept(run=17, reason="it is right", enable=True)
NOT_PASSED = "not enabled: verification did not pass"
FAILED = step(0, "verify model", "failed")


def press(fn: Callable[..., Moved], at: Run, command: Any) -> Run:
    moved, _ = fn(at, command, Actor(kind="person", id=BEN, via="slack"), Judging(ONCALL, who(BEN), LATER))
    return moved


@pytest.mark.parametrize(
    "enable",
    [
        step(1, "enable flag", "failed", error="no answer", attempts=3),
        step(1, "enable flag", "skipped", note=NOT_PASSED),
        step(1, "enable flag"),
    ],
    ids=["failed", "not begun, since something was not verified", "to come"],
)
def test_enable_anyway_does_what_it_says(enable: RunStep) -> None:
    """The enable itself is not left out, nor is what reads it back; the read-back that failed is."""
    back = step(2, "verify flag", "skipped", note="it was not enabled")
    at = STUCK.to(steps=[FAILED, enable, back if enable.status == "skipped" else step(2, "verify flag")])
    now = press(o.accept, at, ANYWAY)

    assert [s.status for s in now.steps] == ["skipped", "pending", "pending"]
    assert (now.step(1).error, now.step(1).note, now.step(1).attempts) == ("", "", 0)
    assert (now.status, now.enable_anyway) == (Status.running, True)


@pytest.mark.parametrize("stage", [0, 1])
def test_what_a_failed_try_may_have_written_is_not_forgotten(stage: int) -> None:
    """Retried and then aborted before anything begins, the run has still changed what may be half written: put back
    restores it. What had not been touched is not."""
    more = {"ramp": [50], "stage": stage, "changed": True} if stage else {}
    failed = step(0, "enable flag", "failed", before=capture("off"), origin=capture("off"), attempts=1, **more)
    now = press(o.retry, STUCK.to(steps=[failed, step(1, "restore model", "failed")]), Retry(run=17))

    assert [s.status for s in now.steps] == ["pending", "pending"]
    assert [s.touched for s in now.steps] == [True, False]
    assert changed(now)
    assert now.step(0).unsure is not bool(stage)


def test_what_read_a_flag_that_was_not_enabled_is_read_again() -> None:
    """The playbook went on after the enable had failed, and the flag was not as recorded: that is no verdict any more.
    What reads other parts, or read the flag while it was off, is left out."""
    parts = [step(0, "verify flag", "failed"), step(1, "enable flag", "failed"), step(2, "verify model", "failed")]
    now = press(o.accept, STUCK.to(steps=[*parts, step(3, "verify flag", "failed", accuracy=EXACT)]), ANYWAY)

    assert [s.status for s in now.steps] == ["skipped", "pending", "skipped", "pending"]
    assert now.step(3).accuracy is None


@pytest.mark.parametrize("unsure", [False, True])
def test_an_enable_that_is_given_again_is_compared_like_a_retry(*, unsure: bool) -> None:
    """A first try that may have been killed half-way keeps the pre-image to compare with; after a second one, at which
    a person has looked, it is taken anew."""
    enable = step(1, "enable flag", "failed", before=capture("off"), attempts=1, unsure=unsure)
    at = STUCK.to(steps=[step(0, "verify model", "done"), enable])

    again = press(o.accept, at, ANYWAY).step(1)
    assert again.before == press(o.retry, at, Retry(run=17)).step(1).before == (None if unsure else capture("off"))
    assert again.unsure  # in both cases it may be half written


@pytest.mark.parametrize(
    ("enables", "words"),
    [
        ([step(1, "enable flag", "done")], "flag is enabled already"),
        ([step(1, "enable flag", "skipped", by=BEN)], "enable flag was left out by a person"),
        (
            [step(1, "enable flag", "skipped", note="not drilled: no sandbox")],
            "enable flag was not drilled: no sandbox",
        ),
        ([], "its playbook enables nothing"),
    ],
)
def test_enable_anyway_is_refused_where_nothing_is_left_to_enable(enables: list[RunStep], words: str) -> None:
    """The log never says that a flag was switched on which was not."""
    with pytest.raises(Refused, match=f"R-17 has no flag left to switch on: {words}. Accept it as it is") as refused:
        press(o.accept, STUCK.to(steps=[FAILED, *enables]), ANYWAY)
    assert refused.value.rule == "nothing to enable"


def test_a_later_yes_does_not_take_enable_anyway_back() -> None:
    """Said of one read-back; that the next one is accepted as it is does not keep the flag off."""
    parts = [FAILED, step(1, "verify online"), step(2, "enable flag")]
    now = press(o.accept, STUCK.to(steps=parts), ANYWAY)
    failed = now.step(1).model_copy(update={"status": "failed"})
    now = press(
        o.accept, now.with_step(failed).to(status=Status.waiting, waiting_for="person"), Accept(run=17, reason="y")
    )

    assert (now.enable_anyway, now.step(2).status) == (True, "pending")


def test_what_is_read_back_once_more_is_not_verified_before() -> None:
    """Everything was read back and right, then the flag could not be switched on: Retry reads it back again."""
    parts = [step(0, "verify model", "done"), step(1, "enable flag", "failed")]
    at = STUCK.to(steps=parts, verified_at=T0)

    assert press(o.retry, at, Retry(run=17)).verified_at is None
    assert press(o.retry, at.to(steps=parts[1:]), Retry(run=17)).verified_at == T0


@pytest.mark.parametrize(("matched", "still"), [(4, T0), (3, None)])
def test_what_is_read_back_as_wrong_is_not_verified_any_more(matched: int, still: object) -> None:
    """Whatever was proved before, the newest look is the one that counts."""
    at = run(steps=[step(0, "verify model")], verified_at=T0)
    now, _ = g.checked(at, 0, Accuracy(matched=matched, expected=4), 1.0, LATER)

    assert now.verified_at == still


@pytest.mark.parametrize(
    ("fn", "command"),
    [(o.retry, Retry(run=17)), (o.accept, Accept(run=17, reason="x")), (o.skip, Skip(run=17, reason="x"))],
    ids=["retry", "accept", "skip"],
)
def test_the_time_that_people_took_is_not_waited_for(fn: Callable[..., Moved], command: Any) -> None:
    """A wait beside the failed step has its whole time again: nobody looked while the run waited for a person."""
    at = STUCK.to(steps=[step(0, "wait model", "failed"), step(1, "wait online", "again", group=0, started_at=T0)])
    now = press(fn, at, command)

    assert (now.step(1).status, now.step(1).started_at) == ("again", LATER)


def test_what_is_left_out_beside_a_wait_gives_it_no_more_time() -> None:
    """Nobody has stopped looking at the other one."""
    parts = [step(0, "wait model", "again", started_at=T0), step(1, "wait online", "again", group=0, started_at=T0)]
    now = press(o.skip, STUCK.to(waiting_for="time", steps=parts), Skip(run=17, step=0, reason="x"))

    assert (now.step(0).status, now.step(1).started_at) == ("skipped", T0)


def test_a_pause_is_not_waited_for() -> None:
    """A wait goes on with its whole time; a ramp between two shares and a system at work go on as they were."""
    rests = {"ramp": [25], "stage": 1, "staged_at": T0, "every": 300.0}
    parts = [
        step(0, "wait model", "again", started_at=T0),
        step(1, "enable flag", "again", group=0, started_at=T0, **rests),
        step(2, "restore online", "again", group=0, started_at=T0),
        step(3, "wait online"),
    ]
    now = press(d.resume, run(status=Status.paused, started_at=T0, steps=parts), Resume(run=17))

    assert [s.started_at for s in now.steps] == [LATER, T0, T0, None]
