"""Looking: status, history, versions. Nothing is written; the answer is for the asker's eyes."""

from __future__ import annotations

import asyncio

from bot.core.errors import Usage
from bot.core.release import Release, Stint, live_stint
from bot.core.run import Run
from bot.flows.world import World
from bot.slack.commands import names
from bot.slack.commands.registry import Typed, subcommand
from bot.slack.desk import Desk
from bot.slack.reply import Reply
from bot.slack.views import lists
from bot.slack.views.words import Shown
from bot.store import releases, runs
from bot.store.write import Connection

OPEN = 10
LEFT = 10
FAULTS = 10
MOST_VERSIONS = 500


@subcommand("status", "status [FEATURE]", "open runs, what is held, what was left behind")
async def status(typed: Typed) -> Reply:
    word = typed.word(1)
    name = names.feature(typed.desk.world, word).feature if word else ""
    return Reply(shown=lists.status(await standing(typed.desk, name)))


async def standing(desk: Desk, feature: str = "") -> lists.Standing:
    """What is going on, of one feature or everywhere."""

    def read(conn: Connection) -> tuple[list[Run], list[dict[str, object]], list[Stint], dict[str, object] | None]:
        open_ = runs.open_runs(conn, feature=feature or None, limit=OPEN + 1)
        left = releases.left(conn, feature=feature or None)[:LEFT]
        stints = releases.stints(conn, feature) if feature else []
        return open_, left, stints, releases.hold(conn, feature) if feature else None

    found, left, stints, hold = await desk.world.store.read(read)
    live = live_stint(stints)
    return lists.Standing(
        feature=feature,
        live=live.version if live else None,
        open=await asyncio.gather(*(desk.scene(run, ask=False) for run in found[:OPEN])),
        left=left,
        hold=hold,
        faults=_faults(desk.world, everywhere=not feature),
        more=len(found) > OPEN,
        mixed=live.mixed if live else (),
    )


def _faults(world: World, *, everywhere: bool) -> list[str]:
    """Of the policy, and of features' files where no feature was named (a named one that is faulty is the answer)."""
    policy, page = world.books.policy_fault(), world.books.page_fault()
    said = [world.unworked] if world.unworked else []
    said += [f"{policy} (the last good policy is used)"] if policy else []
    said += [f"{page} (so nobody is paged)"] if page else []
    features = world.books.known_faults() if everywhere else []
    more = len(features) - FAULTS
    return [*said, *features[:FAULTS], *([f"and {more} more; rollbot check names all"] if more > 0 else [])]


@subcommand("history", "history FEATURE", "its runs, newest first")
async def history(typed: Typed) -> Reply:
    feature = names.feature(typed.desk.world, typed.word(1))
    return Reply(shown=await history_page(typed.desk, feature.feature))


async def history_page(desk: Desk, feature: str, before: int | None = None) -> Shown:
    """One page of a feature's runs, from just before run ``before``."""
    found = await desk.world.store.read(
        lambda conn: runs.newest(conn, feature=feature, before=before, limit=lists.PAGE + 1)
    )
    page = found[: lists.PAGE]
    following = page[-1].id if len(found) > lists.PAGE else None
    return lists.history(lists.Past(feature, page, desk.known_names(page), following))


@subcommand("versions", "versions FEATURE", "its releases, newest first, and when each was live")
async def versions(typed: Typed) -> Reply:
    feature = names.feature(typed.desk.world, typed.word(1))
    return Reply(shown=await versions_page(typed.desk, feature.feature))


async def versions_page(desk: Desk, feature: str, start: int = 0) -> Shown:
    """One page of a feature's releases, from the ``start``-th newest."""
    if not 0 <= start <= MOST_VERSIONS:
        raise Usage("That page is too far back.")

    def read(conn: Connection) -> tuple[list[Release], list[Stint]]:
        limit = start + lists.PAGE + 1
        return releases.newest(conn, feature, limit=limit)[start:], releases.stints(conn, feature)

    found, stints = await desk.world.store.read(read)
    following = start + lists.PAGE if len(found) > lists.PAGE else None
    return lists.versions(lists.Known(feature, found[: lists.PAGE], stints, following))
