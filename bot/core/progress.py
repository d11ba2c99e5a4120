"""What the engine does to a run: pure transitions from planning to an end."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core import drilled
from bot.core.commands import Actor
from bot.core.errors import Halted
from bot.core.plan import Plan
from bot.core.run import Happened, Moved, Run, RunStep, Status, passed, possible
from bot.core.stopped import left_behind
from bot.core.target import Accuracy, Capture, Receipt
from bot.core.text import listed, span

ENGINE = Actor(kind="system", id="rollbot", via="worker")
RECHECK = 15.0
"""Seconds between two looks at what had not answered while planning."""


def refused(run: Run, why: str, now: datetime) -> Moved:
    """The request can't be planned."""
    run = run.to(status=Status.refused, waiting_for=None, why=why, ended_at=now, wake_at=None)
    return run, [Happened(act="run_refused", facts={"rule": "planning"}, texts={"why": why})]


def planned(run: Run, plan: Plan, expires_at: datetime, now: datetime) -> Moved:
    """A plan stands: it waits for approval, runs at once where nobody is needed, or ends (dry run, not restorable)."""
    body = plan.body
    steps = [
        RunStep(
            **s.model_dump(exclude={"to"}),
            to=plan.captures.get(s.component) if s.to else None,
        )
        for s in body.steps
    ]
    run = run.to(
        plan_no=plan.no,
        plan_digest=plan.digest,
        requirement=body.requirement,
        steps=steps,
        environment=body.environment,
        from_version=body.from_version,
        to_version=body.to_version,
        planned_at=run.planned_at or now,
    )
    event = Happened(
        act="run_planned",
        before=body.from_version,
        after=body.to_version,
        facts={
            "plan": plan.no,
            "digest": plan.digest,
            "needs": body.requirement.say(),
            "blockers": len(plan.seen.blockers),
        },
    )
    return _after_plan(run, plan, expires_at, now), [event]


def _after_plan(run: Run, plan: Plan, expires_at: datetime, now: datetime) -> Run:
    if run.mode == "dry_run":
        why = "dry run: nothing was changed"
        return run.to(status=Status.succeeded, waiting_for=None, why=why, ended_at=now, wake_at=None)
    if plan.seen.blockers:
        why = "not restorable: " + "; ".join(plan.seen.blockers)
        return run.to(status=Status.refused, waiting_for=None, why=why, ended_at=now, wake_at=None)
    if not plan.body.requirement.alternatives:
        return run.to(status=Status.running, waiting_for=None, why="", decided_at=now, wake_at=now)
    wake = now + timedelta(seconds=RECHECK) if plan.seen.not_checked or plan.seen.unanswered else None
    return run.to(status=Status.waiting, waiting_for="approval", why="", expires_at=expires_at, wake_at=wake)


def replanned(run: Run, why: list[str]) -> Moved:
    """What was approved is no longer what would be done: back to planning, approvals void."""
    said = "; ".join(why)
    again = {"decided_at": None, "decided_by": "", "glass": None, "wake_at": run.created_at}
    run = run.to(status=Status.planning, waiting_for=None, why=said, **again)
    return run, [Happened(act="approvals_voided", facts={"plan": run.plan_no}, texts={"why": said})]


def expired(run: Run, now: datetime) -> Moved:
    if run.waiting_for != "approval":  # somebody has decided at the last moment
        return run, []
    run = run.to(status=Status.expired, waiting_for=None, why="nobody decided in time", ended_at=now, wake_at=None)
    return run, [Happened(act="run_expired")]


def parked(run: Run, why: str, seconds: float, now: datetime) -> Run:
    """Waits for time, holding no lease."""
    wake = now + timedelta(seconds=seconds)
    return run.to(status=Status.waiting, waiting_for="time", why=why, wake_at=wake, parked_at=now)


def awake(now: datetime, run: Run) -> Moved:
    """A card that waits is looked at again, soon; what is not waiting for approval is left alone."""
    waits = run.status == Status.waiting and run.waiting_for == "approval"
    return (run.to(wake_at=now) if waits else run), []


def started(run: Run, now: datetime) -> Moved:
    """Locks are held and versions are as approved."""
    return run.to(started_at=now, wake_at=None), [
        Happened(act="run_started", before=run.from_version, after=run.to_version)
    ]


