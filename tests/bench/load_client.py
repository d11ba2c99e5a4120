"""Sends signed presses and hook posts and times their answers: a process of its own that does nothing else meanwhile.

One JSON line in, a job. One JSON line out, ``{"press": [[milliseconds, status], ...], "post": ..., "seconds": ...}``.
What is sent is made and signed before the clock starts. Milliseconds count from the wish to connect: in a burst each
request has a connection of its own, with ``lines`` each connection is kept and sends one request after the other.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot.practice.slack_server.signed_http import encode, sign
from tests.bench.ack_client import Line

NUMBERS = itertools.count(1)
Answered = tuple[float, int]


@dataclass(frozen=True)
class Job:
    """``press``: the payload of a real press, repeated with other triggers. ``lines`` 0: all at the same moment, else
    ``seconds`` long as fast as that many connections can."""

    port: int
    secret: str
    token: str
    press: dict[str, Any]
    release: dict[str, Any]
    presses: int
    posts: int
    lines: int = 0
    seconds: float = 0.0


def raw(path: str, headers: dict[str, str], body: bytes) -> bytes:
    said = {**headers, "Host": "127.0.0.1", "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def press(job: Job) -> bytes:
    """As Slack sends it; never the same twice."""
    n = next(NUMBERS)
    actions = [{**job.press["actions"][0], "action_ts": f"{time.time():.0f}.{n:06}"}]
    body, kind = encode("interactive", {**job.press, "trigger_id": f"{n}.bench", "actions": actions})
    return raw("/slack/events", sign(job.secret, body, kind).headers, body)


def post(job: Job) -> bytes:
    """As CI sends it; each another order."""
    key = f"bench-{next(NUMBERS)}"
    headers = {"Authorization": f"Bearer {job.token}", "Idempotency-Key": key, "Content-Type": "application/json"}
    return raw("/hooks/release", headers, json.dumps(job.release).encode())


async def once(port: int, request: bytes) -> Answered:
    """On a connection of its own."""
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    transport, line = await loop.create_connection(Line, "127.0.0.1", port)
    _, status, _ = await line.send(request)
    took = (time.perf_counter() - began) * 1000
    transport.close()
    return took, status


async def burst(job: Job) -> dict[str, Any]:
    """All at the same moment, presses and posts in turn."""
    makers = [maker for n in range(max(job.presses, job.posts)) for maker in _turn(job, n)]
    made = [(maker is press, maker(job)) for maker in makers]
    began = time.perf_counter()
    answered = await asyncio.gather(*(once(job.port, request) for _, request in made))
    seconds = time.perf_counter() - began
    of = {True: "press", False: "post"}
    told: dict[str, Any] = {"press": [], "post": [], "seconds": seconds}
    for (pressed, _), answer in zip(made, answered, strict=True):
        told[of[pressed]].append(answer)
    return told


def _turn(job: Job, n: int) -> Iterable[Any]:
    return [maker for maker, most in ((press, job.presses), (post, job.posts)) if n < most]


async def sustained(job: Job) -> dict[str, Any]:
    """As long as the time or what was made lasts."""
    loop, made = asyncio.get_running_loop(), iter([press(job) for _ in range(job.presses)])
    opened = [await loop.create_connection(Line, "127.0.0.1", job.port) for _ in range(job.lines)]
    began = time.perf_counter()
    over, answered = began + job.seconds, list[Answered]()

    async def sender(line: Line) -> None:
        while time.perf_counter() < over and (request := next(made, None)) is not None:
            ms, status, _ = await line.send(request)
            answered.append((ms, status))

    await asyncio.gather(*(sender(line) for _, line in opened))
    seconds = time.perf_counter() - began
    for transport, _ in opened:
        transport.close()
    return {"press": answered, "post": [], "seconds": seconds}


async def main() -> None:
    gc.disable()
    while text := await asyncio.to_thread(sys.stdin.readline):
        job = Job(**json.loads(text))
        print(json.dumps(await (sustained(job) if job.lines else burst(job))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
