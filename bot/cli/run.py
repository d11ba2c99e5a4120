"""rollbot plan, gate, and run: request, approve, reject, abort, put-back, list, show."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, line, say_json, table
from bot.cli.session import Session, person, session
from bot.core.commands import Abort, Accept, Decide, Purpose, Request, Retry
from bot.core.errors import NotRestorable, Refused, Unknown, Usage
from bot.core.plan import Plan
from bot.core.run import Run, Status, clocks, run_id, verdict
from bot.core.text import span
from bot.flows.plan import make_plan
from bot.store import releases, runs

app = typer.Typer(no_args_is_help=True, help="Runs: ask for one, decide, watch, put back. Needs your personal key.")
RunName = Annotated[str, typer.Argument(help="The run's name, e.g. R-17.")]
FeatureName = Annotated[str, typer.Argument(help="The feature's name.")]


def as_json_of(run: Run, left: list[dict[str, object]]) -> dict[str, object]:
    """One run, with the names that scripts depend on."""
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
        "steps": [
            {
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
                "seconds": (s.ended_at - s.started_at).total_seconds() if s.ended_at and s.started_at else None,
            }
            for s in run.steps
        ],
        "clocks": clocks(run),
        "accuracy": accuracy.model_dump(mode="json") if accuracy else None,
        "left_behind": left,
    }


async def find(s: Session, name: str) -> Run:
    """By name. Raises Unknown."""
    number = run_id(name)
    run = await s.parts.store.read(lambda c: runs.load(c, number or 0))
    if run is None:
        raise Unknown(f"there is no run {name!r}; see 'rollbot run list'")
    return run


def print_plan(plan: Plan) -> None:
    """What would change, component by component."""
    body, seen = plan.body, plan.seen
    line(f"{body.feature} {body.from_version} -> {body.to_version} · {body.environment} · needs {body.requirement.say()}")
    rows = []
    for name in dict.fromkeys(s.component for s in body.steps):
        now = seen.states.get(name)
        diff, ready = seen.diffs.get(name), seen.readiness.get(name)
        what = diff.summary if diff else ""
        then = plan.captures[name].pointer if name in plan.captures else ""
        rows.append((name, now.pointer if now else "did not answer", then, what, ready.status if ready else ""))
    table(["component", "now", "then", "changes", "restorable"], rows, empty="nothing would be done")
    for name, diff in seen.diffs.items():
        for change in diff.changes:
            line(f"  {name}.{change.name}: {change.before} -> {change.after}")
    for said in [*seen.doubts, *([seen.unsatisfiable] if seen.unsatisfiable else [])]:
        line(f"Doubt: {said}")
    line("Hits: " + (", ".join(body.consumers) or "nobody known") + (f"; shared with {', '.join(body.shared)}" if body.shared else ""))


@command
async def plan(
    feature: FeatureName,
    version: Annotated[str, typer.Argument(help="The release to go back to, or 'previous'.")],
    at: Annotated[str | None, typer.Option(help="Take the data side as of this time (UTC).")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave this component as it is.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a rollback would do now. Changes nothing. Exit 3 if it cannot be restored."""
    async with session() as s:
        now = s.parts.world.now()
        request = Request(feature=feature, to=version, at=at, without=without or [], mode="dry_run")
        from bot.cli.session import terminal

        run = Run(
            id=0,
            feature=feature,
            purpose=Purpose.rollback,
            requester=terminal(),
            request=request.model_dump(mode="json"),
            created_at=now,
        )
        made = await make_plan(s.parts.world, run, no=0)
    if as_json:
        say_json({"digest": made.digest, **made.model_dump(mode="json")})
    else:
        print_plan(made)
    if made.seen.blockers:
        instead = "; ".join(o.label for o in made.seen.offers)
        raise NotRestorable("not restorable: " + "; ".join(made.seen.blockers) + (f". Instead: {instead}" if instead else ""))


@command
async def gate(feature: FeatureName, as_json: AsJson = False) -> None:
    """For CI: may this feature be deployed now? Exit 4 while it is held."""
    async with session() as s:
        s.parts.books.feature(feature)
        held = await s.parts.store.read(lambda c: releases.hold(c, feature))
        busy = await s.parts.store.read(lambda c: [r.name for r in runs.open_runs(c, feature=feature) if r.started_at])
    if as_json:
        say_json({"feature": feature, "held": bool(held or busy), "hold": held, "runs": busy})
    if busy:
        raise Refused(f"{feature} is being rolled back right now ({', '.join(busy)})")
    if held:
        raise Refused(f"{feature} is held since {held['since']}: {held['reason']}")
    if not as_json:
        line(f"{feature} is free")


@app.command("list")
@command
async def list_(
    feature: Annotated[str | None, typer.Option(help="Only this feature.")] = None,
    before: Annotated[str | None, typer.Option(help="Older than this run; pages.")] = None,
    as_json: AsJson = False,
) -> None:
    """Runs, newest first."""
    older = run_id(before) if before else None
    async with session() as s:
        found = await s.parts.store.read(lambda c: runs.newest(c, feature=feature, before=older))
    if as_json:
        say_json([as_json_of(r, []) for r in found])
        return
    rows = [(r.name, r.feature, r.purpose, f"{r.from_version} -> {r.to_version}", r.status, r.why) for r in found]
    table(["run", "feature", "", "", "status", ""], rows, empty="no runs yet")


