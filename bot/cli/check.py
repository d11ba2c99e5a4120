"""rollbot check: everything that can be known before the night it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.output import AsJson, command, explained, line, say_json, table
from bot.cli.session import looking, session
from bot.core import policy as rules
from bot.core.errors import RollbotError
from bot.core.ports import Component, Errand
from bot.core.target import State
from bot.core.text import count
from bot.flows.standing import nobody_can
from bot.outside.identity import same_disk
from bot.wiring import Parts

if TYPE_CHECKING:
    from bot.slack.checkup import Checkup

ANSWER_S = 30.0
"""Seconds that a system may take to answer."""
TOGETHER = 8
"""Components asked at a time, so that none of them waits in line while its seconds run."""
MOST = 200
"""Features whose systems are asked. The files are checked for all."""


@dataclass(frozen=True)
class Met:
    """One component that answered, and the version it has now."""

    feature: str
    component: str
    system: str
    version: str
    resource: str


@dataclass
class Found:
    """What there is to say. Only ``faults`` end with exit code 1."""

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    met: list[Met] = field(default_factory=list)
    slack: Checkup | None = None


@command
async def check(
    *,
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Only the files; ask no outside system.")] = False,
) -> None:
    """Check playbooks, policy, connections and their versions, and Slack. Exit 1 with one line per fault.

    Each line names file and line where there is one. Run it in CI for the folder (--offline needs no credentials),
    and once a day where the bot runs.
    """
    found = Found()
    async with session(fresh=True) if offline else looking(None, fresh=True) as s:
        found.faults += dict.fromkeys(s.parts.books.faults())
        if not offline:
            await _systems(s.parts, found)
            await _people(s.parts, found)
            await _disk(s.parts, found)
        count_ = len(s.parts.books.feature_names())
        found.notes.append(f"{s.parts.settings.playbooks}: {count(count_, 'feature')}")
    _say(found, as_json=as_json)
    if found.faults:
        raise RollbotError(f"{count(len(found.faults), 'fault')} found")


async def _disk(parts: Parts, found: Found) -> None:
    """Can captures be stored, and are those of earlier starts still there?"""
    try:
        found.warnings += await same_disk(parts.store, parts.blobs)
    except (OSError, RollbotError) as e:
        found.faults.append(explained(e)[0])


def _say(found: Found, *, as_json: bool) -> None:
    if as_json:
        say_json(_as_json(found))
        return
    if found.met:
        columns = ["feature", "component", "system", "version now", "resource"]
        table(columns, [vars(m).values() for m in found.met], empty="")
    if found.slack and found.slack.names:
        rows = [
            (n.kind, n.name, n.id, "" if n.members is None else count(n.members, "member")) for n in found.slack.names
        ]
        table(["in Slack", "name", "id", ""], rows, empty="")
        line("Scopes: " + (", ".join(found.slack.scopes) or "none known"))
    for said in found.notes:
        line(said)
    for warning in found.warnings:
        line(f"Warning: {warning}")
    for fault in found.faults:
        line(fault)
    if not found.faults:
        line("all is well")


def _as_json(found: Found) -> dict[str, object]:
    """``slack`` is null where it is off or was not asked."""
    slack = found.slack and {"names": [vars(n) for n in found.slack.names], "scopes": found.slack.scopes}
    components = [vars(m) for m in found.met]
    said = {"faults": found.faults, "warnings": found.warnings, "components": components, "slack": slack}
    return {"ok": not found.faults, **said}


async def _systems(parts: Parts, found: Found) -> None:
    """Every component of every sound feature: the version it has now, of which system."""
    names = parts.books.feature_names()
    if len(names) > MOST:
        found.notes.append(f"systems were asked for the first {MOST} of {len(names):,} features only")
    at_a_time = asyncio.Semaphore(TOGETHER)

    async def ask(feature: str, part: Component) -> None:
        async with at_a_time:
            await _ask(parts, feature, part, found)

    async with asyncio.TaskGroup() as together:
        for name in names[:MOST]:
            for part in _parts_of(parts, name):
                together.create_task(ask(name, part))
    found.met.sort(key=lambda m: (m.feature, m.component))
    found.faults = list(dict.fromkeys(found.faults))


def _parts_of(parts: Parts, name: str) -> list[Component]:
    try:
        return parts.books.feature(name).parts()
    except RollbotError:
        return []


async def _ask(parts: Parts, feature: str, part: Component, found: Found) -> None:
    try:
        state = await parts.world.targets.inspect(part, Errand(timeout=ANSWER_S))
    except RollbotError as e:
        found.faults.append(f"{feature}: {part.name} ({part.target}): {e.message}")
        return
    system = system_of(parts.books.connections()[part.target].type, state)
    found.met.append(Met(feature, part.name, f"{part.target}: {system}", state.pointer, state.resource))
    found.warnings += [f"{feature}: {part.name}: {w}" for w in state.warnings]


def system_of(type_: str, state: State) -> str:
    """A type of system with the version that was met: the one that the target saw, else that of our library for it."""
    seen = state.observed.get(type_)
    if isinstance(seen, str | int | float):
        return f"{type_} {seen}"
    for needed in metadata.requires("rollbot") or []:
        if re.search(rf"extra == ['\"]{re.escape(type_)}['\"]", needed):
            library = re.split(r"[\s\[<>=!~;]", needed, maxsplit=1)[0]
            with contextlib.suppress(metadata.PackageNotFoundError):
                return f"{type_} ({library} {metadata.version(library)})"
    return type_


async def _people(parts: Parts, found: Found) -> None:
    """Policy and Slack: who could approve, and does Slack let us work?"""
    if parts.slack:
        await parts.slack.client.open()
    try:
        found.faults += await _policy(parts)
        if parts.slack:
            found.slack = await parts.slack.check()
            found.faults += found.slack.faults
            found.warnings += found.slack.warnings
        else:
            found.notes.append("Slack is off: SLACK_BOT_TOKEN is not set")
    finally:
        if parts.slack:
            await parts.slack.client.close()


async def _policy(parts: Parts) -> list[str]:
    """A policy that nobody can satisfy is a fault."""
    try:
        policy = parts.books.policy()
    except RollbotError:
        return []
    said: list[str] = []
    for name in parts.books.feature_names()[:MOST]:
        try:
            feature = parts.books.feature(name)
        except RollbotError:
            continue
        need = rules.requirement(
            policy, tier=feature.tier, risk="high", mode="live", owner=feature.owner, stops_only=False
        )
        if why := await nobody_can(parts.world, policy, need, "nobody/nobody"):
            said.append(f"{name}: nobody could approve a rollback: {why}")
    return said
