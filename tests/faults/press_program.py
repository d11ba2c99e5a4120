"""Takes copies of one press at once, as a replica of the web does: ``press_program.py URL KEY COPIES COMMAND``.

It says ``ready``, waits for a line, and then says each answer that it gives, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

from bot.core.commands import Actor, parse
from bot.store import inbox
from bot.store.write import open_store

BEN = Actor(kind="person", id="T1/BEN", via="slack", channel="C1")


async def main(url: str, key: str, copies: int, command: str) -> None:
    store, wish, now = open_store(url), parse.validate_json(command), datetime.now(UTC)
    await store.start()
    await store.read(inbox.waiting)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    answers = await asyncio.gather(
        *(store.intake(lambda c: inbox.take(c, key, BEN, wish, "taken", now)) for _ in range(copies))
    )
    sys.stdout.write(json.dumps([[a.answer, a.run, a.id, a.fresh] for a in answers]) + "\n")
    await store.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
