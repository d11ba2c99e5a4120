"""Hearing at once what another process has taken in: PostgreSQL's LISTEN, on a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from bot.store.engines import asyncpg_connect

log = logging.getLogger(__name__)
CHANNEL = "rollbot_inbox"
AGAIN_S = 1.0
"""Seconds before a lost connection is made anew."""
ALIVE_S = 20.0
"""Seconds between two questions whether it is still there: one that nobody resets looks like a silent one."""


class Ear:
    """``heard`` is called on the loop for each notice, and once whenever the connection stands: what was taken in
    while there was none is no secret. Notices may be lost or come twice, so somebody must look now and then as well."""

    def __init__(self, url: str, heard: Callable[[], None]) -> None:
        self._url, self._heard = url, heard
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Does not wait for the connection; once is enough."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="store-listen")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _listen(self) -> None:
        while True:
            try:
                await self._until_lost()
            except Exception as e:  # noqa: BLE001  whatever it is: the poll works meanwhile
                log.warning("no notices from the database, so it is asked every now and then: %r", e)
            await asyncio.sleep(AGAIN_S)

    async def _until_lost(self) -> None:
        conn, lost = await asyncpg_connect(self._url), asyncio.Event()
        try:
            conn.add_termination_listener(lambda _conn: lost.set())
            await conn.add_listener(CHANNEL, lambda *_: self._heard())
            self._heard()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_S):
                        await lost.wait()
                        break
                await conn.execute("SELECT 1")
        finally:
            conn.terminate()  # not close(), which would wait for whoever does not answer
