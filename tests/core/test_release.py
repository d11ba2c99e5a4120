"""Releases: immutability, which moment is meant, which release is the previous one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core import release as r
from bot.core.errors import Refused, Usage
from bot.core.release import Moment, Release, Stint
from bot.core.target import Capture, Kind
from bot.core.text import moment, near, seconds, span

T0 = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def hours(n: float) -> datetime:
    return T0 + timedelta(hours=n)


def cap(pointer: str, kind: Kind = Kind.model, **facts: object) -> Capture:
    return Capture(kind=kind, resource="r", pointer=pointer, digest="d" + pointer, facts=facts, taken_at=T0)


def release(version: str, **captures: Capture) -> Release:
    return Release(feature="f", version=version, digest=r.code_digest(captures), captures=captures, created_at=T0)


def stints(*told: tuple[str, float, float | None, bool]) -> list[Stint]:
    return [
        Stint(version=v, since=hours(a), until=hours(b) if b is not None else None, rolled_back=bad)
        for v, a, b, bad in told
    ]


def test_another_code_side_is_refused_and_names_what_differs() -> None:
    """Under one version there is one code side, for ever."""
    old = release("v1", model=cap("1"), flag=cap("on", Kind.flag))
    r.same_or_refused(old, "v1", {"model": cap("1"), "flag": cap("on", Kind.flag)})
    with pytest.raises(Refused, match=r"\(model differ\)"):
        r.same_or_refused(old, "v1", {"model": cap("2"), "flag": cap("on", Kind.flag)})


def test_previous_skips_what_was_rolled_back_from() -> None:
    """The newest release that was live before this one and was never rolled back from."""
    history = stints(("v1", 0, 1, False), ("v2", 1, 2, True), ("v1", 2, 3, False), ("v3", 3, None, False))

    assert r.previous(history) == "v1"
    assert r.previous(stints(("v1", 0, None, False))) is None
    assert r.previous([]) is None


@pytest.mark.parametrize(
    ("told", "at"),
    [
        (("2026-11-12T09:00:00+00:00", "2026-11-12T10:00"), "12 10:00"),
        ((None, "soon"), "22 03:00"),
        (("2027-01-01",), "22 03:00"),
    ],
)
def test_imported_data_is_of_the_time_that_its_datasets_tell(told: tuple[str | None, ...], at: str) -> None:
    """The newest of them; now, if none tells one that can be read, and never a time to come."""
    captures = {
        str(n): cap("1", Kind.dataset).model_copy(update={"observed": {"as_of": as_of}}) for n, as_of in enumerate(told)
    }

    assert r.as_of({**captures, "model": cap("1")}, T0).strftime("%d %H:%M") == at


def test_the_newest_moment_or_the_newest_not_after_a_time() -> None:
    """``to v12`` and ``to v12 at 01:00``."""
    moments = [Moment(id=n, feature="f", version="v1", at=hours(n)) for n in range(3)]
    moments.append(Moment(id=9, feature="f", version="v2", at=hours(9)))

    newest, earlier = r.choose_moment(moments, [], "v1", None), r.choose_moment(moments, [], "v1", hours(1.5))
    assert newest and newest.id == 2
    assert earlier and earlier.id == 1
    assert r.choose_moment(moments, [], "v1", hours(-1)) is None


def test_a_model_of_another_release_is_said() -> None:
    """Tags on the model version show a mixed release."""
    captures = {
        "model": cap("13", tags={"rollbot.release": "v13", "feast.feature_views": "driver_stats@v8"}),
        "definition": cap("v7", Kind.definition),
    }
    said = r.mixed("f", "v12", captures, {"driver_stats": "v7"})

    assert len(said) == 2
    assert "v13" in said[0]
    assert "v8" in said[1]


def test_near_versions_are_suggested() -> None:
    """An unknown version gets near misses, else the newest ones."""
    assert r.no_release("f", "v21", ["v12", "v11"]).near == ["v12", "v11"]
    assert "Capture one" in r.no_release("f", "v1", []).message


@pytest.mark.parametrize(("text", "found"), [("90s", 90), ("10m", 600), ("1h", 3600), ("7d", 604800), (5, 5)])
def test_durations(text: object, found: float) -> None:
    """Durations are written as people write them."""
    assert seconds(text) == found


def test_a_time_of_day_is_the_last_time_the_clock_said_so() -> None:
    """``at 01:00`` is never in the future."""
    assert moment("01:00", T0) == hours(-2)
    assert moment("04:00", T0) == hours(-23)
    assert moment("2026-11-22T01:00", T0) == hours(-2)
    for bad in ("25:00", "yesterday", ""):
        with pytest.raises(Usage):
            moment(bad, T0)


def test_spans_are_said_as_people_say_them() -> None:
    """Rounded to what matters."""
    assert [span(s) for s in (4, 40, 660, 7500, 200_000)] == ["4.0 s", "40 s", "11 min", "2 h 5 min", "2 d"]
    assert near("driver_stat", ["driver_stats", "fares"]) == ["driver_stats"]
