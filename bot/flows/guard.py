"""After a rollback a feature is held until its next release: whatever brings the bad one back meanwhile (a CI apply, a
scheduled job) is noticed within a minute and said, and one responder may restore again without new approvals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.core.commands import Purpose, Request
from bot.core.errors import RollbotError
from bot.core.plan import PlanStep
from bot.core.playbook import Verb
from bot.core.ports import Errand
from bot.core.run import Happened, Run, RunStep, Status
from bot.core.target import Capture, Kind, digest_of
from bot.flows.watch import LOOK_S
from bot.flows.world import World
from bot.store import events, lineage, messages, occurrences, releases, runs
from bot.store.write import Connection

EVERY = timedelta(seconds=30)
"""Between two looks at one held feature."""
MEMORY = "drift"
GUARDED = (Kind.definition, Kind.model)
"""A pipeline goes on adding rows, and a flag is for people to turn. These move only if somebody moves them."""


class Guard:
    """Looks at held features, each on its own pace. Another replica's look is harmless: what is found is said once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._looked: dict[str, datetime] = {}

    async def when_due(self) -> int:
        """How many features were found changed, and said."""
        now, held = self._world.now(), await self._world.store.read(releases.held)
        self._looked = {feature: self._looked[feature] for feature, _ in held if feature in self._looked}
        # A look that lies ahead was before the clock was set back.
        fresh = {f for f, at in self._looked.items() if at <= now < at + EVERY}
        due = [(f, n) for f, n in held if f not in fresh]
        said = 0
        for feature, number in due:
            self._looked[feature] = now
            said += await self._look(feature, number)
        return said

    async def _look(self, feature: str, number: int) -> int:
        run = await self._world.store.read(lambda c: None if runs.at_work(c, feature) else _holding(c, feature, number))
        if run is None:
            return 0
        there = {step.component: await self._now(run, step) for step in _brought(run)}
        if moved := {name: now for name, now in there.items() if now}:
            return await self._world.store.write(partial(self._tell, run, moved))
        if None not in there.values() and run.name in await self._world.store.read(_open):
            await self._world.store.write(partial(_put_right, run.name))
        return 0

    async def _now(self, run: Run, step: RunStep) -> str | None:
        """What stands there now, if it is not what the run brought; empty if it is; None if nobody can say."""
        world = self._world
        try:
            part = world.books.feature(run.feature).part(step.component)
            if world.targets.resource(part) != step.resource:
                return None
            state = await world.targets.inspect(part, Errand(timeout=LOOK_S))
        except (RollbotError, KeyError, StopIteration):
            return None
        return state.pointer if step.to and state.version != f"{step.to.pointer}#{step.to.digest}" else ""

    def _tell(self, run: Run, moved: dict[str, str], conn: Connection) -> int:
        """In the run's thread and the feature's channel, once for each state that is found until all is right again."""
        now, times = self._world.now(), occurrences.get_json(conn, MEMORY).get(run.name, {}).get("times", 0)
        key = f"{run.name}:drift:{digest_of(moved)[7:19]}" + (f":{times}" if times else "")
        if runs.at_work(conn, run.feature) or _holding(conn, run.feature, run.id) is None:
            return 0  # a run of ours began while it was looked at
        if not occurrences.claim(conn, key, now):
            return 0
        _note(conn, run.name, times, is_open=True)
        home = ""
        with contextlib.suppress(RollbotError):
            home = self._world.books.feature(run.feature).channel
        body: dict[str, object] = {"moved": dict(moved)}
        for n, channel in enumerate(dict.fromkeys(c for c in (run.channel, home) if c)):
            parent = f"{run.name}:card" if channel == run.channel else None
            messages.want(
                conn, f"{key}:{n}", purpose="drift", channel=channel, run=run.id, parent=parent, body=body, now=now
            )
        event = Happened(act="drift_seen", before=run.to_version, facts={"moved": dict(moved)})
        events.append(conn, [event], now, run=run)
        return 1


def _holding(conn: Connection, feature: str, number: int) -> Run | None:
    """The run of this number, if what it brought is what should be there: a rollback that holds the feature, verified
    or accepted by a person, and after which nothing was taken back any more, not even half-way."""
    run, hold = runs.load(conn, number), releases.hold(conn, feature)
    if run is None or run.feature != feature or not hold or hold["run"] != run.name:
        return None
    stands = (run.purpose, run.mode) == (Purpose.rollback, "live") and run.status in (Status.succeeded, Status.degraded)
    last = lineage.last_back(conn, feature)
    return run if stands and last and last.id == run.id else None


def _open(conn: Connection) -> set[str]:
    """Names of the runs of which it was said that somebody has undone them, and that were not found right since."""
    return {name for name, known in occurrences.get_json(conn, MEMORY).items() if known["open"]}


def _put_right(name: str, conn: Connection) -> None:
    """Somebody has: what is found from now on is said anew, though it be the same."""
    if name in _open(conn):
        _note(conn, name, occurrences.get_json(conn, MEMORY)[name]["times"] + 1, is_open=False)


def _note(conn: Connection, name: str, times: int, *, is_open: bool) -> None:
    """Only of what is held: the rest is forgotten."""
    held = {f"R-{number}" for _, number in releases.held(conn)}

    def noted(known: dict[str, Any]) -> dict[str, Any]:
        kept = {n: v for n, v in known.items() if n in held}
        return {**kept, name: {"times": times, "open": is_open}}

    occurrences.change_json(conn, MEMORY, noted)


def _brought(run: Run) -> list[RunStep]:
    return [s for s in run.steps if s.verb == Verb.restore and s.status == "done" and s.to and s.kind in GUARDED]


def _way(steps: Iterable[RunStep] | Iterable[PlanStep]) -> list[tuple[object, ...]]:
    """What is done, in which order, and by which shares."""
    return [(s.group, s.verb, s.component, s.resource, s.on_failure, tuple(s.ramp)) for s in steps]


async def again(world: World, run: Run, request: Request, steps: Iterable[PlanStep], to: dict[str, Capture]) -> str:
    """Why this needs no new approval; empty if it does. It repeats a verified rollback to the letter (the same release,
    the same captures, the same steps, nothing left out) while that one still holds the feature and is the last word
    on it."""
    if run.purpose != Purpose.rollback or request.of_run is None or run.mode != "live":
        return ""
    number = request.of_run
    first = await world.store.read(lambda c: _holding(c, run.feature, number))
    if first is None or first.status != Status.succeeded or not first.verified_at:
        return ""
    approved = {(s.component, s.to.digest) for s in first.steps if s.verb == Verb.restore and s.to}
    wanted = {(s.component, to[s.component].digest) for s in steps if s.verb == Verb.restore and s.component in to}
    same = approved == wanted and _way(first.steps) == _way(steps)
    return f"repeats {first.name}, which holds {run.feature}" if same else ""
