"""Who listens, and what each still has to be told: server-sent events, one stream for each open page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that both sides notice a dead connection."""
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
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        stream = Stream(user)
        self._open.add(stream)
        with suppress(ConnectionError):  # the page was closed
            try:
                await response.prepare(request)
                await response.write(b"retry: 1000\n: here\n\n")
                while (text := await _next(stream)) is not None:
                    await response.write(text.encode())
            finally:
                self._open.discard(stream)
        return response


async def _next(stream: Stream) -> str | None:
    try:
        async with asyncio.timeout(HEARTBEAT):
            return await stream.waiting.get()
    except TimeoutError:
        return ": still here\n\n"


def _event(seq: int, kind: str, data: Any) -> str:
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False, default=str)}\n\n"
