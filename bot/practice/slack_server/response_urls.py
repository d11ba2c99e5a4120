"""What an app sends to a response_url: up to 5 answers within 30 minutes, also where the bot is not a member."""

from __future__ import annotations

from bot.practice.slack_server.contract import Json, SlackError, flag, lint_or_refuse
from bot.practice.slack_server.records import Message, ResponseUrl
from bot.practice.slack_server.workspace import Workspace

USES = 5
SECONDS = 30 * 60.0


def respond(ws: Workspace, key: str, body: Json) -> None:
    """Shows the answer. Raises SlackError with status 404 (``expired_url``, ``used_url``), or 400 for a bad body."""
    url = ws.urls.get(key)
    if url is None or ws.clock() - url.at > SECONDS:
        raise SlackError("expired_url", status=404)
    if url.uses >= USES:
        raise SlackError("used_url", status=404)
    if not flag(body, "delete_original"):
        _lint(body)
    url.uses += 1
    _apply(ws, url, body)


def _lint(body: Json) -> None:
    try:
        lint_or_refuse("chat.postEphemeral", body)
    except SlackError as refused:
        raise SlackError(refused.error, status=400, **refused.extra) from None


def _apply(ws: Workspace, url: ResponseUrl, body: Json) -> None:
    original = ws.message(url.channel, url.ts) if url.ts else None
    if flag(body, "delete_original"):
        if original is not None:
            ws.delete(original)
    elif flag(body, "replace_original") and original is not None:
        ws.edit(original, body.get("text") or "", body.get("blocks") or [])
    else:
        show(ws, url.channel, url.user, body, via="response_url")


def show(ws: Workspace, channel: str, user: str, body: Json, via: str) -> Message:
    """A body with ``response_type``: to everybody if it says ``in_channel``, else to ``user`` alone."""
    seen_by = None if body.get("response_type") == "in_channel" else user
    text, blocks = body.get("text") or "", body.get("blocks") or []
    more = {"seen_by": seen_by, "thread_ts": body.get("thread_ts"), "via": via}
    return ws.post(channel, ws.seed.bot_user, text, blocks, **more)
