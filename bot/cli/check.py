"""rollbot check: everything that can be known before the night it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, line, say_json, table
from bot.cli.session import session
from bot.core import policy as rules
from bot.core.errors import RollbotError
from bot.core.ports import Component, Errand
from bot.flows.standing import nobody_can
from bot.outside.identity import same_disk
from bot.wiring import Parts


@command
async def check(
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Only the files; ask no outside system.")] = False,
) -> None:
    """Check playbooks, policy, connections and their versions, and Slack. Exit 1 with one line per fault."""
    async with session() as s:
        faults = list(dict.fromkeys(s.parts.books.faults()))
        met: list[tuple[str, ...]] = []
        if not offline:
            met, more = await _systems(s.parts)
            faults += [f for f in more if f not in faults]
            faults += [f async for f in _policy(s.parts)]
            faults += await _slack(s.parts)
            faults += await same_disk(s.parts.store, s.parts.blobs)
    if as_json:
        say_json({"ok": not faults, "faults": faults, "components": [dict(zip(_COLUMNS, m, strict=True)) for m in met]})
    else:
        if not offline:
            table(_COLUMNS, met, empty="no component answered")
        for fault in faults:
            line(fault)
    if faults:
        raise RollbotError(f"{len(faults)} fault{'s' if len(faults) > 1 else ''} found")
    if not as_json:
        line("all is well")


_COLUMNS = ["feature", "component", "system", "version now", "resource"]


async def _systems(parts: Parts) -> tuple[list[tuple[str, ...]], list[str]]:
    """Every component of every sound feature, asked together: the version it has now."""
    jobs = [
        (name, part)
        for name in parts.books.feature_names()[:200]
        for part in _parts_of(parts, name)
    ]
    answers = await asyncio.gather(*(_ask(parts, name, part) for name, part in jobs))
    met = [a for a in answers if isinstance(a, tuple)]
    return met, [a for a in answers if isinstance(a, str)]


def _parts_of(parts: Parts, name: str) -> list[Component]:
    try:
        return parts.books.feature(name).parts()
    except RollbotError:
        return []


async def _ask(parts: Parts, feature: str, part: Component) -> tuple[str, ...] | str:
    try:
        state = await parts.world.targets.inspect(part, Errand(timeout=30.0))
    except RollbotError as e:
        return f"{feature}: {part.name} ({part.target}): {e.message}"
    system = str(state.observed.get("system", part.target))
    return (feature, part.name, system, state.pointer, state.resource)


async def _policy(parts: Parts) -> AsyncIterator[str]:
    """A policy that nobody can satisfy is a fault."""
    try:
        policy = parts.books.policy()
    except RollbotError:
        return
    for name in parts.books.feature_names()[:200]:
        try:
            feature = parts.books.feature(name)
        except RollbotError:
            continue
        need = rules.requirement(policy, tier=feature.tier, risk="high", mode="live", owner=feature.owner, stops_only=False)
        if why := await nobody_can(parts.world, policy, need, "nobody/nobody"):
            yield f"{name}: nobody could approve a rollback: {why}"


async def _slack(parts: Parts) -> list[str]:
    """Token, scopes, and each channel with the id it resolved to."""
    return await parts.slack.check() if parts.slack else []