@app.command("show")
@command
async def show(name: RunName, as_json: AsJson = False) -> None:
    """One run: its steps, times, accuracy, and what it left behind."""
    async with session() as s:
        run = await find(s, name)
        left = await s.parts.store.read(lambda c: releases.left(c, run=run.id))
    if as_json:
        say_json(as_json_of(run, left))
        return
    line(f"{run.name} {run.feature} {run.from_version} -> {run.to_version} · {run.status} {run.why}")
    rows = [
        (s.n, s.verb, s.component, s.status, span((s.ended_at - s.started_at).total_seconds()) if s.ended_at and s.started_at else "", s.error or s.note)
        for s in run.steps
    ]
    table(["", "step", "component", "status", "took", ""], rows, empty="no steps")
    _, accuracy = verdict(run)
    if accuracy:
        line(f"{accuracy.matched:,} of {accuracy.expected:,} match, {accuracy.missing:,} missing, {accuracy.extra:,} extra, {accuracy.null:,} null, read {accuracy.where}")
    for item in left:
        line(f"Left behind: {item['say']}")


@app.command("request")
@command
async def request(
    feature: FeatureName,
    to: Annotated[str, typer.Option(help="The release to go back to, or 'previous'.")] = "",
    at: Annotated[str | None, typer.Option(help="Take the data side as of this time (UTC).")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave this component as it is.")] = None,
    because: Annotated[str, typer.Option(help="Why.")] = "",
    incident: Annotated[str, typer.Option(help="The incident's name.")] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Only hold pipelines and disable flags, at once.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a rollback (or --stop the harm), and wait until it needs somebody or ends."""
    if not stop and not to:
        raise Usage("say which release: --to v12 (or --to previous), or --stop")
    async with session(working=True) as s:
        feature_file = s.parts.books.feature(feature)
        order = Request(
            feature=feature,
            purpose=Purpose.stop if stop else Purpose.rollback,
            to="" if stop else to,
            at=at,
            without=without or [],
            reason=because,
            incident=incident,
            mode="dry_run" if dry_run else "live",
            channel=feature_file.channel if s.parts.slack else "",
        )
        taken, _ = await s.say(order, await person(s.parts))
        await follow(s, taken.run or 0, as_json)


async def follow(s: Session, number: int, as_json: bool) -> None:
    """Shows a run until it ends or waits for people."""
    shown = ""
    while True:
        run = await s.parts.store.read(lambda c: runs.load(c, number))
        if run is None:
            raise Unknown(f"there is no R-{number}")
        says = f"{run.name} {run.status} {run.why}".strip()
        if says != shown and not as_json:
            line(says)
            shown = says
        if not run.open or (run.status == Status.waiting and run.waiting_for in ("approval", "person")):
            break
        await asyncio.sleep(0.2)
    left = await s.parts.store.read(lambda c: releases.left(c, run=run.id))
    made = await s.parts.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    if as_json:
        say_json(as_json_of(run, left))
    elif made and run.waiting_for == "approval":
        print_plan(made)
        line(f"Approve with: rollbot run approve {run.name}")
    if run.status == Status.refused:
        raise NotRestorable(run.why) if made and made.seen.blockers else Refused(run.why)
    if run.status == Status.waiting and run.waiting_for == "person":
        raise Refused(f"{run.name} waits for a person: {run.why}")


async def _press(name: str, make: type[Decide | Abort | Retry | Accept], as_json: bool, **fields: object) -> None:
    async with session(working=True) as s:
        run = await find(s, name)
        extra = {"digest": run.plan_digest or ""} if make is Decide else {}
        order = make.model_validate({"run": run.id, **extra, **fields})
        await s.say(order, await person(s.parts))
        await follow(s, run.id, as_json)


@app.command("approve")
@command
async def approve(name: RunName, as_json: AsJson = False) -> None:
    """Say yes to the plan that stands now, and follow the run."""
    await _press(name, Decide, as_json, yes=True)


@app.command("reject")
@command
async def reject(name: RunName, because: Annotated[str, typer.Option(help="Why.")] = "", as_json: AsJson = False) -> None:
    """Say no."""
    await _press(name, Decide, as_json, yes=False, reason=because)


@app.command("abort")
@command
async def abort(name: RunName, because: Annotated[str, typer.Option(help="Why.")] = "", as_json: AsJson = False) -> None:
    """End a run that is not finished. What was done stays done until it is put back."""
    await _press(name, Abort, as_json, reason=because)


@app.command("retry")
@command
async def retry(name: RunName, as_json: AsJson = False) -> None:
    """Repeat what failed or was inconclusive."""
    await _press(name, Retry, as_json)


@app.command("put-back")
@command
async def put_back(name: RunName, because: Annotated[str, typer.Option(help="Why.")] = "", as_json: AsJson = False) -> None:
    """Ask for a run that brings back what another run replaced."""
    async with session(working=True) as s:
        run = await find(s, name)
        order = Request(
            feature=run.feature, purpose=Purpose.put_back, to=run.from_version or "", of_run=run.id, reason=because, channel=run.channel
        )
        taken, _ = await s.say(order, await person(s.parts))
        await follow(s, taken.run or 0, as_json)
