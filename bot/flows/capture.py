"""Capturing what is live as a release, and importing one from what the systems still hold."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from bot.core import release as rules
from bot.core.commands import Actor, CaptureRelease
from bot.core.errors import NotRestorable, Refused, RollbotError, TargetError, Usage
from bot.core.feature import VERSION, Feature
from bot.core.ports import Component, Errand
from bot.core.release import Moment, Release, Stint
from bot.core.run import Happened
from bot.core.target import Capture, Kind, State
from bot.core.text import moment as parse_time
from bot.flows.look import context
from bot.flows.world import World
from bot.store import events, messages, releases, runs
from bot.store.write import Connection

log = logging.getLogger(__name__)
EXPECTED = "dataset"
"""For online rows: what this release's own dataset says should be served."""
CAPTURE_S = 600.0
"""Seconds that one component may take; copying a dataset's files is the long one."""


def _captured(feature: Feature) -> list[Component]:
    """A pipeline is held and lifted, it is not part of a release."""
    return [p for p in feature.parts() if p.kind != Kind.pipeline]


async def capture_release(
    world: World, command: CaptureRelease, actor: Actor, *, lifts: bool = False
) -> dict[str, object]:
    """The code side under a name, and a moment of the data side. Raises Refused for another code side under the
    same name, TargetError if a component moved meanwhile, and what the targets raise. Writes nothing then."""
    if not VERSION.match(command.version):
        raise Usage(f"{command.version!r} is no version name: letters, digits and . _ + - (at most 64)")
    feature = world.books.feature(command.feature)
    importing = bool(command.pointers)
    if not importing and (why := await world.store.read(lambda c: _unsettled(c, feature.feature))):
        raise Refused(why, rule="unsettled")
    captures = await (_import(world, feature, command) if importing else live_captures(world, feature))
    release, moment = _made(world, feature, command, captures, expected=importing)
    return await world.store.write(lambda c: _store(c, world, feature, command, release, moment, actor, lifts=lifts))


def _unsettled(conn: Connection, feature: str) -> str | None:
    """Why what is live now is nobody's release: a run changes it, or has left it half-way. None if it is settled."""
    if busy := runs.at_work(conn, feature):
        return f"{', '.join(busy)} is changing {feature} now; capture when it has ended"
    half = [i for i in releases.left(conn, feature=feature) if i["what"] == "hold" and "MIXED" in str(i["say"])]
    if half:
        said, run = half[0]["say"], half[0]["run"]
        return f"{said}: that is no release. Roll back, put R-{run} back, or lift the hold first"
    return None


async def live_captures(world: World, feature: Feature) -> dict[str, Capture]:
    """All components together: versions are read again after the last one, and a moved one fails the capture."""
    parts = _captured(feature)
    before = await _states(world, parts)
    errand = Errand(timeout=CAPTURE_S, context=context(feature.feature, None, None, {}))
    async with asyncio.TaskGroup() as together:
        tasks = {p.name: together.create_task(world.targets.capture(p, errand)) for p in parts}
    after = await _states(world, parts)
    moved = [n for n in before if before[n].version != after[n].version]
    if moved:
        raise TargetError(f"{', '.join(moved)} changed while the release was captured; nothing was stored. Try again.")
    captures = {name: task.result() for name, task in tasks.items()}
    return await _with_doubts(world, parts, captures, errand)


async def _with_doubts(
    world: World, parts: list[Component], captures: dict[str, Capture], errand: Errand
) -> dict[str, Capture]:
    """What is live is recorded even where it can't be restored (a model whose files are gone must not keep the
    release away from it from being known), but that is said at once, not on the night it is needed."""

    async def one(part: Component) -> Capture:
        capture = captures[part.name]
        ready = await world.targets.readiness(part, errand, capture)
        if ready.status == "ready":
            return capture
        said = f"NOT RESTORABLE: {'; '.join(ready.reasons) or 'it was not checked'}"
        return capture.model_copy(update={"warnings": [*capture.warnings, said]})

    made = await asyncio.gather(*(one(p) for p in parts))
    return {p.name: c for p, c in zip(parts, made, strict=True)}


