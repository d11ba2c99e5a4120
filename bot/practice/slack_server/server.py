"""The practice Slack on one port of 127.0.0.1: Web API, Socket Mode, response_urls, and the people in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web

from bot.practice.slack_server.api import Api, read_args
from bot.practice.slack_server.changes import Notice
from bot.practice.slack_server.contract import Json, SlackError
from bot.practice.slack_server.deliver import Ack, Delivered, Delivery
from bot.practice.slack_server.forms import InViews
from bot.practice.slack_server.manifest import Manifest
from bot.practice.slack_server.people import InChannels
from bot.practice.slack_server.records import ApiCall, Message, View
from bot.practice.slack_server.response_urls import respond
from bot.practice.slack_server.seed import Seed, default_seed
from bot.practice.slack_server.signed_http import FORM, sign
from bot.practice.slack_server.strain import Fault
from bot.practice.slack_server.workspace import Workspace

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK = ("127.0.0.1", "localhost")
NO_SITE = "the practice Slack answers no page of another site"


class PracticeSlack(InChannels, InViews):
    """A whole Slack workspace with one app in it, for one event loop.

    ``manifest`` is the app's manifest: only its commands, shortcuts, events and scopes work. ``clock`` (seconds since
    the epoch) ages triggers, response_urls and the pace. ``pace=False`` lifts the limit on posting. ``ack_timeout``
    in seconds. ``retry_scale`` multiplies the minutes between an event's retries.
    """

    bot_token = "xoxb-practice-bot"  # noqa: S105
    app_token = "xapp-practice-app"  # noqa: S105
    signing_secret = "practice-signing-secret"  # noqa: S105

    def __init__(
        self,
        manifest: Json,
        seed: Seed | None = None,
        *,
        clock: Callable[[], float] = time.time,
        pace: bool = True,
        ack_timeout: float = 3.0,
        retry_scale: float = 1.0,
    ) -> None:
        self.workspace = Workspace(seed or default_seed(), Manifest.read(manifest), clock)
        self.delivery = Delivery(self.workspace, self.signing_secret, ack_timeout=ack_timeout, retry_scale=retry_scale)
        tokens = {self.bot_token: "bot", self.app_token: "app"}
        self._api = Api(self.workspace, tokens, self.delivery.sockets.methods)
        self._api.pace.on = pace
        self._runner: web.AppRunner | None = None
        self._more: list[Callable[[web.Application], None]] = []

    def extend(self, install: Callable[[web.Application], None]) -> None:
        """Before ``start``: what ``install`` adds to the application is served on the same port."""
        self._more.append(install)

    async def start(self, port: int = 0) -> None:
        """Listens on 127.0.0.1; 0 takes a free port. Raises OSError if the port is taken."""
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.workspace.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Closes every connection. Safe to call twice."""
        await self.delivery.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_only_loopback])
        router = application.router
        router.add_route("GET", "/api/{method}", self._api.handle)
        router.add_route("POST", "/api/{method}", self._api.handle)
        router.add_get("/link", self.delivery.sockets.handle)
        router.add_post("/response/{key}", self._respond)
        router.add_post("/_dev/reset", self._reset)
        for install in self._more:
            install(application)
        return application

    async def _respond(self, request: web.Request) -> web.Response:
        try:
            body, _ = await read_args(request)
            respond(self.workspace, request.match_info["key"], body)
        except SlackError as refused:
            return web.json_response(refused.answer, status=refused.status)
        return web.Response(text="ok")

    async def _reset(self, _request: web.Request) -> web.Response:
        self.reset()
        return web.json_response({"ok": True})

    def reset(self) -> None:
        """Back to the seed, without faults; connections and subscribers stay."""
        self.workspace.reset()
        self._api.faults.clear()
        self._api.pace.clear()
        self.delivery.log.clear()

    @property
    def base_url(self) -> str:
        return self.workspace.base_url

    @property
    def api_url(self) -> str:
        """For ``AsyncWebClient(base_url=...)`` and SLACK_API_URL."""
        return f"{self.workspace.base_url}/api/"

    def connect_http(self, request_url: str) -> None:
        """From now on everything is delivered as signed HTTP to this Request URL, and no more by Socket Mode."""
        self.delivery.http.url = request_url

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tells every Socket Mode connection to come back on a new one."""
        await self.delivery.sockets.disconnect(reason)

    async def drop_sockets(self) -> None:
        """Closes every Socket Mode connection without a word."""
        await self.delivery.sockets.drop()

    @property
    def connections(self) -> int:
        """Socket Mode connections that can take an envelope."""
        return self.delivery.sockets.count

    async def redeliver(self) -> Ack:
        """The last request once more, byte for byte. Its answer is shown to nobody."""
        return await self.delivery.redeliver()

    async def forge(
        self,
        body: bytes | str,
        *,
        secret: str | None = None,
        timestamp: str | None = None,
        content_type: str = FORM,
        headers: dict[str, str | None] | None = None,
    ) -> Ack:
        """Posts anything to the Request URL: signed with ``secret`` (ours unless given) for ``timestamp`` (now unless
        given); ``headers`` then overrides single headers, None takes one away."""
        raw = body.encode() if isinstance(body, str) else body
        packet = sign(secret or self.signing_secret, raw, content_type, timestamp)
        for name, value in (headers or {}).items():
            packet.headers.pop(name, None)
            if value is not None:
                packet.headers[name] = value
        return await self.delivery.post(packet)

    def fault(self, method: str, times: int = 1, **how: Any) -> None:
        """Makes the next ``times`` calls of ``method`` ("*": any) go wrong: see Fault for ``error``, ``status``,
        ``headers``, ``delay`` and ``drop_reply``."""
        self._api.faults.add(Fault(method, times, **how))

    @property
    def calls(self) -> list[ApiCall]:
        """Every call of the Web API, oldest first."""
        return self.workspace.calls

    @property
    def deliveries(self) -> list[Delivered]:
        """Everything sent to the app with its answer, oldest first."""
        return self.delivery.log

    def channel(self, channel: str) -> list[Message]:
        """What stands in the channel, oldest first: top-level messages and replies that were sent there too."""
        return [m for m in self.workspace.messages[channel] if m.top_level]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The replies to ``ts``, oldest first, without their parent."""
        return self.workspace.thread(channel, ts)

    def ephemerals(self, user: str, channel: str | None = None) -> list[Message]:
        """What only this person sees, oldest first."""
        places = [channel] if channel else list(self.workspace.messages)
        found = [m for c in places for m in self.workspace.messages[c] if m.seen_by == user]
        return sorted(found, key=lambda m: m.ts)

    def dms(self, user: str) -> list[Message]:
        """The direct messages between this person and the bot, oldest first."""
        return self.channel(self.workspace.dm(user).id)

    def seen(self, user: str, channel: str) -> list[Message]:
        """The channel as this person sees it, oldest first: what stands there and what only they see."""
        found = self.workspace.messages[channel]
        return [m for m in found if m.top_level or (m.seen_by == user and m.thread_ts is None)]

    def view_of(self, user: str) -> View | None:
        """The modal in front of this person, if any."""
        return self.workspace.modals.top(user)

    def home_of(self, user: str) -> View | None:
        """The Home tab as the app last published it for this person."""
        return self.workspace.modals.homes.get(user)

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:  # noqa: ASYNC109
        """The first truthy answer of ``predicate``, asked now and after each change (no polling). Raises TimeoutError
        after ``timeout`` seconds, naming the last changes."""
        return await self.workspace.changes.wait_for(predicate, timeout)

    def subscribe(self) -> asyncio.Queue[Notice]:
        """An asyncio.Queue of all changes from now on, each ``{"kind": ..., ...}``."""
        return self.workspace.changes.subscribe()

    def unsubscribe(self, queue: asyncio.Queue[Notice]) -> None:
        """Ends a subscription."""
        self.workspace.changes.unsubscribe(queue)


@web.middleware
async def _only_loopback(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of another site can't reach in: neither by a name that resolves to 127.0.0.1, nor by a form it sends, nor
    by a picture whose address is a call. It may only link to the page."""
    if request.host.partition(":")[0] not in LOOPBACK:
        raise web.HTTPForbidden(text="the practice Slack answers on 127.0.0.1 only")
    if request.headers.get("Origin", own := f"{request.scheme}://{request.host}") != own:
        raise web.HTTPForbidden(text=NO_SITE)
    if request.path != "/" and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text=NO_SITE)
    return await handler(request)
