"""Small words and numbers as people write and read them: durations, names, near misses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from bot.core.errors import Usage

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d)$")


def seconds(value: object) -> float:
    """``90s``, ``10m``, ``1h``, ``7d`` as seconds; numbers pass. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.match(str(value).strip())
    if not match:
        raise ValueError(f"{value!r} is not a duration; write 90s, 10m, 1h or 7d")
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=366 * 86_400)]
"""Seconds, written as ``90s``, ``10m``, ``1h`` or ``7d``; a year at most."""


def span(value: float | None) -> str:
    """Seconds as a person says them: ``4 s``, ``12 min``, ``3 h 5 min``, ``2 d``."""
    if value is None:
        return "?"
    whole = round(value)
    if value < 10:
        return f"{value:.1f} s"
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{round(whole / 60)} min"
    hours, minutes = whole // 3600, (whole % 3600) // 60
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def near(word: str, words: Iterable[str], most: int = 3) -> list[str]:
    """Up to ``most`` of ``words`` that ``word`` may have meant, best first."""
    pool = list(words)
    lower = {w.lower(): str(w) for w in pool}  # str(): a member of an enum is said as its value
    found = difflib.get_close_matches(word.lower(), list(lower), n=most, cutoff=0.6)
    return [lower[w] for w in found]


def hhmm(at: datetime) -> str:
    """``03:02`` in UTC; the date is said where it matters."""
    return at.astimezone(UTC).strftime("%H:%M")


def day(at: datetime) -> str:
    """``12 Nov``, UTC."""
    return f"{at.astimezone(UTC).day} {at.astimezone(UTC):%b}"


def moment(value: str, now: datetime) -> datetime:
    """``01:00`` (the last time the clock said so), ``2026-11-22 01:00`` or ISO 8601, as aware UTC. Raises Usage."""
    text = value.strip()
    if re.fullmatch(r"\d{1,2}:\d{2}", text):
        hour, minute = (int(part) for part in text.split(":"))
        if hour > 23 or minute > 59:
            raise Usage(f"{value!r} is no time of day; write 01:00 (UTC) or 2026-11-22T01:00")
        at = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
        return at if at <= now else at - timedelta(days=1)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as e:
        raise Usage(f"{value!r} is no time; write 01:00 (UTC) or 2026-11-22T01:00") from e
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as e:
        raise Usage(f"{value!r} is before or after all time; write 01:00 (UTC) or 2026-11-22T01:00") from e


def past(value: str, now: datetime) -> datetime:
    """As ``moment``, but a time that has been. Raises Usage."""
    at = moment(value, now)
    if at > now:
        raise Usage(f"{value!r} is in the future; say when the data was good, as 01:00 (UTC) or 2026-11-22T01:00.")
    return at


def is_address(text: str) -> bool:
    """Something that can be posted to: http or https, with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        return False


def count(n: int, noun: str) -> str:
    """``1 commit``, ``41 commits``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    items = list(words)
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]
