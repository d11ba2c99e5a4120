"""A drill as its file says it, and when what of it is due: pure, with every occurrence exactly once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.core.text import count

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LATE = timedelta(minutes=15)
"""A drill that could not begin for longer than this has been missed: people came, and went again."""
KEPT = timedelta(days=8)
"""How far back occurrences are looked for after a downtime."""
GONE = timedelta(hours=1)
"""A file that was away for longer is a new one. One replica may see an edited folder before another one does."""
SHIFT = timedelta(hours=3)
"""No zone's clock was ever set forward or back by more."""
LONGEST = timedelta(hours=8)
"""After this an unfinished drill is ended and its sandboxes are removed: nobody comes back to it."""

Walls = Callable[[datetime], datetime | None]
"""The next time on the wall clock (naive) after a given one at which a schedule says so; None if there is none."""


class Drill(BaseModel):
    """``playbooks/drills/NAME.yaml``. ``schedule``: five fields as for cron, on the wall clock of ``zone``.

    ``channel``: the feature's own where there is none. ``participants``: who is named in the announcements."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    drill: str
    about: str = ""
    feature: str
    release: str = "previous"
    schedule: str
    zone: str = "UTC"
    channel: str = ""
    participants: list[str] = Field(default_factory=list)
    enabled: bool = True

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value!r}; write one as Europe/Berlin, or UTC") from None
        return value

    @property
    def timing(self) -> str:
        """What its occurrences follow from."""
        return f"{self.schedule} {self.zone}"

    def at(self, when: datetime) -> str:
        """``Tue 1 Dec 10:00 (Europe/Berlin)``."""
        here = when.astimezone(ZoneInfo(self.zone))
        return f"{here:%a} {here.day} {here:%b %H:%M} ({self.zone})"


class What(StrEnum):
    """What is due of one occurrence. It begins or is missed, never both."""

    day = "day"
    hour = "hour"
    begin = "begin"
    missed = "missed"


@dataclass(frozen=True)
class Due:
    what: What
    at: datetime

    def key(self, drill: str) -> str:
        """Claimed once, by whoever says it first."""
        word = What.begin if self.what == What.missed else self.what
        return f"drill:{drill}:{self.at:%Y-%m-%dT%H:%MZ}:{word}"


def instant(wall: datetime, zone: str) -> datetime:
    """When a wall clock shows this. What the clock skips in spring is as much later as it was set forward; of an hour
    that comes twice in autumn it is the first."""
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def between(walls: Walls, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """All occurrences with ``after < t <= until``, in order, each once. A wall time that is skipped in spring may come
    after one that is written later, so both ends are looked at with room."""
    last = _wall(until, zone) + SHIFT
    found: set[datetime] = set()
    for wall in _walls(walls, _wall(after, zone) - SHIFT):
        if wall > last:
            break
        found.add(instant(wall, zone))
    return sorted(t for t in found if after < t <= until)


def following(walls: Walls, zone: str, after: datetime) -> datetime | None:
    """The next occurrence."""
    for wall in _walls(walls, _wall(after, zone) - SHIFT):
        at = instant(wall, zone)
        if at > after:
            return between(walls, zone, after, at)[0]
    return None


def _wall(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def _walls(walls: Walls, start: datetime) -> Iterator[datetime]:
    wall = walls(start)
    while wall is not None:
        yield wall
        wall = walls(wall)


def due(walls: Walls, zone: str, since: datetime, now: datetime) -> list[Due]:
    """What is due now of a drill that has been there ``since``, and of which nothing before that is owed.

    Only the next occurrence is announced. Of those whose time has come the newest begins, unless it is late."""
    past = between(walls, zone, max(since, now - KEPT), now)
    begins = past[-1:] if past and now - past[-1] <= LATE else []
    found = [Due(What.missed, at) for at in past if at not in begins] + [Due(What.begin, at) for at in begins]
    coming = following(walls, zone, now)
    if coming is not None and coming - now <= DAY:
        found.append(Due(What.hour if coming - now <= HOUR else What.day, coming))
    return found


def remembered(
    old: Mapping[str, Any], timings: Mapping[str, str], now: datetime, faulty: Collection[str] = ()
) -> dict[str, Any]:
    """Since when each drill has been as it is. ``timings``: of those that there are now, by name. ``faulty``: those
    whose file does not load; they stay as they were. A drill whose schedule was edited is a new one; one that is away
    is kept for a while, and then new when it comes back."""
    known: dict[str, Any] = {}
    for name in sorted({*old, *timings}):
        was, here = old.get(name, {}), name in timings
        if here and (was.get("timing") != timings[name] or _long_gone(was, now)):
            known[name] = {"timing": timings[name], "since": now.isoformat()}
        elif not _long_gone(was, now):
            there = here or name in faulty
            known[name] = {k: was[k] for k in ("timing", "since")} if there else {"gone": now.isoformat(), **was}
    return known


def _long_gone(was: Mapping[str, Any], now: datetime) -> bool:
    return "gone" in was and now - datetime.fromisoformat(was["gone"]) > GONE


def announced(drill: Drill, what: What, at: datetime) -> str:
    """What is said a day and an hour before. The time is said in full: it may be read later than it was meant."""
    when = "in a day or less" if what == What.day else "in an hour or less"
    about = f"\n{drill.about}" if drill.about else ""
    with_ = f"\nWith {', '.join(drill.participants)}" if drill.participants else ""
    return (
        f"DRILL {drill.drill} {when}: {drill.at(at)}. {drill.feature} to {drill.release}, in sandboxes: "
        f"production is not touched.{about}{with_}"
    )


def beginning(drill: Drill, run: str) -> str:
    """What is said when it begins."""
    with_ = f"\nWith {', '.join(drill.participants)}" if drill.participants else ""
    return (
        f"DRILL {drill.drill} begins: {run} takes {drill.feature} to {drill.release}, in sandboxes. "
        f"Production is not touched; all that follows is practice.{with_}"
    )


def missed(drill: Drill, times: list[datetime], why: str) -> str:
    """What is said of drills that did not begin."""
    which = drill.at(times[-1]) if len(times) == 1 else f"{count(len(times), 'time')}, the last {drill.at(times[-1])}"
    return f"DRILL {drill.drill} was missed ({which}): {why}. It was not run."
