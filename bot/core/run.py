"""A run: one execution of one plan, as a value. It is moved by ``decide`` (people) and ``progress`` (the engine)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from bot.core.commands import Actor, Purpose
from bot.core.policy import Nod, Requirement
from bot.core.target import Accuracy, Capture, Json, Kind, Value


class Status(StrEnum):
    """Where a run stands. The first four are open, the others are ends."""

    planning = "planning"
    running = "running"
    paused = "paused"
    waiting = "waiting"
    succeeded = "succeeded"
    degraded = "degraded"
    failed = "failed"
    aborted = "aborted"
    rejected = "rejected"
    expired = "expired"
    refused = "refused"


OPEN = frozenset({Status.planning, Status.running, Status.paused, Status.waiting})


class Place(Value):
    """Where a component's sandbox is: what builds its target, its resource, and the version that it began with."""

    params: dict[str, Json]
    resource: str
    version: str


StepStatus = Literal["pending", "running", "again", "done", "failed", "skipped"]


class RunStep(Value):
    """One step as it went. ``before`` is the pre-image and compare-and-set token; ``origin`` is what *put back*
    restores (another run's pre-image, where *Stop the harm* had changed the thing already); ``to`` is what the
    step restores or verifies. ``attempts`` counts intents; ``unsure``: an earlier one may have written something.
    ``ramp``: percent of the recorded rule, one after another, ``every`` so many seconds; ``stage`` of them are given.
    ``by``: the person who left it out. ``place``: the sandbox that this step has made."""

    n: int
    group: int
    verb: str
    component: str
    kind: Kind
    resource: str
    timeout: float = 600.0
    retries: int = 2
    on_failure: str = "stop"
    stall_after: float | None = None
    ramp: list[int] = Field(default_factory=list)
    every: float = 0.0
    stage: int = 0
    staged_at: datetime | None = None
    status: StepStatus = "pending"
    attempts: int = 0
    before: Capture | None = None
    origin: Capture | None = None
    to: Capture | None = None
    changed: bool | None = None
    accuracy: Accuracy | None = None
    version: str = ""
    unsure: bool = False
    by: str = ""
    place: Place | None = None
    note: str = ""
    error: str = ""
    done: float = 0.0
    total: float = 0.0
    progress_at: datetime | None = None
    started_at: datetime | None = None
    share_at: datetime | None = None
    applied_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def touched(self) -> bool:
        """It has changed something, or may have: its intent is written, and the act is not known to have ended well."""
        under_way = self.before is not None and self.attempts > 0 and self.status in ("running", "again", "failed")
        return bool(self.changed) or self.unsure or under_way

    @property
    def key_part(self) -> str:
        """The part of the idempotency key that names this step; no attempt number on purpose."""
        return f"{self.n}.{self.stage}" if self.ramp else f"{self.n}"


class Left(Value):
    """Something a run left off or paused."""

    what: Literal["pipeline", "flag", "hold", "review"]
    component: str
    say: str
    until_done: bool = True


class Glass(Value):
    """Break-glass: who ran this without approval, and why."""

    person: str
    reason: str
    at: datetime


class Deed(Value):
    """What a person did to a run that was at work, in words that follow their name, and their reason."""

    person: str
    at: datetime
    what: str
    why: str = ""


class Run(Value):
    """Times are UTC. ``same_as`` is unique among open runs. ``wake_at``: when a run that was parked at ``parked_at`` is
    driven again. ``stuck_at``: since when it waits for a person; ``looking``: who has said to be looking, until
    ``quiet_until``. ``behind``: the run whose locks it waits for before it begins.
    ``ends_as``, ``ends_why``: how a drill ends once its sandboxes are removed, if not by coming to its end.
    ``production``: what a drill has read there before and after, in words."""

    format: int = 1
    id: int
    feature: str
    environment: str = ""
    purpose: Purpose
    mode: Literal["live", "dry_run", "drill"] = "live"
    status: Status = Status.planning
    waiting_for: Literal["approval", "time", "person"] | None = None
    why: str = ""
    requester: Actor
    request: dict[str, Json] = Field(default_factory=dict)
    channel: str = ""
    of_run: int | None = None
    instead_of: int | None = None
    behind: int | None = None
    reason: str = ""
    incident: str = ""
    from_version: str | None = None
    to_version: str | None = None
    plan_no: int = 0
    plan_digest: str | None = None
    requirement: Requirement | None = None
    nods: list[Nod] = Field(default_factory=list)
    glass: Glass | None = None
    steps: list[RunStep] = Field(default_factory=list)
    left: list[Left] = Field(default_factory=list)
    created_at: datetime
    planned_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    paused_by: str = ""
    stuck_at: datetime | None = None
    looking: str = ""
    quiet_until: datetime | None = None
    started_at: datetime | None = None
    applied_at: datetime | None = None
    visible_at: datetime | None = None
    verified_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    wake_at: datetime | None = None
    parked_at: datetime | None = None
    accepted: str = ""
    deeds: list[Deed] = Field(default_factory=list)
    enable_anyway: bool = False
    ends_as: Status | None = None
    ends_why: str = ""
    production: list[str] = Field(default_factory=list)

    @property
    def name(self) -> str:
        """``R-17``."""
        return f"R-{self.id}"

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def present_nods(self) -> list[Nod]:
        """What was decided on the present plan."""
        return [n for n in self.nods if n.digest == self.plan_digest and n.plan == self.plan_no]

    @property
    def yes(self) -> list[str]:
        """Who said yes to the present plan."""
        return [n.person for n in self.present_nods if n.yes]

    def step(self, n: int) -> RunStep:
        return next(s for s in self.steps if s.n == n)

    def with_step(self, step: RunStep) -> Run:
        """The same run with one step replaced."""
        return self.model_copy(update={"steps": [step if s.n == step.n else s for s in self.steps]})

    def to(self, **changes: Any) -> Run:
        """The same run with some fields changed."""
        return self.model_copy(update=changes)


