"""Moments: the data side of the live release, again and again. What is odd about them is said once, not hourly."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass

from bot.core import release as rules
from bot.core.commands import Actor
from bot.core.errors import RollbotError
from bot.core.feature import Feature
from bot.core.release import Moment, Release
from bot.core.run import Happened
from bot.core.target import DATA_SIDE
from bot.core.text import hhmm
from bot.flows.capture import live_captures
from bot.flows.world import World
from bot.store import events, messages, occurrences, releases, runs
from bot.store.write import Connection

log = logging.getLogger(__name__)
Looked = tuple[Moment | None, list[str]]
"""What was recorded, if it was, and what is odd about it."""


async def take_moment(world: World, name: str, actor: Actor) -> dict[str, object]:
    """One more moment of the live release's data side. None if the code side is no longer that release's, or a system
    does not answer: then, as for a moment with other doubts than the one before it, the feature's channel is told."""
    feature = world.books.feature(name)
    live = await world.store.read(lambda c: _live(c, name))
    release = live.release
    if release is None or live.busy or not any(p.kind in DATA_SIDE for p in feature.parts()):
        return {"ok": False, "why": live.busy or f"{name} has no {'data side' if release else 'live release'}"}
    looked = _refused(release, live.mixed) if live.mixed else await _look(world, feature, release)

    def store(conn: Connection) -> dict[str, object]:
        if _live(conn, name) != live:
            return {"ok": False, "why": "a run or a capture has changed what is live meanwhile"}
        return _store(conn, world, feature, release, looked, actor)

    return await world.store.write(store)


def _refused(release: Release, mixed: list[str]) -> Looked:
    again = f"When it is right, capture {release.feature} {release.version} once more"
    return None, [f"{rules.mixed_words(mixed)}. {again}"]


@dataclass(frozen=True)
class _Live:
    """What is live, and whether its data may be recorded as its own. ``busy``: a run is changing it."""

    release: Release | None
    mixed: list[str]
    busy: str


def _live(conn: Connection, name: str) -> _Live:
    stint = rules.live_stint(releases.stints(conn, name))
    release = releases.get(conn, name, stint.version) if stint else None
    busy = runs.at_work(conn, name)
    return _Live(release, stint.mixed if stint else [], f"{busy[0]} is changing {name}" if busy else "")


async def _look(world: World, feature: Feature, release: Release) -> Looked:
    trouble: list[str] = []
    try:
        code, data = rules.sides(await live_captures(world, feature))
    except* RollbotError as group:
        trouble.append(_first(group))
    if trouble:
        return None, trouble
    if rules.code_digest(code) != release.digest:
        other = ", ".join(rules.differing(release.captures, code))
        return None, [f"what is live is not {release.version}: its code side differs ({other})"]
    warnings = [f"{n}: {w}" for n, c in data.items() for w in c.warnings]
    moment = Moment(feature=release.feature, version=release.version, at=world.now(), captures=data, warnings=warnings)
    return moment, warnings


def _first(group: BaseExceptionGroup[RollbotError]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.message if isinstance(error, RollbotError) else str(error)


def _store(
    conn: Connection, world: World, feature: Feature, release: Release, looked: Looked, actor: Actor
) -> dict[str, object]:
    moment, doubts = looked
    news = _news(conn, release, doubts)
    number = releases.add_moment(conn, moment) if moment else 0
    if news:
        _say(conn, world, feature, release, looked)
    if moment or news:
        event = Happened(
            act="moment_added" if moment else "moment_refused",
            actor=actor,
            after=release.version,
            facts={"moment": number, "warnings": len(doubts)},
            texts={} if moment else {"why": "; ".join(doubts)},
        )
        events.append(conn, [event], world.now(), feature=release.feature)
    if moment is None:
        return {"ok": False, "why": "; ".join(doubts)}
    return {"ok": True, "version": release.version, "moment": number, "warnings": doubts}


def _news(conn: Connection, release: Release, doubts: list[str]) -> bool:
    """Are these other doubts than those of the moment before? Numbers and times in them move, and are no news."""
    key, now = f"moments:{release.feature}", [release.version, *sorted({re.sub(r"\d+", "0", d) for d in doubts})]
    known = json.loads(occurrences.get_meta(conn, key) or "[]")
    if not known or known[0] != release.version:
        earlier = releases.moments(conn, release.feature, release.version, limit=1)
        told = {re.sub(r"\d+", "0", w) for m in earlier for w in m.warnings}
        known = [release.version, *sorted(told)]
    occurrences.set_meta(conn, key, json.dumps(now))
    return bool(known != now)


def _say(conn: Connection, world: World, feature: Feature, release: Release, looked: Looked) -> None:
    (moment, doubts), now = looked, world.now()
    about = f"{release.feature} {release.version}"
    text = f"{about}: no moment was recorded at {hhmm(now)} UTC: {'; '.join(doubts)}"
    if moment:
        text = f"{about}: doubts about the moment of {hhmm(now)} UTC: {'; '.join(doubts)}"
    if not doubts:
        text = f"{about}: the moment of {hhmm(now)} UTC was recorded without a doubt again"
    log.warning("%s", text)
    if feature.channel:
        key = f"moment:{release.feature}:{now.isoformat()}"
        messages.want(conn, key, purpose="notice", channel=feature.channel, body={"text": text}, now=now)
