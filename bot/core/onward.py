"""Ways on for a run that is stuck, slow or too fast: retry, skip, accept, snooze, speed, unlock. Pure transitions."""

from __future__ import annotations

from datetime import timedelta

from bot.core import drilled
from bot.core import policy as rules
from bot.core.back import ABLE, in_the_middle
from bot.core.commands import Accept, Actor, Retry, Skip, Snooze, Speed, Unlock
from bot.core.decide import Judging, end, no, under_way
from bot.core.errors import Refused
from bot.core.progress import next_group
from bot.core.run import Happened, Moved, Run, RunStep, Status
from bot.core.shares import at_pace, waits_anew
from bot.core.stopped import aborted_left
from bot.core.text import listed, span


def ways(run: Run) -> list[str]:
    """What a person can do with a run that waits for one or is paused, the most likely first, by the names of the
    terminal's commands; nothing where it goes on by itself or is over."""
    if run.status == Status.waiting and run.waiting_for == "approval":
        return ["approve", "reject"]
    if run.status == Status.paused:
        return ["resume", *_aside(run), "abort"]
    if run.status != Status.waiting or run.waiting_for != "person":
        return []
    return ["retry", "abort"] if run.started_at is None else ["retry", *_aside(run), "accept", "abort"]


def _aside(run: Run) -> list[str]:
    other = run.purpose in ABLE and run.started_at is not None and run.mode != "drill"
    put_back = ["put-back"] if other and in_the_middle(run) else []
    return [*(["skip"] if skippable(run) else []), *put_back, *(["switch"] if other else [])]


def _needs_person(run: Run) -> None:
    if run.status != Status.waiting or run.waiting_for != "person":
        raise Refused(f"{run.name} is not waiting for a person: it is {run.status}", rule="not waiting")


def _reason(said: str) -> str:
    if not said.strip():
        raise Refused("this needs a reason", rule="reason")
    return said.strip()


def retry(run: Run, command: Retry, actor: Actor, j: Judging) -> Moved:  # noqa: ARG001  one shape for all presses
    """Failed and inconclusive steps begin again, and so does what was restored and did not stay: where it did, that
    does nothing. The first pre-image stays what *put back* restores; the one to compare with is taken anew."""
    _needs_person(run)
    no(rules.may_control(j.policy, j.who, run.requester.id))
    again = {s.n for s in run.steps if s.status == "failed" or (s.verb in ("verify", "wait") and s.status == "done")}
    lost = {s.component for s in run.steps if s.status == "failed" and s.verb in ("verify", "wait")}
    again |= {s.n for s in run.steps if s.verb == "restore" and s.status == "done" and s.component in lost}
    steps = [_begun_again(s) if s.n in again else s for s in waits_anew(run, j.now).steps]
    moved = run.to(steps=steps, status=Status.running, waiting_for=None, why="", wake_at=None)
    if any(s.verb == "verify" and s.n in again for s in run.steps):
        moved = moved.to(verified_at=None)
    return moved, [Happened(act="run_retried", actor=actor, facts={"steps": sorted(again)})]


def _begun_again(s: RunStep) -> RunStep:
    """What a person has looked at is compared anew; a first try that may have been killed half-way keeps its token,
    and that it may have written is not forgotten: an abort may come before the next try."""
    fresh = {"status": "pending", "error": "", "accuracy": None, "attempts": 0, "started_at": None, "ended_at": None}
    note = {"note": ""} if s.status == "skipped" else {}
    before = {"before": None} if s.status == "done" or s.unsure else {}
    half = {"unsure": True} if s.status == "failed" and s.touched and not s.stage else {}
    return s.model_copy(update={**fresh, **note, **before, **half})


def skip(run: Run, command: Skip, actor: Actor, j: Judging) -> Moved:
    """Leaves steps out: failed ones, those that wait for time, and in a paused run what has not begun. Never one that
    is under way. What it may have written half stays known to *put back*; a read-back that is left out proves nothing,
    so the run can end as degraded at best and its flag is not enabled."""
    reason = _reason(command.reason)
    no(rules.may_skip(j.policy, j.who, run.requester.id))
    now_left = _to_skip(run, command.step)
    numbers = {s.n for s in now_left}
    if run.waiting_for == "person":
        run = waits_anew(run, j.now)
    steps = [left_out(s, f"skipped: {reason}", actor, j) if s.n in numbers else s for s in run.steps]
    moved = run.to(steps=steps)
    if run.status == Status.waiting:
        moved = moved.to(status=Status.running, waiting_for=None, why="", wake_at=None)
    facts = {"steps": [f"{s.n} {s.verb} {s.component}" for s in now_left]}
    return moved, [Happened(act="step_skipped", actor=actor, facts=facts, texts={"reason": reason})]


def _to_skip(run: Run, wanted: int | None) -> list[RunStep]:
    able = skippable(run)
    if not able:
        raise Refused(f"{run.name} has no step that can be left out now: it is {_state(run)}", rule="nothing to skip")
    if wanted is not None:
        chosen = [s for s in able if s.n == wanted]
        if not chosen:
            known = listed(f"{s.n} ({s.verb} {s.component})" for s in able)
            raise Refused(
                f"{run.name}: step {wanted} can't be left out now; these can: {known}", rule="nothing to skip"
            )
        return chosen
    return to_skip(run)


def to_skip(run: Run) -> list[RunStep]:
    """What is left out where no step is named: those at which the run stands."""
    able = skippable(run)
    first = next_group(run) if run.status == Status.paused else able
    return [s for s in able if s in first] or able[:1]


