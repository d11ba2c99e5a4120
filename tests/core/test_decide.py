"""What people's presses do to a run, and every way in which they are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.core import decide as d
from bot.core import onward as o
from bot.core.commands import Abort, Accept, Actor, Decide, Retry, RunAnyway, Skip, Snooze, Speed, Unlock
from bot.core.decide import Judging
from bot.core.errors import Refused
from bot.core.policy import Alternative, Policy
from bot.core.run import Moved, Run, Status
from tests.core.runs import ANA, BEN, CLEO, EXACT, ONCALL, SAM, T0, capture, run, step, steps, waiting, who

YES = Decide(run=17, yes=True, digest="d")
NO = Decide(run=17, yes=False, digest="d", reason="not now")
ANYWAY = RunAnyway(run=17, digest="d", version="v12", reason="nobody is awake")
ENDED = waiting(status=Status.rejected, waiting_for=None, decided_by=CLEO)
TWO = Alternative(count=2, group="@ml-oncall")
STUCK = run(status=Status.waiting, waiting_for="person", started_at=T0)
AT_WORK = run(status=Status.running, started_at=T0, steps=steps("restore model", status="running"))


def press(fn: Callable[..., Moved], at: Run, command: Any, person: str) -> Moved:
    return fn(at, command, Actor(kind="person", id=person, via="slack"), Judging(ONCALL, who(person), T0))


REFUSALS = [
    ("an expired card", d.decide, waiting(expires_at=T0), YES, BEN, "expired", "nobody decided in time"),
    ("accept: not begun", o.accept, STUCK.to(started_at=None), Accept(run=17, reason="x"), BEN, "not begun", "retry"),
    ("a finished run", d.decide, ENDED, YES, BEN, "finished", f"R-17 is already rejected by {CLEO}"),
    (
        "a running one",
        d.decide,
        waiting(status=Status.running, waiting_for=None),
        YES,
        BEN,
        "not waiting",
        "is running",
    ),
    ("another wait", d.decide, waiting(waiting_for="time"), YES, BEN, "not waiting", "is not waiting for approval"),
    ("an old card", d.decide, waiting(plan_digest="new"), YES, BEN, "stale plan", "has changed since this card"),
    ("the requester", d.decide, waiting(), YES, ANA, "four eyes", "somebody else must decide"),
    ("the requester's no", d.decide, waiting(), NO, ANA, "four eyes", "somebody else must decide"),
    ("a stranger", d.decide, waiting(), YES, SAM, "approvers", "this needs 1 of @ml-oncall"),
    ("anyway: a stranger", d.run_anyway, waiting(), ANYWAY, SAM, "break glass", "only @ml-oncall"),
    ("anyway: an old card", d.run_anyway, waiting(plan_digest="x"), ANYWAY, BEN, "stale plan", "has changed"),
    ("anyway: finished", d.run_anyway, ENDED, ANYWAY, BEN, "finished", "already rejected"),
    (
        "anyway: no reason",
        d.run_anyway,
        waiting(),
        ANYWAY.model_copy(update={"reason": " "}),
        BEN,
        "break glass",
        "reason",
    ),
    ("anyway: other", d.run_anyway, waiting(), ANYWAY.model_copy(update={"version": "v1"}), BEN, "break glass", "'v1'"),
    ("abort: finished", d.abort, ENDED, Abort(run=17), BEN, "finished", "already rejected"),
    ("abort: a stranger", d.abort, waiting(), Abort(run=17), SAM, "control", "only @ml-oncall or the requester"),
    ("retry: not stuck", o.retry, waiting(), Retry(run=17), BEN, "not waiting", "not waiting for a person"),
    ("retry: a stranger", o.retry, STUCK, Retry(run=17), SAM, "control", "only @ml-oncall"),
    ("accept: not stuck", o.accept, waiting(), Accept(run=17, reason="x"), BEN, "not waiting", "not waiting for a"),
    ("accept: a stranger", o.accept, STUCK, Accept(run=17, reason="x"), SAM, "control", "only @ml-oncall"),
    ("skip: no reason", o.skip, STUCK, Skip(run=17), BEN, "reason", "needs a reason"),
    ("skip: a stranger", o.skip, STUCK, Skip(run=17, reason="x"), SAM, "skip", "only @ml-oncall may leave a step out"),
    ("skip: the requester", o.skip, STUCK.to(requester=Actor(id=SAM)), Skip(run=17, reason="x"), SAM, "skip", "only"),
    (
        "skip: not begun",
        o.skip,
        waiting(),
        Skip(run=17, reason="x"),
        BEN,
        "nothing to skip",
        "no step that can be left",
    ),
    ("skip: at work", o.skip, AT_WORK, Skip(run=17, reason="x"), BEN, "nothing to skip", "it is running"),
    ("snooze: ended", o.snooze, ENDED, Snooze(run=17), BEN, "finished", "already rejected"),
    ("snooze: a stranger", o.snooze, STUCK, Snooze(run=17), SAM, "control", "only @ml-oncall"),
    ("speed: no ramp", o.speed, AT_WORK, Speed(run=17, every=5), BEN, "no ramp", "has no ramp"),
    (
        "speed: not begun",
        o.speed,
        waiting(steps=[step(0, "enable flag", ramp=[25], every=300.0)]),
        Speed(run=17, every=0),
        BEN,
        "not begun",
        "has not begun, so what is to be approved would change",
    ),
    ("unlock: no reason", o.unlock, STUCK, Unlock(run=17), BEN, "reason", "needs a reason"),
    (
        "unlock: a stranger",
        o.unlock,
        STUCK,
        Unlock(run=17, reason="x"),
        SAM,
        "unlock",
        "only @ml-oncall may take locks",
    ),
    ("accept: no reason", o.accept, STUCK, Accept(run=17, reason=" "), BEN, "reason", "needs a reason"),
]


@pytest.mark.parametrize(
    ("fn", "at", "command", "person", "rule", "words"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_a_press_is_refused_by_a_named_rule(
    fn: Callable[..., Moved], at: Run, command: Any, person: str, rule: str, words: str
) -> None:
    """Each refusal names its rule for the record, and says in words what the person must know."""
    with pytest.raises(Refused, match=words.replace("(", r"\(")) as refused:
        press(fn, at, command, person)

    assert refused.value.rule == rule
    event = d.refusal(command.act, refused.value, Actor(kind="person", id=person))
    assert (event.act, event.facts) == ("press_refused", {"wanted": command.act, "rule": rule})


def test_enough_yes_starts_the_run() -> None:
    """Once, with who gave the last one, and no time left at which it would expire."""
    now, events = press(d.decide, waiting(expires_at=T0 + timedelta(hours=1)), YES, BEN)

    assert (now.status, now.decided_by, now.decided_at, now.expires_at) == (Status.running, BEN, T0, None)
    assert [(n.person, n.digest, n.groups) for n in now.nods] == [(BEN, "d", frozenset({"ml-oncall"}))]
    assert (events[0].act, events[0].facts["groups"]) == ("run_approved", ["ml-oncall"])


def test_one_of_two_yes_waits_and_the_same_person_counts_once() -> None:
    """The second yes must be somebody else's."""
    now, _ = press(d.decide, waiting(2), YES, BEN)
    with pytest.raises(Refused, match="already decided"):
        press(d.decide, now, YES, BEN)
    over, _ = press(d.decide, now, YES, CLEO)

    assert (now.status, now.waiting_for) == (Status.waiting, "approval")
    assert over.status == Status.running


