"""The subcommands of /rollback, each with the line that help prints: a new one is a function with a decorator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.core.text import near
from bot.slack.commands.parse import Line
from bot.slack.desk import Desk
from bot.slack.origin import Origin
from bot.slack.reply import Reply


@dataclass(frozen=True)
class Typed:
    """One command as it came. ``line`` begins with the subcommand (or, for a rollback, with the feature)."""

    desk: Desk
    origin: Origin
    line: Line

    def word(self, n: int) -> str:
        """The ``n``-th word after the subcommand, from 1; empty if there is none."""
        return self.line.words[n].text if n < len(self.line.words) else ""


Run = Callable[[Typed], Awaitable[Reply]]


@dataclass(frozen=True)
class Subcommand:
    name: str
    usage: str
    about: str
    run: Run


SUBCOMMANDS: dict[str, Subcommand] = {}
DEFAULT = ""
"""The name of what happens when the first word is no subcommand."""


def subcommand(name: str, usage: str, about: str) -> Callable[[Run], Run]:
    """Registers a subcommand. ``usage`` is what stands after /rollback."""

    def register(run: Run) -> Run:
        if name in SUBCOMMANDS:
            raise ValueError(f"two subcommands are called {name!r}")
        SUBCOMMANDS[name] = Subcommand(name, usage, about, run)
        return run

    return register


def chosen(line: Line) -> tuple[Subcommand, Line]:
    """Which subcommand a line begins with, and the line with its name as one word (``put back`` is ``put-back``)."""
    first = line.words[0].key.replace("_", "-")
    second = line.words[1].key if len(line.words) > 1 else ""
    if first in SUBCOMMANDS and first != DEFAULT:
        return SUBCOMMANDS[first], line
    if f"{first}-{second}" in SUBCOMMANDS:
        return SUBCOMMANDS[f"{first}-{second}"], Line(line.raw, line.words[1:])
    return SUBCOMMANDS[DEFAULT], line


def alike(word: str) -> list[str]:
    """Subcommands that ``word`` may have meant."""
    return near(word, [name for name in SUBCOMMANDS if name != DEFAULT], most=1)


def usage() -> list[str]:
    """One line each: the rollback itself, then the others by name."""
    return [f"/rollback {SUBCOMMANDS[name].usage} - {SUBCOMMANDS[name].about}" for name in sorted(SUBCOMMANDS)]
