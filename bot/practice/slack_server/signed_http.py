"""Sends what people do to the app's Request URL, signed as Slack signs it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp

Json = dict[str, Any]

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Packet:
    """One HTTP request, byte for byte."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def encode(kind: str, payload: Json) -> tuple[bytes, str]:
    """The body and its content type: events are JSON, commands a form, interactions JSON in a form."""
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    if kind == "slash_commands":
        return urlencode(payload).encode(), FORM
    return f"payload={quote_plus(json.dumps(payload))}".encode(), FORM


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's v0 signature over timestamp and raw body."""
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256)
    return "v0=" + digest.hexdigest()


def sign(secret: str, body: bytes, content_type: str, timestamp: str | None = None) -> Packet:
    """Signed for now. The real clock, not the practice one: the app checks the age with its own."""
    at = timestamp or str(int(time.time()))
    headers = {
        "Content-Type": content_type,
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(secret, at, body),
    }
    return Packet(body, headers)


class SignedHttp:
    """Posts packets to the Request URL. Raises ``aiohttp.ClientError`` if nobody is there."""

    def __init__(self) -> None:
        self.url: str | None = None
        self._session: aiohttp.ClientSession | None = None

    async def post(self, packet: Packet) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers (lower case) of the answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        if self.url is None:
            raise aiohttp.ClientError("no Request URL is set: call connect_http first")
        async with self._session.post(self.url, data=packet.body, headers=packet.headers) as answer:
            return answer.status, await answer.text(), {k.lower(): v for k, v in answer.headers.items()}

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
