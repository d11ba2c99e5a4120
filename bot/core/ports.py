"""What the flows need from the outside, as protocols. Wiring hands in the real ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.core.target import Accuracy, Capture, Diff, Json, Kind, Readiness, Receipt, State, Visibility


class Clock(Protocol):
    """The one source of time; never a column default."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...


@dataclass(frozen=True)
class Component:
    """One restorable part of a feature, as the flows see it. ``params`` hold no secrets."""

    name: str
    kind: Kind
    target: str
    params: dict[str, Json]


Progress = Callable[[float, float, str], None]
Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Errand:
    """The frame of one call: repeated with the same ``key`` it must end the same. ``timeout`` in seconds."""

    key: str = ""
    fence: int = 0
    timeout: float = 60.0
    progress: Progress | None = None
    check: Check | None = None
    context: dict[str, Json] | None = None
    urgent: bool = False
    """Waits in no line: *Stop the harm*."""


class Targets(Protocol):
    """Calls into outside systems, each in a child process. Raises TargetError (retriable or not),
    CorruptBlob, Moved, LostOwnership, and MissingExtra; a child that dies, hangs past ``timeout`` or eats
    too much memory is a TargetError, and hurts nobody else."""

    def resource(self, c: Component) -> str: ...

    def fault(self, c: Component) -> str | None:
        """One line saying what is wrong with the component's parameters or connection; None if nothing is."""
        ...

    async def inspect(self, c: Component, errand: Errand) -> State: ...
    async def capture(self, c: Component, errand: Errand, at: str | None = None) -> Capture: ...
    async def readiness(self, c: Component, errand: Errand, capture: Capture) -> Readiness: ...
    async def diff(self, c: Component, errand: Errand, capture: Capture) -> Diff: ...
    async def restore(self, c: Component, errand: Errand, capture: Capture, before: Capture) -> Receipt: ...
    async def visible(self, c: Component, errand: Errand, capture: Capture) -> Visibility: ...
    async def verify(self, c: Component, errand: Errand, capture: Capture) -> Accuracy: ...

    async def sandbox(self, c: Component, errand: Errand) -> Component:
        """The component whose target is a sandbox, in which every capture of ``c`` is valid. The same ``key`` gives
        the same one; where it can't be made, nothing of it is left."""
        ...

    async def discard(self, c: Component, errand: Errand) -> None:
        """Remove a sandbox; harmless if it is gone. Refuses anything that is none."""
        ...

    def disabled(self, c: Component, now: Capture) -> Capture: ...
    def at(self, c: Component, now: Capture, percent: int) -> Capture: ...
    def held(self, c: Component, now: Capture) -> Capture: ...
    def lifted(self, c: Component, now: Capture) -> Capture: ...


@dataclass(frozen=True)
class Membership:
    """Who is in a group. ``as_of``: when it was last confirmed; ``stale``: the source did not answer now."""

    members: frozenset[str]
    as_of: datetime
    stale: bool = False


class People(Protocol):
    """Groups and names, asked from the chat system or from policy. Person ids are ``team/user``."""

    async def group(self, handle: str) -> Membership | None:
        """None if nobody can say (never seen, or last seen more than 24 h ago)."""
        ...

    async def name(self, person: str) -> str: ...
