"""What people, hooks and clocks can say. A command is data: it waits in the inbox until the worker applies it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from bot.core.target import Value


class Purpose(StrEnum):
    """What a run is for."""

    rollback = "rollback"
    stop = "stop"
    put_back = "put_back"
    hold = "hold"
    lift = "lift"
    enable = "enable"


class Actor(Value):
    """Who says it, and through what. A person's ``id`` is ``team/user``; ``channel`` is where an answer goes."""

    kind: Literal["person", "terminal", "token", "alert", "schedule", "system"] = "system"
    id: str = "rollbot"
    via: Literal["slack", "cli", "hook", "api", "ticker", "worker"] = "worker"
    channel: str = ""
    response_url: str = ""


class Request(Value):
    """Asks for a run. ``of_run``: the run that is put back or repeated, or on whose card *Stop the harm* stood.
    ``instead_of``: the open run that ends with this, and whose locks and pre-images the new one takes over."""

    act: Literal["request"] = "request"
    feature: str
    purpose: Purpose = Purpose.rollback
    to: str = ""
    at: str | None = None
    without: list[str] = Field(default_factory=list)
    reason: str = ""
    incident: str = ""
    mode: Literal["live", "dry_run", "drill"] = "live"
    playbook: str | None = None
    of_run: int | None = None
    instead_of: int | None = None
    channel: str = ""
    drill: str = ""
    """The scheduled drill that this is; empty for one that a person asks for."""

    def same_as(self) -> list[object]:
        """Two requests that say the same are one run while it is open."""
        taken_over = [self.instead_of] if self.instead_of else []
        return [
            self.feature,
            self.purpose,
            self.to,
            self.at,
            sorted(self.without),
            self.mode,
            self.playbook,
            self.of_run,
            *taken_over,
        ]


class Decide(Value):
    """One person's yes or no to one plan digest."""

    act: Literal["decide"] = "decide"
    run: int
    yes: bool
    digest: str
    reason: str = ""


class RunAnyway(Value):
    """Break-glass: run without approval. ``version`` and ``reason`` are typed by hand."""

    act: Literal["run_anyway"] = "run_anyway"
    run: int
    digest: str
    version: str
    reason: str


class Abort(Value):
    """Ends a run that is not finished. What was done stays done."""

    act: Literal["abort"] = "abort"
    run: int
    reason: str = ""


class Pause(Value):
    """Nothing starts until it is resumed. Locks are kept, and so is what was done."""

    act: Literal["pause"] = "pause"
    run: int
    reason: str = ""


class Resume(Value):
    """A paused run goes on where it was."""

    act: Literal["resume"] = "resume"
    run: int


class Retry(Value):
    """Repeats what failed or was inconclusive."""

    act: Literal["retry"] = "retry"
    run: int


class Skip(Value):
    """Leaves steps out, with a reason. ``step`` None: those at which the run stands."""

    act: Literal["skip"] = "skip"
    run: int
    step: int | None = None
    reason: str = ""


class Snooze(Value):
    """Somebody is looking: no stall alert for this many seconds."""

    act: Literal["snooze"] = "snooze"
    run: int
    seconds: float = Field(default=900.0, gt=0, le=86_400)


class Speed(Value):
    """Another time between two shares of a ramp, in seconds; 0: all the rest at once."""

    act: Literal["speed"] = "speed"
    run: int
    every: float = Field(ge=0, le=86_400)


class Unlock(Value):
    """Takes a run's locks away by force; if it is open, that ends it."""

    act: Literal["unlock"] = "unlock"
    run: int
    reason: str = ""


class Accept(Value):
    """Ends a run whose verification did not pass as degraded, or enables the flag all the same (``enable``)."""

    act: Literal["accept"] = "accept"
    run: int
    reason: str
    enable: bool = False


class CaptureRelease(Value):
    """Captures what is live as a release. ``pointers``: import from versions that the systems still hold.
    ``keyed``: whoever sent it gave it a key; without one the same words after its end are another order."""

    act: Literal["capture"] = "capture"
    feature: str
    version: str
    changelog: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    commit: str = ""
    pointers: dict[str, str] = Field(default_factory=dict)
    live_from: str | None = None
    live_to: str | None = None
    channel: str = ""
    keyed: bool = True


class TakeMoment(Value):
    """The ticker asks for another moment of the live release's data side."""

    act: Literal["moment"] = "moment"
    feature: str


Command = Annotated[
    Request
    | Decide
    | RunAnyway
    | Abort
    | Pause
    | Resume
    | Retry
    | Skip
    | Snooze
    | Speed
    | Unlock
    | Accept
    | CaptureRelease
    | TakeMoment,
    Field(discriminator="act"),
]
parse: TypeAdapter[Command] = TypeAdapter(Command)
"""Reads a stored command. Raises pydantic.ValidationError for one that this build does not know."""
