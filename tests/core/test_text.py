"""Small words and numbers, as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import text
from bot.core.errors import Usage

NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 7d ", 604_800), (30, 30), (0.5, 0.5)]
)
def test_durations_are_read(written: object, seconds: float) -> None:
    """Seconds, minutes, hours, days; a number is seconds."""
    assert text.seconds(written) == seconds


@pytest.mark.parametrize("written", ["", "10", "10 m", "m", "-5m", "1w", "1h30m", "10M", True, None, [1]])
def test_what_is_no_duration_is_said(written: object) -> None:
    """With how to write one."""
    with pytest.raises(ValueError, match="write 90s, 10m, 1h or 7d"):
        text.seconds(written)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "?"),
        (0, "0.0 s"),
        (3.14, "3.1 s"),
        (10, "10 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (660, "11 min"),
        (5399, "90 min"),
        (5400, "1 h 30 min"),
        (7200, "2 h"),
        (172_799, "47 h 59 min"),
        (172_800, "2 d"),
        (9 * 86_400 + 5, "9 d"),
    ],
)
def test_spans_are_said_as_a_person_says_them(seconds: float | None, said: str) -> None:
    """Short, and no more exact than anybody cares for."""
    assert text.span(seconds) == said


@given(st.floats(0, 1e9))
def test_every_span_can_be_said(seconds: float) -> None:
    """A number and a unit, whatever the length."""
    assert text.span(seconds).split()[-1] in {"s", "min", "h", "d"}


class Word(StrEnum):
    """Members are said as their values."""

    disable = "disable"
    enable = "enable"


@pytest.mark.parametrize(
    ("word", "words", "found"),
    [
        ("driver_stat", ["driver_stats", "rider_stats", "x"], ["driver_stats", "rider_stats"]),
        ("V12", ["v11", "v12", "v1"], ["v12", "v1", "v11"]),
        ("disabel", Word, ["disable"]),
        ("Fares", ["FARES"], ["FARES"]),
        ("anything", [], []),
        ("zzz", ["abc"], []),
    ],
)
def test_near_misses(word: str, words: list[str], found: list[str]) -> None:
    """Best first, case ignored, at most three; nothing where nothing is near."""
    guesses = text.near(word, words)

    assert guesses[: len(found)] == found
    assert (guesses == []) is (found == [])
    assert all(type(g) is str for g in guesses)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("01:00", datetime(2026, 11, 22, 1, 0, tzinfo=UTC)),
        ("3:02", NOW),
        ("03:03", datetime(2026, 11, 21, 3, 3, tzinfo=UTC)),
        ("23:59", datetime(2026, 11, 21, 23, 59, tzinfo=UTC)),
        ("2026-11-20 01:00", datetime(2026, 11, 20, 1, 0, tzinfo=UTC)),
        (" 2026-11-20T01:00:30 ", datetime(2026, 11, 20, 1, 0, 30, tzinfo=UTC)),
        ("2026-11-20T01:00+02:00", datetime(2026, 11, 19, 23, 0, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
    ],
)
def test_moments_are_read_as_utc(written: str, meant: datetime) -> None:
    """A time of day is the last time that the clock said so."""
    assert text.moment(written, NOW) == meant
    assert text.moment(written, NOW).utcoffset() == timedelta(0)


@pytest.mark.parametrize("written", ["25:00", "12:60", "yesterday", "", "2026-13-01", "1"])
def test_what_is_no_moment_is_wrong_usage(written: str) -> None:
    """With how to write one."""
    with pytest.raises(Usage, match="write 01:00"):
        text.moment(written, NOW)


def test_times_are_shown_in_utc() -> None:
    """Whatever the zone they are held in."""
    at = datetime(2026, 11, 22, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    assert (text.hhmm(at), text.day(at)) == ("23:30", "21 Nov")


@pytest.mark.parametrize(
    ("n", "said"), [(0, "0 commits"), (1, "1 commit"), (41, "41 commits"), (50_000, "50,000 commits")]
)
def test_counts(n: int, said: str) -> None:
    """One, or many with separated thousands."""
    assert text.count(n, "commit") == said


@pytest.mark.parametrize(
    ("words", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(words: list[str], said: str) -> None:
    """Commas, and an 'and' before the last."""
    assert text.listed(words) == said


def test_a_time_outside_all_time_is_no_time() -> None:
    """Its time zone would carry it before the first year."""
    with pytest.raises(Usage, match="before or after all time"):
        text.moment("0001-01-01T00:00+23:00", datetime(2026, 11, 22, tzinfo=UTC))
