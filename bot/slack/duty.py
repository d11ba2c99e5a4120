"""Which of several processes posts: one at a time, so that a channel has its order and its pace."""

from __future__ import annotations

import asyncio

from bot.core.errors import LostOwnership
from bot.flows.world import World
from bot.store import duties
from bot.store.write import Connection

POSTING = "posting"
SILENT_S = 15.0
"""Seconds after which another process posts, if this one is silent."""


class Duty:
    """This process' part in it. On SQLite there is only one process: the file's lock says so."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._alone = world.store.dialect == "sqlite"
        self._asked_until = 0.0

    async def held(self) -> bool:
        """Is it this process that posts? Asked of the database once in a while only."""
        now = asyncio.get_running_loop().time()
        if self._alone or now < self._asked_until:
            return True
        mine = await self._world.store.read(lambda c: duties.free(c, POSTING, self._world.owner))
        mine = mine and await self._world.store.write(lambda c: duties.take(c, POSTING, self._world.owner, SILENT_S))
        self._asked_until = now + SILENT_S / 3 if mine else 0.0
        return mine

    def confirm(self, conn: Connection) -> None:
        """In the transaction that notes an attempt: for its length nobody else posts. Raises LostOwnership."""
        if self._alone:
            return
        try:
            duties.confirm(conn, POSTING, self._world.owner)
        except LostOwnership:
            self._asked_until = 0.0
            raise

    async def give_back(self) -> None:
        """Another process may post at once."""
        if not self._alone and self._asked_until:
            self._asked_until = 0.0
            await self._world.store.write(lambda c: duties.give_back(c, POSTING, self._world.owner))
