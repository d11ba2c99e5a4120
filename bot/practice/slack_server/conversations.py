"""conversations.*: channels, who is in them, and what was said. The scope depends on the kind of channel."""

from __future__ import annotations

from bot.practice.slack_server.contract import (
    Json,
    Method,
    SlackError,
    bot_channel,
    flag,
    need,
    need_scope,
    page,
)
from bot.practice.slack_server.records import Channel, Message
from bot.practice.slack_server.workspace import Workspace

READ = {"public": "channels:read", "private": "groups:read", "im": "im:read"}
HISTORY = {"public": "channels:history", "private": "groups:history", "im": "im:history"}
TYPES = {"public_channel": "public", "private_channel": "private", "im": "im", "mpim": "mpim"}


def list_channels(ws: Workspace, args: Json) -> Json:
    kinds = {TYPES.get(t.strip(), "") for t in str(args.get("types") or "public_channel").split(",")}
    if "" in kinds:
        raise SlackError("invalid_types")
    for kind in sorted(kinds - {"mpim"}):
        need_scope(ws, READ[kind])
    bot = ws.seed.bot_user
    seen = [c for c in ws.channels.values() if c.kind in kinds and (c.kind == "public" or bot in c.members)]
    shown, cursor = page(seen, args, lambda c: c.id)
    return {"channels": [c.as_slack(bot) for c in shown], **_next(cursor)}


def info(ws: Workspace, args: Json) -> Json:
    channel = _readable(ws, args)
    shown = channel.as_slack(ws.seed.bot_user)
    if flag(args, "include_num_members"):
        shown["num_members"] = len(channel.members)
    return {"channel": shown}


def members(ws: Workspace, args: Json) -> Json:
    shown, cursor = page(sorted(_readable(ws, args).members), args, str)
    return {"members": shown, **_next(cursor)}


def _readable(ws: Workspace, args: Json) -> Channel:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"), member=False)
    need_scope(ws, READ[channel.kind])
    return channel


def history(ws: Workspace, args: Json) -> Json:
    """Newest first; replies only if they were sent to the channel too, ephemeral messages never."""
    channel = _with_history(ws, args)
    found = [m for m in reversed(ws.messages[channel.id]) if m.top_level and _between(m, args)]
    shown, cursor = page(found, args, lambda m: m.ts)
    return {
        "messages": [_shown(ws, m, args) for m in shown],
        "has_more": bool(cursor),
        "pin_count": sum(m.pinned for m in ws.messages[channel.id]),
        **_next(cursor),
    }


def replies(ws: Workspace, args: Json) -> Json:
    """The parent and then its replies, oldest first."""
    channel = _with_history(ws, args)
    parent = ws.message(channel.id, need(args, "ts", "thread_not_found"))
    if parent is None or parent.seen_by:
        raise SlackError("thread_not_found")
    found = [m for m in ws.thread(channel.id, parent.ts) if _between(m, args)]
    shown, cursor = page([parent, *found], args, lambda m: m.ts, default=1000)
    return {"messages": [_shown(ws, m, args) for m in shown], "has_more": bool(cursor), **_next(cursor)}


def _with_history(ws: Workspace, args: Json) -> Channel:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"))
    need_scope(ws, HISTORY[channel.kind])
    return channel


def _between(message: Message, args: Json) -> bool:
    try:
        oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or "inf")
    except ValueError:
        raise SlackError("invalid_ts_oldest" if args.get("oldest") else "invalid_ts_latest") from None
    at = float(message.ts)
    return oldest <= at <= latest if flag(args, "inclusive") else oldest < at < latest


def _shown(ws: Workspace, message: Message, args: Json) -> Json:
    shown = message.as_slack(metadata=flag(args, "include_all_metadata"))
    below = ws.thread(message.channel, message.ts)
    if below:
        shown |= {"reply_count": len(below), "latest_reply": below[-1].ts}
        shown["reply_users"] = sorted({m.user for m in below})
    return shown


def open_dm(ws: Workspace, args: Json) -> Json:
    if args.get("channel"):
        return {"channel": {"id": bot_channel(ws, str(args["channel"])).id}}
    users = str(need(args, "users", "users_list_not_supplied")).split(",")
    if any(user not in ws.users for user in users):
        raise SlackError("user_not_found")
    if len(users) > 1:
        raise SlackError("too_many_users")  # group direct messages are not played here
    channel = ws.dm(users[0])
    return {"channel": channel.as_slack(ws.seed.bot_user) if flag(args, "return_im") else {"id": channel.id}}


def join(ws: Workspace, args: Json) -> Json:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"), member=False)
    if channel.kind != "public":
        raise SlackError("method_not_supported_for_channel_type")
    ws.join(ws.seed.bot_user, channel.id)
    return {"channel": channel.as_slack(ws.seed.bot_user)}


def _next(cursor: str) -> Json:
    return {"response_metadata": {"next_cursor": cursor}}


METHODS = {
    "conversations.list": Method(list_channels),
    "conversations.info": Method(info),
    "conversations.members": Method(members),
    "conversations.history": Method(history),
    "conversations.replies": Method(replies),
    "conversations.open": Method(open_dm, "im:write"),
    "conversations.join": Method(join, "channels:join"),
}
