"""From a word to a feature, a version, a run: exactly, but for case; near misses are suggested, nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.commands import Purpose
from bot.core.errors import Unknown, Usage
from bot.core.feature import Feature
from bot.core.release import no_release
from bot.core.run import Run, run_id
from bot.core.text import listed, near, past
from bot.flows.world import World
from bot.slack.commands import registry
from bot.store import messages, releases, runs
from bot.store.write import Connection

PREVIOUS = "previous"
MOST_RUNS = 50


def same_word(word: str, words: Iterable[str]) -> str | None:
    """``word`` itself, or the only one that differs by case alone."""
    pool = list(words)
    if word in pool:
        return word
    alike = [w for w in pool if w.lower() == word.lower()]
    return alike[0] if len(alike) == 1 else None


def feature(world: World, word: str) -> Feature:
    """Raises Usage (no word), Unknown with near misses among features and subcommands, Fault with file and line."""
    if not word:
        raise Usage("Which feature? Name one.")
    try:
        return world.books.feature(word)
    except Unknown as e:
        names = world.books.feature_names()
        exact = same_word(word, names)
        if exact is not None and exact != word:
            return world.books.feature(exact)
        if exact == word:
            raise
        guesses = [*near(word, names), *registry.alike(word)]
        known = f"There are {listed(names[:8])}{' and more' if len(names) > 8 else ''}; " if names else ""
        hint = "" if guesses else f" {known}/rollback help shows what you can write."
        raise Unknown(f"There is no feature {word!r}.{hint}", near=guesses) from e


async def version(world: World, of: Feature, word: str) -> str:
    """A release of this feature, or ``previous``. Raises Unknown with near misses."""
    if word.lower() == PREVIOUS:
        return PREVIOUS
    if (of.feature, word) in world.seen:
        return word
    known = await world.store.read(lambda conn: releases.versions(conn, of.feature))
    world.seen |= {(of.feature, name) for name in known}
    found = same_word(word, known)
    if found is None:
        raise no_release(of.feature, word, known)
    return found


def components(of: Feature, words: Iterable[str]) -> list[str]:
    """Raises Unknown."""
    known = [part.name for part in of.parts()]
    found: list[str] = []
    for word in words:
        name = same_word(word, known)
        if name is None:
            meant = near(word, known)
            raise Unknown(f"{of.feature} has no component {word!r}; it has {listed(known)}.", near=meant)
        found.append(name)
    return found


def time(world: World, text: str | None) -> str | None:
    """As it was said, if it is a time that has been. Raises Usage."""
    if not text:
        return None
    past(text, world.now())
    return text


async def run(world: World, channel: str, word: str) -> Run:
    """The named run, or this channel's only active one. Raises Usage, which lists them where there are several."""
    if not word:
        return await only_run(world, channel)
    number = run_id(word)
    if number is None:
        raise Usage(f"{word!r} is no run; write it as R-17.")
    found = await world.store.read(lambda conn: runs.load(conn, number))
    if found is None:
        raise Unknown(f"There is no R-{number}.")
    return found


def _goal(run: Run) -> str:
    to = run.to_version or run.request.get("to")
    return f"{run.feature} to {to}" if run.purpose == Purpose.rollback else f"{run.feature}, {run.purpose.value}"


async def only_run(world: World, channel: str) -> Run:
    """This channel's only active run; a drill gives way to one in earnest. Raises Usage."""

    def here(conn: Connection) -> list[Run]:
        asked = runs.open_runs(conn, channel=channel, limit=MOST_RUNS)
        return asked or [r for r in runs.open_runs(conn, limit=MOST_RUNS) if _stands(conn, r, channel)]

    every = await world.store.read(here)
    found = [r for r in every if r.mode != "drill"] or every
    if not found:
        raise Usage("No run is active in this channel. Name one: R-17. /rollback status shows them.")
    if len(found) > 1:
        raise Usage(f"Several runs are active here, name one: {listed(f'{r.name} ({_goal(r)})' for r in found)}.")
    return found[0]


def _stands(conn: Connection, of: Run, channel: str) -> bool:
    """The run's card went to this channel, whichever channel it was asked for in."""
    card = messages.get(conn, f"{of.name}:card")
    return card is not None and channel in (card.channel, card.posted_channel)
