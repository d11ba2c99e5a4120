"""Times as text and back: ISO 8601 UTC with microseconds, which sorts as time on both databases."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: datetime) -> str:
    """Aware datetime to text. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone can't be stored")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def maybe_iso(at: datetime | None) -> str | None:
    return iso(at) if at else None


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def maybe_when(text: str | None) -> datetime | None:
    return when(text) if text else None
