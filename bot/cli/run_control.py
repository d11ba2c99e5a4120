"""rollbot run abort, pause, resume, retry, skip, switch, speed, snooze, accept, unlock: as the buttons on the card."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, line, say_json
from bot.cli.run_follow import Because, follow, press
from bot.cli.run_view import RunName, as_json_of, find
from bot.cli.session import known, person, session, working
from bot.cli.sure import Yes, of, sure
from bot.core import before
from bot.core.commands import Abort, Accept, Pause, Request, Resume, Retry, Skip, Snooze, Speed, Unlock
from bot.core.errors import Usage
from bot.core.run import Status
from bot.core.text import seconds, span
from bot.store import releases

Why = Annotated[str, typer.Option("--because", help="Why that is right; it stands in the audit log.")]


@command
async def abort(name: RunName, because: Because = "", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """End a run that is not finished. What was done stays done until it is put back."""
    says = None if yes else before.abort
    await press(name, Abort, as_json=as_json, wanted=Status.aborted, says=says, reason=because)


@command
async def pause(name: RunName, because: Because = "", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Let the step under way end and start nothing after it, until the run is resumed."""
    says = None if yes else before.pause
    await press(name, Pause, as_json=as_json, wanted=Status.paused, says=says, reason=because)


@command
async def resume(name: RunName, *, as_json: AsJson = False) -> None:
    """Let a paused run go on where it was, and follow it."""
    await press(name, Resume, as_json=as_json)


@command
async def retry(name: RunName, *, as_json: AsJson = False) -> None:
    """Repeat what failed or was inconclusive, and follow the run."""
    await press(name, Retry, as_json=as_json)


@command
async def accept(
    name: RunName,
    because: Annotated[str, typer.Option(help="Why that is right; it stands in the audit log.")],
    *,
    enable: Annotated[bool, typer.Option("--enable", help="Switch the flag on although it was not verified.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take the outcome of a run that waits for a person as it is: it goes on, and ends as degraded."""
    says = None if yes else partial(before.accept, enable=enable)
    await press(name, Accept, as_json=as_json, wanted=Status.degraded, says=says, reason=because, enable=enable)


@command
async def skip(
    name: RunName,
    because: Why,
    step: Annotated[int | None, typer.Option(help="Its number in 'run show'; else where the run stands.")] = None,
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Leave out the step at which a run stands, and go on. What is not read back is not called verified."""
    says = None if yes else partial(before.skip, step=step)
    await press(name, Skip, as_json=as_json, paused_is_fine=True, says=says, reason=because, step=step)


@command
async def unlock(name: RunName, because: Why, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Take a run's locks away by force; that ends it. A step may still be writing: look first."""
    says = None if yes else before.unlock
    await press(name, Unlock, as_json=as_json, wanted=Status.aborted, says=says, reason=because)


@command
async def snooze(
    name: RunName,
    for_: Annotated[str, typer.Option("--for", help="How long, e.g. 15m.")] = "15m",
    *,
    as_json: AsJson = False,
) -> None:
    """Say that you are looking: stall alerts and reminders of this run are quiet for so long."""
    quiet = _duration(for_)
    await _note(name, Snooze(run=0, seconds=quiet), f"no alerts of {name} for {span(quiet)}", as_json=as_json)


@command
async def speed(
    name: RunName,
    every: Annotated[str, typer.Option(help="Between two shares, e.g. 5m; 'now': the rest at once.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Change how fast a ramp goes on."""
    pause = 0.0 if every == "now" else _duration(every)
    done = f"{name}: a share every {span(pause)}" if pause else f"{name}: the rest of the ramp at once"
    says = "" if pause or yes else before.ALL_AT_ONCE
    await _note(name, Speed(run=0, every=pause), done, says=says, as_json=as_json)


@command
async def switch(
    name: RunName,
    to: Annotated[str, typer.Option(help="Another release; else the same one.")] = "",
    playbook: Annotated[str | None, typer.Option(help="Another playbook than the feature's own.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this component as it is; any number of times.")
    ] = None,
    because: Because = "",
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Go another way from where a run stands: it ends, a new one takes over its locks, with its own approval."""
    if not to and not playbook and not without:
        raise Usage("which other way? --to VERSION, --playbook P or --without C")
    async with session() as s:
        who = await person(s.parts)
        run = await find(s, name)
        await known(s, run.feature, to)
        if playbook:
            s.parts.books.playbook(playbook)
        await sure(of(run, before.switch(run)), yes=yes)
    async with working(run.feature) as s:
        order = Request(
            feature=run.feature,
            to=to or run.to_version or "",
            without=without or [],
            reason=because or run.reason,
            incident=run.incident,
            playbook=playbook,
            instead_of=run.id,
            channel=run.channel,
        )
        taken, _ = await s.say(order, who)
        await follow(s, taken.run or 0, as_json=as_json)


async def _note(name: str, said: Snooze | Speed, done: str, *, says: str = "", as_json: bool) -> None:
    """Says one press and waits until it is taken, not until the run rests. ``done``: what is printed then; ``says``:
    what is to be confirmed before."""
    async with session() as s:
        who = await person(s.parts)
        run = await find(s, name)
        await sure(of(run, says), yes=not says)
    async with working(run.feature, ()) as s:
        await s.say(said.model_copy(update={"run": run.id}), who)
        if as_json:
            left = await s.parts.store.read(lambda c: releases.left(c, run=run.id))
            say_json(as_json_of(await find(s, name), left))
        else:
            line(done)


def _duration(said: str) -> float:
    try:
        found = seconds(said)
    except ValueError as e:
        raise Usage(f"{e}") from None
    if not 0 < found <= 86_400:
        raise Usage(f"{said} is too long or too short: between 1s and 24h")
    return found


ALL = (abort, pause, resume, retry, skip, switch, speed, snooze, accept, unlock)
