"""rollbot drill: practise a rollback in sandboxes, and see which drills are scheduled."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.output import AsJson, command, note, say_json, table
from bot.cli.run_follow import Because, follow
from bot.cli.session import known, person, session, working
from bot.core.commands import Request
from bot.core.errors import RollbotError, Usage
from bot.store import inbox

LIST = "list"


@command
async def drill(
    feature: Annotated[str, typer.Argument(help="The feature's name; or 'list' for the scheduled drills.")],
    version: Annotated[str, typer.Argument(help="The release to practise with, or 'previous'.")] = "",
    because: Because = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Practise a rollback with its approvals, in sandboxes: production is not touched. 'drill list' lists those
    that are scheduled.

    The sandboxes are made first and removed last, also after an abort. What is not finished after 8 hours is ended.
    """
    if feature == LIST and not version:
        await _list(as_json=as_json)
        return
    if not version:
        raise Usage(f"say which release: rollbot drill {feature} VERSION (or previous)")
    async with session(fresh=True) as before:
        who = await person(before.parts)
        await known(before, feature, version)
    async with working(feature) as s:
        channel = s.parts.books.feature(feature).channel if s.parts.slack else ""
        order = Request(feature=feature, to=version, mode="drill", reason=because, channel=channel)
        taken, _ = await s.say(order, who)
        if taken.answer.endswith(inbox.ALREADY):
            note(taken.answer)
        await follow(s, taken.run or 0, as_json=as_json)


async def _list(*, as_json: bool) -> None:
    from bot.flows.drills import next_times

    async with session(fresh=True) as s:
        found = [(n, f.message if isinstance(f, RollbotError) else f) for n, f in next_times(s.parts.world)]
    if as_json:
        say_json([{"drill": name, "says": says} for name, says in found])
    else:
        table(["drill", ""], found, empty="no drill is scheduled; one is a file in playbooks/drills/")
