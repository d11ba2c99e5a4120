"""Asking for a run: a rollback, stopping the harm, putting back, lifting."""

from __future__ import annotations

from typing import Literal

from bot.core import back
from bot.core.commands import Command, Purpose, Request
from bot.core.errors import Usage
from bot.core.feature import Feature
from bot.core.release import Stint, live_version
from bot.core.run import Run
from bot.core.text import listed
from bot.flows.world import World
from bot.slack.commands import names, parse
from bot.slack.commands.forms import open_form
from bot.slack.commands.registry import DEFAULT, Typed, subcommand
from bot.slack.reply import Reply
from bot.store import releases, runs
from bot.store.write import Connection

USAGE = (
    "FEATURE [to VERSION | to previous] [at TIME] [without COMPONENT,...] [because REASON] [dry run] [playbook P] "
    "[incident ID]"
)


@subcommand(DEFAULT, USAGE, "plan a rollback and ask for approval; alone it opens a form")
async def rollback(typed: Typed) -> Reply:
    """Everything that can be known now is checked before anything is written."""
    world = typed.desk.world
    try:
        said = parse.asked(typed.line)
    except Usage:
        if typed.line.words[0].key not in parse.CLAUSES:
            names.feature(world, typed.line.words[0].text)  # a misspelt subcommand is said as such
        raise
    feature = names.feature(world, said.feature)
    if not said.to:
        return await _which_version(typed, feature)
    request = await wanted(typed, feature, said, "dry_run" if said.dry_run else "live")
    return await asking(typed, (request, planning(request)))


async def wanted(
    typed: Typed, feature: Feature, said: parse.Asked, mode: Literal["live", "dry_run", "drill"]
) -> Request:
    """What these words ask for, with everything looked up that they name. Raises Usage, Unknown and Fault."""
    world = typed.desk.world
    return Request(
        feature=feature.feature,
        to=await names.version(world, feature, said.to),
        at=names.time(world, said.at),
        without=names.components(feature, said.without),
        reason=said.reason,
        incident=said.incident,
        mode=mode,
        playbook=world.books.playbook(said.playbook).playbook if said.playbook else None,
        channel=typed.origin.channel,
    )


async def asking(typed: Typed, *wanted: tuple[Command, str]) -> Reply:
    """The last of ``wanted`` asks for a run. Where one does exactly that already, its card is linked behind the ack."""
    taken = await typed.desk.take(typed.origin, *wanted)
    run = taken.run or 0
    new = taken.answer == wanted[-1][1].replace("{run}", f"R-{run}")
    return Reply(taken.answer, then=None if new else lambda: typed.desk.link(typed.origin, run))


def planning(request: Request) -> str:
    """What is answered at once; ``{run}`` is filled in by the inbox."""
    match request.purpose:
        case Purpose.stop:
            return f"{{run}}: stopping the harm of {request.feature}"
        case Purpose.put_back:
            return f"{{run}}: planning to put {request.feature} back as it was before R-{request.of_run}"
        case Purpose.hold:
            return f"{{run}}: holding {request.feature}"
        case Purpose.lift:
            return f"{{run}}: lifting the hold on {request.feature}"
        case Purpose.enable:
            return f"{{run}}: switching the flag of {request.feature} on again"
        case _:
            dry = " (dry run)" if request.mode == "dry_run" else ""
            drill = "a drill of " if request.mode == "drill" else ""
            return f"{{run}}: planning {drill}{request.feature} to {request.to}{dry}"


async def _which_version(typed: Typed, feature: Feature) -> Reply:
    """No version was said: none is guessed. The form opens with this feature in it."""

    def read(conn: Connection) -> tuple[list[str], list[Stint]]:
        return releases.versions(conn, feature.feature), releases.stints(conn, feature.feature)

    known, stints = await typed.desk.world.store.read(read)
    if not known:
        raise Usage(f"{feature.feature} has no releases yet. Capture one: /rollback capture {feature.feature} VERSION")
    live = live_version(stints)
    shown = listed(f"{v} (live)" if v == live else v for v in known[:6])
    text = f"To which version? Pick one in the form, or write /rollback {feature.feature} to VERSION. Known: {shown}."
    return Reply(text, then=lambda: open_form(typed.desk, typed.origin, feature.feature))


