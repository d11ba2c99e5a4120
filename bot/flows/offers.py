"""What the card says besides the plan: how long it takes, and what can be done instead."""

from __future__ import annotations

import asyncio

from bot.core.commands import Purpose
from bot.core.feature import Feature
from bot.core.plan import Offer, PlanBody, PlanStep
from bot.core.release import Moment, Release, Stint
from bot.core.text import listed
from bot.flows.look import context, look
from bot.flows.world import World
from bot.store import releases
from bot.store.write import Connection

CANDIDATES = 3
"""How many other releases are looked at for an offer."""
OFFER_S = 4.0
"""Seconds that they may take: the card waits for it."""


def estimate(steps: list[PlanStep], usual: dict[tuple[str, str], float]) -> tuple[float | None, float | None]:
    """Seconds until applied and until verified, from this feature's own history; None where there is none."""
    groups: dict[int, list[PlanStep]] = {}
    for step in steps:
        groups.setdefault(step.group, []).append(step)
    applied = verified = ramp = 0.0
    known = False
    for members in groups.values():
        took = max((usual.get((s.verb, s.component), 0.0) for s in members), default=0.0)
        known = known or took > 0
        verified += took + ramp if members[0].verb != "enable" else 0.0
        ramp = max(len(s.ramp) * s.every for s in members)  # before what follows it, as the flag's own verification
        applied += took if members[0].verb in ("hold", "disable", "restore") else 0.0
    return (applied, verified) if known else (None, None)


async def offers(world: World, feature: Feature, body: PlanBody, blockers: list[str]) -> list[Offer]:
    """What can be done instead, where something can't be restored."""
    if not blockers or body.purpose != Purpose.rollback or body.mode == "drill":
        return []
    broken = sorted({b.split(":", 1)[0] for b in blockers} | set(body.without))
    said = [Offer(label=f"{body.to_version} without {listed(broken)}", to=body.to_version or "", without=broken)]
    other = await _another(world, feature, body)
    return [*said, *([other] if other else []), Offer(label="Stop the harm", purpose=Purpose.stop)]


async def _another(world: World, feature: Feature, body: PlanBody) -> Offer | None:
    """The newest other release that was never rolled back from and of which nothing is known to be lost."""

    def read(conn: Connection) -> tuple[list[Stint], list[str]]:
        return releases.stints(conn, body.feature), releases.versions(conn, body.feature)

    known, names = await world.store.read(read)
    bad = {s.version for s in known if s.rolled_back} | {body.to_version, body.from_version}
    candidates = [v for v in names if v not in bad][:CANDIDATES]
    found = await asyncio.gather(*(_ready(world, feature, v) for v in candidates))
    sound = [(v, all_ready) for v, all_ready in zip(candidates, found, strict=True) if all_ready is not False]
    best = next((v for v in sound if v[1]), sound[0] if sound else None)
    return Offer(label=f"{best[0]} ({'all ready' if best[1] else 'not checked'})", to=best[0]) if best else None


async def _ready(world: World, feature: Feature, version: str) -> bool | None:
    """Can all of this release be restored? None: somebody did not answer in time."""

    def read(conn: Connection) -> tuple[Release | None, list[Moment]]:
        return releases.get(conn, feature.feature, version), releases.moments(conn, feature.feature, version, limit=1)

    release, moments = await world.store.read(read)
    captures = {**(release.captures if release else {}), **(moments[0].captures if moments else {})}
    about = context(feature.feature, None, version, captures)
    found = await look(world, feature, captures, about, diffs=False, only=frozenset(captures), seconds=OFFER_S)
    answers = [r.status for r in found.readiness.values()]
    if not captures or "not_ready" in answers:
        return False
    return True if set(answers) == {"ready"} else None
