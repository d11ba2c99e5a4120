"""The gate in front of the Web API: arguments, token, faults, scope and pace, and one record per call."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from aiohttp import web

from bot.practice.slack_server import chat, conversations, directory, views
from bot.practice.slack_server.contract import Json, Method, SlackError, need_scope
from bot.practice.slack_server.records import ApiCall
from bot.practice.slack_server.strain import Fault, Faults, Pace
from bot.practice.slack_server.workspace import Workspace

# These arguments are JSON, also inside a form, and what is said when they are not.
NESTED = {
    "blocks": "invalid_blocks_format",
    "view": "invalid_arguments",
    "metadata": "invalid_metadata_format",
    "attachments": "invalid_attachments",
    "message": "invalid_arguments",
}


class Api:
    """Answers ``/api/{method}``. ``tokens`` maps a token to its kind, "bot" or "app"."""

    def __init__(self, workspace: Workspace, tokens: dict[str, str], methods: dict[str, Method]) -> None:
        self._ws, self._tokens = workspace, tokens
        self.faults, self.pace = Faults(), Pace(workspace.clock)
        shared = (chat.METHODS, conversations.METHODS, directory.METHODS, views.METHODS)
        self.methods = {name: method for table in (*shared, methods) for name, method in table.items()}

    async def handle(self, request: web.Request) -> web.Response:
        name, began, at = request.match_info["method"], time.perf_counter(), self._ws.clock()
        args: Json = {}
        fault = self.faults.take(name)
        try:
            args, token = await read_args(request)
            answer, status, headers = await self._answer(name, args, token, fault), 200, {}
        except SlackError as refused:
            answer, status, headers = refused.answer, refused.status, refused.headers
        ms = (time.perf_counter() - began) * 1000
        self._ws.record(ApiCall(name, args, at, ms, status, answer))
        if fault is not None and fault.drop_reply and request.transport is not None:
            request.transport.abort()
        scopes = {"x-oauth-scopes": ",".join(sorted(self._ws.manifest.scopes))}
        return web.json_response(answer, status=status, headers={**scopes, **headers})

    async def _answer(self, name: str, args: Json, token: str | None, fault: Fault | None) -> Json:
        if fault is not None:
            await asyncio.sleep(fault.delay)
            if fault.refuses:
                raise fault.refusal
        method = self.methods.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        self._check_token(method, token)
        if method.scope is not None:
            need_scope(self._ws, method.scope)
        self.pace.check(name, args)
        return {"ok": True, **method.run(self._ws, args)}

    def _check_token(self, method: Method, token: str | None) -> None:
        if method.token == "none":  # noqa: S105
            return
        if not token:
            raise SlackError("not_authed")
        if token not in self._tokens:
            raise SlackError("invalid_auth")
        if self._tokens[token] != method.token:
            raise SlackError("not_allowed_token_type")


async def read_args(request: web.Request) -> tuple[Json, str | None]:
    """The arguments and the token, wherever Slack allows them: query, form or JSON body, header or ``token``."""
    args: Json = dict(request.query)
    if request.method == "POST":
        args |= await _body(request)
    for name, error in NESTED.items():
        if isinstance(args.get(name), str):
            args[name] = _parse(args[name], error)
    in_args = args.pop("token", None)
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return args, bearer or in_args


async def _body(request: web.Request) -> Json:
    if request.content_type == "application/json":
        body = _parse(await request.text() or "{}", "invalid_json")
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return body
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return dict(await request.post())
    if request.can_read_body:
        raise SlackError("invalid_post_type")
    return {}


def _parse(text: str, error: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise SlackError(error) from None