async def _states(world: World, parts: list[Component]) -> dict[str, State]:
    async with asyncio.TaskGroup() as together:
        tasks = {p.name: together.create_task(world.targets.inspect(p, Errand(timeout=60.0))) for p in parts}
    return {name: task.result() for name, task in tasks.items()}


async def _import(world: World, feature: Feature, command: CaptureRelease) -> dict[str, Capture]:
    """Named versions first; then what follows from them (a flag's rule as it is, online rows from the dataset)."""
    parts = _captured(feature)
    unknown = [n for n in command.pointers if n not in {p.name for p in parts}]
    if unknown:
        raise Usage(f"{feature.feature} has no component {unknown[0]!r}; it has {', '.join(p.name for p in parts)}")
    found: dict[str, Capture] = {}
    ordered = sorted(parts, key=lambda p: (p.name not in command.pointers, p.kind == Kind.online))
    for part in sorted(ordered, key=lambda p: p.kind == Kind.online):
        at = command.pointers.get(part.name)
        if at is None and part.kind not in (Kind.online, Kind.flag):
            raise Usage(f"say which version of {part.name}: {part.name}=POINTER")
        found[part.name] = await _imported(world, feature, command, part, at, found)
    return found


async def _imported(
    world: World,
    feature: Feature,
    command: CaptureRelease,
    part: Component,
    at: str | None,
    found: Mapping[str, Capture],
) -> Capture:
    errand = Errand(timeout=CAPTURE_S, context=context(feature.feature, None, command.version, found))
    if at is None and part.kind == Kind.online:
        at = EXPECTED
    capture = await world.targets.capture(part, errand, at)
    ready = await world.targets.readiness(part, errand, capture)
    if ready.status == "not_ready":
        raise NotRestorable(f"{part.name} {at}: {'; '.join(ready.reasons)}; nothing was stored")
    return capture


def _made(
    world: World, feature: Feature, command: CaptureRelease, captures: dict[str, Capture], *, expected: bool
) -> tuple[Release, Moment]:
    now = world.now()
    code, data = rules.sides(captures)
    views = {str(p.params.get("view")): captures[p.name].pointer for p in feature.parts() if p.kind == Kind.definition}
    mixed = rules.mixed(feature.feature, command.version, captures, views)
    release = Release(
        feature=feature.feature,
        version=command.version,
        digest=rules.code_digest(code),
        captures=code,
        changelog=command.changelog,
        metrics=command.metrics,
        commit=command.commit,
        created_at=now,
        expected=expected,
        warnings=mixed + [f"{n}: {w}" for n, c in code.items() for w in c.warnings],
    )
    warnings = [f"{n}: {w}" for n, c in data.items() for w in c.warnings]
    at = rules.as_of(data, now) if expected else now
    at = parse_time(command.live_to, now) if command.live_to else at
    moment = Moment(
        feature=feature.feature, version=command.version, at=at, captures=data, expected=expected, warnings=warnings
    )
    return release, moment