@subcommand("stop", "stop FEATURE [because REASON]", "hold its pipeline and switch its flag off now; needs nobody")
async def stop(typed: Typed) -> Reply:
    """What it changes is put back by the run on whose card it stands: the feature's open rollback, if there is one."""
    world, origin = typed.desk.world, typed.origin
    said = parse.asked(typed.line, start=1)
    if said.to or said.at or said.without or said.playbook:
        raise Usage("stop takes a feature and a reason: /rollback stop FEATURE because REASON")
    feature = names.feature(world, said.feature)
    request = Request(
        feature=feature.feature,
        purpose=Purpose.stop,
        reason=said.reason,
        incident=said.incident,
        mode="dry_run" if said.dry_run else "live",
        of_run=await _open_rollback(world, feature.feature),
        channel=origin.channel,
    )
    return await asking(typed, (request, planning(request)))


async def _open_rollback(world: World, feature: str) -> int | None:
    found = await world.store.read(lambda conn: runs.open_runs(conn, feature=feature))
    mine = [r.id for r in found if r.purpose == Purpose.rollback and r.mode == "live"]
    return mine[0] if mine else None


@subcommand("put-back", "put-back [R-17]", "take back what a run changed; a plan with its own approval")
async def put_back(typed: Typed) -> Reply:
    run = await _to_put_back(typed.desk.world, typed.origin.channel, typed.word(1))
    return await asking(typed, *putting_back(run, typed.origin.channel))


def putting_back(run: Run, channel: str) -> list[tuple[Command, str]]:
    """With what is answered to each. Raises Usage."""
    ending, request = back.putting_back(run, reason=f"put back {run.name}", channel=channel)
    ended: list[tuple[Command, str]] = [(ending, f"{run.name}: aborting")] if ending else []
    return [*ended, (request, planning(request))]


async def _to_put_back(world: World, channel: str, word: str) -> Run:
    """Named; or this channel's only active run; else said which could be meant: the wrong one is a second incident."""
    if word:
        return await names.run(world, channel, word)
    found = await world.store.read(lambda conn: runs.newest(conn, limit=50))
    mine = [r for r in found if r.channel == channel and r.mode == "live" and any(s.touched for s in r.steps)]
    active = [r for r in mine if r.open]
    if len(active) == 1:
        return active[0]
    known = f" In this channel: {listed(f'{r.name} ({r.feature})' for r in mine[:5])}." if mine else ""
    raise Usage(f"Put back which run? Name it: /rollback put-back R-17.{known}")


@subcommand(
    "hold", "hold FEATURE because REASON", "tell CI not to deploy it, and hold its pipeline, until it is lifted"
)
async def hold(typed: Typed) -> Reply:
    return await _one_step(typed, Purpose.hold)


@subcommand(
    "lift", "lift FEATURE [because REASON]", "lift the hold that a rollback left, and let its pipeline run again"
)
async def lift(typed: Typed) -> Reply:
    return await _one_step(typed, Purpose.lift)


@subcommand(
    "enable", "enable FEATURE [because REASON]", "switch its flag on again, to the rule that the release recorded"
)
async def enable(typed: Typed) -> Reply:
    """Where the last rollback was not verified, the worker asks for a reason."""
    return await _one_step(typed, Purpose.enable)


async def _one_step(typed: Typed, purpose: Purpose) -> Reply:
    said = parse.asked(typed.line, start=1)
    if said.to or said.at or said.without or said.playbook or said.dry_run:
        raise Usage(f"{purpose} takes a feature and a reason: /rollback {purpose} FEATURE because REASON")
    feature = names.feature(typed.desk.world, said.feature)
    if purpose == Purpose.hold and not said.reason:
        raise Usage(f"Say why: /rollback hold {feature.feature} because REASON")
    request = Request(
        feature=feature.feature,
        purpose=purpose,
        reason=said.reason,
        incident=said.incident,
        channel=typed.origin.channel,
    )
    return await asking(typed, (request, planning(request)))
