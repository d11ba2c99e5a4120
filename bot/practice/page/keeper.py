"""The bot comes back by itself after it was killed, or after it ended on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from bot.core.errors import RollbotError

Json = dict[str, Any]
PAUSE_S = 5.0
"""Seconds before another attempt, if it did not become ready."""


class Process(Protocol):
    """What is kept running: see BotProcess."""

    @property
    def alive(self) -> bool: ...
    async def start(self) -> None: ...
    async def stop(self) -> int: ...
    async def ended(self) -> None: ...
    def kill(self) -> None: ...


class Keeper:
    """``connect`` joins Slack and the process once that is ready; ``changed`` is called when ``state()`` is another."""

    def __init__(self, process: Process, connect: Callable[[], Awaitable[None]], changed: Callable[[], None]) -> None:
        self._process, self._connect, self._changed = process, connect, changed
        self.alive, self._note = process.alive, ""

    def state(self) -> Json:
        return {"alive": self.alive, **({"note": self._note} if self._note else {})}

    def kill(self) -> None:
        """As a machine does that loses power."""
        self._process.kill()
        self._say(alive=False)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._process.ended()
            if self.alive:
                self._say(alive=False)
            await self._process.stop()
            await self._bring_back()

    async def _bring_back(self) -> None:
        try:
            await self._process.start()
            await self._joined()
        except (RollbotError, OSError) as failed:
            self._say(alive=False, note=str(failed))
            await self._process.stop()
            await asyncio.sleep(PAUSE_S)
        else:
            self._say(alive=True)

    async def _joined(self) -> None:
        """Connected. Raises RollbotError if it has ended before that, which connecting would not notice."""
        tasks = [asyncio.ensure_future(work) for work in (self._connect(), self._process.ended())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done():
                raise RollbotError("The bot ended again before it heard Slack. It is started once more.")
            await tasks[0]
        finally:
            for task in tasks:
                task.cancel()

    def _say(self, *, alive: bool, note: str = "") -> None:
        if (alive, note) != (self.alive, self._note):
            self.alive, self._note = alive, note
            self._changed()
