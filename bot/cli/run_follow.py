"""What a person at the terminal sees of a run until it needs somebody or ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from bot.cli.output import line, say_json
from bot.cli.plan import live_metrics, not_restorable, print_plan
from bot.cli.run_view import as_json_of, find, stands, ways_on
from bot.cli.session import Session, person, session, working
from bot.cli.sure import of, sure
from bot.core.commands import Abort, Accept, Decide, Pause, Resume, Retry, Skip, Snooze, Speed, Unlock
from bot.core.errors import Refused, RollbotError, Unknown
from bot.core.onward import ways
from bot.core.plan import Plan
from bot.core.policy import Requirement, missing
from bot.core.run import Run, Status
from bot.core.text import count
from bot.store import events, releases, runs

Because = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]
Pressed = Decide | Abort | Pause | Resume | Retry | Accept | Skip | Snooze | Speed | Unlock


async def follow(s: Session, number: int, *, as_json: bool, wanted: Status = Status.succeeded) -> None:
    """Shows a run until it ends or waits for people. Raises RollbotError for an end that is not ``wanted``."""
    try:
        run = await _until_rest(s, number, quiet=as_json)
    except asyncio.CancelledError:
        raise RollbotError(f"stopped; R-{number} stays as it is and goes on where a worker runs") from None
    left = await s.parts.store.read(lambda c: releases.left(c, run=run.id))
    made = await s.parts.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    error = None if run.waiting_for == "approval" else await _outcome(s, run, made, wanted)
    if as_json:
        say_json(as_json_of(run, left))
    else:
        await _show(s, run, made, left, error)
    if error:
        raise error


async def _show(
    s: Session, run: Run, made: Plan | None, left: list[dict[str, object]], error: RollbotError | None
) -> None:
    """How it stands now, but for what ``error`` says."""
    if error is None or not error.message.startswith(stands(run)):
        line(stands(run))
    if made and (run.waiting_for == "approval" or run.mode == "dry_run"):
        print_plan(made, await live_metrics(s, made))
    for item in left if not run.open else []:
        line(f"Left behind: {item['say']}")
    if run.waiting_for == "approval":
        line(_needed(s, run))
    elif error is None and ways(run):
        line(ways_on(run))


def _needed(s: Session, run: Run) -> str:
    """How a waiting run goes on."""
    need = run.requirement or Requirement()
    lacking = missing(s.parts.books.policy(), need, run.nods, run.plan_digest or "")
    return f"{count(lacking, 'approval')} more needed: rollbot run approve {run.name}, or reject"


async def _until_rest(s: Session, number: int, *, quiet: bool) -> Run:
    """Each line is shown once: a run that waits for another's locks looks again and again."""
    shown: set[str] = set()
    while True:
        run = await s.parts.store.read(lambda c: runs.load(c, number))
        if run is None:
            raise Unknown(f"there is no R-{number}")
        if not run.open or run.status == Status.paused or run.waiting_for in ("approval", "person"):
            return run
        says = stands(run)
        if says not in shown and not quiet:
            line(says)
            shown.add(says)
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
    on = f". {ways_on(run)}" if ways(run) else f"; see 'rollbot run show {run.name}'"
    return RollbotError(f"{stands(run)}{on}")


def _by_planning(said: list[dict[str, object]]) -> bool:
    """Was it refused since it could not be planned, and not by policy?"""
    facts = [e["facts"] for e in said if e["act"] == "run_refused"]
    return bool(facts) and isinstance(facts[-1], dict) and facts[-1].get("rule") == "planning"


async def press(
    name: str,
    make: type[Pressed],
    *,
    as_json: bool,
    wanted: Status = Status.succeeded,
    paused_is_fine: bool = False,
    says: Callable[[Run], str] | None = None,
    **fields: object,
) -> None:
    """Says one press as the person of the personal key, and follows the run. ``paused_is_fine``: the press leaves a
    paused run paused; ``says``: what is to be confirmed before. Raises RollbotError."""
    async with session() as s:
        who = await person(s.parts)
        run = await find(s, name)
        if says and run.open:  # else it is refused, with its reason, and there is nothing to confirm
            await sure(of(run, says(run)), yes=False)
    async with working(run.feature) as s:
        run = await find(s, name)
        extra = {"digest": run.plan_digest or ""} if make is Decide else {}
        await s.say(make.model_validate({"run": run.id, **extra, **fields}), who)
        wanted = Status.paused if paused_is_fine and run.status == Status.paused else wanted
        await follow(s, run.id, as_json=as_json, wanted=wanted)
