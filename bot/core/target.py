"""The contract between Rollbot and an outside system: capture and restore are one pair.

A rollback restores a release's captures, *put back* restores the pre-images, a drill restores into a
sandbox; switching a flag off or holding a pipeline is restoring a capture made from the present one.
There is no second mechanism. Whoever writes a target finds all that is needed here, so the values are named again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, ClassVar, Protocol, Self, runtime_checkable

from bot.core.values import (
    CODE_SIDE,
    DATA_SIDE,
    Accuracy,
    BlobRef,
    Capture,
    Change,
    Connection,
    Diff,
    Json,
    Kind,
    Readiness,
    Receipt,
    State,
    Value,
    Visibility,
    canonical,
    digest_of,
)

__all__ = [
    "CODE_SIDE",
    "DATA_SIDE",
    "Accuracy",
    "BlobRef",
    "Blobs",
    "Call",
    "Capture",
    "Change",
    "Connection",
    "Diff",
    "Holdable",
    "Json",
    "Kind",
    "Readiness",
    "Receipt",
    "State",
    "Switchable",
    "Target",
    "Value",
    "Visibility",
    "canonical",
    "diff_facts",
    "digest_of",
]


class Blobs(Protocol):
    """The artifact store as a target sees it: content-addressed, digest-checked on read."""

    def put(self, data: bytes | BinaryIO, name: str = "") -> BlobRef: ...

    def get(self, ref: BlobRef) -> bytes:
        """The whole content. Raises CorruptBlob."""
        ...

    def open(self, ref: BlobRef) -> BinaryIO:
        """A stream over the content, verified before the first byte is handed out. Raises CorruptBlob."""
        ...

    def has(self, ref: BlobRef) -> bool:
        """Present with the right size (the content is not read)."""
        ...


def _no_progress(_done: float, _total: float, _note: str) -> None:
    return None


def _always_ours() -> None:
    return None


@dataclass(frozen=True)
class Call:
    """Everything one call into a target needs. ``deadline``: seconds left when the call begins.

    ``key`` is the same for every repetition of one step; ``fence`` grows with every new owner of the run.
    ``check()`` is asked before each write and raises LostOwnership if another worker took over.
    """

    connection: Connection
    blobs: Blobs
    now: datetime
    key: str = ""
    fence: int = 0
    deadline: float = 60.0
    progress: Callable[[float, float, str], None] = field(default=_no_progress)
    check: Callable[[], None] = field(default=_always_ours)
    connections: dict[str, Connection] = field(default_factory=dict)
    """The other configured systems, by name (for a component that starts a job through another one)."""
    context: dict[str, Json] = field(default_factory=dict)
    """Facts of this run that a target may need: ``feature``, ``from_release``, ``to_release``, ``siblings``
    (captures of the other components of the release, by component name, as JSON)."""


@runtime_checkable
class Target(Protocol):
    """One component of one type of system.

    Implementations are pydantic models (``extra="forbid"``) that hold the component's parameters, no
    clients and no secrets. Methods are plain synchronous code and run in a child process of their own.
    Every target resolves names to immutable ids before any write, detects no-ops, and reads back after
    each write, whatever the system's API claims.
    """

    kind: ClassVar[Kind]

    def resource(self, connection: Connection) -> str:
        """Canonical name of the outside thing; pure. Two components that share it share a lock."""
        ...

    def inspect(self, call: Call) -> State: ...

    def capture(self, call: Call, at: str | None = None) -> Capture:
        """Live, or (``at``) a version that the system still holds."""
        ...

    def readiness(self, call: Call, c: Capture) -> Readiness:
        """Still restorable? Reads bytes or sizes, not only metadata. Writes nothing."""
        ...

    def diff(self, call: Call, c: Capture) -> Diff:
        """What restoring ``c`` would change now. Writes nothing."""
        ...

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        """Bring ``c`` back; no-op if already there.

        ``before`` (the pre-image) is the compare-and-set token: raises Moved if the live thing is neither
        ``before``, nor ``c``, nor a half-done restore of ``c`` by the same key. Killed after any of its
        writes and repeated with the same key, it ends exact.
        """
        ...

    def visible(self, call: Call, c: Capture) -> Visibility: ...

    def verify(self, call: Call, c: Capture) -> Accuracy: ...

    def sandbox(self, call: Call) -> Self:
        """A target of the same class under another resource, made now, in which every capture taken here is valid. With
        ``to_remove`` in the call's context it may be only named: it is about to be discarded."""
        ...

    def discard(self, call: Call) -> None:
        """Remove a sandbox that ``sandbox`` made; harmless if it is gone. Refuses anything that is no sandbox."""
        ...


@runtime_checkable
class Switchable(Protocol):
    """Flags. Pure functions that make a capture from the present one."""

    def disabled(self, now: Capture) -> Capture: ...

    def at(self, now: Capture, percent: int) -> Capture: ...


@runtime_checkable
class Holdable(Protocol):
    """Pipelines and CI. Pure functions that make a capture from the present one."""

    def held(self, now: Capture) -> Capture: ...

    def lifted(self, now: Capture) -> Capture: ...


def diff_facts(state: State, c: Capture) -> Diff:
    """Field by field, for targets whose facts say it all."""
    names = [*state.facts, *[n for n in c.facts if n not in state.facts]]
    changes = [
        Change(name=n, before=state.facts.get(n), after=c.facts.get(n))
        for n in names
        if state.facts.get(n) != c.facts.get(n)
    ]
    same = state.digest == c.digest and state.pointer == c.pointer
    arrow = f"{state.pointer} -> {c.pointer}"
    return Diff(same=same, summary="no change" if same else arrow, changes=changes)
