"""The practice page on the practice Slack's own port: its addresses, its policy, and what belongs together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.core.errors import RollbotError
from bot.practice.page.acts import NOT_READY, Acts
from bot.practice.page.feed import Feed
from bot.practice.page.fields import NoAct, checked_ts, person, read
from bot.practice.page.hints import Hints
from bot.practice.page.inspector import Inspector
from bot.practice.page.keeper import Keeper, Process
from bot.practice.page.panels import Announce, NoPanel, Panel
from bot.practice.page.setup import Setup
from bot.practice.page.state import Sight
from bot.practice.page.streams import Streams
from bot.practice.page.trouble import Trouble
from bot.practice.slack_server import CannotDo, PracticeSlack

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "object-src 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PROOF = ("X-Practice", "page")
"""A header that another site's page can't send without asking, and we never say yes."""


class PracticePage:
    """Made before ``slack`` starts; it lives as long as that listens. ``incident`` and ``tour`` may be set later."""

    def __init__(self, slack: PracticeSlack, transport: str = "http") -> None:
        self.slack, self.transport = slack, transport
        self.streams, self.sight, self.inspector = Streams(), Sight(slack.workspace), Inspector(slack)
        self.setup = Setup(lambda: self.streams.send("setup", self.setup.state()))
        self._trouble = Trouble(slack, self.inspector, self.streams)
        self._acts = Acts(slack, self.sight, self.streams, self.setup, self._trouble)
        self._feed = Feed(slack, self.sight, self.inspector, self.streams)
        self._hints = Hints()
        self._announced: set[str] = set()
        self.panels: dict[str, Panel] = {"incident": NoPanel(), "tour": NoPanel()}
        self._files = {p.name: p for p in STATIC.iterdir() if p.suffix in TYPES} if STATIC.is_dir() else {}
        slack.extend(self._install)

    def announcer(self, name: str) -> Announce:
        """For the panel of this name, to be called on any thread. Call it on the event loop."""
        loop = asyncio.get_running_loop()

        def announce() -> None:
            with suppress(RuntimeError):  # the loop is closed, and with it every page
                loop.call_soon_threadsafe(self._announced.add, name)
                loop.call_soon_threadsafe(self._tell_announced)

        return announce

    def _tell_announced(self) -> None:
        """Many announcements at once are one event."""
        while self._announced:
            name = self._announced.pop()
            self.streams.send(name, self.panels[name].state())

    async def keep(self, process: Process, connect: Callable[[], Awaitable[None]]) -> None:
        """Brings the bot back whenever it has ended; until it is cancelled."""
        keeper = self._trouble.keeper = Keeper(process, connect, lambda: self.streams.send("bot", self._bot()))
        self.streams.send("bot", self._bot())
        await keeper.run()

    def finish(self) -> None:
        """The set-up is over: acts are taken, and every page reads the state again. What the set-up told single people
        is gone, as Slack forgets it when a client is loaded again."""
        workspace = self.slack.workspace
        for message in [m for stands in workspace.messages.values() for m in stands if m.seen_by]:
            workspace.delete(message)
        self.inspector.clear()
        self.setup.finish()
        self.streams.send("reset", {})

    def _bot(self) -> Json:
        keeper = self._trouble.keeper
        return keeper.state() if keeper is not None else {"alive": self.setup.over}

    def _install(self, application: web.Application) -> None:
        application.on_response_prepare.append(_with_policy)
        application.on_shutdown.append(self._hang_up)
        application.cleanup_ctx.append(self._live)
        router = application.router
        router.add_get("/", self._index)
        router.add_get("/page/static/{name}", self._static)
        router.add_get(r"/archives/{channel:\w+}/p{s:\d+}{us:\d{6}}", _said(_linked))
        for name, answer in {
            "state": self._state,
            "older": self._older,
            "thread": self._thread,
            "events": self._events,
            "inspector": self._entries,
        }.items():
            router.add_get(f"/page/{name}", _said(answer))
        router.add_post("/page/act", _said(_guarded(self._act)))
        for name in self.panels:
            router.add_post(f"/page/{{panel:{name}}}", _said(_guarded(self._panel)))

    async def _live(self, _application: web.Application) -> AsyncIterator[None]:
        telling = asyncio.create_task(self._feed.run())
        self._hints.begin()
        yield
        telling.cancel()
        await asyncio.gather(telling, self._hints.stop(), return_exceptions=True)

    async def _hang_up(self, _application: web.Application) -> None:
        self.streams.close()

    async def _index(self, request: web.Request) -> web.StreamResponse:
        if "as" in request.query:
            try:
                self._as(request)
            except NoAct:  # an old or mistyped link
                raise web.HTTPFound("/") from None
        return await self._file("index.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return await self._file(request.match_info["name"])

    async def _file(self, name: str) -> web.StreamResponse:
        """Only what was there at the start; its newest text."""
        path = self._files.get(name)
        if path is None:
            raise web.HTTPNotFound(text=f"the page has no file {name}")
        body = await asyncio.to_thread(path.read_bytes)
        return web.Response(body=body, content_type=TYPES[path.suffix], charset="utf-8")

    async def _state(self, request: web.Request) -> web.StreamResponse:
        user = self._as(request)
        seq = self.streams.seq  # before all that is read, so that nothing falls between
        state = {
            "me": user,
            "people": self.sight.people(),
            "groups": self.sight.groups(),
            "team": self.sight.team(),
            "channels": self.sight.channels(user),
            "commands": await self._hints.known(wait=self.setup.over),
            "shortcuts": [{"callback_id": i, "name": n} for i, n in self.slack.workspace.manifest.shortcuts.items()],
            "view": self.sight.view(user),
            "home": self.sight.home(user),
            **{name: panel.state() for name, panel in self.panels.items()},
            "transport": self.transport,
            "bot": self._bot(),
            "seq": seq,
        }
        setup = self.setup.state()
        return web.json_response(state | ({"setup": setup} if setup else {}))

    def _as(self, request: web.Request) -> str:
        return person(self.slack.workspace, request.query.get("as"))

    def _channel(self, request: web.Request) -> tuple[str, str]:
        user, channel = self._as(request), request.query.get("channel", "")
        if not self.sight.sees_channel(user, channel):
            raise NoAct(f"{user} sees no channel {channel!r}")
        return user, channel

    async def _older(self, request: web.Request) -> web.StreamResponse:
        before = checked_ts("before", request.query.get("before", ""))
        return web.json_response(self.sight.messages(*self._channel(request), before))

    async def _thread(self, request: web.Request) -> web.StreamResponse:
        ts = checked_ts("ts", request.query.get("ts", ""))
        return web.json_response({"messages": self.sight.thread(*self._channel(request), ts)})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self.streams.serve(request, self._as(request))

    async def _entries(self, request: web.Request) -> web.StreamResponse:
        before = request.query.get("before")
        if before is not None and not re.fullmatch("[0-9]{1,15}", before):
            raise NoAct("before must be an entry's number")
        return web.json_response(self.inspector.page(int(before) if before else None))

    async def _act(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await self._acts.do(await read(request)))

    async def _panel(self, request: web.Request) -> web.StreamResponse:
        body = await read(request)
        name = body.text("do")
        if not self.setup.over:
            return web.json_response({"ok": False, "error": NOT_READY})
        args = {field: value for field, value in body.fields.items() if field != "do"}
        try:
            await self.panels[request.match_info["panel"]].do(name, args)
        except CannotDo as refused:
            return web.json_response({"ok": False, "error": str(refused)})
        except RollbotError as failed:
            return web.json_response({"ok": False, "error": failed.message})
        return web.json_response({"ok": True})


async def _linked(request: web.Request) -> web.StreamResponse:
    """A message's permalink, as chat.getPermalink gives it."""
    found = request.match_info
    thread = checked_ts("thread_ts", request.query.get("thread_ts", f"{found['s']}.{found['us']}"))
    raise web.HTTPFound(f"/#{found['channel']}/{thread}")


def _guarded(handler: Handler) -> Handler:
    """Only our own page can post; a foreign Origin never comes this far."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.headers.get(PROOF[0]) != PROOF[1]:
            return web.json_response({"ok": False, "error": f"{PROOF[0]}: {PROOF[1]} is missing"}, status=403)
        if request.content_type != "application/json":
            return web.json_response({"ok": False, "error": "the body must be application/json"}, status=415)
        return await handler(request)

    return guarded


def _said(handler: Handler) -> Handler:
    """What means nothing is a 400 that says why."""

    async def said(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except NoAct as wrong:
            return web.json_response({"ok": False, "error": str(wrong)}, status=400)

    return said


async def _with_policy(_request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, also on those that refuse."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
