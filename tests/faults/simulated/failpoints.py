"""Named points at which a worker can be told to die. The names come from what it does: what it writes into the log, and
what it writes into outside systems; the product itself knows of none of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bot.core.errors import TargetError
from bot.core.run import Run, Status
from bot.core.target import Capture
from bot.store import runs
from bot.store import tables as t
from bot.store.jobs import Fn, StoreDown, T
from tests.faults.simulated.course import bare, leave, listening, slow_polls
from tests.faults.simulated.database import Database
from tests.faults.simulated.night import Night
from tests.faults.simulated.people import ANA, PUT_BACK, ROLLBACK, careful_press
from tests.faults.simulated.systems import System


@dataclass
class Points:
    """``armed``: the point at which the worker dies, once. ``passed``: all that were passed, in order."""

    armed: str = ""
    passed: dict[str, None] = field(default_factory=dict)
    struck: bool = False
    kill: Callable[[], None] = lambda: None

    def strikes(self, name: str) -> bool:
        self.passed[name] = None
        if name != self.armed or self.struck:
            return False
        self.struck = True
        self.kill()
        return True

    def strike(self, when: str, names: list[str]) -> bool:
        """All of them are passed, even if it strikes at the first."""
        struck = [self.strikes(f"{when} {name}") for name in names]
        return any(struck)


class PointedDatabase(Database):
    """Dies before or after the commit of what the log calls by that name."""

    points: Points

    def write(self, fn: Fn[T], writer: str) -> T:
        names: list[str] = []
        if writer == "web":
            return super().write(fn, writer)

        def watched(conn: sa.Connection) -> T:
            behind = conn.execute(sa.select(sa.func.max(t.events.c.seq))).scalar()
            result = fn(conn)
            names.extend(named(conn, -1 if behind is None else behind))
            if self.points.strike("before", names):
                raise StoreDown("the worker died before the commit: nothing was stored")
            return result

        result = super().write(watched, writer)
        if self.points.strike("after", names):
            raise StoreDown("the worker died after the commit")
        return result


def named(conn: sa.Connection, behind: int) -> list[str]:
    """What the log says since then, by name."""
    rows = conn.execute(sa.select(t.events.c.body).where(t.events.c.seq > behind).order_by(t.events.c.seq))
    return [point_name(json.loads(row.body)) for row in rows]


def point_name(event: dict[str, Any]) -> str:
    facts = event["facts"]
    return f"{event['act']}: {facts['verb']} {facts['component']}" if "verb" in facts else str(event["act"])


@dataclass
class PointedSystem(System):
    """Dies before or after each of its writes."""

    points: Points = field(default_factory=Points)

    def land(self, key: str, to: Capture, before: Capture, *, whole: bool) -> bool:
        name = f"write {self.parts if whole else 1} of {self.parts}: {self.name} to {to.pointer}"
        if self.points.strikes(f"before {name}"):
            raise TargetError("the worker died before the write", retriable=True)
        changed = super().land(key, to, before, whole=whole)
        if self.points.strikes(f"after {name}"):
            raise TargetError("the worker died after the write", retriable=True)
        return changed


@dataclass
class Story:
    """What came of a rollback and of putting it back."""

    night: Night
    points: Points
    runs: list[Run]
    served: list[dict[str, str]]


def story(armed: str = "") -> Story:
    """A rollback, and after it the way back; somebody does what the cards ask for. The worker dies at ``armed``."""
    points = Points(armed)
    night = bare(database=PointedDatabase, system=PointedSystem, parts=2)
    assert isinstance(night.database, PointedDatabase)
    night.database.points = points
    for system in night.systems.values():
        assert isinstance(system, PointedSystem)
        system.points = points
    points.kill = night.lose_a_worker
    served: list[dict[str, str]] = []
    with listening(night), slow_polls():
        try:
            night.loop.run_until_complete(_told(night, points, served))
            made = night.database.read(lambda c: runs.newest(c, limit=5))
        finally:
            night.loop.run_until_complete(leave(night))
            night.loop.close()
    return Story(night, points, list(reversed(made)), served)


async def _told(night: Night, points: Points, served: list[dict[str, str]]) -> None:
    night.begin()
    for request in (ROLLBACK, PUT_BACK):
        await night.say(request, ANA, f"{request.purpose}")
        await _to_its_end(night)
        served.append({n: s.value for n, s in night.systems.items()})
        if points.struck:
            break
    await night.rest()
    night.database.read(night.rules.at_the_end)


async def _to_its_end(night: Night) -> None:
    for n in range(200):
        await night.lapse(2)
        (run,) = night.database.read(lambda c: runs.newest(c, limit=1))
        if not run.open:
            return
        if run.status == Status.waiting and (press := careful_press(run, 0)):
            await night.say(*press, f"{run.name} {n}")
    raise AssertionError(f"{run.name} does not come to its end: it is {run.status}, {run.why}")
