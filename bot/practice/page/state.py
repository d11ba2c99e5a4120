"""What one person sees of the workspace, as JSON: the same rules for the first look, for what is older and for news."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bot.practice.slack_server.inputs import state_values
from bot.practice.slack_server.records import Channel, Json, Message, View
from bot.practice.slack_server.workspace import Workspace

AT_ONCE = 200
"""Top-level messages that come with one answer."""


class Sight:
    """The workspace through the eyes of each of its people, with the mark up to which each has read each channel."""

    def __init__(self, workspace: Workspace) -> None:
        self.ws = workspace
        self._marks: dict[tuple[str, str], str] = {}

    def read(self, user: str, channel: str, ts: str) -> None:
        """Moves the mark; never back."""
        self._marks[user, channel] = max(ts, self._marks.get((user, channel), ""))

    def forget(self) -> None:
        """Nobody has read anything."""
        self._marks.clear()

    def people(self) -> list[Json]:
        """Everybody, the bot last."""
        ws = self.ws
        known = [
            {"id": u.id, "name": u.name, "real_name": u.real_name, "title": u.title, "bot": False}
            for u in ws.users.values()
        ]
        name = ws.manifest.name
        return [*known, {"id": ws.seed.bot_user, "name": name, "real_name": name, "title": "app", "bot": True}]

    def team(self) -> Json:
        seed = self.ws.seed
        return {"id": seed.team_id, "name": seed.team_name, "domain": seed.team_domain}

    def groups(self) -> list[Json]:
        """What ``<!subteam^ID>`` means."""
        return [
            {"id": g.id, "handle": g.handle, "name": g.name, "members": list(g.members)}
            for g in self.ws.groups.values()
        ]

    def sees_channel(self, user: str, channel: str) -> bool:
        """Public ones all see; a private one and direct messages only who is in it."""
        place = self.ws.channels.get(channel)
        return place is not None and (place.kind == "public" or user in place.members)

    def sees(self, user: str, message: Message) -> bool:
        return message.seen_by in (None, user) and self.sees_channel(user, message.channel)

    def channels(self, user: str) -> list[Json]:
        """All that this person sees, each with its newest messages."""
        seen = [c for c in self.ws.channels.values() if self.sees_channel(user, c.id)]
        return [self.channel(user, c) | self.messages(user, c.id) for c in seen]

    def channel(self, user: str, channel: Channel) -> Json:
        """Without its messages. Direct messages are called after whom this person writes with: the bot."""
        shown: Json = {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind,
            "member": user in channel.members,
            "topic": channel.topic,
            "read": self._marks.get((user, channel.id), ""),
            "bookmarks": channel.bookmarks,
            "read_only": self.read_only(channel.id),
        }
        if channel.im_user:
            shown |= {"name": self.ws.manifest.name, "im_user": self.ws.seed.bot_user}
        return shown

    def read_only(self, channel: str) -> bool:
        """Whether the app takes no messages there."""
        return bool(self.ws.channels[channel].im_user) and self.ws.manifest.read_only

    def messages(self, user: str, channel: str, before: str | None = None) -> Json:
        """The last top-level messages (before ``before``) with all replies to them, oldest first, and whether there
        are older ones."""
        stands = self.ws.messages[channel]
        end = len(stands) if before is None else bisect_left(stands, before, key=_ts)
        start, tops, more = end, 0, False
        while start > 0:
            if _on_top(stands[start - 1]) and self.sees(user, stands[start - 1]):
                if tops == AT_ONCE:
                    more = True
                    break
                tops += 1
            start -= 1
        return {"messages": self._window(user, stands, start, end), "more": more}

    def _window(self, user: str, stands: Sequence[Message], start: int, end: int) -> list[Json]:
        replies = _by_parent(stands[start:])
        roots = {m.ts for m in stands[start:end] if _on_top(m)}
        shown = [
            m
            for n, m in enumerate(stands[start:], start)
            if self.sees(user, m) and ((n < end and _on_top(m)) or m.thread_ts in roots)
        ]
        return [self._message(user, m, replies.get(m.ts, [])) for m in shown]

    def thread(self, user: str, channel: str, ts: str) -> list[Json]:
        """A message and all replies to it; nothing where this person does not see it."""
        found = [m for m in self.ws.messages.get(channel, []) if ts in (m.ts, m.thread_ts) and self.sees(user, m)]
        replies = _by_parent(found)
        return [self._message(user, m, replies.get(m.ts, [])) for m in found]

    def message(self, user: str, message: Message) -> Json:
        """One message as it stands now."""
        below = self.ws.thread(message.channel, message.ts) if message.thread_ts == message.ts else []
        return self._message(user, message, below)

    def _message(self, user: str, message: Message, below: Sequence[Message]) -> Json:
        shown: Json = {
            "ts": message.ts,
            "channel": message.channel,
            "user": message.user,
            "text": message.text,
            "blocks": message.blocks,
            "attachments": message.attachments,
            "broadcast": message.broadcast,
            "edited": message.edited_ts or "",
            "only_you": message.seen_by is not None,
            "via": message.via,
            "reactions": [{"name": n, "users": u, "count": len(u)} for n, u in message.reactions.items()],
            "pinned": message.pinned,
            "reply_count": len(below),
            "reply_users": list(dict.fromkeys(m.user for m in below)),
            "app": message.app is not None,
        }
        optional = {
            "thread_ts": message.thread_ts,
            "latest_reply": below[-1].ts if below else None,
            "values": self.ws.picked.get((message.channel, message.ts, user)),
        }
        return shown | {name: value for name, value in optional.items() if value}

    def view(self, user: str) -> Json | None:
        """The modal in front of this person."""
        stack = self.ws.modals.stacks.get(user)
        return _view(stack[-1], len(stack)) if stack else None

    def home(self, user: str) -> Json | None:
        view = self.ws.modals.homes.get(user)
        return _view(view, 0) if view else None


def _view(view: View, depth: int) -> Json:
    payload = view.payload
    return {
        "id": view.id,
        "type": payload["type"],
        **{name: payload.get(name) for name in ("title", "submit", "close")},
        "blocks": view.blocks,
        "values": state_values(view.blocks, view.values),
        "errors": view.errors,
        "depth": depth,
    }


def _ts(message: Message) -> str:
    return message.ts


def _on_top(message: Message) -> bool:
    """In the channel itself, also if one person alone sees it."""
    return message.thread_ts in (None, message.ts) or message.broadcast


def _by_parent(messages: Iterable[Message]) -> dict[str, list[Message]]:
    """The replies under each message; without ephemeral ones, which count nowhere."""
    found: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        if message.thread_ts not in (None, message.ts) and message.seen_by is None:
            found[str(message.thread_ts)].append(message)
    return found
