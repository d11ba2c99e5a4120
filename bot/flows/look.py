"""Looking at all components at once, within one deadline; what has not answered is *not checked*."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from bot.core.errors import RollbotError
from bot.core.feature import Feature
from bot.core.ports import Component, Errand
from bot.core.target import Capture, Diff, Json, Kind, Readiness, State
from bot.flows.world import World

T = TypeVar("T")
_LONGEST = {Kind.online: 0, Kind.dataset: 1, Kind.definition: 2, Kind.model: 3}


@dataclass
class Looked:
    """What was found. A component that is in ``trouble`` did not answer, and why."""

    states: dict[str, State] = field(default_factory=dict)
    readiness: dict[str, Readiness] = field(default_factory=dict)
    diffs: dict[str, Diff] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)


def context(
    feature: str,
    from_release: str | None,
    to_release: str | None,
    captures: Mapping[str, Capture],
    without: Iterable[str] = (),
) -> dict[str, Json]:
    """Facts of a run that a target may need."""
    siblings = {name: c.model_dump(mode="json") for name, c in captures.items()}
    return {
        "feature": feature,
        "from_release": from_release,
        "to_release": to_release,
        "siblings": siblings,
        "without": sorted(without),
    }


async def look(
    world: World,
    feature: Feature,
    captures: Mapping[str, Capture],
    about: dict[str, Json],
    *,
    diffs: bool = True,
    only: frozenset[str] | None = None,
    seconds: float | None = None,
    urgent: bool = False,
) -> Looked:
    """Inspects every component (or ``only`` these), checks each capture's readiness and compares it with what is
    live. Writes nothing. Each answer may take ``seconds``, or as long as a plan may."""
    found = Looked()
    errand = Errand(timeout=seconds or world.plan_s, context=about, urgent=urgent)
    # What reads rows begins first: it takes longest, and a card waits for the last answer.
    parts = [p for p in feature.parts() if only is None or p.name in only]
    parts.sort(key=lambda part: _LONGEST.get(part.kind, len(_LONGEST)))
    kept = [(part, captures[part.name]) for part in parts if part.name in captures]
    jobs: list[Awaitable[None]] = []
    if diffs:
        jobs += [_keep(found.diffs, part, partial(world.targets.diff, part, errand, c), found) for part, c in kept]
    jobs += [_ready(world, part, c, errand, found) for part, c in kept]
    jobs += [_keep(found.states, part, partial(world.targets.inspect, part, errand), found) for part in parts]
    await asyncio.gather(*jobs)
    return found


async def _keep(where: dict[str, T], part: Component, ask: Callable[[], Awaitable[T]], found: Looked) -> None:
    try:
        where[part.name] = await ask()  # asked here: a look that is given up before it began has asked nobody
    except RollbotError as e:
        found.trouble.setdefault(part.name, e.message)


async def _ready(world: World, part: Component, capture: Capture, errand: Errand, found: Looked) -> None:
    try:
        found.readiness[part.name] = await world.targets.readiness(part, errand, capture)
    except RollbotError as e:
        found.readiness[part.name] = Readiness(status="not_checked", reasons=[e.message])
