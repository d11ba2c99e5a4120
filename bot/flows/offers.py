"""What the card says besides the plan: doubts, times, and what can be done instead."""

from __future__ import annotations

from bot.core.commands import Purpose
from bot.core.plan import Offer, PlanBody, PlanStep, Seen
from bot.core.release import Moment, Release
from bot.core.run import Run
from bot.core.target import DATA_SIDE, Kind
from bot.core.text import listed
from bot.flows.world import World
from bot.store import releases


def estimate(steps: list[PlanStep], usual: dict[tuple[str, str], float]) -> tuple[float | None, float | None]:
    """Seconds until applied and until verified, from this feature's own history; None where there is none."""
    groups: dict[int, list[PlanStep]] = {}
    for step in steps:
        groups.setdefault(step.group, []).append(step)
    applied = verified = 0.0
    known = False
    for members in groups.values():
        took = max((usual.get((s.verb, s.component), 0.0) for s in members), default=0.0)
        known = known or took > 0
        verified += took if members[0].verb != "enable" else 0.0
        applied += took if members[0].verb in ("hold", "disable", "restore") else 0.0
    return (applied, verified) if known else (None, None)


def doubts(
    body: PlanBody,
    seen: Seen,
    release: Release | None,
    moment: Moment | None,
    trouble: dict[str, str],
    rivals: list[Run],
    policy_fault: str | None,
) -> list[str]:
    """Everything a responder should know before pressing, one line each."""
    said = [_rival(r) for r in rivals]
    said += release.warnings if release else []
    said += list(moment.warnings) if moment else []
    for name, state in seen.states.items():
        said += [f"{name}: {w}" for w in state.warnings]
    for name in seen.not_checked:
        said.append(f"{name}: not checked ({'; '.join(seen.readiness[name].reasons)})")
    said += [f"{name}: did not answer ({why})" for name, why in trouble.items() if name not in seen.not_checked]
    if moment and moment.expected:
        said.append("the served sample of this release was computed, not observed")
    if body.purpose == Purpose.rollback and moment is None and any(s.kind in DATA_SIDE for s in body.steps):
        said.append("this release has no moment of its data side")
    if body.without:
        said.append(f"{listed(body.without)} stays as it is")
        said += _mixed_without(body)
    said += [f"policy: {policy_fault} (the last good policy is used)"] if policy_fault else []
    return list(dict.fromkeys(said))


def _rival(run: Run) -> str:
    goal = {Purpose.rollback: f"to {run.to_version or run.request.get('to')}"}.get(run.purpose, run.purpose.value)
    waits = "waits for approval" if run.waiting_for == "approval" else f"is {run.status}"
    return f"{run.name} ({run.feature} {goal.replace('_', ' ')}) {waits} too"


def _mixed_without(body: PlanBody) -> list[str]:
    kinds = {s.component: s.kind for s in body.steps}
    if Kind.model in kinds.values() and not any(k == Kind.definition for k in kinds.values()):
        return ["MIXED: the model goes back, the definition does not: it may ask for columns that are not there"]
    return []


async def offers(world: World, body: PlanBody, blockers: list[str]) -> list[Offer]:
    """What can be done instead, where something can't be restored."""
    if not blockers or body.purpose != Purpose.rollback:
        return []
    broken = sorted({b.split(":", 1)[0] for b in blockers} | set(body.without))
    said = [Offer(label=f"{body.to_version} without {listed(broken)}", to=body.to_version or "", without=broken)]
    known = await world.store.read(lambda c: releases.stints(c, body.feature))
    bad = {s.version for s in known if s.rolled_back}
    names = await world.store.read(lambda c: releases.versions(c, body.feature))
    others = [v for v in names if v not in (body.to_version, body.from_version) and v not in bad]
    said += [Offer(label=v, to=v) for v in others[:1]]
    said.append(Offer(label="Stop the harm", purpose=Purpose.stop))
    return said