def skippable(run: Run) -> list[RunStep]:
    """What may be left out as the run stands now; never a drill's own steps, or a sandbox would stay."""
    if run.started_at is None:
        return []
    able = [s for s in run.steps if s.verb not in drilled.OURS]
    if run.status == Status.paused:
        return [s for s in able if s.status in ("pending", "again", "failed")]
    wanted = {"person": "failed", "time": "again"}.get(run.waiting_for or "", "")
    return [s for s in able if s.status == wanted] if run.status == Status.waiting else []


def left_out(s: RunStep, note: str, actor: Actor, j: Judging) -> RunStep:
    """Skipped by a person. What its unfinished write may have changed is not forgotten."""
    update = {"status": "skipped", "note": note, "by": actor.id, "ended_at": j.now, "unsure": s.touched}
    return s.model_copy(update=update)


def _state(run: Run) -> str:
    return f"waiting for {run.waiting_for}" if run.waiting_for else str(run.status)


def accept(run: Run, command: Accept, actor: Actor, j: Judging) -> Moved:
    """A person takes the outcome as it is. ``enable``: lets traffic back in all the same; an enable that failed or was
    not begun, since something had not passed, is done and read back."""
    _needs_person(run)
    no(rules.may_control(j.policy, j.who, run.requester.id))
    reason = _reason(command.reason)
    _begun(run)
    again = _enabled_again(run) if command.enable else set()
    taken = {s.n for s in run.steps if s.status == "failed"} - again
    steps = [left_out(s, "accepted by a person", actor, j) if s.n in taken else s for s in waits_anew(run, j.now).steps]
    moved = run.to(
        steps=[_begun_again(s) if s.n in again else s for s in steps],
        status=Status.running,
        waiting_for=None,
        why="",
        accepted=reason,
        enable_anyway=run.enable_anyway or command.enable,
        wake_at=None,
    )
    act = "flag_enabled_anyway" if command.enable else "outcome_accepted"
    return moved, [Happened(act=act, actor=actor, texts={"reason": reason})]


def _begun(run: Run) -> None:
    if run.started_at is None:
        raise Refused(
            f"{run.name} has not begun, so there is no outcome to accept; retry or abort it", rule="not begun"
        )


def to_enable(run: Run) -> list[RunStep]:
    """The enables that *Enable anyway* lets happen: to come, failed, or not begun by the engine itself."""
    return [s for s in _enables(run) if s.status != "done" and not s.by and not drilled.left_out(s)]


def _enables(run: Run) -> list[RunStep]:
    return [s for s in run.steps if s.verb == "enable"]


def _enabled_again(run: Run) -> set[int]:
    """The steps that begin again so that the flags are switched on: enables, and what read them back while they were
    off. Raises Refused where no flag is left."""
    left = to_enable(run)
    if not left:
        why = listed(_not_to_enable(s) for s in _enables(run)) or "its playbook enables nothing"
        raise Refused(f"{run.name} has no flag left to switch on: {why}. Accept it as it is", rule="nothing to enable")
    idle = [s for s in run.steps if s.status == "failed" or (s.status == "skipped" and not s.by)]
    again = [s for s in left if s in idle]
    reads = [s for s in idle if s.verb in ("verify", "wait")]
    return {s.n for s in again} | {r.n for r in reads for s in again if s.component == r.component and s.n < r.n}


def _not_to_enable(s: RunStep) -> str:
    if s.status == "done":
        return f"{s.component} is enabled already"
    return f"enable {s.component} was {'left out by a person' if s.by else s.note}"


def snooze(run: Run, command: Snooze, actor: Actor, j: Judging) -> Moved:
    """Says who is looking, and keeps stall alerts and reminders quiet for a while."""
    if not run.open:
        raise Refused(f"{run.name} is already {run.status}", rule="finished")
    no(rules.may_control(j.policy, j.who, run.requester.id))
    until = j.now + timedelta(seconds=command.seconds)
    moved = run.to(looking=actor.id, quiet_until=until)
    return moved, [Happened(act="alerts_snoozed", actor=actor, facts={"until": until.isoformat()})]


def speed(run: Run, command: Speed, actor: Actor, j: Judging) -> Moved:
    """The shares of a ramp follow one another at another pace, from now on."""
    ramps = [s for s in run.steps if s.ramp and s.status in ("pending", "running", "again")]
    if not run.open or not ramps:
        raise Refused(f"{run.name} has no ramp that could go faster or slower", rule="no ramp")
    if run.started_at is None:
        raise Refused(f"{run.name} has not begun, so what is to be approved would change", rule="not begun")
    no(rules.may_control(j.policy, j.who, run.requester.id))
    moved = at_pace(run, command.every, j.now)
    fact = span(command.every) if command.every else "at once"
    return moved, [Happened(act="ramp_speed_set", actor=actor, facts={"every": fact})]


def unlock(run: Run, command: Unlock, actor: Actor, j: Judging) -> Moved:
    """Whatever still works on it has lost it, and its locks are free; an open run ends as aborted. A step that is under
    way may write until its process is stopped: whoever does this has looked."""
    reason = _reason(command.reason)
    no(rules.may_unlock(j.policy, j.who, run.requester.id))
    event = Happened(act="locks_forced", actor=actor, texts={"reason": reason})
    if not run.open:
        return run, [event]
    busy = under_way(run)
    during = f" while {busy} was under way" if busy else ""
    then = "Look at it before anything else" if busy else "What was changed stays until put back"
    why = f"its locks were taken away by force{during}: {reason}. {then}"
    return end(run.to(left=aborted_left(run)), Status.aborted, why, actor, j.now), [event]