def intended(
    run: Run, n: int, before: Capture | None, origin: Capture | None, to: Capture | None, now: datetime
) -> Moved:
    """Pre-image and intent, before anything is touched. A repetition keeps the first pre-image.

    Raises Halted if the run was ended, paused or parked meanwhile: nothing starts after that."""
    step = run.step(n)
    if run.status != Status.running or step.status == "skipped":
        raise Halted(f"{run.name} is {run.status}, the step {step.status}")
    next_share = step.stage > 0 and step.attempts == 0
    step = step.model_copy(
        update={
            "status": "running",
            "attempts": step.attempts + 1,
            "before": step.before or before,
            "origin": step.origin or origin or before,
            "to": step.to or to,
            "unsure": step.unsure or (step.before is not None and not next_share),
            "started_at": step.started_at or now,
            "share_at": now if next_share else step.share_at,
            "error": "",
        }
    )
    event = Happened(
        act="step_begun",
        before=step.before.pointer if step.before else None,
        after=step.to.pointer if step.to else None,
        facts={"step": n, "verb": step.verb, "component": step.component, "attempt": step.attempts},
    )
    return run.with_step(step), [event]


def forgot_before(run: Run, n: int, why: str) -> Run:
    """The pre-image is no longer what is there and nothing was written: the next try takes a fresh one. What an earlier
    try may have written must not be taken for what was there before: then both stay."""
    step = run.step(n)
    fresh = {} if step.unsure else {"before": None, "origin": step.origin if step.changed else None}
    return run.with_step(step.model_copy(update={**fresh, "status": "pending", "note": why}))


def acted(run: Run, n: int, receipt: Receipt, now: datetime) -> Moved:
    """A restore has answered. A claim, until the verify steps have read it back."""
    step = run.step(n).model_copy(
        update={
            "status": "done",
            "changed": receipt.changed or bool(run.step(n).changed),  # done once more, it has still changed something
            "note": receipt.note,
            "applied_at": now,
            "ended_at": now,
        }
    )
    event = Happened(
        act="step_done",
        before=step.before.pointer if step.before else None,
        after=receipt.pointer or (step.to.pointer if step.to else None),
        facts={"step": n, "verb": step.verb, "component": step.component, "changed": receipt.changed},
    )
    return _times(run.with_step(step), now), [event]


def waited(run: Run, n: int, note: str, now: datetime) -> Moved:
    step = run.step(n).model_copy(update={"status": "done", "note": note, "ended_at": now})
    event = Happened(act="step_done", facts={"step": n, "verb": "wait", "component": step.component})
    return _times(run.with_step(step), now), [event]


def no_longer(run: Run, n: int, error: str, now: datetime) -> Moved:
    """What was verified was changed by somebody else before the run was over. Of two who find that, one says it."""
    if run.step(n).status != "done":
        return run, []
    moved, events = failed(run, n, error, now)
    return moved.to(verified_at=None), events


def checked(run: Run, n: int, accuracy: Accuracy, slo: float, now: datetime, version: str = "") -> Moved:
    """What a verify step has read back, and the ``version`` that was there then. Below the SLO or inconclusive is a
    failed step, which waits for a person."""
    good = passed(accuracy, slo)
    step = run.step(n).model_copy(
        update={
            "status": "done" if good else "failed",
            "accuracy": accuracy,
            "version": version,
            "ended_at": now,
            "error": "" if good else _verify_error(accuracy),
        }
    )
    event = Happened(
        act="step_done" if good else "step_failed",
        facts={"step": n, "verb": "verify", "component": step.component, **accuracy.model_dump(exclude={"examples"})},
        texts={"error": step.error} if step.error else {},
    )
    run = run if good else run.to(verified_at=None)  # an earlier look may have been good
    return _times(run.with_step(step), now), [event]


def _verify_error(a: Accuracy) -> str:
    if a.inconclusive:
        return f"inconclusive: {a.inconclusive}"
    if not possible(a):
        return f"these numbers can't be: {a.matched:,} of {a.expected:,} match, {a.missing:,} missing, {a.null:,} null"
    return f"{a.matched:,} of {a.expected:,} match, {a.missing:,} missing, {a.extra:,} extra, {a.null:,} null"


