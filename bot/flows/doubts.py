"""Everything a responder should know before pressing, one line each; the gravest first, for a phone shows three."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.commands import Purpose
from bot.core.feature import Feature
from bot.core.plan import PlanBody, Seen
from bot.core.release import EXPECTED, Moment, Release
from bot.core.run import Run
from bot.core.target import DATA_SIDE, Capture, Kind
from bot.core.text import listed, span

CACHED_S = 10.0
"""Caches that live shorter are no doubt."""


@dataclass(frozen=True)
class Known:
    """What is known when a plan is made. ``trouble``: components that did not answer, and why; ``policy_fault``: what
    is wrong with the policy's file now."""

    feature: Feature
    body: PlanBody
    seen: Seen
    captures: dict[str, Capture]
    release: Release | None
    moment: Moment | None
    trouble: dict[str, str]
    rivals: list[Run]
    policy_fault: str | None


def doubts(k: Known) -> list[str]:
    """Each line once."""
    said = [f"{n}: not checked ({'; '.join(k.seen.readiness[n].reasons)})" for n in k.seen.not_checked]
    said += [f"{n}: did not answer ({why})" for n, why in k.trouble.items() if n not in k.seen.not_checked]
    said += (
        [f"policy: {k.policy_fault} (the last good one is used, or else 2 of @ml-oncall decide)"]
        if k.policy_fault
        else []
    )
    said += _live_already(k.body)
    said += _lifted(k)
    said += mixed(k)
    stay = "stays as it is" if len(k.body.without) == 1 else "stay as they are"
    said += [f"{listed(k.body.without)} {stay}"] if k.body.without else []
    said += [_rival(r) for r in k.rivals]
    said += _of_release(k)
    said += [f"{name}: {w}" for name, state in k.seen.states.items() for w in state.warnings]
    return list(dict.fromkeys([*said, *_caches(k)]))


def _live_already(body: PlanBody) -> list[str]:
    """Asked for by a slip of the finger it would throw away all that has arrived since."""
    if body.purpose != Purpose.rollback or not body.to_version or body.to_version != body.from_version:
        return []
    return [f"{body.to_version} is live already: what was changed or arrived since its capture would go back"]


def _lifted(k: Known) -> list[str]:
    """What lifting does not put right."""
    if k.body.purpose != Purpose.lift:
        return []
    jobs = [s.component for s in k.body.steps if s.verb == "lift"]
    said = [f"Rollbot did not change the code of {listed(jobs)}. Is the fix merged?"] if jobs else []
    return [*said, f"CI may deploy {k.feature.feature} again: is what it would deploy the fixed one?"]


def _of_release(k: Known) -> list[str]:
    lost = tuple(f"{name}: " for name, found in k.seen.readiness.items() if found.status == "not_ready")
    warned = [*(k.release.warnings if k.release else []), *(k.moment.warnings if k.moment else [])]
    said = [warning for warning in warned if not warning.startswith(lost)]  # what can't be restored has no date
    if k.moment and k.moment.expected:
        said.append(f"the served sample of this release is {EXPECTED}")
    if k.body.purpose == Purpose.rollback and k.moment is None and any(s.kind in DATA_SIDE for s in k.body.steps):
        said.append("this release has no moment of its data side")
    return said


def mixed(k: Known) -> list[str]:
    """A model that is left with a definition of another release asks for columns that this one may not have."""
    kinds = {s.component: s.kind for s in k.body.steps if s.verb == "restore"}
    of = {kind: [p.name for p in k.feature.parts() if p.kind == kind] for kind in (Kind.model, Kind.definition)}
    goes = {kind: any(kinds.get(name) == kind for name in names) for kind, names in of.items()}
    if not of[Kind.model] or not of[Kind.definition] or goes[Kind.model] == goes[Kind.definition]:
        return []
    if goes[Kind.model]:
        return ["MIXED: the model goes back, the definition does not: it may ask for columns that are not there"]
    lost = [column for name in of[Kind.definition] for column in _lost(k, name)]
    if lost == []:
        return []
    stays = ", ".join(f"{n} {k.seen.states[n].pointer}" if n in k.seen.states else n for n in of[Kind.model])
    return [f"MIXED: {stays} stays and may ask for what the definition will lack: {listed(lost)}"]


def _lost(k: Known, name: str) -> list[str]:
    """The columns that the definition has now and will not have."""
    now, then = k.seen.states.get(name), k.captures.get(name)
    if now is None or then is None:
        return [f"columns of {name} (it did not answer)"] if name not in k.body.without else []
    return [f.removeprefix("feature ") for f in now.facts if f.startswith("feature ") and f not in then.facts]


def _caches(k: Known) -> list[str]:
    """How long consumers go on reading the old definition, where the system knows."""
    lives = [state.observed.get("cache_s") for state in k.seen.states.values()]
    longest = max((float(s) for s in lives if isinstance(s, int | float)), default=0.0)
    if longest < CACHED_S or k.body.purpose not in (Purpose.rollback, Purpose.put_back):
        return []
    return [f"serving caches up to {span(longest)}"]


def _rival(run: Run) -> str:
    """``R-18 (rider_stats to v3) waits for approval too``."""
    to = f"to {run.to_version or run.request.get('to')}"
    goal = to if run.purpose == Purpose.rollback else run.purpose.value.replace("_", " ")
    waits = "waits for approval" if run.waiting_for == "approval" else f"is {run.status}"
    return f"{run.name} ({run.feature} {goal}) {waits} too"
