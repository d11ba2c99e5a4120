"""What the engine does to a run: plan, steps, the three times, the end, and what is left behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core import progress as g
from bot.core import stopped as left_things
from bot.core.commands import Purpose
from bot.core.errors import LostOwnership
from bot.core.plan import Plan, PlanBody, PlanStep, Seen
from bot.core.policy import Alternative, Nod, Requirement
from bot.core.run import Glass, Run, Status, clocks
from bot.core.target import Accuracy, Kind, Readiness, Receipt
from tests.core.runs import BEN, EXACT, T0, capture, run, step, steps

NEED = Requirement(alternatives=[Alternative(count=1, group="@ml-oncall")], rule="r")
UNTIL = T0 + timedelta(hours=1)


INTENDED = {"before": capture("13"), "attempts": 1}
"""Of a step that may have written something."""


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def running(*words: str) -> Run:
    return run(status=Status.running, steps=steps(*words))


def plan(need: Requirement = NEED, **seen: Any) -> Plan:
    first = PlanStep(n=0, group=1, verb="disable", component="flag", kind=Kind.flag, resource="f")
    second = PlanStep(n=1, group=3, verb="restore", component="model", kind=Kind.model, resource="m", to="12#d12")
    body = PlanBody(
        feature="fares",
        environment="production",
        purpose=Purpose.rollback,
        mode="live",
        playbook="standard",
        from_version="v13",
        to_version="v12",
        release_digest="x",
        moment=None,
        moment_digest=None,
        steps=[first, second],
        live={},
        consumers=[],
        shared=[],
        without=[],
        requirement=need,
    )
    return Plan(no=1, body=body, seen=Seen(at=T0, **seen), captures={"model": capture("12")})


def planned(made: Plan, **more: Any) -> Run:
    return g.planned(run(planned_at=None, **more), made, UNTIL, T0)[0]


def test_a_plan_waits_for_its_approvals() -> None:
    """With its digest, its steps, the captures that they work with, and a time at which the wait ends."""
    made = plan()
    found, events = g.planned(run(planned_at=None), made, UNTIL, T0)

    assert (found.status, found.waiting_for, found.expires_at) == (Status.waiting, "approval", UNTIL)
    assert (found.plan_digest, found.planned_at, found.wake_at) == (made.digest, T0, None)
    assert [(s.verb, s.to) for s in found.steps] == [("disable", None), ("restore", capture("12"))]
    assert [(e.act, e.facts["digest"]) for e in events] == [("run_planned", made.digest)]


def test_a_plan_that_needs_nobody_runs_at_once() -> None:
    """Stopping the harm waits for nobody."""
    found = planned(plan(Requirement(rule="stops only")))

    assert (found.status, found.waiting_for, found.decided_at, found.wake_at) == (Status.running, None, T0, T0)


def test_a_dry_run_ends_with_its_plan() -> None:
    """Also where it could not be restored: it was only asked."""
    for made in (plan(), plan(blockers=["model: gone"])):
        found = planned(made, mode="dry_run", wake_at=T0, waiting_for="time")
        assert (found.status, found.ended_at, found.why) == (Status.succeeded, T0, "dry run: nothing was changed")
        assert (found.waiting_for, found.wake_at) == (None, None)


def test_what_cannot_be_restored_is_refused() -> None:
    """With the reasons; a plan that needs nobody is no exception."""
    for need in (NEED, Requirement()):
        found = planned(plan(need, blockers=["model: gone", "flag: lost"]), wake_at=T0, waiting_for="time")
        assert (found.status, found.why) == (Status.refused, "not restorable: model: gone; flag: lost")
        assert (found.waiting_for, found.wake_at, found.ended_at) == (None, None, T0)


def test_what_did_not_answer_is_asked_again() -> None:
    """The card stands meanwhile, and the run wakes by itself."""
    found = planned(plan(readiness={"model": Readiness(status="not_checked")}))

    assert (found.waiting_for, found.wake_at) == ("approval", at(g.RECHECK))


def test_a_second_plan_keeps_the_time_of_the_first() -> None:
    """People's time counts from when they were first asked."""
    first = planned(plan())
    again, events = g.replanned(first.to(decided_at=at(5), glass=Glass(person=BEN, reason="x", at=T0)), ["a", "b"])
    second, _ = g.planned(again, plan(), UNTIL, at(60))

    assert (again.status, again.why, again.decided_at, again.glass) == (Status.planning, "a; b", None, None)
    assert (again.waiting_for, events[0].texts) == (None, {"why": "a; b"})
    assert second.planned_at == T0


