"""A bot in small, to be killed: runs one call that never ends.

``python -m tests.outside.bot_program ACT FIFO SECONDS PRELOAD...``
"""

from __future__ import annotations

import asyncio
import sys

from bot.outside.child import Children
from tests.outside.tools import request


async def main(act: str, path: str, seconds: str, preload: list[str]) -> None:
    children = Children("artifacts", preload=preload)
    await children.start()
    sys.stdout.write(f"{children._light.pid} {children._warm.pid or 0}\n")
    sys.stdout.flush()
    if act == "wait":
        await asyncio.Event().wait()
    if preload:
        await children.warmed()
    await children.run(request(do=act, arg=path), timeout=float(seconds))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
