"""Measurements beside what is promised. Not timed tests: a busy machine must not turn a build red."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """One measured value; ``promised`` is the most it may be, None where nothing is promised."""

    what: str
    value: float
    unit: str
    promised: float | None = None