def test_ends_before_the_first_write() -> None:
    """Refused and expired runs are over, with a word why, and will not be woken."""
    waits = run(wake_at=T0, waiting_for="approval")
    for found, _ in (g.refused(waits, "no such release", at(1)), g.expired(waits, at(1))):
        assert (found.open, found.ended_at, found.wake_at, found.waiting_for) == (False, at(1), None, None)
        assert found.why


def test_the_first_pre_image_stays() -> None:
    """A repetition counts an attempt and keeps what stood before the first one: that is what put back restores."""
    now, _ = g.intended(running("restore model"), 0, capture("13"), None, None, T0)
    again, events = g.intended(now, 0, capture("half done"), capture("half done"), None, at(9))
    found = again.step(0)

    assert (found.status, found.attempts, found.started_at) == ("running", 2, T0)
    assert (found.before, found.origin) == (capture("13"), capture("13"))
    assert (events[0].before, events[0].facts["attempt"]) == ("13", 2)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.running}))
def test_nothing_starts_in_a_run_that_does_not_run(status: Status) -> None:
    """An abort or a park that came between two steps is the last word."""
    with pytest.raises(LostOwnership, match=f"R-17 is {status}"):
        g.intended(running("restore model").to(status=status), 0, capture("13"), None, None, T0)


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        ([("disable flag", "pending")], []),
        ([("disable flag", "done", False), ("restore model", "failed")], []),
        ([("disable flag", "done", True)], ["flag is off", "fares is MIXED and held: flag was changed"]),
        (
            [("restore model", "done", True), ("restore online", "running", None, INTENDED)],
            ["MIXED and held: model, online were changed"],
        ),
        ([("restore model", "failed", None, INTENDED)], ["MIXED and held: model was changed"]),
    ],
)
def test_what_a_run_that_was_ended_half_way_leaves(parts: list[tuple[Any, ...]], left: list[str]) -> None:
    """Nothing if it changed nothing; else the feature is neither release, and says so, with what was touched."""
    made = [
        step(n, p[0], p[1], changed=p[2] if len(p) > 2 else None, **(p[3] if len(p) > 3 else {}))
        for n, p in enumerate(parts)
    ]
    found = [item.say for item in left_things.aborted_left(run(steps=made))]

    assert len(found) == len(left)
    assert all(words in said for words, said in zip(left, found, strict=True))


def test_the_log_says_what_an_act_came_to() -> None:
    """Before and after by name: what the system answered, else what was intended; a no-op is no change."""
    begun, _ = g.intended(running("restore model"), 0, capture("13"), None, capture("12"), T0)
    told, said = g.acted(begun, 0, Receipt(changed=True, pointer="12 (file 4)", note="3 files"), at(1))
    _, silent = g.acted(begun, 0, Receipt(changed=False), at(1))

    assert (told.step(0).status, told.step(0).changed, told.step(0).note) == ("done", True, "3 files")
    assert [(e.before, e.after, e.facts["changed"]) for e in said + silent] == [
        ("13", "12 (file 4)", True),
        ("13", "12", False),
    ]


def test_the_origin_may_be_another_runs_pre_image() -> None:
    """Where *Stop the harm* switched the flag off, put back restores the rule before that, not 'off'."""
    now, _ = g.intended(running("enable flag"), 0, capture("off"), capture("on"), capture("rule"), T0)

    assert [c and c.pointer for c in (now.step(0).before, now.step(0).origin, now.step(0).to)] == ["off", "on", "rule"]


def test_a_pre_image_that_is_no_longer_true_is_forgotten() -> None:
    """Nothing was written yet, so the next try takes a fresh one."""
    now, _ = g.intended(running("restore model"), 0, capture("13"), None, None, T0)
    found = g.forgot_before(now, 0, "somebody else wrote").step(0)

    assert (found.before, found.origin, found.status, found.note) == (None, None, "pending", "somebody else wrote")


