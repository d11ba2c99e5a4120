"""What a plan means, in the few lines that fit a locked phone. Nothing here is escaped."""

from __future__ import annotations

from datetime import datetime

from bot.core.commands import Purpose
from bot.core.plan import Plan
from bot.core.playbook import Verb
from bot.core.target import Diff, Kind
from bot.core.text import count, day, hhmm, listed, span
from bot.slack.views.words import Scene

DAY_S = 20 * 3600.0
"""Seconds past which a time of day alone could be taken for another day's."""


def lines(scene: Scene) -> list[str]:
    """Live, data, changes, hits, doubts, times; a line that has nothing to say is left out."""
    if scene.plan is None:
        return []
    plan = scene.plan
    found = [
        _live(scene, plan),
        _data(scene, plan),
        _changes(plan),
        _hits(plan),
        _doubts(plan),
        _blocked(plan),
        estimate(plan),
    ]
    return [line for line in found if line]


def _live(scene: Scene, plan: Plan) -> str:
    body, seen = plan.body, plan.seen
    now = f"Live: {body.from_version}" if body.from_version else "Live: no captured release"
    now += f" since {_when(seen.live_since, scene.now)}." if seen.live_since and body.from_version else "."
    if body.purpose != Purpose.rollback or not body.to_version:
        return now
    return f"{now}  {body.to_version}: {seen.target_live}" if seen.target_live else now


def _data(scene: Scene, plan: Plan) -> str:
    """How old the data will be, and what is thrown away."""
    at = plan.seen.data_at
    if at is None:
        return ""
    discarded = sum(d.counts.get("commits_discarded", 0) for d in plan.seen.diffs.values())
    said = f"Data as of {_when(at, scene.now)} ({_age((scene.now - at).total_seconds())} old)"
    return said + (f"; {count(discarded, 'later commit')} discarded" if discarded else "")


def _when(at: datetime, now: datetime) -> str:
    """The time of day, with the day where it was not the last one."""
    return hhmm(at) if abs((now - at).total_seconds()) < DAY_S else f"{day(at)} {hhmm(at)}"


def _age(seconds: float) -> str:
    """Roughly: past 90 minutes in whole hours."""
    return span(max(0.0, seconds) if seconds < 5400 else round(seconds / 3600) * 3600)


def _changes(plan: Plan) -> str:
    said: list[str] = []
    for step in plan.body.steps:
        diff = plan.seen.diffs.get(step.component)
        if step.verb == Verb.hold:
            said.append(f"{step.component} held")
        elif step.verb == Verb.lift:
            said.append(f"{step.component} lifted")
        elif step.verb == Verb.disable:
            said.append(_flag(plan, step.component))
        elif step.verb == Verb.enable and not _disables(plan, step.component):
            said.append(f"{step.component} on again")
        elif step.verb == Verb.restore and (diff is None or not diff.same):
            said.append(_restored(plan, step.component, step.kind, diff))
    moved = sorted(said, key=lambda s: "until verified" in s)
    return "Changes: " + (", ".join(moved) or "nothing, all of it is there already")


def _disables(plan: Plan, component: str) -> bool:
    return any(s.verb == Verb.disable and s.component == component for s in plan.body.steps)


def _flag(plan: Plan, component: str) -> str:
    comes_back = any(s.verb == Verb.enable and s.component == component for s in plan.body.steps)
    return f"{component} stays off until verified{_shares(plan, component)}" if comes_back else f"{component} off"


def _shares(plan: Plan, component: str) -> str:
    """``, then 25 %, 50 % and all of its rule, 5 min apart``."""
    ramps = [s for s in plan.body.steps if s.verb == Verb.enable and s.component == component and s.ramp]
    return "".join(f", then {s.says_ramp}" for s in ramps)


def _restored(plan: Plan, component: str, kind: Kind, diff: Diff | None) -> str:
    rows = sum(diff.counts.get(name, 0) for name in ("rows_added", "rows_changed", "rows_removed")) if diff else 0
    if kind == Kind.online and rows:
        return f"{component} ({count(rows, 'row')})"
    state, to = plan.seen.states.get(component), plan.captures.get(component)
    if kind == Kind.model and state and to:
        return f"{component} {state.pointer} -> {to.pointer}"
    return component


def _hits(plan: Plan) -> str:
    hits = ", ".join(plan.body.consumers)
    shared = f"also takes back: {', '.join(plan.body.shared)}" if plan.body.shared else ""
    return "Hits: " + " · ".join(s for s in (hits, shared) if s) if hits or shared else ""


def _doubts(plan: Plan) -> str:
    """The first three; the others are in the details."""
    doubts = plan.seen.doubts
    more = f" · and {len(doubts) - 3} more in Details" if len(doubts) > 3 else ""
    return f"Doubts: {' · '.join(doubts[:3])}{more}" if doubts else ""


def _blocked(plan: Plan) -> str:
    if plan.seen.blockers:
        return f"Can't be restored: {'; '.join(plan.seen.blockers)}"
    return f"Nobody can approve this: {plan.seen.unsatisfiable}" if plan.seen.unsatisfiable else ""


def estimate(plan: Plan) -> str:
    """``About 40 s to applied, 11 min to verified``; nothing where nobody knows."""
    times = [(plan.seen.applied_s, "applied"), (plan.seen.verified_s, "verified")]
    known = [f"{span(seconds)} to {what}" for seconds, what in times if seconds]
    return "About " + ", ".join(known) if known else ""


def offered(plan: Plan) -> str:
    """What can be done instead, in words."""
    return f"Instead: {listed(o.label for o in plan.seen.offers)}" if plan.seen.offers else ""
