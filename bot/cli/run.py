"""rollbot run: asking and deciding. What helps a run on stands in ``run_control``."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli import run_control, run_view
from bot.cli.output import AsJson, command, note
from bot.cli.run_follow import Because, follow, press
from bot.cli.run_view import RunName, find
from bot.cli.session import known, person, session, working
from bot.cli.sure import Yes, of, sure
from bot.core import before
from bot.core.back import putting_back
from bot.core.commands import Decide, Purpose, Request
from bot.core.errors import Usage
from bot.core.run import Status
from bot.core.target import Kind
from bot.store import inbox

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ask for a rollback, decide, watch, put back. Deciding needs your personal key in ROLLBOT_KEY.",
)
app.command("list")(run_view.list_)
app.command("show")(run_view.show)
for control in run_control.ALL:
    app.command(control.__name__.strip("_"))(control)
FeatureName = Annotated[str, typer.Argument(help="The feature's name.")]
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

    Exit 3 if it cannot be restored, 4 if policy refuses it. On SQLite, without a running 'rollbot serve', this command
    does the work itself, as far as it gets; what is not finished goes on at the next start. On PostgreSQL a worker has
    to run.
    """
    if stop == bool(to):
        raise Usage("say either which release, --to v12 (or --to previous), or --stop")
    if stop and playbook:
        raise Usage("--stop has its own playbook; leave --playbook out")
    async with session(fresh=True) as s:
        who = await person(s.parts)
        await known(s, feature, to, at)
        if playbook:
            s.parts.books.playbook(playbook)
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


@app.command("approve")
@command
async def approve(name: RunName, *, as_json: AsJson = False) -> None:
    """Say yes to the plan that stands now, and follow the run. Exit 4 if your yes does not count."""
    await press(name, Decide, as_json=as_json, yes=True)


@app.command("reject")
@command
async def reject(name: RunName, because: Because = "", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Say no: the run ends, and nothing is changed."""
    says = None if yes else before.reject
    await press(name, Decide, as_json=as_json, wanted=Status.rejected, says=says, yes=False, reason=because)


@app.command("hold")
@command
async def hold(
    feature: FeatureName,
    because: Annotated[str, typer.Option(help="Why; CI is told so, and it stands in the audit log.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell CI not to deploy a feature, and hold its pipeline, until it is lifted."""
    await _one_step(feature, Purpose.hold, because, as_json=as_json)


@app.command("lift")
@command
async def lift(feature: FeatureName, because: Because = "", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Lift the hold that a rollback left, let the feature's pipeline run again, and follow that."""
    says = "" if yes else f"{feature}: {before.LIFT}"
    await _one_step(feature, Purpose.lift, because, says=says, as_json=as_json)


@app.command("enable")
@command
async def enable_(feature: FeatureName, because: Because = "", *, as_json: AsJson = False) -> None:
    """Switch the feature's flag on again, to the rule that the release recorded; with --because if not verified."""
    await _one_step(feature, Purpose.enable, because, as_json=as_json)


async def _one_step(feature: str, purpose: Purpose, because: str, *, says: str = "", as_json: bool) -> None:
    async with session() as s:
        who = await person(s.parts)
        await known(s, feature, "")
        await sure(says, yes=not says)
    async with working(feature, SWITCHED) as s:
        channel = s.parts.books.feature(feature).channel if s.parts.slack else ""
        taken, _ = await s.say(Request(feature=feature, purpose=purpose, reason=because, channel=channel), who)
        await follow(s, taken.run or 0, as_json=as_json)


@app.command("put-back")
@command
async def put_back(name: RunName, because: Because = "", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Ask for a run that brings back what another run replaced, and follow it. A run that is open is ended first."""
    async with session() as s:
        who = await person(s.parts)
        run = await find(s, name)
        putting_back(run, reason=because, channel=run.channel)
        await sure(of(run, before.put_back(run)), yes=yes)
    async with working(run.feature) as s:
        ending, order = putting_back(await find(s, name), reason=because, channel=run.channel)
        if ending:
            await s.say(ending, who)
        taken, _ = await s.say(order, who)
        await follow(s, taken.run or 0, as_json=as_json)
