"""What must hold at every moment, whatever goes wrong; looked at from outside, by log, rows and effects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bot.core.auditor import verify_export
from bot.core.run import OPEN, Run, Status
from bot.store import events, runs
from bot.store import tables as t
from tests.faults.simulated.systems import System

STARTS = "step_begun"
ENGINE_ACTS = frozenset({"run_planned", "run_started", "step_begun", "step_done", "step_failed", "run_ended"})
STOPS = frozenset({"run_aborted", "run_paused", "run_ended", "run_expired", "run_rejected", "run_refused"})
_ENDED = sa.select(t.runs.c.id, t.runs.c.status).where(t.runs.c.ended_at.is_not(None))
_FRESH = sa.select(t.events.c.seq, t.events.c.run, t.events.c.body).order_by(t.events.c.seq)
_FRESH = _FRESH.where(t.events.c.seq >= sa.bindparam("first"))
_OWNER = sa.text("SELECT owner, lease_until > rollbot_clock() AS held FROM runs WHERE id = :run")


class Broken(AssertionError):
    """A rule was broken."""


@dataclass
class Rules:
    """Watches one database and its systems. ``begun``: the intents in the log, by key; ``writer``: the process whose
    transaction it is; ``acted``: when the last step of each run was over, among all effects and looks."""

    systems: dict[str, System]
    read: Callable[[Callable[[sa.Connection], Any]], Any]
    say: Callable[[str], None]
    seen: int = 0
    ended: dict[int, str] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    retried: Counter[int] = field(default_factory=Counter)
    acted: dict[int, int] = field(default_factory=dict)
    writer: str = ""
    broken: list[str] = field(default_factory=list)

    def broke(self, what: str) -> None:
        self.say(f"BROKEN: {what}")
        self.broken.append(what)

    def catch_up(self, conn: sa.Connection) -> None:
        """What happened before is not looked at."""
        self.seen = conn.execute(sa.select(sa.func.count()).select_from(t.events)).scalar() or 0

    def after_write(self, conn: sa.Connection, writer: str) -> None:
        """Called with each transaction before it commits."""
        self.writer = writer
        for row in conn.execute(_FRESH, {"first": self.seen}).all():
            self.seen = row.seq + 1
            if row.run:
                self._happened(conn, row.run, json.loads(row.body))
        now = {row.id: row.status for row in conn.execute(_ENDED)}
        for run, status in self.ended.items():
            if now.get(run) != status:
                self.broke(f"R-{run} had ended as {status} and is now {now.get(run, 'open')}")
        self.ended = now

    def _happened(self, conn: sa.Connection, run: int, event: dict[str, Any]) -> None:
        act = event["act"]
        self.say(f"    R-{run} {act} {event['facts']}")
        if act in ENGINE_ACTS:
            owner = conn.execute(_OWNER, {"run": run}).first()
            if owner is None or owner.owner != self.writer:
                self.broke(f"{self.writer} writes {act} of R-{run}, which {owner} owns")
        if act == STARTS:
            self._starts(conn, run, event["facts"])
        if act in STOPS:
            self.stopped.add(run)
        if act == "run_resumed":
            self.stopped.discard(run)
        self.retried[run] += act == "run_retried"
        if act == "step_done":
            self.acted[run] = next(iter(self.systems.values())).ledger.next()
        if act == "run_started":
            self._alone(conn, run)
        if act == "run_ended":
            self._over(conn, run)

    def _starts(self, conn: sa.Connection, number: int, facts: dict[str, Any]) -> None:
        if number in self.stopped:
            self.broke(f"R-{number}: a step began after the run was stopped: {facts}")
        if (run := runs.load(conn, number)) is not None:
            self.begun.add(f"{run.name}:{run.plan_no}:{facts['step']}")

    def _alone(self, conn: sa.Connection, number: int) -> None:
        """No two runs are at work on one thing, and nothing is without its approval."""
        started = [r for r in runs.open_runs(conn, feature="fares") if r.started_at and r.purpose != "stop"]
        if len(started) > 1:
            self.broke(f"{' and '.join(r.name for r in started)} are at work together")
        run = runs.load(conn, number)
        if run and run.requirement and run.requirement.alternatives and not run.yes and not run.glass:
            self.broke(f"{run.name} started without its approvals")

    def _over(self, conn: sa.Connection, number: int) -> None:
        run = runs.load(conn, number)
        if run is None or run.status != Status.succeeded or run.purpose not in ("rollback", "put_back"):
            return
        for step in run.steps:
            if step.status not in ("done", "skipped"):
                self.broke(f"{run.name} succeeded, and step {step.n} is {step.status}")
            if step.verb == "verify" and step.to:
                self._served(run, step.component, step.to.pointer)
                if self.systems[step.component].looked < self.acted[number]:
                    self.broke(f"{run.name} succeeded, and {step.component} was not looked at after its last step")
            if step.changed:
                self._took_effect(f"{run.name}:{run.plan_no}:{step.n}", step.component)

    def _served(self, run: Run, component: str, value: str) -> None:
        """What somebody else changed after the last look can't be known, nor what *Stop the harm* did then; all else
        must be as recorded."""
        system, mine = self.systems[component], f"{run.name}:"
        late = system.last is not None and not system.last.key.startswith(mine) and system.last.n > system.looked
        if system.value != value and not late:
            self.broke(f"{run.name} succeeded with {component} at {system.value}, and {value} was recorded")

    def _took_effect(self, key: str, component: str) -> None:
        ledger = self.systems[component].ledger
        if key not in ledger.lies and not any(e.key == key for e in ledger.effects):
            self.broke(f"{key} is said to have changed {component}, and nothing took effect")

    def owns(self, key: str, process: str) -> None:
        """Asked just before a write: an intent stands in the log, and that process owns the run."""
        run = int(key.split(":", 1)[0][2:])
        row = self.read(lambda c: c.execute(_OWNER, {"run": run}).first())
        if row.owner != process or not row.held:
            self.broke(f"{process} writes for {key} without owning the run")
        if key not in self.begun:
            self.broke(f"{key} is written without an intent in the log")

    def at_the_end(self, conn: sa.Connection) -> None:
        """Once all has come to rest: effects once, nothing locked, nothing waiting, the log whole."""
        effects = next(iter(self.systems.values())).ledger.effects
        times = Counter(e.key for e in effects if e.key and e.whole)
        for key, n in times.items():
            run = int(key.split(":", 1)[0][2:])
            if n > 1 + self.retried[run]:
                self.broke(f"{key} took effect {n} times")
        locked = conn.execute(sa.select(t.resource_locks.c.run)).scalars().all()
        for number in sorted(set(locked)):
            run_ = runs.load(conn, number)
            # A run that was aborted under a worker that died leaves its locks to whoever wants them next.
            if run_ is None or run_.status != Status.aborted:
                self.broke(f"R-{number} has ended and left {locked.count(number)} locks")
        waiting = conn.execute(sa.select(sa.func.count()).where(t.inbox.c.applied_at.is_(None))).scalar()
        if waiting:
            self.broke(f"{waiting} presses were never applied")
        report = verify_export(list(events.exported(conn, "rollbot")))
        if not report.ok:
            self.broke(f"the log does not verify: {report.fault}")


def rests(run: Run, now: Any) -> str | None:
    """Why an open run that nobody works on hangs; None if somebody or something will wake it soon."""
    if run.status not in OPEN or run.status == Status.paused or run.waiting_for == "person":
        return None
    if run.waiting_for == "approval":
        return None if run.expires_at else "waits for approval without an end"
    wake = run.wake_at
    if run.waiting_for == "time" and wake is not None and (wake - now).total_seconds() < 60:
        return None
    return f"is {run.status} {run.waiting_for or ''}, to be woken at {wake}; it is {now}: {run.why}"