def _store(
    conn: Connection,
    world: World,
    feature: Feature,
    command: CaptureRelease,
    release: Release,
    moment: Moment,
    actor: Actor,
    *,
    lifts: bool,
) -> dict[str, object]:
    now = world.now()
    if not command.pointers and (why := _unsettled(conn, release.feature)):  # begun while the systems were read
        raise Refused(why, rule="unsettled")
    other = _refuse_unclear(conn, release, importing=bool(command.pointers))
    rules.same_or_refused(releases.get(conn, release.feature, release.version), release.version, release.captures)
    if not command.pointers:
        moment = moment.model_copy(update={"warnings": [*moment.warnings, *_now_its_own(conn, release)]})
    fresh = releases.add(conn, release)
    number = releases.add_moment(conn, moment) if moment.captures else 0
    if command.pointers:
        _past_stint(conn, world, command)
    else:
        releases.goes_live(conn, release.feature, release.version, now)
        releases.mix(conn, release.feature, [])
        if fresh and lifts and other and releases.lift_hold(conn, release.feature, now):
            releases.close_left(conn, release.feature, "hold", "", now)
    releases.index_feature(conn, feature.feature, {p.name: world.targets.resource(p) for p in feature.parts()})
    said = [*release.warnings, *moment.warnings]
    event = Happened(
        act="release_captured" if fresh else "moment_added",
        actor=actor,
        after=release.version,
        facts={"digest": release.digest, "moment": number, "expected": release.expected, "warnings": len(said)},
        texts={"changelog": command.changelog} if command.changelog else {},
    )
    events.append(conn, [event], now, feature=feature.feature)
    return {
        "ok": True,
        "new": fresh,
        "feature": release.feature,
        "version": release.version,
        "digest": release.digest,
        "moment": number,
        "expected": moment.expected,
        "data_at": moment.at.isoformat() if number else None,
        "warnings": said,
        "components": {n: c.pointer for n, c in {**release.captures, **moment.captures}.items()},
        "restorable_until": {
            n: c.restorable_until.isoformat() for n, c in moment.captures.items() if c.restorable_until
        },
    }


def _now_its_own(conn: Connection, release: Release) -> list[str]:
    """Whoever captures the live release again after a rollback that left its data out says that it is right now."""
    live = rules.live_stint(releases.stints(conn, release.feature))
    if live is None or live.version != release.version or not live.mixed:
        return []
    return [f"{rules.mixed_words(live.mixed)}; what is live now counts as {release.version}'s from here on"]


def not_captured(
    conn: Connection, world: World, command: CaptureRelease, actor: Actor, key: str, result: Mapping[str, object]
) -> None:
    """A refusal or an outside system's trouble, for the record; and where nobody waits for the answer in Slack, a line
    in the feature's channel under ``key``."""
    why, now = str(result.get("error", "")), world.now()
    heard = logging.INFO if actor.via in ("slack", "cli") else logging.WARNING
    log.log(heard, "%s %s was not captured for %s: %s", command.feature, command.version, actor.id, why)
    channel = ""
    with contextlib.suppress(RollbotError):
        channel = world.books.feature(command.feature).channel
    if channel and actor.via != "slack":
        text = f"{command.feature} {command.version} was not captured, as {actor.id} had ordered: {why}"
        messages.want(conn, key, purpose="notice", channel=channel, body={"text": text}, now=now)
    event = Happened(
        act="capture_refused",
        actor=actor,
        after=command.version,
        facts={"rule": str(result.get("rule", ""))},
        texts={"why": why},
    )
    events.append(conn, [event], now, feature=command.feature)


def _refuse_unclear(conn: Connection, release: Release, *, importing: bool) -> bool:
    """Is this another code side than the live release's? Raises Refused where an older version is named while the
    live one has the very same code side: its data would be recorded as that older version's."""
    if importing:
        return False
    live = rules.live_version(releases.stints(conn, release.feature))
    known = releases.get(conn, release.feature, live or "")
    same = known is not None and known.digest == release.digest
    if same and live != release.version and releases.get(conn, release.feature, release.version):
        raise Refused(
            f"{release.version} exists, and {live} is live with the same code side: what is live now would be recorded "
            f"as {release.version}. Name {live} for another moment of it, or a new version",
            rule="one live release",
        )
    return not same


def _past_stint(conn: Connection, world: World, command: CaptureRelease) -> None:
    if not command.live_from:
        return
    now = world.now()
    until = parse_time(command.live_to, now) if command.live_to else None
    since = parse_time(command.live_from, now)
    known = releases.stints(conn, command.feature)
    if until is None and any(s.until is None for s in known):
        raise Refused("another release is live; say until when this one was: --live-to T", rule="one live release")
    if not any(s.version == command.version and s.since == since for s in known):
        releases.add_stint(conn, command.feature, Stint(version=command.version, since=since, until=until))
