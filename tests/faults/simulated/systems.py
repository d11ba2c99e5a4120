"""Outside systems in small. Each keeps one value, compares before it writes, and writes down every effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from bot.core.errors import Moved
from bot.core.target import Capture, Kind, State

OFF = {Kind.flag: "off", Kind.pipeline: "held"}


@dataclass(frozen=True)
class Effect:
    """One write that took effect. ``key`` empty: somebody else's. ``n``: its place among all effects."""

    n: int
    key: str
    component: str
    was: str
    value: str
    whole: bool


@dataclass
class Ledger:
    """All effects on all systems, in order: what is counted from outside. ``lies``: keys of what was only said.
    ``after`` hears of each."""

    effects: list[Effect] = field(default_factory=list)
    lies: set[str] = field(default_factory=set)
    after: Callable[[Effect], None] = field(default=lambda _: None)
    moments: int = 0

    def next(self) -> int:
        self.moments += 1
        return self.moments


@dataclass
class System:
    """``counts``: it compares revisions, so that a write that comes late is refused even if the old value is back;
    else it compares values and takes a write at once or never. ``parts``: writes that one restore makes."""

    name: str
    kind: Kind
    value: str
    ledger: Ledger
    counts: bool = True
    parts: int = 1
    revision: int = 0
    half: str = ""
    seen_from: float = 0.0
    looked: int = 0
    last: Effect | None = None

    def state(self) -> State:
        self.looked = self.ledger.next()
        return State(kind=self.kind, resource=f"sim:{self.name}", pointer=self.value, digest=f"d-{self.value}")

    def capture(self, now: datetime) -> Capture:
        return captured(self.kind, self.name, self.value, now, self.revision)

    def land(self, key: str, to: Capture, before: Capture, *, whole: bool) -> bool:
        """Compare and set. ``whole`` False: the first of two writes. True if it changed something. Raises Moved."""
        if self.value == to.pointer and not self.half:
            return False
        same = before.pointer == self.value and (not self.counts or before.data["revision"] == self.revision)
        if not (same and not self.half) and self.half != key:
            raise Moved(f"{self.name} is {self.value}, and the pre-image says {before.pointer}")
        if not whole and self.half == key:
            return False
        self.half = "" if whole else key
        self._write(key, to.pointer if whole else f"half of {to.pointer}", whole=whole)
        return True

    def foreign(self, value: str) -> None:
        """Somebody else writes."""
        self.half = ""
        self._write("", value, whole=True)

    def _write(self, key: str, value: str, *, whole: bool) -> None:
        self.last = Effect(self.ledger.next(), key, self.name, self.value, value, whole)
        self.ledger.effects.append(self.last)
        self.value = value
        self.revision += 1
        self.ledger.after(self.last)


def captured(kind: Kind, name: str, value: str, now: datetime, revision: int = 0) -> Capture:
    return Capture(
        kind=kind,
        resource=f"sim:{name}",
        pointer=value,
        digest=f"d-{value}",
        data={"revision": revision},
        taken_at=now,
    )
