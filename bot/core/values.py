"""What crosses process and database borders: versions, captures and findings, as immutable values in JSON."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

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

    @property
    def place(self) -> str:
        """Where it lies, below the artifact store's root."""
        digest = self.digest.removeprefix("sha256:")
        return f"sha256/{digest[:2]}/{digest}"


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


Later = Annotated[float, Field(ge=0, le=86_400)]
"""Seconds until it is worth asking again, a day at most: somebody's program may say anything."""


class Receipt(Value):
    """What a restore did. A claim until read back. ``again_after``: seconds; the work goes on outside and
    the same call with the same key must be repeated then."""

    changed: bool
    pointer: str = ""
    note: str = ""
    again_after: Later | None = None


class Visibility(Value):
    """Do consumers see it yet? ``seen`` of ``total`` places; ``again_after`` seconds until it is worth asking again."""

    visible: bool
    seen: int = 1
    total: int = 1
    note: str = ""
    again_after: Later = 1.0


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
    root: str = ""
    """The folder in which a component\'s own relative paths start."""


def canonical(value: Json) -> str:
    """One text per value: sorted keys, no spaces, no NaN. Equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Json) -> str:
    """``sha256:`` + hex of the canonical text of ``value``."""
    return "sha256:" + hashlib.sha256(canonical(value).encode()).hexdigest()
