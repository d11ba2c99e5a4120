"""chat.*, reactions.add, pins.add and bookmarks.add: what an app writes into channels."""

from __future__ import annotations

from bot.practice.slack_server.contract import Json, Method, SlackError, bot_channel, flag, lint_or_refuse, need
from bot.practice.slack_server.records import Channel, Message
from bot.practice.slack_server.workspace import Workspace


def post_message(ws: Workspace, args: Json) -> Json:
    channel = _addressed(ws, need(args, "channel", "channel_not_found"))
    lint_or_refuse("chat.postMessage", args)
    parent = _parent(ws, channel.id, args.get("thread_ts"))
    message = ws.post(
        channel.id,
        ws.seed.bot_user,
        args.get("text") or "",
        args.get("blocks") or [],
        attachments=args.get("attachments") or [],
        thread_ts=parent.ts if parent else None,
        broadcast=parent is not None and flag(args, "reply_broadcast"),
        metadata=args.get("metadata"),
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.as_slack(metadata=True)}


def _addressed(ws: Workspace, name: str) -> Channel:
    """A channel's id or name, or a person's id for a direct message."""
    if name in ws.users:
        return ws.dm(name)
    free = "chat:write.public" in ws.manifest.scopes
    return bot_channel(ws, name, member=not free)


def _parent(ws: Workspace, channel: str, ts: str | None) -> Message | None:
    if ts is None:
        return None
    parent = ws.message(channel, ts)
    if parent is None or parent.seen_by:
        raise SlackError("thread_not_found")
    if parent.thread_ts not in (None, parent.ts):
        raise SlackError("cannot_reply_to_message")
    return parent


def update(ws: Workspace, args: Json) -> Json:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"))
    message = _own(ws, channel, need(args, "ts"), "cant_update_message")
    lint_or_refuse("chat.update", args)
    if args.get("metadata") is not None:
        message.metadata = args["metadata"] or None
    message.broadcast = message.broadcast or flag(args, "reply_broadcast")
    # Text alone leaves the blocks as they are; an empty list takes them off (slackapi/python-slack-sdk#523).
    ws.edit(message, args.get("text"), args.get("blocks"))
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message.as_slack(metadata=True),
    }


def delete(ws: Workspace, args: Json) -> Json:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"))
    message = _own(ws, channel, need(args, "ts"), "cant_delete_message")
    ws.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def _own(ws: Workspace, channel: Channel, ts: str, otherwise: str) -> Message:
    message = ws.message(channel.id, ts)
    if message is None or message.seen_by:
        raise SlackError("message_not_found")
    if message.user != ws.seed.bot_user:
        raise SlackError(otherwise)
    return message


def post_ephemeral(ws: Workspace, args: Json) -> Json:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"))
    user = need(args, "user")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    lint_or_refuse("chat.postEphemeral", args)
    text, blocks = args.get("text") or "", args.get("blocks") or []
    more = {"seen_by": user, "thread_ts": args.get("thread_ts")}
    return {"message_ts": ws.post(channel.id, ws.seed.bot_user, text, blocks, **more).ts}


def permalink(ws: Workspace, args: Json) -> Json:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"), member=False)
    message = ws.message(channel.id, need(args, "message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"{ws.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts not in (None, message.ts):
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def add_reaction(ws: Workspace, args: Json) -> Json:
    message = _pointed_at(ws, args)
    who = message.reactions.setdefault(need(args, "name", "invalid_name"), [])
    if ws.seed.bot_user in who:
        raise SlackError("already_reacted")
    who.append(ws.seed.bot_user)
    ws.changes.tell("message", channel=message.channel, ts=message.ts, what="reaction")
    return {}


def add_pin(ws: Workspace, args: Json) -> Json:
    message = _pointed_at(ws, args)
    if message.pinned:
        raise SlackError("already_pinned")
    message.pinned = True
    ws.changes.tell("message", channel=message.channel, ts=message.ts, what="pinned")
    return {}


def _pointed_at(ws: Workspace, args: Json) -> Message:
    channel = bot_channel(ws, need(args, "channel", "channel_not_found"))
    message = ws.message(channel.id, need(args, "timestamp", "no_item_specified"))
    if message is None:
        raise SlackError("message_not_found")
    return message


def add_bookmark(ws: Workspace, args: Json) -> Json:
    channel = bot_channel(ws, need(args, "channel_id", "channel_not_found"))
    link = str(args.get("link", ""))
    if not link.startswith(("http://", "https://")):
        raise SlackError("invalid_link")
    bookmark = {
        "id": f"Bk{len(channel.bookmarks):08d}",
        "channel_id": channel.id,
        "title": need(args, "title"),
        "link": link,
        "emoji": args.get("emoji", ""),
        "type": need(args, "type", "invalid_bookmark_type"),
    }
    channel.bookmarks.append(bookmark)
    ws.changes.tell("channel", channel=channel.id, what="bookmark")
    return {"bookmark": bookmark}


METHODS = {
    "chat.postMessage": Method(post_message, "chat:write"),
    "chat.update": Method(update, "chat:write"),
    "chat.delete": Method(delete, "chat:write"),
    "chat.postEphemeral": Method(post_ephemeral, "chat:write"),
    "chat.getPermalink": Method(permalink),
    "reactions.add": Method(add_reaction, "reactions:write"),
    "pins.add": Method(add_pin, "pins:write"),
    "bookmarks.add": Method(add_bookmark, "bookmarks:write"),
}
