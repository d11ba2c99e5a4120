"""Delivers what people do, by signed HTTP or Socket Mode, within Slack's three seconds; and events again if need be."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.practice.slack_server.signed_http import Packet, SignedHttp, encode, sign
from bot.practice.slack_server.sockets import NoConnection, Sockets
from bot.practice.slack_server.workspace import Workspace

Json = dict[str, Any]

RETRY_AFTER = (0.0, 60.0, 300.0)


@dataclass
class Ack:
    """What came back. ``status`` is the HTTP status (200 for a Socket Mode answer), or ``operation_timeout`` after
    three seconds, or ``dispatch_failed`` if no app was there. ``body`` is parsed JSON, text, or None if empty.
    ``error`` is what the person is told instead of the answer, with ``details`` for whoever builds the app."""

    status: int | str
    body: Any
    ms: float
    error: str | None = None
    details: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.error is None


@dataclass(frozen=True)
class Delivered:
    """One delivery, for inspection. ``retry`` is 0 for the first attempt."""

    kind: str
    payload: Json
    retry: int
    ack: Ack


class Delivery:
    """HTTP if a Request URL is set, else Socket Mode. ``retry_scale`` shortens the wait before an event's retries."""

    def __init__(self, workspace: Workspace, secret: str, *, ack_timeout: float, retry_scale: float) -> None:
        self._ws, self._secret = workspace, secret
        self.ack_timeout, self._retry_scale = ack_timeout, retry_scale
        self.http, self.sockets = SignedHttp(), Sockets(workspace)
        self.log: list[Delivered] = []
        self._again: Callable[[], Awaitable[Ack]] | None = None
        self._retrying: set[asyncio.Task[None]] = set()

    async def send(self, kind: str, payload: Json, retry: int = 0, reason: str = "") -> Ack:
        """One attempt. ``kind``: ``slash_commands``, ``interactive`` or ``events_api``."""
        if kind == "interactive" and not self._ws.manifest.interactive:
            return Ack("dispatch_failed", None, 0.0, "dispatch_failed", ["interactivity is off in the app's manifest"])
        if self.http.url is not None:
            attempt = self._by_http(kind, payload, retry, reason)
        else:
            attempt = self._by_socket(kind, payload, retry, reason)
        ack = await attempt()
        self._again = attempt  # not sooner: the last one in the log, and no envelope is under way twice
        self.log.append(Delivered(kind, payload, retry, ack))
        self._ws.changes.tell("delivery", what=kind, status=ack.status, retry=retry)
        return ack

    async def redeliver(self) -> Ack:
        """The last request once more: same bytes, same signature, same envelope. Its answer is shown to nobody."""
        if self._again is None:
            raise LookupError("nothing was delivered yet")
        return await self._again()

    def _by_http(self, kind: str, payload: Json, retry: int, reason: str) -> Callable[[], Awaitable[Ack]]:
        packet = sign(self._secret, *encode(kind, payload))
        if retry:
            packet.headers.update({"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason})
        return lambda: self.post(packet)

    def _by_socket(self, kind: str, payload: Json, retry: int, reason: str) -> Callable[[], Awaitable[Ack]]:
        answers = kind != "events_api"
        envelope = {
            "envelope_id": str(uuid.uuid4()),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": answers,
        }
        if retry:
            envelope |= {"retry_attempt": retry, "retry_reason": reason}
        return lambda: self._timed(self._emit(envelope))

    async def post(self, packet: Packet) -> Ack:
        """Any bytes to the Request URL."""
        return await self._timed(self._post(packet))

    async def _post(self, packet: Packet) -> Ack:
        status, text, headers = await self.http.post(packet)
        return Ack(status, _parsed(text), 0.0, headers=headers)

    async def _emit(self, envelope: Json) -> Ack:
        return Ack(200, await self.sockets.send(envelope) or None, 0.0)

    async def _timed(self, attempt: Awaitable[Ack]) -> Ack:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.ack_timeout):
                ack = await attempt
        except TimeoutError:
            ack = Ack("operation_timeout", None, 0.0, error="operation_timeout")
        except (aiohttp.ClientError, NoConnection, ConnectionError) as lost:
            ack = Ack("dispatch_failed", None, 0.0, error="dispatch_failed", details=[str(lost)])
        if isinstance(ack.status, int) and ack.status != 200:
            ack.error = "http_service_error"
        ack.ms = (time.perf_counter() - began) * 1000
        return ack

    async def send_event(self, payload: Json) -> Ack:
        """The first attempt's answer. If it wasn't 200, up to three retries follow behind: at once, after 1 minute,
        after 5; each with the same event_id. A header ``X-Slack-No-Retry: 1`` stops them."""
        ack = await self.send("events_api", payload)
        if _wants_retry(ack):
            task = asyncio.create_task(self._retry(payload, ack))
            self._retrying.add(task)
            task.add_done_callback(self._retrying.discard)
        return ack

    async def _retry(self, payload: Json, ack: Ack) -> None:
        for n, wait in enumerate(RETRY_AFTER, start=1):
            await asyncio.sleep(wait * self._retry_scale)
            reason = "http_timeout" if ack.status == "operation_timeout" else "http_error"
            ack = await self.send("events_api", payload, n, reason)
            if not _wants_retry(ack):
                return

    async def stop(self) -> None:
        for task in list(self._retrying):
            task.cancel()
        await asyncio.gather(*self._retrying, return_exceptions=True)
        await self.sockets.drop()
        await self.http.stop()


def _wants_retry(ack: Ack) -> bool:
    return not ack.ok and ack.headers.get("x-slack-no-retry") != "1"


def _parsed(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text) if text.lstrip()[0] in "{[" else text
    except ValueError:
        return text
