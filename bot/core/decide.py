"""What people's commands do to a run: pure transitions. A refusal is an event too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core import drilled
from bot.core import policy as rules
from bot.core.commands import Abort, Actor, Decide, Pause, Resume, RunAnyway
from bot.core.errors import Refused
from bot.core.policy import Nod, Policy, Standing
from bot.core.run import Glass, Happened, Moved, Run, Status
from bot.core.shares import going_on
from bot.core.stopped import aborted_left
from bot.core.text import count


@dataclass(frozen=True)
class Judging:
    """Facts gathered before the transaction."""

    policy: Policy
    who: Standing
    now: datetime
    pressed: datetime | None = None
    """When it was said; ``now`` is when it is judged."""


def no(verdict: rules.Verdict) -> None:
    """Raises Refused, if that is the verdict."""
    if isinstance(verdict, rules.Refused):
        raise Refused(verdict.why, rule=verdict.rule)


def _awaiting(run: Run, digest: str, now: datetime) -> None:
    """The card that was pressed must be the card that stands."""
    if not run.open:
        who = f" by {run.decided_by}" if run.decided_by else ""
        raise Refused(f"{run.name} is already {run.status}{who}", rule="finished")
    if run.status != Status.waiting or run.waiting_for != "approval":
        raise Refused(f"{run.name} is not waiting for approval: it is {run.status}", rule="not waiting")
    if run.expires_at and now >= run.expires_at:
        raise Refused(f"{run.name} has expired: nobody decided in time. Ask again", rule="expired")
    if digest != run.plan_digest:
        raise Refused(f"the plan of {run.name} has changed since this card; look at the new one", rule="stale plan")


def decide(run: Run, command: Decide, actor: Actor, j: Judging) -> Moved:
    """One person's yes or no. A second press by the same person changes nothing and says so."""
    _awaiting(run, command.digest, j.pressed or j.now)
    need = run.requirement or rules.Requirement()
    verdict = rules.may_decide(j.policy, need, j.who, run.requester.id)
    no(verdict)
    if any(n.person == j.who.person for n in run.present_nods):
        raise Refused("you have already decided this", rule="decided")
    note = verdict.note if isinstance(verdict, rules.Allowed) else ""
    nod = Nod(
        person=j.who.person,
        yes=command.yes,
        digest=command.digest,
        plan=run.plan_no,
        groups=j.who.member_of,
        note=note,
    )
    run = run.to(nods=[*run.nods, nod])
    event = Happened(
        act="run_approved" if command.yes else "run_rejected",
        actor=actor,
        before=run.from_version,
        after=run.to_version,
        facts={"groups": sorted(j.who.member_of), "rule": need.rule, "note": note},
        texts={"reason": command.reason} if command.reason else {},
    )
    if not command.yes and rules.denied(j.policy, need, run.present_nods, command.digest):
        return end(
            run, Status.rejected, f"rejected: {command.reason}" if command.reason else "rejected", actor, j.now
        ), [event]
    if command.yes and rules.satisfied(j.policy, need, run.present_nods, command.digest):
        run = _go(run, actor, j.now)
    return run, [event]


def _go(run: Run, actor: Actor, now: datetime) -> Run:
    return run.to(
        status=Status.running,
        waiting_for=None,
        why="",
        decided_at=now,
        decided_by=actor.id,
        wake_at=now,
        expires_at=None,
    )


def end(run: Run, status: Status, why: str, actor: Actor, now: datetime) -> Run:
    """Over, by a person; a drill once its sandboxes are removed."""
    ended = run.to(status=status, waiting_for=None, why=why, decided_by=actor.id, ended_at=now, wake_at=None)
    return drilled.winding_up(run, ended)


