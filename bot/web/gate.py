"""The gate in front of Slack's requests. Nothing unsigned is parsed: Bolt alone answers one with a stack trace in the
log, and takes the same bytes again and again for five minutes (both measured)."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from typing import Protocol

from aiohttp import web

from bot.core.ports import Clock
from bot.slack.app import Answer
from bot.slack.origin import Malformed, Payload, allowed, parse

log = logging.getLogger(__name__)
MOST_BYTES = 256 * 1024
MOST_AGE = 300
"""Seconds that a signature holds, in both directions, as Slack says."""
MOST_AT_ONCE = 2000
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


class Handler(Protocol):
    """What stands behind the gate."""

    workspaces: frozenset[str]

    async def handle(self, payload: Payload, retry: str = "") -> Answer: ...


class Refused(Exception):
    """The handler does not run."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Gate:
    """``POST /slack/events``. A refusal is one line, and says nothing that helps to forge."""

    def __init__(self, handler: Handler, secret: str, clock: Clock) -> None:
        self._handler, self._secret, self._clock = handler, secret.encode(), clock
        self._inside = 0

    async def handle(self, request: web.Request) -> web.Response:
        if self._inside >= MOST_AT_ONCE:
            return _said(503, "too many requests at once")
        self._inside += 1
        try:
            return await self._let_in(request)
        except Refused as e:
            log.info("a request was refused: %d %s", e.status, e.why)
            return _said(e.status, e.why)
        except Exception:
            log.exception("a request failed")
            return _said(500, "this did not work; it was logged")
        finally:
            self._inside -= 1

    async def _let_in(self, request: web.Request) -> web.Response:
        body = await body_of(request, MOST_BYTES)
        self._verify(request, body)
        try:
            payload = parse(body, request.content_type)
        except Malformed as e:
            raise Refused(400, str(e)) from e
        if not allowed(payload, self._handler.workspaces):
            raise Refused(403, "this workspace is not allowed here")
        answer = await self._handler.handle(payload, request.headers.get("X-Slack-Retry-Num", ""))
        return web.Response(status=answer.status, text=answer.body, content_type=answer.content_type)

    def _verify(self, request: web.Request, body: bytes) -> None:
        """Raises Refused (401)."""
        timestamp, signature = _only(request, "X-Slack-Request-Timestamp"), _only(request, "X-Slack-Signature")
        if not self._secret:
            raise Refused(401, "no signing secret is set, so nothing can be verified")
        if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
            raise Refused(401, "not signed")
        if abs(self._clock.now().timestamp() - int(timestamp)) > MOST_AGE:
            raise Refused(401, "signed too long ago, or in the future")
        expected = hmac.new(self._secret, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"v0={expected}", signature):
            raise Refused(401, "the signature is wrong")


async def body_of(request: web.Request, most: int) -> bytes:
    """The raw body. Raises Refused (413); what is too long is not read to its end."""
    if (request.content_length or 0) > most:
        raise Refused(413, f"at most {most:,} bytes")
    found = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        found += chunk
        if len(found) > most:
            raise Refused(413, f"at most {most:,} bytes")
    return bytes(found)


def _only(request: web.Request, name: str) -> str:
    """The header, if it stands there exactly once; else nothing."""
    values = request.headers.getall(name, [])
    return values[0] if len(values) == 1 else ""


def _said(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=why + "\n")
