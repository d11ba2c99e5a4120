"""A practice for the tests of the page's panels: the real small platform, Slack, and the bot where a test needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

DRIVERS = 200
PATIENCE = 120.0
Json = dict[str, Any]


class Bell:
    """An Announce that a test can wait on."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> None:
        self._loop.call_soon_threadsafe(self._rung.set)

    async def until(self, good: Callable[[], Any]) -> None:
        """Asked now and after each announcement."""
        async with asyncio.timeout(PATIENCE):
            while not good():
                self._rung.clear()
                await self._rung.wait()
