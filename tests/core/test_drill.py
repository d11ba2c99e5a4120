"""When a drill is due: each occurrence exactly once, through both changes of the clock and after a downtime."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from pydantic import ValidationError

from bot.core import drill as d
from bot.core.drill import Drill, What
from bot.core.errors import Usage
from bot.outside import crontab

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticked(schedule: str, zone: str, start: datetime, end: datetime, away: list[datetime]) -> list[d.Due]:
    """A tick every 15 seconds would take long: every 5 minutes, but for the times between the two in ``away``. What
    was claimed once is not said again."""
    said: dict[str, d.Due] = {}
    walls, now = crontab.walls(schedule), start
    while now <= end:
        if not (away and away[0] < now < away[1]):
            for due in d.due(walls, zone, start, now):
                said.setdefault(due.key("weekly"), due)
        now += timedelta(minutes=5)
    return list(said.values())


def begun(said: list[d.Due]) -> list[str]:
    return [f"{due.at:%m-%d %H:%M}" for due in said if due.what == What.begin]


def test_a_day_before_an_hour_before_and_when_it_begins() -> None:
    """Each once, in this order, at these times."""
    walls, start = crontab.walls("0 10 * * tue"), at("2026-11-30T08:00")
    when = []
    known: set[str] = set()
    for minutes in range(0, 28 * 60, 1):
        now = start + timedelta(minutes=minutes)
        for due in d.due(walls, "UTC", start, now):
            if due.key("x") not in known:
                known.add(due.key("x"))
                when.append((due.what, f"{now:%d %H:%M}"))

    assert when == [(What.day, "30 10:00"), (What.hour, "01 09:00"), (What.begin, "01 10:00")]


@pytest.mark.parametrize(
    ("schedule", "start", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00", ["03-29 01:30", "03-30 00:30"]),  # the gap: 02:30 is 03:30 that night
        ("30 2 * * *", "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"]),  # doubled: the first of the two
        ("30 3 * * *", "2026-03-28T12:00", ["03-29 01:30", "03-30 01:30"]),
        ("0 12 * * *", "2026-03-28T12:00", ["03-29 10:00", "03-30 10:00"]),
        ("0 12 * * *", "2026-10-24T12:00", ["10-25 11:00", "10-26 11:00"]),
    ],
)
def test_both_changes_of_the_clock(schedule: str, start: str, expected: list[str]) -> None:
    """An occurrence in the hour that is skipped and one in the hour that comes twice begin exactly once each, and each
    is announced once a day and once an hour before."""
    said = ticked(schedule, BERLIN, at(start), at(start) + timedelta(hours=47), [])
    announced = [f"{x.at:%m-%d %H:%M}" for x in said if x.what == What.hour]

    assert begun(said) == expected
    assert announced[:2] == expected and len(set(announced)) == len(announced)
    assert not [x for x in said if x.what == What.missed]


def test_hourly_ones_come_once_each_also_in_the_doubled_hour() -> None:
    """In order, and none twice: the longest day of the year has 24 of them, since what the wall shows twice is once,
    and the shortest has 23."""
    walls = crontab.walls("0 * * * *")
    autumn = d.between(walls, BERLIN, at("2026-10-24T21:59"), at("2026-10-25T22:59"))
    spring = d.between(walls, BERLIN, at("2026-03-28T22:59"), at("2026-03-29T21:59"))

    assert len(autumn) == 24 and len(spring) == 23
    assert all(a < b for times in (autumn, spring) for a, b in pairwise(times))


def test_after_26_hours_of_downtime_it_is_missed_once_and_does_not_begin() -> None:
    """What passed meanwhile is reported, not run; the next one is announced and begins in time."""
    start = at("2026-12-01T08:00")
    said = ticked("0 10 * * *", "UTC", start, start + timedelta(hours=51), [start, start + timedelta(hours=26)])

    assert [(x.what, f"{x.at:%d %H:%M}") for x in said if x.what in (What.missed, What.begin)] == [
        (What.missed, "01 10:00"),
        (What.begin, "02 10:00"),
        (What.begin, "03 10:00"),
    ]


@pytest.mark.parametrize(("late", "what"), [(0, What.begin), (14, What.begin), (15, What.begin), (16, What.missed)])
def test_late_is_missed(late: int, what: What) -> None:
    """A quarter of an hour after its time a drill is not begun any more."""
    ten = at("2026-12-01T10:00")
    found = d.due(crontab.walls("0 10 * * *"), "UTC", ten - timedelta(days=1), ten + timedelta(minutes=late))

    assert [x.what for x in found if x.at == ten] == [what]


def test_what_was_before_the_file_is_not_owed() -> None:
    """A file that is added at 10:05 does not begin, nor miss, what would have been at 10:00."""
    found = d.due(crontab.walls("0 10 * * *"), "UTC", at("2026-12-01T10:05"), at("2026-12-01T10:06"))

    assert [x.what for x in found] == [What.day]


def test_a_file_that_was_away_is_a_new_one_unless_for_a_moment() -> None:
    """Two replicas may see an edited folder one after the other; but what is enabled again after a month owes
    nothing."""
    t0 = at("2026-12-01T10:00")
    known = d.remembered({}, {"a": "x"}, t0)
    gone = d.remembered(known, {}, t0 + timedelta(minutes=1))
    assert d.remembered(gone, {"a": "x"}, t0 + timedelta(minutes=30)) == known
    back = d.remembered(gone, {"a": "x"}, t0 + timedelta(days=30))
    assert back["a"]["since"] == (t0 + timedelta(days=30)).isoformat()
    assert d.remembered(gone, {}, t0 + timedelta(days=30)) == {}
    edited = d.remembered(known, {"a": "y"}, t0 + timedelta(hours=2))
    assert edited["a"]["since"] == (t0 + timedelta(hours=2)).isoformat()


def test_a_file_that_does_not_load_is_not_away() -> None:
    """It owes what was due since it was sound, however long that is. One that was never sound, or that was away for
    long before it was faulty, owes nothing."""
    t0 = at("2026-12-01T10:00")
    known = d.remembered({}, {"a": "x"}, t0)
    for hours in range(1, 50):
        now = t0 + timedelta(hours=hours)
        assert d.remembered(known, {}, now, faulty={"a", "b"}) == known
    assert d.remembered(known, {"a": "x"}, t0 + timedelta(days=3)) == known
    gone = d.remembered(known, {}, t0)
    assert d.remembered(gone, {}, t0 + timedelta(minutes=30), faulty={"a"}) == known
    assert d.remembered(gone, {}, t0 + timedelta(hours=2), faulty={"a"}) == {}


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        ("0 10 * * 0", "2026-11-29"),
        ("0 10 * * 7", "2026-11-29"),
        ("0 10 * * 1", "2026-11-30"),
        ("0 10 * * sun", "2026-11-29"),
        ("0 10 * * fri-mon", "2026-11-27"),
        ("0 10 * * 5-7", "2026-11-27"),
        ("0 10 * * 2,4", "2026-11-26"),
        ("0 10 * * 1-5/2", "2026-11-25"),
        ("0 10 1 * *", "2026-12-01"),
        ("0 10 1 jan,MAR *", "2027-01-01"),
    ],
)
def test_days_of_the_week_are_those_of_cron(schedule: str, first: str) -> None:
    """0 and 7 are Sunday. From Wednesday, 25 November 2026."""
    found = crontab.walls(schedule)(datetime(2026, 11, 25, 9))  # noqa: DTZ001  a wall clock's time

    assert found is not None and f"{found:%Y-%m-%d %H:%M}" == f"{first} 10:00"


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("0 10 * *", "five fields"),
        ("@daily", "five fields"),
        ("0 25 * * *", "'25'"),
        ("0 10 31 2 *", "never comes"),
        ("0 10 1 * mon", "not both"),
        ("0 10 * * 8", "no day of the week"),
        ("0 10 * * tuesday", "'tuesday'"),
        ("0 10 last * *", "'last'"),
        ("0 10 * * 1#2", "five fields"),
    ],
)
def test_what_is_not_understood_is_said(schedule: str, said: str) -> None:
    """In one line that names the schedule."""
    with pytest.raises(Usage) as e:
        crontab.walls(schedule)
    assert said in e.value.message and repr(schedule) in e.value.message and "\n" not in e.value.message


def test_a_drills_file_is_strict() -> None:
    """A misspelt key, and a zone that does not exist."""
    good = {"drill": "a", "feature": "f", "schedule": "0 10 * * *"}
    assert Drill.model_validate(good).release == "previous"
    for bad in ({"shedule": "x"}, {"zone": "Europe/Berlln"}, {"zone": "../../etc/passwd"}):
        with pytest.raises(ValidationError):
            Drill.model_validate({**good, **bad})
