"""Slack's end of Rollbot: Bolt behind the gate, over signed HTTP and Socket Mode alike; acks only what is durable."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.core.errors import RollbotError
from bot.flows.world import World
from bot.slack import handlers
from bot.slack.checkup import Checkup, checkup
from bot.slack.client import TROUBLE, SlackClient
from bot.slack.desk import Desk
from bot.slack.origin import Payload, allowed
from bot.slack.people import SlackPeople
from bot.slack.publish import Publisher
from bot.slack.refusals import error_of
from bot.store.write import StoreDown

log = logging.getLogger(__name__)
SLACK_API = "https://slack.com/api/"
FIRST_S = 3.0
"""Seconds that a start waits for Slack; past that it goes on trying behind."""
AGAIN_S = 5.0


@dataclass(frozen=True)
class SlackConfig:
    """``app_token`` set: Socket Mode. ``workspaces``: allowed team ids; empty: only where the bot token belongs.
    ``sockets``: connections at a time; with one, a refresh leaves a gap of about 0.1 s."""

    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    app_token: str | None = field(default=None, repr=False)
    api_url: str = SLACK_API
    workspaces: frozenset[str] = frozenset()
    sockets: int = 2


@dataclass(frozen=True)
class Answer:
    """What goes back to Slack. ``status`` other than 200: not handled, and never acked."""

    status: int
    body: str = ""
    content_type: str = "text/plain"


class SlackApp:
    """Give ``people`` to the world, ``publisher`` to the worker, and ``handle`` to the gate."""

    def __init__(self, world: World, config: SlackConfig) -> None:
        self.world, self.config = world, config
        self.client = SlackClient(config.bot_token, config.api_url)
        self.people = SlackPeople(self.client, world.store, world.clock)
        self.desk = Desk(world, self.client, self.people)
        self.publisher = Publisher(self.desk)
        self.workspaces = config.workspaces
        self._bolt = self._made()
        self._sockets: list[SocketModeClient] = []
        self._starting: asyncio.Task[None] | None = None

    def _made(self) -> AsyncApp:
        logger = logging.getLogger("bot.slack.bolt")
        logger.setLevel(logging.ERROR)  # warns of every request that no listener wants, with its whole body
        bolt = AsyncApp(
            name="rollbot",
            logger=logger,
            client=SlackClient("", self.config.api_url),
            authorize=_authorized,
            signing_secret=self.config.signing_secret,
            process_before_response=True,  # the default polls for the ack every 10 ms, and loses some (measured)
            request_verification_enabled=False,  # the gate has verified the raw bytes, more strictly, before parsing
            ignoring_self_events_enabled=False,
        )
        bolt.error(_failed)
        handlers.register(bolt, self.desk)
        return bolt

    async def start(self, *, listen: bool = True) -> None:
        """Opens the session and connects. Returns within seconds also if Slack is down; it goes on trying. Without
        ``listen`` nothing is taken in (for a process that is only the worker)."""
        await self.client.open()
        self._starting = asyncio.create_task(self._reach(listen=listen))
        await asyncio.wait([self._starting], timeout=FIRST_S)

    async def _reach(self, *, listen: bool) -> None:
        """Learns where the bot is installed, then connects the sockets."""
        while not await self._introduced():  # noqa: ASYNC110  there is no event in Slack's answering again
            await asyncio.sleep(AGAIN_S)
        if self.config.app_token and listen:
            self._sockets = [self._socket(self.config.app_token) for _ in range(self.config.sockets)]
            await asyncio.gather(*(s.connect() for s in self._sockets))  # type: ignore[no-untyped-call]

    async def _introduced(self) -> bool:
        try:
            found = await self.client.auth_test()
        except TROUBLE as e:
            log.warning("Slack does not answer auth.test: %s; trying again", error_of(e))
            return False
        self.workspaces = self.config.workspaces or frozenset({str(found.get("team_id") or "")})
        return True

    async def check(self) -> Checkup:
        """Token, scopes, channels and groups: what they are in Slack, and what is wrong. Needs no ``start``."""
        fresh = self.client.session is None
        await self.client.open()
        try:
            return await checkup(self.world, self.client, self.people, self.config.workspaces)
        finally:
            if fresh:
                await self.client.close()

    def _socket(self, app_token: str) -> SocketModeClient:
        logger = logging.getLogger("bot.slack.sockets")
        logger.setLevel(logging.WARNING)
        socket = SocketModeClient(app_token=app_token, web_client=self.client, logger=logger, ping_interval=10)
        socket.socket_mode_request_listeners.append(self._envelope)  # type: ignore[arg-type]
        return socket

    @property
    def connected(self) -> bool:
        """Can requests come in? Over HTTP that is the gate's business."""
        if not self.config.app_token:
            return bool(self.workspaces)
        return any(s.current_session is not None and not s.current_session.closed for s in self._sockets)

    async def stop(self) -> None:
        """Takes nothing more in, lets what runs behind acks end, and closes the session."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        for socket in self._sockets:
            await socket.close()  # type: ignore[no-untyped-call]
        await self.desk.stop()
        await self.client.close()

    async def handle(self, payload: Payload, retry: str = "") -> Answer:
        """One verified request from an allowed workspace. 503 if nothing could be stored."""
        headers: dict[str, str | Sequence[str]] | None = {"x-slack-retry-num": retry} if retry else None
        # Bolt gets the very object that was checked, not the bytes: two parsers might read two different things.
        request = AsyncBoltRequest(mode="socket_mode", body=payload, headers=headers)
        response = await self._bolt.async_dispatch(request)
        kind = response.headers.get("content-type", ["text/plain"])[0].split(";")[0]
        return Answer(response.status, response.body or "", kind)

    async def _envelope(self, client: SocketModeClient, request: SocketModeRequest) -> None:
        """One envelope. Without an ack Slack tells the person that it did not work."""
        payload = request.payload
        if not isinstance(payload, dict) or not allowed(payload, self.workspaces):
            log.warning("an envelope from a workspace that is not allowed was dropped")
            return
        answer = await self.handle(payload, str(request.retry_attempt or ""))
        if answer.status == 200:
            await client.send_socket_mode_response(
                SocketModeResponse(envelope_id=request.envelope_id, payload=_as_payload(answer))
            )


def _as_payload(answer: Answer) -> dict[str, Any] | None:
    if not answer.body:
        return None
    if answer.content_type == "application/json":
        found: dict[str, Any] = json.loads(answer.body)
        return found
    return {"text": answer.body}


async def _authorized(enterprise_id: str | None, team_id: str | None, user_id: str | None) -> AuthorizeResult:
    """Without a call to Slack, which must not stand between a command and its ack; nothing uses Bolt's client."""
    return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, user_id=user_id, bot_token="-")  # noqa: S106


async def _failed(error: Exception) -> BoltResponse:
    """Nothing was stored: no ack."""
    if isinstance(error, StoreDown):
        log.error("%s", error.message)
        return BoltResponse(status=503, body="nothing was stored, try again")
    known = isinstance(error, RollbotError)
    log.error("a request failed: %s", error, exc_info=None if known else error)
    return BoltResponse(status=500, body="this did not work; it was logged")
