"""Five fields as people write them for cron, read by APScheduler where the two agree, refused where they don't."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from bot.core.errors import Usage

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELD = re.compile(r"[0-9a-z*,/-]+")
HOW = "write five fields: minute hour day-of-month month day-of-week, as 0 10 * * tue"


def walls(schedule: str) -> Callable[[datetime], datetime | None]:
    """The next time after a given one, both naive, on the wall clock. Raises Usage for a schedule that is not
    understood or never comes.

    APScheduler counts on a clock without summer time here. On one with it, it gives the doubled hour for ever: 02:30
    again after 02:30 (seen with 3.11)."""
    fields = _fields(schedule)
    try:
        trigger = CronTrigger.from_crontab(" ".join(fields), timezone=UTC)
    except ValueError as e:
        raise Usage(f"schedule {schedule!r}: {str(e)[:1].lower()}{str(e)[1:]}; {HOW}") from e

    def after(wall: datetime) -> datetime | None:
        start = wall.replace(microsecond=0, tzinfo=UTC) + timedelta(seconds=1)
        found = trigger.get_next_fire_time(None, start)
        return found.replace(tzinfo=None) if found else None

    if after(datetime(2026, 1, 1)) is None:  # noqa: DTZ001  a wall clock's time
        raise Usage(f"schedule {schedule!r} never comes: no such day is in the calendar")
    return after


def _fields(schedule: str) -> list[str]:
    fields = schedule.lower().split()
    if len(fields) != 5 or not all(_FIELD.fullmatch(f) for f in fields):
        raise Usage(f"schedule {schedule!r} is not understood; {HOW}")
    for field, names in zip(fields, ((), (), (), _MONTHS, _DAYS), strict=True):
        if odd := [word for word in re.findall(r"[a-z]+", field) if word not in names]:
            raise Usage(f"schedule {schedule!r}: {odd[0]!r} is not understood; {HOW}")
    if fields[2] != "*" and fields[4] != "*":
        why = "cron would take either, and hardly anybody knows"
        raise Usage(f"schedule {schedule!r}: give days of the month or days of the week, not both ({why})")
    return [*fields[:4], _weekdays(fields[4], schedule)]


def _weekdays(field: str, schedule: str) -> str:
    """By name: for cron 0 and 7 are Sunday, for APScheduler 0 is Monday."""
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(\*|[a-z]+|\d)(?:-([a-z]+|\d))?(?:/([1-9]))?", part)
        if match is None:
            raise Usage(f"schedule {schedule!r}: day of the week {part!r} is not understood; {HOW}")
        first, last, step = match.groups()
        start = 0 if first == "*" else _day(first, schedule)
        end = 6 if first == "*" or (step and not last) else _day(last, schedule) if last else start
        end = end if end >= start else end + 7
        days |= {day % 7 for day in range(start, end + 1, int(step or 1))}
    return ",".join(_DAYS[day] for day in sorted(days))


def _day(word: str, schedule: str) -> int:
    if word in _DAYS:
        return _DAYS.index(word)
    if not word.isdecimal() or int(word) > 7:
        raise Usage(f"schedule {schedule!r}: {word!r} is no day of the week: 0 to 7 or sun to sat")
    return int(word)
