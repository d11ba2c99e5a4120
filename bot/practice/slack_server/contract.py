"""What an API method is, how it refuses, and how it reads its arguments."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from bot.practice.slack_server.records import Channel
from bot.practice.slack_server.workspace import Workspace
from bot.slack.lint import LintError, lint_call

Json = dict[str, Any]
T = TypeVar("T")

# What the lint finds under these names is the error of the whole call; anything else is one broken block.
WHOLE_CALL = {
    "msg_too_long",
    "msg_blocks_too_long",
    "no_text",
    "invalid_arguments",
    "invalid_metadata_format",
    "metadata_too_large",
    "view_too_large",
}


class SlackError(Exception):
    """An answer with ``ok: false``."""

    def __init__(self, error: str, *, status: int = 200, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(error)
        self.error, self.status, self.headers, self.extra = error, status, headers or {}, extra

    @property
    def answer(self) -> Json:
        return {"ok": False, "error": self.error, **self.extra}


@dataclass(frozen=True)
class Method:
    """One method of the Web API: what it does, the token it wants and the scope that token needs."""

    run: Callable[[Workspace, Json], Json]
    scope: str | None = None
    token: Literal["bot", "app", "none"] = "bot"  # noqa: S105


def lint_or_refuse(method: str, args: Json) -> None:
    """Raises the SlackError that Slack gives for what the lint finds, with each finding and its JSON pointer."""
    findings = lint_call(method, args)
    if findings:
        named = next((f["code"] for f in findings if f["code"] in WHOLE_CALL), None)
        broken = "invalid_arguments" if method.startswith("views.") else "invalid_blocks"
        lines = describe(findings)
        messages = [f"[ERROR] {line}" for line in lines]
        raise SlackError(named or broken, errors=lines, response_metadata={"messages": messages})


def describe(findings: Sequence[LintError]) -> list[str]:
    """One line each, with the pointer as Slack writes it."""
    return [f"{f['message']} [json-pointer:{f['pointer']}]" for f in findings]


def need(args: Json, name: str, error: str = "invalid_arguments") -> str:
    """A required argument."""
    value = args.get(name)
    if not value:
        raise SlackError(error, response_metadata={"messages": [f"[ERROR] missing required field: {name}"]})
    return str(value)


def flag(args: Json, name: str) -> bool:
    """A boolean, also as forms write it."""
    return str(args.get(name, "")).lower() in ("1", "true")


def need_scope(ws: Workspace, scope: str) -> None:
    """Raises missing_scope unless the manifest asks for it."""
    if scope not in ws.manifest.scopes:
        raise SlackError("missing_scope", needed=scope, provided=",".join(sorted(ws.manifest.scopes)))


def bot_channel(ws: Workspace, name: str, *, member: bool = True) -> Channel:
    """The channel as far as the bot can see it. ``member``: it has to be in it."""
    channel = ws.channel_named(name)
    inside = channel is not None and ws.seed.bot_user in channel.members
    if channel is None or (channel.kind != "public" and not inside):
        raise SlackError("channel_not_found")
    if member and not inside:
        raise SlackError("not_in_channel")
    return channel


def page(items: list[T], args: Json, key: Callable[[T], str], default: int = 100) -> tuple[list[T], str]:
    """One page and the cursor of the next ("" at the end). The cursor names the first item of the next page, so
    what arrives in between neither repeats nor skips anything. At most 999 items, as Slack."""
    start = _start(items, args.get("cursor"), key)
    size = _limit(args.get("limit"), default)
    rest = items[start + size :]
    return items[start : start + size], _cursor(key(rest[0])) if rest else ""


def _limit(given: Any, default: int) -> int:
    try:
        size = int(given or default)
    except ValueError:
        raise SlackError("invalid_limit") from None
    if size < 1:
        raise SlackError("invalid_limit")
    return min(size, 999)


def _cursor(key: str) -> str:
    return base64.b64encode(f"next:{key}".encode()).decode()


def _start(items: list[T], cursor: str | None, key: Callable[[T], str]) -> int:
    if not cursor:
        return 0
    try:
        wanted = base64.b64decode(cursor, validate=True).decode().removeprefix("next:")
        return [key(item) for item in items].index(wanted)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise SlackError("invalid_cursor") from None
