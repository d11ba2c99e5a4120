"""rollbot plan: what a rollback would do now, read only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, line, say_json, table
from bot.cli.session import Session, known, looking, session, terminal
from bot.core import drilled
from bot.core.commands import Purpose, Request
from bot.core.errors import NotRestorable
from bot.core.plan import Plan, PlanStep, metrics
from bot.core.run import Run
from bot.core.target import State
from bot.core.text import count
from bot.flows.plan import make_plan
from bot.store import releases


async def live_metrics(s: Session, made: Plan) -> dict[str, float]:
    """Of the release that is live now."""
    body = made.body
    return await s.parts.store.read(lambda c: releases.metrics_of(c, body.feature, body.from_version))


def _step(step: PlanStep) -> str:
    shares = f" ({step.says_ramp})" if step.ramp else ""
    return f"{step.verb} {step.component}{shares}"


def print_plan(plan: Plan, live: Mapping[str, float]) -> None:
    """What would change, component by component. ``live``: the metrics of the release that is live."""
    body, seen = plan.body, plan.seen
    where = drilled.BANNER if body.mode == "drill" else body.environment
    line(f"{body.feature} {body.from_version or '?'} -> {body.to_version or '?'} · {where}")
    rows = [_row(plan, name) for name in dict.fromkeys(s.component for s in body.steps)]
    table(["component", "now", "then", "changes", "restorable"], rows, empty="nothing would be done")
    for name, diff in seen.diffs.items():
        for change in diff.changes:
            line(f"  {name}.{change.name}: {change.before} -> {change.after}")
    for said in metrics(plan, live):
        line(f"Metric {said}")
    line("Steps: " + ", ".join(_step(s) for s in body.steps))
    for said in [*seen.doubts, *([seen.unsatisfiable] if seen.unsatisfiable else [])]:
        line(f"Doubt: {said}")
    shared = f"; shared with {', '.join(body.shared)}" if body.shared else ""
    line("Hits: " + (", ".join(body.consumers) or "nobody known") + shared)
    line(f"Needs {body.requirement.say()} ({body.requirement.rule})")


def _now(state: State) -> str:
    """A version, and how much merely arrived since: a table's newest commit is no other version."""
    arrived = state.observed.get("commits since")
    return f"{state.pointer} + {count(arrived, 'commit')}" if isinstance(arrived, int) and arrived else state.pointer


def _row(plan: Plan, name: str) -> tuple[str, ...]:
    now, then = plan.seen.states.get(name), plan.captures.get(name)
    diff, ready = plan.seen.diffs.get(name), plan.seen.readiness.get(name)
    return (
        name,
        _now(now) if now else "did not answer",
        then.pointer if then else "",
        diff.summary if diff else "",
        ready.status if ready else "",
    )


def not_restorable(plan: Plan) -> NotRestorable | None:
    """The error for a plan with blockers, with what can be done instead."""
    if not plan.seen.blockers:
        return None
    instead = "; ".join(offer.label for offer in plan.seen.offers)
    return NotRestorable(
        "not restorable: " + "; ".join(plan.seen.blockers) + (f". Instead: {instead}" if instead else "")
    )


@command
async def plan(
    feature: Annotated[str, typer.Argument(help="The feature's name.")],
    version: Annotated[str, typer.Argument(help="The release to go back to, or 'previous'.")],
    at: Annotated[str | None, typer.Option(help="Take the data side as of this time (UTC), e.g. 01:00.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this component as it is; any number of times.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """What a rollback would do now. Changes nothing. Exit 3 if it cannot be restored.

    Asks every system of the feature what is live, compares it with the release, checks that the release's bytes are
    still there, and says who would have to approve.
    """
    async with session() as before:
        await known(before, feature, version, at)
    async with looking(feature) as s:
        request = Request(feature=feature, to=version, at=at, without=without or [])
        asked = Run(
            id=0,
            feature=feature,
            purpose=Purpose.rollback,
            requester=terminal(),
            request=request.model_dump(mode="json"),
            created_at=s.parts.world.now(),
        )
        made = await make_plan(s.parts.world, asked, no=0)
        live = await live_metrics(s, made)
    if as_json:
        say_json({"digest": made.digest, "live_metrics": live, **made.model_dump(mode="json")})
    else:
        print_plan(made, live)
    if error := not_restorable(made):
        raise error