class Happened(Value):
    """One event, before it gets its place in the log. ``texts``: names and free text, kept separable."""

    act: str
    actor: Actor = Field(default_factory=Actor)
    before: str | None = None
    after: str | None = None
    facts: dict[str, Json] = Field(default_factory=dict)
    texts: dict[str, str] = Field(default_factory=dict)


Moved = tuple[Run, list[Happened]]
"""What a pure transition answers: the run as it is now, and what happened."""


def run_id(name: str) -> int | None:
    """``R-17``, ``r17`` or ``17`` as 17; None if it is no run's name."""
    digits = name.strip().lower().removeprefix("r").removeprefix("-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def verdict(run: Run) -> tuple[bool, Accuracy | None]:
    """Did all verify steps of this run pass their read-back, and the sum of what was read.

    Cells add up; ``where`` is the weakest of the places read."""
    read = [s.accuracy for s in run.steps if s.verb == "verify" and s.accuracy is not None]
    if not read:
        return False, None
    stores = [a for a in read if a.where == "in the store"]
    return all(a.inconclusive is None for a in read), Accuracy(
        matched=sum(a.matched for a in read),
        expected=sum(a.expected for a in read),
        missing=sum(a.missing for a in read),
        extra=sum(a.extra for a in read),
        null=sum(a.null for a in read),
        where="at consumers" if _consumers(run) else "in the store",
        # A flag is evaluated for a thousand keys; what is served was read whole all the same.
        sampled=any(s.accuracy.sampled for s in run.steps if s.verb == "verify" and s.accuracy and s.kind != Kind.flag),
        inconclusive=next((a.inconclusive for a in read if a.inconclusive), None),
        examples=[e for a in stores or read for e in a.examples][:5],
    )


def unproved(last: Run | None) -> Run | None:
    """The last of a feature's runs that took something back, if what it brought was not read back and found right."""
    if last is None or last.verified_at or not any(s.verb == "verify" for s in last.steps):
        return None
    return last


def _consumers(run: Run) -> bool:
    """At consumers, if every component that consumers read was read there."""
    read = [s for s in run.steps if s.verb == "verify" and s.accuracy and s.kind in (Kind.online, Kind.model)]
    return bool(read) and all(s.accuracy is not None and s.accuracy.where == "at consumers" for s in read)


def passed(accuracy: Accuracy, slo: float) -> bool:
    """One component's read-back is good enough: conclusive, accurate, and with no row that should not be there."""
    return possible(accuracy) and accuracy.inconclusive is None and accuracy.ratio >= slo and accuracy.extra == 0


def possible(a: Accuracy) -> bool:
    """Numbers that can be true together: somebody's program may answer anything."""
    return (
        0 <= a.matched <= a.expected
        and min(a.missing, a.extra, a.null) >= 0
        and not (a.missing and a.matched == a.expected)
    )


def clocks(run: Run) -> dict[str, float | None]:
    """Three times, in seconds: people's apart from the machine's."""

    def between(a: datetime | None, b: datetime | None) -> float | None:
        return round((b - a).total_seconds(), 3) if a and b else None

    go = run.decided_at or run.planned_at
    return {
        "people_s": between(run.planned_at, run.decided_at),
        "applied_s": between(go, run.applied_at),
        "visible_s": between(go, run.visible_at),
        "verified_s": between(go, run.verified_at),
    }
