"""rollbot run: asking, deciding, helping a run on; and what a person sees until it needs somebody."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from bot.cli import run_view
from bot.cli.output import AsJson, command, line, note, say_json
from bot.cli.plan import live_metrics, not_restorable, print_plan
from bot.cli.run_view import RunName, as_json_of, find, stands
from bot.cli.session import Session, known, person, session, working
from bot.core.commands import Abort, Accept, Decide, Pause, Purpose, Request, Resume, Retry
from bot.core.errors import Refused, RollbotError, Unknown, Usage
from bot.core.plan import Plan
from bot.core.policy import Requirement, missing
from bot.core.run import Run, Status
from bot.core.target import Kind
from bot.core.text import count
from bot.store import events, inbox, releases, runs

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ask for a rollback, decide, watch, put back. Deciding needs your personal key in ROLLBOT_KEY.",
)
app.command("list")(run_view.list_)
app.command("show")(run_view.show)
FeatureName = Annotated[str, typer.Argument(help="The feature's name.")]
Because = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]
SWITCHED = (Kind.flag, Kind.pipeline)
"""What *Stop the harm* touches: it must not wait until a feature store's library is loaded."""


@app.command("request")
@command
async def request(
    feature: FeatureName,
    to: Annotated[str, typer.Option(help="The release to go back to, or 'previous'.")] = "",
    at: Annotated[str | None, typer.Option(help="Take the data side as of this time (UTC), e.g. 01:00.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this component as it is; any number of times.")
    ] = None,
    because: Because = "",
    incident: Annotated[str, typer.Option(help="The incident's name.")] = "",
    playbook: Annotated[str | None, typer.Option(help="Another playbook than the feature's own.")] = None,
    *,
    stop: Annotated[bool, typer.Option("--stop", help="Only hold pipelines and disable flags, at once.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a rollback (or --stop the harm), and follow it until it needs somebody or ends.

    Exit 3 if it cannot be restored, 4 if policy refuses it. Without a running 'rollbot serve' this command does the
    work itself, as far as it gets; what is not finished goes on at the next start.
    """
    if stop == bool(to):
        raise Usage("say either which release, --to v12 (or --to previous), or --stop")
    if stop and playbook:
        raise Usage("--stop has its own playbook; leave --playbook out")
    async with session(fresh=True) as before:
        who = await person(before.parts)
        await known(before, feature, to, at)
        if playbook:
            before.parts.books.playbook(playbook)
    async with working(feature, SWITCHED if stop else tuple(Kind)) as s:
        order = Request(
            feature=feature,
            purpose=Purpose.stop if stop else Purpose.rollback,
            to=to,
            at=at,
            without=without or [],
            reason=because,
            incident=incident,
            mode="dry_run" if dry_run else "live",
            playbook=playbook,
            channel=s.parts.books.feature(feature).channel if s.parts.slack else "",
        )
        taken, _ = await s.say(order, who)
        if taken.answer.endswith(inbox.ALREADY):
            note(taken.answer)
        await follow(s, taken.run or 0, as_json=as_json)


async def follow(s: Session, number: int, *, as_json: bool, wanted: Status = Status.succeeded) -> None:
    """Shows a run until it ends or waits for people. Raises RollbotError for an end that is not ``wanted``."""
    try:
        run = await _until_rest(s, number, quiet=as_json)
    except asyncio.CancelledError:
        raise RollbotError(f"stopped; R-{number} stays as it is and goes on where a worker runs") from None
    left = await s.parts.store.read(lambda c: releases.left(c, run=run.id))
    made = await s.parts.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    if as_json:
        say_json(as_json_of(run, left))
    elif made and (run.waiting_for == "approval" or run.mode == "dry_run"):
        print_plan(made, await live_metrics(s, made))
    for item in left if not as_json and not run.open else []:
        line(f"Left behind: {item['say']}")
    if run.waiting_for == "approval":
        if not as_json:
            line(_needed(s, run))
        return
    if error := await _outcome(s, run, made, wanted):
        raise error


def _needed(s: Session, run: Run) -> str:
    """How a waiting run goes on."""
    need = run.requirement or Requirement()
    lacking = missing(s.parts.books.policy(), need, run.nods, run.plan_digest or "")
    return f"{count(lacking, 'approval')} more needed: rollbot run approve {run.name}"


async def _until_rest(s: Session, number: int, *, quiet: bool) -> Run:
    shown = ""
    while True:
        run = await s.parts.store.read(lambda c: runs.load(c, number))
        if run is None:
            raise Unknown(f"there is no R-{number}")
        says = stands(run)
        if says != shown and not quiet:
            line(says)
            shown = says
        rests = run.status == Status.paused or run.waiting_for in ("approval", "person")
        if not run.open or rests:
            return run
        await asyncio.sleep(0.2)


async def _outcome(s: Session, run: Run, made: Plan | None, wanted: Status) -> RollbotError | None:
    """What is wrong with how a run stands; None if it is as it was wanted."""
    if made and (run.status == Status.refused or run.mode == "dry_run") and (error := not_restorable(made)):
        return error
    if run.status == wanted:
        return None
    if run.status == Status.refused:
        said = await s.parts.store.read(lambda c: events.of_run(c, run.id))
        return RollbotError(run.why) if _by_planning(said) else Refused(run.why)
    return RollbotError(f"{stands(run)}; see 'rollbot run show {run.name}'")


def _by_planning(said: list[dict[str, object]]) -> bool:
    """Was it refused since it could not be planned, and not by policy?"""
    facts = [e["facts"] for e in said if e["act"] == "run_refused"]
    return bool(facts) and isinstance(facts[-1], dict) and facts[-1].get("rule") == "planning"


async def _press(
    name: str,
    make: type[Decide | Abort | Pause | Resume | Retry | Accept],
    *,
    as_json: bool,
    wanted: Status = Status.succeeded,
    **fields: object,
) -> None:
    async with session() as before:
        who = await person(before.parts)
        feature = (await find(before, name)).feature
    async with working(feature) as s:
        run = await find(s, name)
        extra = {"digest": run.plan_digest or ""} if make is Decide else {}
        await s.say(make.model_validate({"run": run.id, **extra, **fields}), who)
        await follow(s, run.id, as_json=as_json, wanted=wanted)


@app.command("approve")
@command
async def approve(name: RunName, *, as_json: AsJson = False) -> None:
    """Say yes to the plan that stands now, and follow the run. Exit 4 if your yes does not count."""
    await _press(name, Decide, as_json=as_json, yes=True)


@app.command("reject")
@command
async def reject(name: RunName, because: Because = "", *, as_json: AsJson = False) -> None:
    """Say no: the run ends, and nothing is changed."""
    await _press(name, Decide, as_json=as_json, wanted=Status.rejected, yes=False, reason=because)


@app.command("abort")
@command
async def abort(name: RunName, because: Because = "", *, as_json: AsJson = False) -> None:
    """End a run that is not finished. What was done stays done until it is put back."""
    await _press(name, Abort, as_json=as_json, wanted=Status.aborted, reason=because)


@app.command("pause")
@command
async def pause(name: RunName, because: Because = "", *, as_json: AsJson = False) -> None:
    """Let the step under way end and start nothing after it, until the run is resumed."""
    await _press(name, Pause, as_json=as_json, wanted=Status.paused, reason=because)


@app.command("resume")
@command
async def resume(name: RunName, *, as_json: AsJson = False) -> None:
    """Let a paused run go on where it was, and follow it."""
    await _press(name, Resume, as_json=as_json)


@app.command("retry")
@command
async def retry(name: RunName, *, as_json: AsJson = False) -> None:
    """Repeat what failed or was inconclusive, and follow the run."""
    await _press(name, Retry, as_json=as_json)


@app.command("accept")
@command
async def accept(
    name: RunName,
    because: Annotated[str, typer.Option(help="Why that is right; it stands in the audit log.")],
    *,
    enable: Annotated[bool, typer.Option("--enable", help="Switch the flag on although it was not verified.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take the outcome of a run that waits for a person as it is: it goes on, and ends as degraded."""
    await _press(name, Accept, as_json=as_json, wanted=Status.degraded, reason=because, enable=enable)


@app.command("lift")
@command
async def lift(feature: FeatureName, because: Because = "", *, as_json: AsJson = False) -> None:
    """Lift the hold that a rollback left, let the feature's pipeline run again, and follow that."""
    await _one_step(feature, Purpose.lift, because, as_json=as_json)


@app.command("enable")
@command
async def enable_(feature: FeatureName, because: Because = "", *, as_json: AsJson = False) -> None:
    """Switch the feature's flag on again, to the rule that the release recorded; with --because if not verified."""
    await _one_step(feature, Purpose.enable, because, as_json=as_json)


async def _one_step(feature: str, purpose: Purpose, because: str, *, as_json: bool) -> None:
    async with session() as before:
        who = await person(before.parts)
        await known(before, feature, "")
    async with working(feature, SWITCHED) as s:
        channel = s.parts.books.feature(feature).channel if s.parts.slack else ""
        taken, _ = await s.say(Request(feature=feature, purpose=purpose, reason=because, channel=channel), who)
        await follow(s, taken.run or 0, as_json=as_json)


@app.command("put-back")
@command
async def put_back(name: RunName, because: Because = "", *, as_json: AsJson = False) -> None:
    """Ask for a run that brings back what another run replaced, and follow it."""
    async with session() as before:
        who = await person(before.parts)
        run = await find(before, name)
    async with working(run.feature) as s:
        if run.open:  # it holds the locks that putting back needs
            await s.say(Abort(run=run.id, reason="to be put back"), who)
        order = Request(
            feature=run.feature,
            purpose=Purpose.put_back,
            to=run.from_version or "",
            of_run=run.id,
            reason=because,
            channel=run.channel,
        )
        taken, _ = await s.say(order, who)
        await follow(s, taken.run or 0, as_json=as_json)