def run_anyway(run: Run, command: RunAnyway, actor: Actor, j: Judging) -> Moved:
    """Break-glass: members only, with a typed reason and the typed version."""
    _awaiting(run, command.digest, j.pressed or j.now)
    no(rules.may_break_glass(j.policy, j.who))
    if not command.reason.strip():
        raise Refused("running without approval needs a reason", rule="break glass")
    if command.version.strip() != (run.to_version or ""):
        raise Refused(f"you typed {command.version.strip()!r}, the plan is for {run.to_version}", rule="break glass")
    glass = Glass(person=j.who.person, reason=command.reason.strip(), at=j.now)
    event = Happened(
        act="run_without_approval",
        actor=actor,
        before=run.from_version,
        after=run.to_version,
        facts={"rule": run.requirement.rule if run.requirement else ""},
        texts={"reason": glass.reason},
    )
    return _go(run.to(glass=glass), actor, j.now), [event]


def abort(run: Run, command: Abort, actor: Actor, j: Judging) -> Moved:
    """Ends an open run. A step that is under way ends by itself, and nothing starts after it."""
    if not run.open:
        raise Refused(f"{run.name} is already {run.status}", rule="finished")
    no(rules.may_control(j.policy, j.who, run.requester.id))
    done = [s for s in run.steps if s.touched]
    busy = under_way(run)
    why = f"aborted after {count(len(done), 'change')}; what was changed stays until put back"
    if busy:
        why = f"aborted while {busy} was under way; look at it before anything else"
    elif unsure := [f"{s.verb} {s.component}" for s in done if s.status == "failed" and not s.changed]:
        why = f"aborted after {' and '.join(unsure)} failed: it may be half done. What was changed stays until put back"
    elif not done:
        why = "aborted, nothing was changed"
    event = Happened(act="run_aborted", actor=actor, facts={"changes": len(done)}, texts={"reason": command.reason})
    return end(run.to(left=aborted_left(run)), Status.aborted, why, actor, j.now), [event]


def under_way(run: Run) -> str:
    """The steps that may be writing now; nothing where there is none."""
    return " and ".join(f"{s.verb} {s.component}" for s in run.steps if s.status == "running")


def pause(run: Run, command: Pause, actor: Actor, j: Judging) -> Moved:
    """A step that is under way ends by itself, and nothing starts after it until somebody resumes the run."""
    if not run.open:
        raise Refused(f"{run.name} is already {run.status}", rule="finished")
    if run.status == Status.paused:
        raise Refused(f"{run.name} is paused already", rule="paused")
    if run.ends_as:
        raise Refused(f"{run.name} is ending: its sandboxes are being removed", rule="finished")
    if run.status != Status.running and run.waiting_for != "time":
        what = f"waits for {run.waiting_for}" if run.waiting_for else f"is {run.status}"
        raise Refused(f"{run.name} {what}: nothing is at work that could be paused", rule="not running")
    no(rules.may_control(j.policy, j.who, run.requester.id))
    why = f"paused: {command.reason.strip()}" if command.reason.strip() else "paused"
    moved = run.to(status=Status.paused, waiting_for=None, why=why, paused_by=actor.id, wake_at=None)
    return moved, [Happened(act="run_paused", actor=actor, texts={"reason": command.reason.strip()})]


def resume(run: Run, command: Resume, actor: Actor, j: Judging) -> Moved:  # noqa: ARG001  one shape for all presses
    """Goes on where it was. Whoever may pause may resume."""
    if run.status != Status.paused:
        raise Refused(f"{run.name} is not paused: it is {run.status}", rule="not paused")
    no(rules.may_control(j.policy, j.who, run.requester.id))
    moved = going_on(run, j.now).to(status=Status.running, why="", paused_by="")
    return moved, [Happened(act="run_resumed", actor=actor)]


def refusal(command_act: str, error: Refused, actor: Actor) -> Happened:
    """A refused press, for the record."""
    return Happened(act="press_refused", actor=actor, facts={"wanted": command_act, "rule": error.rule})


def expires(now: datetime, policy: Policy) -> datetime:
    """When an approval asked for now lapses."""
    return now + timedelta(seconds=policy.approvals_live)
