"""Finding a message again that was posted, and whose place was lost in a crash between post and commit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.slack.client import SlackClient
from bot.slack.refusals import ELSEWHERE, error_of
from bot.slack.views.words import Json

EVENT = "rollbot"
"""The type of our messages' metadata, which carry their key."""
PAGES = 5
BEFORE = timedelta(minutes=5)
"""How much Slack's clock may be behind ours when a lost message is looked for."""


async def found(client: SlackClient, key: str, channel: str, thread: str | None, since: datetime) -> str | None:
    """The ts of the message with this key, posted at ``since`` or later; None also where we may not look, since there
    we may not have posted either. Slack shows nobody's direct messages without another scope: there a message may come
    twice. Raises what is in TROUBLE."""
    if channel[0] in "DUW":
        return None
    try:
        return await _find(client, key, channel, thread, since)
    except SlackApiError as e:
        if error_of(e) in ELSEWHERE or error_of(e) == "missing_scope":
            return None
        raise


async def _find(client: SlackClient, key: str, channel: str, thread: str | None, since: datetime) -> str | None:
    oldest = f"{(since - BEFORE).timestamp():.6f}"
    how: Json = {"channel": channel, "oldest": oldest, "limit": 200, "include_all_metadata": True}
    for _ in range(PAGES):
        if thread:
            answer: Any = await client.conversations_replies(ts=thread, **how)
        else:
            answer = await client.conversations_history(**how)
        for message in answer.get("messages") or []:
            if _key_of(message) == key:
                return str(message["ts"])
        how["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor")
        if not how["cursor"]:
            return None
    return None


def _key_of(message: Json) -> str | None:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") if metadata.get("event_type") == EVENT else None
    return str(payload.get("key")) if isinstance(payload, dict) else None
