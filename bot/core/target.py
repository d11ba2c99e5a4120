"""The contract between Rollbot and an outside system: capture and restore are one pair.

A rollback restores a release's captures, *put back* restores the pre-images, a drill restores into a
sandbox; switching a flag off or holding a pipeline is restoring a capture made from the present one.
There is no second mechanism.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO, ClassVar, Literal, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

Json = Any
"""A value that survives ``json.dumps`` and ``json.loads`` unchanged."""


class Kind(StrEnum):
    """What sort of thing a component is."""

    definition = "definition"
    model = "model"
    flag = "flag"
    dataset = "dataset"
    online = "online"
    pipeline = "pipeline"


CODE_SIDE = frozenset({Kind.definition, Kind.model, Kind.flag})
DATA_SIDE = frozenset({Kind.dataset, Kind.online})


class Value(BaseModel):
    """An immutable value that crosses process and database borders as JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BlobRef(Value):
    """Bytes in the artifact store, by content. ``digest`` is ``sha256:`` + hex; ``size`` in bytes."""

    digest: str
    size: int
    name: str = ""


class State(Value):
    """A component live now.

    ``pointer`` and ``digest`` are its *version*: what a person would call a different thing. They must not
    move while ordinary data arrives (appends, re-materialization); that belongs into ``observed``.
    ``facts`` describe the version field by field, for before -> after on the card.
    """

    kind: Kind
    resource: str
    pointer: str
    digest: str
    facts: dict[str, Json] = Field(default_factory=dict)
    observed: dict[str, Json] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)

    @property
    def version(self) -> str:
        """Pointer and digest in one string: equal if and only if a person would call it the same thing."""
        return f"{self.pointer}#{self.digest}"


class Capture(Value):
    """What one component was: its version, and references to the bytes needed to bring it back.

    Unlike a State's, ``pointer`` and ``digest`` are exact (Delta 38, not "the table since 31").
    ``data`` is small and target-specific; everything large is in ``blobs``. ``expected``: computed from
    what the systems still hold, not observed live. ``restorable_until``: None = no known end.
    """

    format: int = 1
    kind: Kind
    resource: str
    pointer: str
    digest: str
    facts: dict[str, Json] = Field(default_factory=dict)
    observed: dict[str, Json] = Field(default_factory=dict)
    data: dict[str, Json] = Field(default_factory=dict)
    blobs: dict[str, BlobRef] = Field(default_factory=dict)
    taken_at: datetime
    expected: bool = False
    restorable_until: datetime | None = None
    warnings: list[str] = Field(default_factory=list)


class Readiness(Value):
    """Can this capture still be restored? ``not_checked``: the system did not answer, so nobody knows."""

    status: Literal["ready", "not_ready", "not_checked"]
    reasons: list[str] = Field(default_factory=list)
    expires_at: datetime | None = None
    checked: str = "content"


class Change(Value):
    """One line of before -> after."""

    name: str
    before: Json = None
    after: Json = None


class Diff(Value):
    """What restoring a capture would change now. ``counts``: e.g. rows_added, rows_removed, rows_changed,
    commits_discarded. Values are plain JSON; ``summary`` is a short text for the card."""

    same: bool
    summary: str = ""
    changes: list[Change] = Field(default_factory=list)
    counts: dict[str, int] = Field(default_factory=dict)


class Receipt(Value):
    """What a restore did. A claim until read back. ``again_after``: seconds; the work goes on outside and
    the same call with the same key must be repeated then."""

    changed: bool
    pointer: str = ""
    note: str = ""
    again_after: float | None = None


class Visibility(Value):
    """Do consumers see it yet? ``seen`` of ``total`` places; ``again_after`` seconds until it is worth asking again."""

    visible: bool
    seen: int = 1
    total: int = 1
    note: str = ""
    again_after: float = 1.0


class Accuracy(Value):
    """What was read back, against what should be there.

    ``matched`` of ``expected`` cells (or fields); ``missing`` and ``extra`` count keys, ``null`` counts
    cells that are null and should not be. ``inconclusive`` says why nothing can be said.
    """

    matched: int
    expected: int
    missing: int = 0
    extra: int = 0
    null: int = 0
    where: Literal["in the store", "at consumers"] = "in the store"
    sampled: bool = False
    examples: list[str] = Field(default_factory=list)
    inconclusive: str | None = None

    @property
    def ratio(self) -> float:
        """Share of expected cells that match; 0.0 if nothing was expected or nothing can be said."""
        if self.inconclusive or self.expected <= 0:
            return 0.0
        return self.matched / self.expected


class Connection(Value):
    """One configured outside system: ``settings`` have ``${NAME}`` resolved and paths made absolute."""

    name: str
    type: str
    settings: dict[str, Json] = Field(default_factory=dict)


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


def _no_progress(done: float, total: float, note: str) -> None:
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
        """A target of the same class under another resource, made now, in which every capture taken here is valid."""
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


def canonical(value: Json) -> str:
    """One text per value: sorted keys, no spaces, no NaN. Equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Json) -> str:
    """``sha256:`` + hex of the canonical text of ``value``."""
    return "sha256:" + hashlib.sha256(canonical(value).encode()).hexdigest()


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