def _times(run: Run, now: datetime) -> Run:
    """The three times: all writes before the first verify, all waits, all verifies."""

    def over(verbs: tuple[str, ...]) -> bool:
        mine = [s for s in run.steps if s.verb in verbs]
        return bool(mine) and all(s.status == "done" or (s.status == "skipped" and not s.by) for s in mine)

    # Lifting comes last where something is restored, and is all there is where nothing is.
    applied = over(("hold", "disable", "restore")) or (
        over(("lift",)) and not any(s.verb == "restore" for s in run.steps)
    )
    run = run.to(applied_at=now) if run.applied_at is None and applied else run
    unseen = any(s.verb == "wait" and s.by for s in run.steps)  # a wait that a person has cut short proves nothing
    seen = not unseen and (over(("wait",)) or not any(s.verb == "wait" for s in run.steps))
    run = run.to(visible_at=now) if run.applied_at and run.visible_at is None and seen else run
    proofs = [s for s in run.steps if s.verb == "verify"]
    good = all(drilled.stands(s) for s in proofs) and any(s.status == "done" for s in proofs)
    return run.to(verified_at=now) if run.verified_at is None and over(("verify",)) and good else run


def failed(run: Run, n: int, error: str, now: datetime) -> Moved:
    """A step failed for good: it waits for a person, locks kept; ``on_failure: continue`` goes on."""
    step = run.step(n).model_copy(update={"status": "failed", "error": error, "ended_at": now})
    event = Happened(
        act="step_failed",
        facts={"step": n, "verb": step.verb, "component": step.component, "attempt": step.attempts},
        texts={"error": error},
    )
    return run.with_step(step), [event]


def needs_person(run: Run, why: str, now: datetime) -> Moved:
    run = run.to(status=Status.waiting, waiting_for="person", why=why, wake_at=None, stuck_at=now)
    return run, [Happened(act="run_waiting", facts={"for": "person"}, texts={"why": why})]


def skipped(run: Run, n: int, note: str, now: datetime) -> Moved:
    step = run.step(n).model_copy(update={"status": "skipped", "note": note, "ended_at": now})
    event = Happened(
        act="step_skipped", facts={"step": n, "verb": step.verb, "component": step.component}, texts={"why": note}
    )
    return _times(run.with_step(step), now), [event]


def next_group(run: Run) -> list[RunStep]:
    """The steps to work on now: the unfinished ones of the first group that has any. Empty: all is done."""
    for step in run.steps:
        if step.status in ("pending", "running", "again"):
            return [s for s in run.steps if s.group == step.group and s.status in ("pending", "running", "again")]
    return []


def verify_stands(run: Run, n: int) -> bool:
    """No verify step before step ``n`` failed, was skipped, or has not been done: traffic may come back."""
    return all(drilled.stands(s) for s in run.steps if s.verb == "verify" and s.n < n)


def never_enabled(run: Run, step: RunStep) -> bool:
    """A flag that stays off because something else did not pass can't be as recorded."""
    return any(s.verb == "enable" and s.component == step.component and s.status == "skipped" for s in run.steps)


def finished(run: Run, now: datetime) -> Moved:
    """All steps are over."""
    bad = [s for s in run.steps if s.status == "failed" or (s.verb == "verify" and not drilled.stands(s))]
    bad += [*drilled.nothing_made(run), *_unproved_gaps(run)]
    status = run.ends_as or (Status.degraded if bad or run.accepted else Status.succeeded)
    why = run.ends_why or _outcome(run, status)
    run = run.to(status=status, waiting_for=None, why=why, ended_at=now, wake_at=None, left=left_behind(run))
    return run, [Happened(act="run_ended", before=run.from_version, after=run.to_version, facts={"status": status})]


def _unproved_gaps(run: Run) -> list[RunStep]:
    """What a person left out of a run that reads nothing back, as a stop does: nothing says that it was needless."""
    if any(s.verb == "verify" for s in run.steps):
        return []
    return [s for s in run.steps if s.status == "skipped" and s.by]


def _outcome(run: Run, status: Status) -> str:
    if status == Status.degraded and not run.accepted and (gaps := _unproved_gaps(run)):
        return f"{listed(f'{s.verb} {s.component}' for s in gaps)} left out"
    if status == Status.degraded:
        return f"accepted as it is: {run.accepted}" if run.accepted else "some steps failed"
    go = run.decided_at or run.planned_at
    took = span((run.verified_at - go).total_seconds()) if run.verified_at and go else ""
    return f"verified in {took}" if took else "done"
