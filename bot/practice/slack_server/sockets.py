"""Socket Mode: hands out WebSocket addresses, sends envelopes to one of the connections, takes their answers."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from aiohttp import WSMsgType, web

from bot.practice.slack_server.contract import Method
from bot.practice.slack_server.workspace import Workspace

Json = dict[str, Any]

MOST_CONNECTIONS = 10


class NoConnection(Exception):
    """No app is connected."""


class Sockets:
    """The open connections. Envelopes go round them in turn; a retired one (told to reconnect) only as the last
    resort."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._tickets: set[str] = set()
        self._open: list[web.WebSocketResponse] = []
        self._retired: set[web.WebSocketResponse] = set()
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self.methods = {"apps.connections.open": Method(self._grant, token="app")}  # noqa: S106

    @property
    def count(self) -> int:
        """Connections that are neither closed nor told to go."""
        return len([s for s in self._open if s not in self._retired])

    def _grant(self, _ws: Workspace, _args: Json) -> Json:
        ticket = secrets.token_urlsafe(16)
        self._tickets.add(ticket)
        return {"url": f"{self._ws.base_url.replace('http', 'ws', 1)}/link?ticket={ticket}"}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its single-use ticket to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403, text="this ticket is unknown or was used")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(heartbeat=30, timeout=1.0)
        await socket.prepare(request)
        if len(self._open) >= MOST_CONNECTIONS:
            await socket.send_json(_goodbye("too_many_websockets"))
            await socket.close()
            return socket
        self._open.append(socket)
        try:
            await self._serve(socket)
        finally:
            self._open.remove(socket)
            self._retired.discard(socket)
            self._ws.changes.tell("socket", count=self.count)
        return socket

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        await socket.send_json(
            {
                "type": "hello",
                "num_connections": len(self._open),
                "connection_info": {"app_id": self._ws.seed.app_id},
                "debug_info": {"host": "practice", "approximate_connection_time": 18060},
            }
        )
        self._ws.changes.tell("socket", count=self.count)
        async for frame in socket:
            if frame.type == WSMsgType.TEXT:
                self._answered(json.loads(frame.data))

    def _answered(self, answer: Json) -> None:
        future = self._answers.pop(answer.get("envelope_id", ""), None)
        if future is not None and not future.done():
            future.set_result(answer.get("payload"))

    async def send(self, envelope: Json) -> Any:
        """The payload of the app's answer, or None for a bare one. Raises NoConnection."""
        socket = self._choose()
        future = self._answers[envelope["envelope_id"]] = asyncio.get_running_loop().create_future()
        try:
            await socket.send_json(envelope)
            return await future
        finally:
            self._answers.pop(envelope["envelope_id"], None)

    def _choose(self) -> web.WebSocketResponse:
        living = [s for s in self._open if s not in self._retired and not s.closed]
        if not living and not self._open:
            raise NoConnection("no app is connected by Socket Mode")
        socket = (living or self._open)[0]
        self._open.remove(socket)
        self._open.append(socket)
        return socket

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tells every connection to come back on a new one, as Slack does every few hours."""
        for socket in list(self._open):
            self._retired.add(socket)
            await socket.send_json(_goodbye(reason))
        self._ws.changes.tell("socket", count=self.count)

    async def drop(self) -> None:
        """Closes every connection without a word."""
        for socket in list(self._open):
            await socket.close()


def _goodbye(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "practice"}}
