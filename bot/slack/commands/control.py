"""Controlling a run: abort, pause, resume and retry. Everything else about a run is a button on its card."""

from __future__ import annotations

from bot.core.commands import Abort, Pause, Resume, Retry
from bot.slack.commands import names
from bot.slack.commands.registry import Typed, subcommand
from bot.slack.reply import Reply


@subcommand("abort", "abort [R-17] [REASON]", "end a run that is not finished; what was done stays until put back")
async def abort(typed: Typed) -> Reply:
    return await _with_reason(typed, Abort, "aborting")


@subcommand("pause", "pause [R-17] [REASON]", "nothing starts after the step under way, until it is resumed")
async def pause(typed: Typed) -> Reply:
    return await _with_reason(typed, Pause, "pausing")


@subcommand("resume", "resume [R-17]", "a paused run goes on where it was")
async def resume(typed: Typed) -> Reply:
    return await _plain(typed, Resume, "going on")


@subcommand("retry", "retry [R-17]", "repeat what failed or was inconclusive")
async def retry(typed: Typed) -> Reply:
    return await _plain(typed, Retry, "trying again")


async def _with_reason(typed: Typed, make: type[Abort | Pause], doing: str) -> Reply:
    word, reason = _named(typed)
    run = await names.run(typed.desk.world, typed.origin.channel, word)
    return Reply(
        (await typed.desk.take(typed.origin, (make(run=run.id, reason=reason), f"{run.name}: {doing}"))).answer
    )


async def _plain(typed: Typed, make: type[Resume | Retry], doing: str) -> Reply:
    run = await names.run(typed.desk.world, typed.origin.channel, typed.word(1))
    return Reply((await typed.desk.take(typed.origin, (make(run=run.id), f"{run.name}: {doing}"))).answer)


def _named(typed: Typed) -> tuple[str, str]:
    """The run and the reason; ``abort because ...`` names no run."""
    reasoned = typed.line.words[1].key == "because" if len(typed.line.words) > 1 else False
    if reasoned:
        return "", typed.line.after(2)
    after = typed.line.after(2)
    return typed.word(1), after[len("because") :].strip() if after.lower().startswith("because") else after
