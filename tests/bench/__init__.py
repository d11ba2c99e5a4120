"""Measurements beside what is promised. Not timed tests: a busy machine must not turn a build red."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """One measured value. ``promised``: the most it may be (with ``at_least`` the least), None where nothing is
    promised. ``note``: what else a reader needs to judge it."""

    what: str
    value: float
    unit: str
    promised: float | None = None
    note: str = ""
    at_least: bool = False

    @property
    def over(self) -> bool:
        """Worse than promised."""
        if self.promised is None:
            return False
        return self.value < self.promised if self.at_least else self.value > self.promised


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed; no value is made up between two."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def spread(values: Sequence[float], unit: str) -> str:
    """How far single measurements lie apart, for a note."""
    return f"{len(values)} times, {min(values):.3g} to {max(values):.3g} {unit}"


def progress(text: str) -> None:
    """One line for whoever waits; the table comes at the end."""
    print(f"  {text}", file=sys.stderr, flush=True)
