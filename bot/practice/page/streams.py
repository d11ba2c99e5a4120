"""Who listens, and what each still has to be told: one WebSocket for each open page.

Not server-sent events: a browser opens six of those to one host, from all its tabs, and then nothing else any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HEARTBEAT = 15.0
"""Seconds between two pings, so that a dead connection is noticed."""
MOST = 1000
"""Events that wait for a page that doesn't take them; then it is told to read the state again."""


@dataclass(eq=False)
class Stream:
    """One page. What waits is ready to be sent; None ends it."""

    user: str
    waiting: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(MOST))


class Streams:
    """All open pages. Lives on one event loop."""

    def __init__(self) -> None:
        self.seq = 0
        self._open: set[Stream] = set()

    @property
    def users(self) -> set[str]:
        """Those who have a page open."""
        return {stream.user for stream in self._open}

    def send(self, kind: str, data: Any, user: str | None = None) -> None:
        """To everybody, or to the pages of one person."""
        self.seq += 1
        event = _event(self.seq, kind, data)
        for stream in self._open:
            if user in (None, stream.user):
                self._put(stream, event)

    def send_each(self, kind: str, seen: Callable[[str], Any]) -> None:
        """To each person what ``seen`` says of them; nothing where that is None."""
        for user in self.users:
            if (data := seen(user)) is not None:
                self.send(kind, data, user)

    def _put(self, stream: Stream, event: str | None) -> None:
        try:
            stream.waiting.put_nowait(event)
        except asyncio.QueueFull:
            while not stream.waiting.empty():
                stream.waiting.get_nowait()
            stream.waiting.put_nowait(_event(self.seq, "reset", {}) if event is not None else None)

    def close(self) -> None:
        """Every stream ends after what it still has to say."""
        for stream in self._open:
            self._put(stream, None)

    async def serve(self, request: web.Request, user: str) -> web.StreamResponse:
        """One page's stream, until either side ends it."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, timeout=1.0, compress=False)
        stream = Stream(user)
        self._open.add(stream)
        try:
            await socket.prepare(request)
            telling = asyncio.create_task(_tell(socket, stream))
            async for _ in socket:
                pass  # a page says nothing here; but so it is heard when it goes
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        finally:
            self._open.discard(stream)
        return socket


async def _tell(socket: web.WebSocketResponse, stream: Stream) -> None:
    with suppress(ConnectionError):  # the page was closed
        while (text := await stream.waiting.get()) is not None:
            await socket.send_str(text)
        await socket.close()


def _event(seq: int, kind: str, data: Any) -> str:
    return json.dumps({"seq": seq, "kind": kind, "data": data}, default=str)
