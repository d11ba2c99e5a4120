"""What can be typed after /rollback, as the bot's own registry says it."""

from __future__ import annotations

import asyncio
import importlib

Hint = dict[str, str]


class Hints:
    """Read in a thread: the bot's commands take a second to load, in which the page is there already."""

    def __init__(self) -> None:
        self._reading: asyncio.Task[list[Hint]] | None = None

    def begin(self) -> None:
        self._reading = asyncio.create_task(asyncio.to_thread(read))

    async def known(self, *, wait: bool) -> list[Hint]:
        """All of them; without ``wait`` none, as long as they are not read."""
        if self._reading is None or not (wait or self._reading.done()):
            return []
        return await asyncio.shield(self._reading)

    async def stop(self) -> None:
        if self._reading is not None:
            await self._reading


def read() -> list[Hint]:
    """The rollback itself first, then the others by name."""
    importlib.import_module("bot.slack.commands")  # which registers all of them
    registry = importlib.import_module("bot.slack.commands.registry")
    known = registry.SUBCOMMANDS
    return [{"command": "/rollback", "usage": known[name].usage, "says": known[name].about} for name in sorted(known)]
