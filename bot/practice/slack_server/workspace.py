"""The state of the practice workspace. Everything that changes it goes through here and says so."""

from __future__ import annotations

import itertools
import secrets
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from bot.practice.slack_server.blocks import with_ids
from bot.practice.slack_server.changes import Changes
from bot.practice.slack_server.inputs import Values
from bot.practice.slack_server.manifest import Manifest
from bot.practice.slack_server.modals import Modals
from bot.practice.slack_server.records import ApiCall, Channel, Message, ResponseUrl, Trigger
from bot.practice.slack_server.seed import Seed, SeedGroup, SeedUser

Json = dict[str, Any]


class Workspace:
    """Users, channels, messages, views and the short-lived rights to answer. ``clock`` is seconds since the epoch."""

    def __init__(self, seed: Seed, manifest: Manifest, clock: Callable[[], float]) -> None:
        self.seed, self.manifest, self.clock = seed, manifest, clock
        self.changes = Changes()
        self.base_url = ""
        self._last_micros = 0
        self.reset()

    def reset(self) -> None:
        """Back to the seed; connections and subscribers stay."""
        seed = self.seed
        self.users: dict[str, SeedUser] = {u.id: u for u in seed.users}
        self.groups: dict[str, SeedGroup] = {g.id: g for g in seed.groups}
        self.channels = {c.id: Channel(c.id, c.name, set(c.members), c.private, None, c.topic) for c in seed.channels}
        self.messages: dict[str, list[Message]] = {c: [] for c in self.channels}
        owner = {"team_id": seed.team_id, "app_id": seed.app_id, "bot_id": seed.bot_id}
        self.modals = Modals(self.changes, {**owner, "app_installed_team_id": seed.team_id})
        self.triggers: dict[str, Trigger] = {}
        self.urls: dict[str, ResponseUrl] = {}
        self.calls: list[ApiCall] = []
        self.picked: dict[tuple[str, str, str], Values] = {}
        self._serial = itertools.count(1)
        self.changes.tell("reset")

    def next_ts(self) -> str:
        """A message id: the time, and never the same or an earlier one twice."""
        self._last_micros = max(int(self.clock() * 1_000_000), self._last_micros + 1)
        return f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"

    def channel_named(self, name: str) -> Channel | None:
        """By id or, as chat.postMessage allows, by name."""
        if name in self.channels:
            return self.channels[name]
        bare = name.removeprefix("#")
        return next((c for c in self.channels.values() if c.name == bare and not c.im_user), None)

    def dm(self, user: str) -> Channel:
        """The direct messages between the bot and a person; made when first asked for."""
        found = next((c for c in self.channels.values() if c.im_user == user), None)
        if found is None:
            found = Channel("D0" + user.removeprefix("U0"), user, {user, self.seed.bot_user}, im_user=user)
            self.channels[found.id], self.messages[found.id] = found, []
            self.changes.tell("channel", channel=found.id, user=user, what="opened")
        return found

    def post(self, channel: str, user: str, text: str, blocks: list[Json], **more: Any) -> Message:
        """A new message, also an ephemeral one (``seen_by``)."""
        app = self._as_bot() if user == self.seed.bot_user else None
        shown = with_ids(blocks)
        message = Message(self.next_ts(), channel, user, text, shown, app=app, **more)
        self.messages[channel].append(message)
        parent = self.message(channel, message.thread_ts) if message.thread_ts and not message.seen_by else None
        if parent is not None:
            parent.thread_ts = parent.ts
        self.changes.tell("message", channel=channel, ts=message.ts, what="posted")
        return message

    def _as_bot(self) -> Json:
        seed = self.seed
        profile = {"id": seed.bot_id, "app_id": seed.app_id, "name": self.manifest.name, "team_id": seed.team_id}
        return {"bot_id": seed.bot_id, "app_id": seed.app_id, "team": seed.team_id, "bot_profile": profile}

    def edit(self, message: Message, text: str | None, blocks: list[Json] | None) -> None:
        """In place; what is None stays as it is."""
        message.text = message.text if text is None else text
        message.blocks = message.blocks if blocks is None else with_ids(blocks)
        message.edited_ts = self.next_ts()
        self.changes.tell("message", channel=message.channel, ts=message.ts, what="edited")

    def delete(self, message: Message) -> None:
        self.messages[message.channel].remove(message)
        was = {"thread_ts": message.thread_ts, "seen_by": message.seen_by}
        self.changes.tell("message", channel=message.channel, ts=message.ts, what="deleted", **was)

    def message(self, channel: str, ts: str) -> Message | None:
        found = self.messages.get(channel, [])
        at = bisect_left(found, ts, key=_ts)  # they stand in the order of their ids, all of the same length
        return found[at] if at < len(found) and found[at].ts == ts else None

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The replies to ``ts``, oldest first, without their parent and without ephemeral ones."""
        found = self.messages.get(channel, [])
        later = found[bisect_left(found, ts, key=_ts) :]
        return [m for m in later if m.thread_ts == ts and m.ts != ts and m.seen_by is None]

    def trigger(self, user: str, view_id: str | None = None) -> str:
        """A new trigger_id."""
        at = self.clock()
        key = f"{int(at)}.{next(self._serial):010d}.{secrets.token_hex(8)}"
        self.triggers[key] = Trigger(user, at, view_id)
        return key

    def response_url(self, user: str, channel: str, ts: str | None = None) -> str:
        """A new response_url for what ``user`` did in ``channel``, on the message ``ts`` if any."""
        key = secrets.token_hex(12)
        self.urls[key] = ResponseUrl(user, channel, self.clock(), ts)
        return f"{self.base_url}/response/{key}"

    def join(self, user: str, channel: str) -> None:
        self.channels[channel].members.add(user)
        self.changes.tell("channel", channel=channel, user=user, what="joined")

    def leave(self, user: str, channel: str) -> None:
        self.channels[channel].members.discard(user)
        self.changes.tell("channel", channel=channel, user=user, what="left")

    def record(self, call: ApiCall) -> None:
        self.calls.append(call)
        self.changes.tell("call", method=call.method, ok=call.answer.get("ok", False))


def _ts(message: Message) -> str:
    return message.ts