def test_three_times() -> None:
    """Applied: the last write. Visible: the last wait. Verified: the last verify, if all of them passed. People's
    time stands apart."""
    now = run(
        decided_at=at(60), steps=steps("disable flag", "restore model", "wait model", "verify model", "enable flag")
    )
    marks = []
    for n, second in ((0, 61), (1, 62)):
        now, _ = g.acted(now, n, Receipt(changed=True), at(second))
        marks.append(now.applied_at)
    now, _ = g.waited(now, 2, "seen", at(70))
    now, _ = g.checked(now, 3, EXACT, 0.999, at(75))
    now, _ = g.acted(now, 4, Receipt(changed=True), at(80))

    assert marks == [None, at(62)]
    assert clocks(now) == {"people_s": 60.0, "applied_s": 2.0, "visible_s": 10.0, "verified_s": 15.0}


def test_without_a_wait_applied_is_visible() -> None:
    """A plan that reads nothing back has nothing to wait for, and no time of verification."""
    now, _ = g.acted(run(decided_at=T0, steps=steps("disable flag")), 0, Receipt(changed=True), at(1))

    assert (now.applied_at, now.visible_at, now.verified_at) == (at(1), at(1), None)


def test_a_failed_or_skipped_verify_is_no_time_of_verification() -> None:
    """What was not proven has no time at which it was proven."""
    parts = steps("restore model", "verify model", status="done")
    for status in ("pending", "failed", "skipped"):
        now = run(
            steps=[parts[0].model_copy(update={"status": "pending"}), parts[1].model_copy(update={"status": status})]
        )
        now, _ = g.acted(now, 0, Receipt(changed=True), at(1))
        assert now.verified_at is None, status
    skipped, _ = g.skipped(run(steps=steps("verify model")), 0, "left out", at(1))
    assert skipped.verified_at is None


@pytest.mark.parametrize(
    ("accuracy", "status", "error"),
    [
        (EXACT, "done", ""),
        (Accuracy(matched=3, expected=4, missing=1), "failed", "3 of 4 match, 1 missing, 0 extra, 0 null"),
        (Accuracy(matched=4, expected=4, extra=2), "failed", "4 of 4 match, 0 missing, 2 extra, 0 null"),
        (Accuracy(matched=0, expected=0), "failed", "0 of 0 match, 0 missing, 0 extra, 0 null"),
        (Accuracy(matched=4, expected=4, inconclusive="no answer"), "failed", "inconclusive: no answer"),
    ],
)
def test_a_verify_passes_only_on_proof(accuracy: Accuracy, status: str, error: str) -> None:
    """Below the SLO, with rows that should not be there, with nothing read, or inconclusive: a failed step."""
    now, events = g.checked(run(steps=steps("verify model")), 0, accuracy, 0.999, T0)

    assert (now.step(0).status, now.step(0).error, now.step(0).accuracy) == (status, error, accuracy)
    assert events[0].texts == ({"error": error} if error else {})
    assert events[0].act == ("step_done" if status == "done" else "step_failed")


def test_a_failed_step_keeps_its_error_and_the_run_waits_for_a_person() -> None:
    """Locks are kept: the run is open, and nobody wakes it but a person."""
    now, events = g.failed(run(steps=steps("restore model")), 0, "no space", at(1))
    waits, _ = g.needs_person(now.to(wake_at=T0), "restore model failed: no space", T0)

    assert (now.step(0).status, now.step(0).error, events[0].texts) == ("failed", "no space", {"error": "no space"})
    assert (waits.open, waits.waiting_for, waits.wake_at) == (True, "person", None)


def test_a_parked_run_waits_for_time_only() -> None:
    """It is woken when the time has come."""
    now = g.parked(run(), "cache of 10 min", 600, T0)

    assert (now.status, now.waiting_for, now.wake_at, now.why) == (Status.waiting, "time", at(600), "cache of 10 min")


def test_the_next_group_is_the_first_with_anything_left() -> None:
    """Steps of one group go together; what failed or was skipped is over; at the end there is none."""
    parts = [
        step(0, "restore model", "done", group=1),
        step(1, "restore online", "failed", group=1),
        step(2, "verify model", "again", group=3),
        step(3, "verify online", "done", group=3),
        step(4, "disable flag", "running", group=3),
        step(5, "enable flag", group=5),
    ]

    assert [s.n for s in g.next_group(run(steps=parts))] == [2, 4]
    assert [s.n for s in g.next_group(run(steps=[*parts[:2], parts[5]]))] == [5]
    assert g.next_group(run(steps=parts[:2])) == []