def test_a_yes_to_an_older_plan_can_be_given_again() -> None:
    """A new plan asks anew, also those who have said yes to the one before."""
    now, _ = press(d.decide, waiting(2), YES, BEN)
    again, _ = press(d.decide, now.to(plan_digest="e"), YES.model_copy(update={"digest": "e"}), BEN)

    assert again.yes == [BEN]
    assert again.status == Status.waiting


def test_one_no_ends_it() -> None:
    """With the reason, whatever was approved before."""
    now, events = press(d.decide, press(d.decide, waiting(2), YES, BEN)[0], NO, CLEO)

    assert (now.status, now.why, now.decided_by, now.ended_at) == (Status.rejected, "rejected: not now", CLEO, T0)
    assert (events[0].act, events[0].texts) == ("run_rejected", {"reason": "not now"})


def test_a_policy_may_want_more_than_one_no() -> None:
    """``deny: 2``: the first no is kept and the run waits; a second person's ends it; a yes does not."""
    at = waiting()
    at = at.to(
        requirement=at.requirement.model_copy(update={"deny": 2, "alternatives": [TWO]}) if at.requirement else None
    )
    first, events = press(d.decide, at, NO, BEN)
    mixed, _ = press(d.decide, first, YES, CLEO)
    second, _ = press(d.decide, first, NO, CLEO)

    assert (first.status, first.waiting_for, events[0].act) == (Status.waiting, "approval", "run_rejected")
    assert mixed.status == Status.waiting
    assert second.status == Status.rejected


