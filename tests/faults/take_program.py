"""Takes presses as fast as it can and says each answer once it has it, to be killed: ``take_program.py URL``."""

from __future__ import annotations

import asyncio
import itertools
import sys
from datetime import UTC, datetime

from bot.core.commands import Actor, Request
from bot.store import inbox
from bot.store.write import Store, open_store

ANA = Actor(kind="person", id="T1/ANA", via="slack", channel="C1")
NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)


async def take(store: Store, key: str) -> inbox.Taken:
    request = Request(feature=key, to="v1")
    return await store.intake(lambda conn: inbox.take(conn, key, ANA, request, "{run} begins", NOW))


async def main(url: str) -> None:
    store = open_store(url)
    await store.start()
    numbers = itertools.count()

    async def sender() -> None:
        for n in numbers:
            taken = await take(store, f"k{n}")
            sys.stdout.write(f"k{n} {taken.run} {taken.id}\n")
            sys.stdout.flush()

    await asyncio.gather(*(sender() for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
