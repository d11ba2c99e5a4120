"""Sends signed slash commands and times their acks: a process of its own that does nothing else meanwhile.

One JSON line in, ``[[port, text, channel], ...]``: what is sent at the same moment, each on a connection of its own
that is kept. One JSON line out, ``[[milliseconds, status, text], ...]``.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import re
import sys
import time
from urllib.parse import urlencode

from bot.practice.slack_server.seed import default_seed
from bot.practice.slack_server.signed_http import FORM, sign

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
NUMBERS = itertools.count(1)
Said = tuple[float, int, str]


class Line(asyncio.Protocol):
    """One connection, one request at a time; the clock stops when the last byte of the answer is here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, raw: bytes) -> asyncio.Future[Said]:
        self._got, self._answer = b"", asyncio.get_running_loop().create_future()
        self._began = time.perf_counter()
        self._transport.write(raw)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        length = LENGTH.search(head) if found else None
        if length and len(body) >= int(length[1]):
            took = (time.perf_counter() - self._began) * 1000
            self._answer.set_result((took, int(head.split(b" ", 2)[1]), body.decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        answer = getattr(self, "_answer", None)
        if answer is not None and not answer.done():
            answer.set_exception(exc or ConnectionError("the server hung up"))


def request(secret: str, text: str, channel: str) -> bytes:
    """The bytes that Slack sends for a slash command; never the same twice."""
    n = next(NUMBERS)
    fields = {
        "team_id": default_seed().team_id,
        "channel_id": channel,
        "channel_name": "bench",
        "user_id": "U0ANA",
        "user_name": "ana",
        "command": "/rollback",
        "text": text,
        "api_app_id": default_seed().app_id,
        "response_url": "http://127.0.0.1:1/nowhere",
        "trigger_id": f"{time.time():.0f}.{n}",
    }
    packet = sign(secret, urlencode(fields).encode(), FORM)
    headers = {**packet.headers, "Host": "127.0.0.1", "Content-Length": str(len(packet.body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /slack/events HTTP/1.1\r\n{lines}\r\n".encode() + packet.body


async def main(secret: str) -> None:
    loop = asyncio.get_running_loop()
    kept: dict[tuple[int, int], Line] = {}
    gc.disable()
    while text := await asyncio.to_thread(sys.stdin.readline):
        job = [(int(port), request(secret, said, channel)) for port, said, channel in json.loads(text)]
        lines = []
        for place, (port, _) in enumerate(job):
            if (port, place) not in kept:
                _, kept[port, place] = await loop.create_connection(Line, "127.0.0.1", port)
            lines.append(kept[port, place])
        answers = [line.send(raw) for line, (_, raw) in zip(lines, job, strict=True)]
        print(json.dumps(await asyncio.gather(*answers)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
