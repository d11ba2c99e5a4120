"""Reads what a body has to hold, so that an act gets nothing of another type."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.practice.slack_server.workspace import Workspace

Json = dict[str, Any]
TS = re.compile(r"\d{10,}\.\d{6}")


class NoAct(Exception):
    """A body or a query that means nothing; the page never sends one."""


@dataclass(frozen=True)
class Body:
    """The fields of one JSON object. Every reader raises NoAct for a missing one or one of another type."""

    fields: Json

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise NoAct(f"{name} must be text")
        return value

    def maybe(self, name: str) -> str | None:
        """None if it is absent or null."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise NoAct(f"{name} must be text")
        return value

    def ts(self, name: str) -> str:
        return checked_ts(name, self.text(name))

    def table(self, name: str) -> Json:
        value = self.fields.get(name, {})
        if not isinstance(value, dict):
            raise NoAct(f"{name} must be an object")
        return value

    def flag(self, name: str) -> bool:
        value = self.fields.get(name, False)
        if not isinstance(value, bool):
            raise NoAct(f"{name} must be true or false")
        return value


def checked_ts(name: str, value: str) -> str:
    """A message's id."""
    if not TS.fullmatch(value):
        raise NoAct(f"{name} must be a message's ts")
    return value


def person(ws: Workspace, name: object) -> str:
    """Somebody who is in the workspace."""
    if not isinstance(name, str) or name not in ws.users:
        raise NoAct(f"as must be one of {', '.join(ws.users)}")
    return name


async def read(request: web.Request) -> Body:
    """The JSON object that was posted."""
    try:
        body = json.loads(_whole(json.dumps(await request.json(), ensure_ascii=False)))
    except (ValueError, LookupError, RecursionError):  # LookupError: of a charset
        raise NoAct("the body must be JSON") from None
    if not isinstance(body, dict):
        raise NoAct("the body must be an object")
    return Body(body)


def _whole(text: str) -> str:
    """Half a character (a lone surrogate) can't be sent on to anybody; as in a browser, it becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
