"""The one way out to Slack's Web API: every payload passes the lint, over one shared session."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.lint import LintError, lint_call

TIMEOUT = 10
"""Seconds. Nobody waits for a chat message longer than that; the message stays due."""
TROUBLE = (SlackApiError, aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""All that a call may raise when Slack, the network or the token is at fault."""
NESTED = ("blocks", "metadata", "view")


class Unsendable(Exception):
    """Slack would refuse this payload; says where, as JSON pointers. A fault of ours."""

    def __init__(self, method: str, findings: list[LintError]) -> None:
        said = "; ".join(f"{f['pointer']}: {f['message']}" for f in findings[:5])
        super().__init__(f"{method}: {said}")
        self.findings = findings


def checked(method: str, args: dict[str, Any]) -> None:
    """Raises Unsendable."""
    findings = lint_call(method, args)
    if findings:
        raise Unsendable(method, findings)


class SlackClient(AsyncWebClient):
    """Slack's own client, with the lint in front. Without retries: the library's own send a message twice after a
    lost connection (measured), so who calls decides."""

    def __init__(self, token: str, base_url: str) -> None:
        logger = logging.getLogger("bot.slack.web")
        logger.setLevel(logging.INFO)  # at DEBUG the library logs whole payloads
        super().__init__(token=token, base_url=base_url, timeout=TIMEOUT, retry_handlers=[], logger=logger)

    async def open(self) -> None:
        """The session that all calls share. Each of the library's own sessions costs a handshake."""
        if self.session is None or self.session.closed:
            self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def api_call(self, api_method: str, **how: Any) -> AsyncSlackResponse:
        """Raises Unsendable, and what is in TROUBLE."""
        args = {**(how.get("params") or {}), **(how.get("data") or {}), **(how.get("json") or {})}
        checked(api_method, {name: _parsed(name, value) for name, value in args.items()})
        return await super().api_call(api_method, **how)


def _parsed(name: str, value: Any) -> Any:
    """The library turns some arguments into JSON text before this point."""
    return json.loads(value) if name in NESTED and isinstance(value, str) else value