@pytest.mark.parametrize(
    ("statuses", "stands"),
    [
        (("done", "done"), True),
        (("done", "failed"), False),
        (("skipped", "done"), False),
        (("done", "pending"), False),
        (("running", "done"), False),
    ],
)
def test_traffic_comes_back_only_after_every_verify_passed(statuses: tuple[str, str], *, stands: bool) -> None:
    """Failed, skipped and unfinished verifies before it keep a flag off; one behind it says nothing."""
    verifies = [step(n, "verify model", status) for n, status in enumerate(statuses)]
    now = run(steps=[*verifies, step(2, "enable flag"), step(3, "verify model", "failed")])

    assert g.verify_stands(now, 2) is stands


@pytest.mark.parametrize(
    ("parts", "more", "status"),
    [
        ([("restore model", "done"), ("verify model", "done")], {}, "succeeded: done"),
        ([("restore model", "done"), ("verify model", "skipped")], {}, "degraded: some steps failed"),
        ([("restore model", "failed"), ("verify model", "done")], {}, "degraded: some steps failed"),
        ([("enable flag", "skipped")], {}, "succeeded: done"),
        ([("verify model", "done")], {"accepted": "good enough"}, "degraded: accepted as it is: good enough"),
    ],
)
def test_how_a_run_ends(parts: list[tuple[str, str]], more: dict[str, Any], status: str) -> None:
    """Succeeded only if nothing failed, every verify was done, and nobody had to accept anything."""
    over = run(steps=[step(n, *part) for n, part in enumerate(parts)], wake_at=T0, waiting_for="time", **more)
    now, events = g.finished(over, at(9))

    assert f"{now.status}: {now.why}" == status
    assert (now.ended_at, now.wake_at, now.waiting_for) == (at(9), None, None)
    assert [(e.act, e.facts) for e in events] == [("run_ended", {"status": now.status})]


def test_the_end_says_how_long_it_took() -> None:
    """From the approval to the proof, without the time that people took."""
    now, _ = g.finished(
        run(decided_at=at(60), verified_at=at(100), steps=steps("verify model", status="done")), at(200)
    )

    assert now.why == "verified in 40 s"


@pytest.mark.parametrize(
    ("parts", "more", "left"),
    [
        ([("disable flag", "done"), ("enable flag", "done")], {"purpose": Purpose.stop}, []),
        ([("disable flag", "done"), ("enable flag", "skipped")], {"purpose": Purpose.stop}, [("flag", "flag")]),
        ([("disable flag", "failed")], {"purpose": Purpose.stop}, []),
        (
            [("hold pipeline", "done"), ("disable flag", "done")],
            {"purpose": Purpose.stop},
            [("pipeline", "pipeline"), ("flag", "flag")],
        ),
        ([("hold pipeline", "done"), ("lift pipeline", "done")], {"purpose": Purpose.stop}, []),
        ([], {}, [("hold", "")]),
        ([], {"purpose": Purpose.stop}, []),
        ([], {"purpose": Purpose.put_back}, []),
        ([("disable flag", "done")], {"mode": "drill"}, []),
        ([], {"purpose": Purpose.stop, "glass": Glass(person=BEN, reason="fire", at=T0)}, [("review", "")]),
    ],
)
def test_what_is_left_behind(parts: list[tuple[str, str]], more: dict[str, Any], left: list[tuple[str, str]]) -> None:
    """What was switched off or held last, by component; the hold of a live rollback; a review after break-glass."""
    now = run(steps=[step(n, *part) for n, part in enumerate(parts)], **more)

    assert [(item.what, item.component) for item in left_things.left_behind(now)] == left
    assert g.finished(now, T0)[0].left == left_things.left_behind(now)
    words = {"pipeline": "pipeline is held", "flag": "flag is off", "hold": "fares is held", "review": "review is due"}
    assert all(words[item.what] in item.say for item in left_things.left_behind(now))


def test_approvals_of_an_older_plan_do_not_count() -> None:
    """``yes`` lists only those who said yes to the plan that stands."""
    nods = [Nod(person=BEN, yes=True, digest="old", plan=1), Nod(person="T1/CLEO", yes=True, digest="new", plan=2)]

    assert run(nods=nods, plan_digest="new", plan_no=2).yes == ["T1/CLEO"]
