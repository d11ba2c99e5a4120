"""Controlling a run by command. Every control is a button on its card, too."""

from __future__ import annotations

from bot.core.commands import Abort, Pause, Request, Resume, Retry, Skip, Snooze, Speed, Unlock
from bot.core.errors import Usage
from bot.core.text import seconds, span
from bot.slack.commands import names, parse
from bot.slack.commands.registry import Typed, subcommand
from bot.slack.commands.rollback import asking, planning
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


@subcommand("skip", "skip [R-17] because REASON", "leave out the step at which a run stands, and go on")
async def skip(typed: Typed) -> Reply:
    return await _with_reason(typed, Skip, "skipping", needed=True)


@subcommand("unlock", "unlock R-17 because REASON", "take a run's locks away by force; that ends it")
async def unlock(typed: Typed) -> Reply:
    return await _with_reason(typed, Unlock, "unlocking", needed=True)


@subcommand("snooze", "snooze [R-17] [15m]", "say that you are looking: alerts are quiet for so long")
async def snooze(typed: Typed) -> Reply:
    word, said = _two(typed)
    run = await names.run(typed.desk.world, typed.origin.channel, word)
    quiet = Snooze(run=run.id, seconds=_duration(said)) if said else Snooze(run=run.id)
    answer = f"{run.name}: no alerts for {span(quiet.seconds)}"
    return Reply((await typed.desk.take(typed.origin, (quiet, answer))).answer)


@subcommand("speed", "speed [R-17] 5m", "the time between two shares of a ramp; 'now' for all the rest at once")
async def speed(typed: Typed) -> Reply:
    word, said = _two(typed)
    if not said:
        raise Usage("How fast? /rollback speed R-17 5m, or: speed R-17 now")
    run = await names.run(typed.desk.world, typed.origin.channel, word)
    every = Speed(run=run.id, every=0.0 if said.lower() == "now" else _duration(said))
    return Reply((await typed.desk.take(typed.origin, (every, f"{run.name}: changing the ramp"))).answer)


@subcommand(
    "switch",
    "switch R-17 [to VERSION] [playbook P] [without C,...] [because REASON]",
    "go another way from where a run stands; a plan with its own approval",
)
async def switch(typed: Typed) -> Reply:
    """The run ends, and the new one takes over its locks and what is to be put back."""
    world = typed.desk.world
    words = typed.line.words
    if len(words) < 2 or words[1].key in parse.CLAUSES:
        raise Usage(
            "Which run, and which other way? Write /rollback switch R-17 to VERSION, or: switch R-17 playbook P"
        )
    said = parse.asked(typed.line, start=1)
    run = await names.run(world, typed.origin.channel, said.feature)
    if said.dry_run:
        raise Usage(
            f"switch ends {run.name}, so it is no dry run; ask for one: /rollback {run.feature} to VERSION dry run"
        )
    if not said.to and not said.playbook and not said.without:
        raise Usage(f"Which other way? /rollback switch {run.name} to VERSION, or: switch {run.name} playbook P")
    feature = names.feature(world, run.feature)
    request = Request(
        feature=run.feature,
        to=await names.version(world, feature, said.to or run.to_version or ""),
        at=names.time(world, said.at),
        without=names.components(feature, said.without),
        reason=said.reason or run.reason,
        incident=said.incident or run.incident,
        playbook=world.books.playbook(said.playbook).playbook if said.playbook else None,
        instead_of=run.id,
        channel=typed.origin.channel,
    )
    return await asking(typed, (request, planning(request)))


def _two(typed: Typed) -> tuple[str, str]:
    """The run, if it is named, and the word after it: ``snooze 15m`` names no run."""
    first, second = typed.word(1), typed.word(2)
    return (first, second) if second or first.lower().startswith("r") else ("", first)


def _duration(said: str) -> float:
    try:
        found = seconds(said.lower())
    except ValueError as e:
        raise Usage(f"{e}.") from None
    if not 0 < found <= 86_400:
        raise Usage(f"{said} is too long or too short: write between 1s and 24h.")
    return found


async def _with_reason(
    typed: Typed, make: type[Abort | Pause | Skip | Unlock], doing: str, *, needed: bool = False
) -> Reply:
    word, reason = _named(typed)
    if needed and not reason:
        raise Usage(f"Say why: /rollback {typed.line.words[0].key} {word or 'R-17'} because REASON")
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