def test_break_glass_runs_and_wears_a_badge() -> None:
    """Who, why and when stand in the run; the requester may, as a member."""
    now, events = press(d.run_anyway, waiting(2), ANYWAY, ANA)

    assert now.status == Status.running
    assert now.glass
    assert (now.glass.person, now.glass.reason, now.glass.at) == (ANA, "nobody is awake", T0)
    assert (events[0].act, events[0].texts) == ("run_without_approval", {"reason": "nobody is awake"})


def test_abort_says_what_stays() -> None:
    """By the requester as well; changes already made are counted."""
    changed = [step(0, "restore model", "done", changed=True), step(1, "restore online", "done", changed=False)]
    clean, _ = press(d.abort, waiting(), Abort(run=17), ANA)
    half, events = press(d.abort, run(status=Status.running, steps=changed), Abort(run=17, reason="wrong"), BEN)

    assert (clean.status, clean.why) == (Status.aborted, "aborted, nothing was changed")
    assert half.why == "aborted after 1 change; what was changed stays until put back"
    assert [(item.what, "MIXED" in item.say) for item in half.left] == [("hold", True)]
    assert clean.left == []
    under_way = run(status=Status.running, steps=[*changed, step(2, "restore model", "running")])
    assert "while restore model was under way" in press(d.abort, under_way, Abort(run=17), BEN)[0].why
    assert (events[0].facts, events[0].texts) == ({"changes": 1}, {"reason": "wrong"})


def test_unlock_says_what_was_under_way() -> None:
    """As an abort does: a step that may still be writing is looked at before anything else."""
    changed = step(0, "restore model", "done", changed=True)
    busy = run(status=Status.running, started_at=T0, steps=[changed, step(1, "restore online", "running")])
    rests = busy.to(steps=[changed, step(1, "restore online", "failed")])
    writes, still = (press(o.unlock, at, Unlock(run=17, reason="it hangs"), BEN)[0].why for at in (busy, rests))

    assert "by force while restore online was under way: it hangs. Look at it before anything else" in writes
    assert still == "its locks were taken away by force: it hangs. What was changed stays until put back"


def test_retry_begins_again_with_what_did_not_pass() -> None:
    """Failed steps, and waits and verifies that had passed before: what was proven then may no longer be true. What
    was written stays done."""
    parts = [
        step(0, "restore model", "done"),
        step(1, "wait model", "done"),
        step(2, "verify model", "done", accuracy=EXACT),
        step(3, "restore online", "failed", error="no answer", attempts=3),
        step(4, "enable flag"),
    ]
    now, events = press(o.retry, STUCK.to(steps=parts), Retry(run=17), BEN)

    assert (now.status, now.wake_at) == (Status.running, None), "it is driven now, and a back-off is not cut short"
    assert [s.status for s in now.steps] == ["done", "pending", "pending", "pending", "pending"]
    assert (now.step(2).accuracy, now.step(3).error, now.step(3).attempts) == (None, "", 0)
    assert events[0].facts == {"steps": [1, 2, 3]}


def test_retry_restores_what_did_not_stay() -> None:
    """A component whose read-back failed is restored again, against what is there now; what was there at first stays
    what *put back* restores."""
    held = {"before": capture("13"), "origin": capture("13"), "changed": True}
    parts = [step(0, "restore model", "done", **held), step(1, "verify model", "failed", error="it is now 9")]
    now, _ = press(o.retry, STUCK.to(steps=parts), Retry(run=17), BEN)

    first = now.step(0)
    assert (first.status, first.before, first.origin, first.changed) == ("pending", None, capture("13"), True)


@pytest.mark.parametrize(("enable", "act"), [(False, "outcome_accepted"), (True, "flag_enabled_anyway")])
def test_accepting_skips_what_failed(act: str, *, enable: bool) -> None:
    """The person's reason stands in the run; letting traffic back in is an act of its own in the log."""
    parts = [step(0, "restore model", "done"), step(1, "verify model", "failed"), step(2, "enable flag")]
    at = STUCK.to(steps=parts)
    now, events = press(o.accept, at, Accept(run=17, reason=" good enough ", enable=enable), BEN)

    assert [s.status for s in now.steps] == ["done", "skipped", "pending"]
    assert (now.status, now.accepted, now.enable_anyway) == (Status.running, "good enough", enable)
    assert [e.act for e in events] == [act]


def test_approvals_live_as_long_as_the_policy_says() -> None:
    """Counted from when they are asked for."""
    assert d.expires(T0, Policy(approvals_live=600)) == T0 + timedelta(minutes=10)
