"""Scheduled drills: announced a day before, an hour before and when they begin; begun, or reported as missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from bot.core import drill as rules
from bot.core import drilled
from bot.core.commands import Actor, Request
from bot.core.drill import Drill, Due, What
from bot.core.errors import RollbotError
from bot.core.run import Happened
from bot.flows.world import World
from bot.store import events, inbox, messages, occurrences, runs
from bot.store.write import Connection

MEMORY = "drills"
TOO_LATE = "nothing could begin it in time (Rollbot was not running, or the drill's or the feature's file was faulty)"


async def call(world: World) -> int:
    """Says and begins what is due; how much that was. Safe on any number of replicas: each occurrence is claimed in
    the transaction that says or begins it."""
    now, (found, faulty) = world.now(), _found(world)
    memory = await _remembered(world, {d.drill: d.timing for d in found}, faulty, now)
    done = 0
    for drill in found:
        since, channel = datetime.fromisoformat(memory[drill.drill]["since"]), _channel(world, drill)
        if channel is None:
            continue
        due = rules.due(world.books.walls(drill), drill.zone, since, now)
        fresh = await world.store.read(partial(_unclaimed, drill.drill, due))
        if late := [d for d in fresh if d.what == What.missed]:
            done += await world.store.write(partial(_late, channel, drill, late, now))
        for one in fresh:
            if one.what != What.missed:
                done += await world.store.write(partial(_say, channel, drill, one, now))
    return done


def _unclaimed(drill: str, due: list[Due], conn: Connection) -> list[Due]:
    """An announcement stays due until the next one: most looks find it said, and write nothing."""
    return [d for d in due if not occurrences.claimed(conn, d.key(drill))]


def _found(world: World) -> tuple[list[Drill], set[str]]:
    """Those that are enabled and sound, and the names of those that are faulty: what is wrong is said by ``status`` and
    ``check``, and what they miss meanwhile once they are sound again."""
    found, faulty = [], set()
    for name in world.books.drill_names():
        try:
            drill = world.books.drill(name)
        except RollbotError:
            faulty.add(name)
            continue
        found += [drill] if drill.enabled else []
    return found, faulty


def _channel(world: World, drill: Drill) -> str | None:
    """Where it is announced and runs. None while its feature's file is faulty: the run would be refused, and where only
    the feature names a channel nobody would hear of it. So nothing is begun, and it is missed later."""
    try:
        feature = world.books.feature(drill.feature)
    except RollbotError:
        return None
    return drill.channel or feature.channel


async def _remembered(world: World, timings: dict[str, str], faulty: set[str], now: datetime) -> dict[str, Any]:
    """Since when each drill is known. Written only when that changes."""

    def anew(old: dict[str, Any]) -> dict[str, Any]:
        return rules.remembered(old, timings, now, faulty)

    known = await world.store.read(lambda c: occurrences.get_json(c, MEMORY))
    if anew(known) == known:
        return known
    return await world.store.write(lambda c: occurrences.change_json(c, MEMORY, anew))


def _actor(drill: Drill) -> Actor:
    return Actor(kind="schedule", id=f"schedule/{drill.drill}", via="ticker")


def _say(channel: str, drill: Drill, due: Due, now: datetime, conn: Connection) -> int:
    """One announcement; with the last of them the run itself."""
    key = due.key(drill.drill)
    if not occurrences.claim(conn, key, now):
        return 0
    if due.what == What.begin:
        _begin(conn, channel, drill, due, now)
    else:
        _post(conn, channel, key, rules.announced(drill, due.what, due.at), now)
    return 1


def _begin(conn: Connection, channel: str, drill: Drill, due: Due, now: datetime) -> None:
    request = Request(
        feature=drill.feature,
        to=drill.release,
        mode="drill",
        reason=drill.about or f"the drill {drill.drill}",
        channel=channel,
        drill=drill.drill,
    )
    key, actor = due.key(drill.drill), _actor(drill)
    taken = inbox.take(conn, key, actor, request, "{run} begins", now)
    if taken.answer.endswith(inbox.ALREADY):
        _missed(conn, channel, drill, [due.at], f"R-{taken.run} is at the same still, and not finished", now)
        return
    _post(conn, channel, key, rules.beginning(drill, f"R-{taken.run}"), now)
    _advance(conn, drill, due.at)
    facts: dict[str, Any] = {"drill": drill.drill, "at": due.at.isoformat(), "run": f"R-{taken.run}"}
    events.append(conn, [Happened(act="drill_begun", actor=actor, facts=facts)], now, feature=drill.feature)


def _late(channel: str, drill: Drill, late: list[Due], now: datetime, conn: Connection) -> int:
    """One report, however many times were missed."""
    times = [due.at for due in late if occurrences.claim(conn, due.key(drill.drill), now)]
    if times:
        _missed(conn, channel, drill, times, TOO_LATE, now)
    return len(times)


def _missed(conn: Connection, channel: str, drill: Drill, times: list[datetime], why: str, now: datetime) -> None:
    key = f"{Due(What.missed, times[-1]).key(drill.drill)}:missed"
    _post(conn, channel, key, rules.missed(drill, times, why), now)
    _advance(conn, drill, times[-1])
    facts: dict[str, Any] = {"drill": drill.drill, "at": [at.isoformat() for at in times]}
    event = Happened(act="drill_missed", actor=_actor(drill), facts=facts, texts={"why": why})
    events.append(conn, [event], now, feature=drill.feature)


def _advance(conn: Connection, drill: Drill, at: datetime) -> None:
    """What is settled is not looked for again. The claims are what counts; this only keeps each look short."""

    def settled(known: dict[str, Any]) -> dict[str, Any]:
        mine = known.get(drill.drill)
        if mine is None or datetime.fromisoformat(mine["since"]) >= at:
            return known
        return {**known, drill.drill: {**mine, "since": at.isoformat()}}

    occurrences.change_json(conn, MEMORY, settled)


def _post(conn: Connection, channel: str, key: str, text: str, now: datetime) -> None:
    if channel:
        messages.want(conn, key, purpose="notice", channel=channel, body={"text": text}, now=now)


async def end_overlong(world: World) -> int:
    """Ends drills that nobody finishes, so that no sandbox stays for ever."""
    now, after = world.now(), rules.LONGEST
    actor = Actor(kind="schedule", id="schedule/drills", via="ticker")
    over: Callable[..., Any] = partial(drilled.overrun, after=after.total_seconds(), actor=actor, now=now)
    numbers = await world.store.read(lambda c: runs.open_drills(c, before=now - after))
    for number in numbers:
        await world.store.write(partial(runs.change, run=number, move=over, now=now))
    return len(numbers)


def next_times(world: World) -> list[tuple[str, str | RollbotError]]:
    """What each drill's file says, with its next time; or what is wrong with it, or with its feature's."""
    found: list[tuple[str, str | RollbotError]] = []
    for name in world.books.drill_names():
        try:
            drill = world.books.drill(name)
            coming = rules.following(world.books.walls(drill), drill.zone, world.now())
            if drill.enabled:
                world.books.feature(drill.feature)
        except RollbotError as e:
            found.append((name, e))
            continue
        when = f"next {drill.at(coming)}" if coming and drill.enabled else "not enabled"
        found.append((name, f"{drill.feature} to {drill.release}, {when}"))
    return found
