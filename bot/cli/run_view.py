"""rollbot run list and show: runs for people, and for scripts with the names that they depend on."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, line, say_json, table
from bot.cli.session import Session, session
from bot.core import drilled
from bot.core.deeds import deed_of
from bot.core.errors import Unknown, Usage
from bot.core.onward import ways
from bot.core.run import Run, RunStep, clocks, run_id, verdict
from bot.core.text import span
from bot.store import releases, runs

RunName = Annotated[str, typer.Argument(help="The run's name, e.g. R-17.")]


def as_json_of(run: Run, left: list[dict[str, object]]) -> dict[str, object]:
    """One run, with the names that scripts depend on. ``accuracy`` is null where nothing was read back."""
    _, accuracy = verdict(run)
    return {
        "id": run.name,
        "feature": run.feature,
        "environment": run.environment,
        "purpose": run.purpose,
        "mode": run.mode,
        "status": run.status,
        "waiting_for": run.waiting_for,
        "why": run.why,
        "from_version": run.from_version,
        "to_version": run.to_version,
        "plan_digest": run.plan_digest,
        "requested_by": run.requester.id,
        "reason": run.reason,
        "incident": run.incident,
        "approvals": [{"person": n.person, "yes": n.yes, "digest": n.digest} for n in run.nods],
        "without_approval": run.glass.model_dump(mode="json") if run.glass else None,
        "steps": [_step(s) for s in run.steps],
        "clocks": clocks(run),
        "accuracy": accuracy.model_dump(mode="json") if accuracy else None,
        "left_behind": left,
        "production": run.production,
    }


def _step(s: RunStep) -> dict[str, object]:
    return {
        "n": s.n,
        "verb": s.verb,
        "component": s.component,
        "status": s.status,
        "attempts": s.attempts,
        "before": s.before.pointer if s.before else None,
        "after": s.to.pointer if s.to else None,
        "changed": s.changed,
        "error": s.error,
        "note": s.note,
        "seconds": _took(s),
    }


def _took(s: RunStep) -> float | None:
    return (s.ended_at - s.started_at).total_seconds() if s.ended_at and s.started_at else None


def stands(run: Run) -> str:
    """``R-17 waiting``, ``R-17 rejected: not now``: how it stands, in one line."""
    if run.why.startswith(run.status):
        return f"{run.name} {run.why}"
    return f"{run.name} {run.status}" + (f": {run.why}" if run.why else "")


def ways_on(run: Run) -> str:
    """What a person can do with it now, as a command; nothing where it goes on by itself or is over."""
    found = ways(run)
    return f"Ways on: rollbot run {found[0]} {run.name}, or {', '.join(found[1:])}" if found else ""


async def find(s: Session, name: str) -> Run:
    """By name. Raises Unknown."""
    number = run_id(name)
    run = await s.parts.store.read(lambda c: runs.load(c, number or 0))
    if run is None:
        raise Unknown(f"there is no run {name!r}; see 'rollbot run list'")
    return run


@command
async def list_(
    feature: Annotated[str | None, typer.Option(help="Only this feature.")] = None,
    before: Annotated[str | None, typer.Option(help="Only runs older than this one, e.g. R-17: the next page.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """The newest 20 runs, newest first."""
    older = run_id(before) if before else None
    if before and older is None:
        raise Usage(f"{before!r} is no run's name; write --before R-17")
    async with session(books=False) as s:
        found = await s.parts.store.read(lambda c: runs.newest(c, feature=feature, before=older))
        left = {r.id: await s.parts.store.read(partial(releases.left, run=r.id)) for r in found}
    if as_json:
        say_json([as_json_of(r, left[r.id]) for r in found])
        return
    rows = [
        (
            r.name,
            r.feature,
            r.purpose if r.mode == "live" else f"{r.purpose} ({r.mode})",
            f"{r.from_version or '?'} -> {r.to_version or '?'}",
            r.status,
            r.why,
        )
        for r in found
    ]
    table(["run", "feature", "for", "versions", "status", ""], rows, empty=_none(feature, before))


def _none(feature: str | None, before: str | None) -> str:
    return f"no runs{f' of {feature}' if feature else ''}{f' before {before}' if before else ' yet'}"


@command
async def show(name: RunName, *, as_json: AsJson = False) -> None:
    """One run: who, its steps, times, accuracy, and what it left behind."""
    async with session(books=False) as s:
        run = await find(s, name)
        left = await s.parts.store.read(lambda c: releases.left(c, run=run.id))
    if as_json:
        say_json(as_json_of(run, left))
        return
    where = drilled.BANNER if run.mode == "drill" else f"{run.environment} · {run.mode}"
    line(f"{run.feature} {run.from_version or '?'} -> {run.to_version or '?'} · {where}")
    line(stands(run))
    if ways(run):
        line(ways_on(run))
    line(f"Asked for by {run.requester.id}" + (f": {run.reason}" if run.reason else ""))
    for nod in run.nods:
        void = "" if nod in run.present_nods else " (of an earlier plan: it no longer counts)"
        line(f"{'Approved' if nod.yes else 'Rejected'} by {nod.person}{void}")
    if run.glass:
        line(f"Run WITHOUT APPROVAL by {run.glass.person}: {run.glass.reason}")
    rows = [(s.n, s.verb, s.component, s.status, _span(s), _said(s)) for s in run.steps]
    table(["", "step", "component", "status", "took", ""], rows, empty="no steps")
    for deed in run.deeds:
        line(deed_of(deed, deed.person))
    _times_and_accuracy(run)
    for said in run.production:
        line(said)
    for item in left:
        line(f"Left behind: {item['say']}")


def _said(s: RunStep) -> str:
    """Of a step that a person left out their reason, not what had been wrong with it."""
    return s.note if s.status == "skipped" else s.error or s.note


def _span(s: RunStep) -> str:
    took = _took(s)
    return "" if took is None else span(took)


def _times_and_accuracy(run: Run) -> None:
    known = {name.removesuffix("_s"): span(value) for name, value in clocks(run).items() if value is not None}
    if known:
        line("Times: " + ", ".join(f"{name} {value}" for name, value in known.items()))
    _, a = verdict(run)
    if a:
        line(
            f"{a.matched:,} of {a.expected:,} match, {a.missing:,} missing, {a.extra:,} extra, {a.null:,} null, "
            f"read {a.where}" + (f"; {a.inconclusive}" if a.inconclusive else "")
        )
