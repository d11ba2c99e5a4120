"""Turns what changes in the workspace into what each person is told of it."""

from __future__ import annotations

import logging
from typing import Any

from bot.practice.page.inspector import Inspector
from bot.practice.page.state import Sight
from bot.practice.page.streams import Streams
from bot.practice.slack_server import Message, PracticeSlack

Notice = dict[str, Any]
log = logging.getLogger(__name__)


class Feed:
    """Nobody is told of what they do not see."""

    def __init__(self, slack: PracticeSlack, sight: Sight, inspector: Inspector, streams: Streams) -> None:
        self._slack, self._sight, self._inspector, self._streams = slack, sight, inspector, streams
        self._ws = slack.workspace

    async def run(self) -> None:
        """Until it is cancelled."""
        news = self._slack.subscribe()
        try:
            while True:
                self.tell(await news.get())
        finally:
            self._slack.unsubscribe(news)

    def tell(self, notice: Notice) -> None:
        """What ``notice`` means for each. A fault of ours must not end the stream: then all read the state again."""
        try:
            {
                "message": self._message,
                "channel": self._channel,
                "view": self._view,
                "delivery": self._traffic,
                "call": self._traffic,
                "reset": self._reset,
            }.get(notice["kind"], _nothing)(notice)
        except Exception:
            log.exception("a change could not be told: %s", notice)
            self._streams.send("reset", {})

    def _message(self, notice: Notice) -> None:
        channel, ts = notice["channel"], notice["ts"]
        if notice["what"] == "deleted":
            self._gone(notice)
            return
        message = self._ws.message(channel, ts)
        if message is None:
            return  # deleted meanwhile, which is the next notice
        self._stands(message)
        if notice["what"] == "posted" and not message.seen_by:
            self._parent(channel, ts, message.thread_ts)

    def _stands(self, message: Message) -> None:
        sight = self._sight
        self._streams.send_each("message", lambda u: sight.message(u, message) if sight.sees(u, message) else None)

    def _gone(self, notice: Notice) -> None:
        channel, ts, seen_by = notice["channel"], notice["ts"], notice.get("seen_by")
        gone = {"channel": channel, "ts": ts}

        def seen(user: str) -> Notice | None:
            return gone if seen_by in (None, user) and self._sight.sees_channel(user, channel) else None

        self._streams.send_each("gone", seen)
        self._parent(channel, ts, notice.get("thread_ts"))

    def _parent(self, channel: str, ts: str, thread_ts: str | None) -> None:
        """Its count of replies is another one now."""
        parent = self._ws.message(channel, thread_ts) if thread_ts not in (None, ts) else None
        if parent is not None:
            self._stands(parent)

    def _channel(self, notice: Notice) -> None:
        channel, moved = self._ws.channels[notice["channel"]], notice.get("user", "")
        if channel.kind == "private" and moved:
            self._streams.send("reset", {}, moved)  # a whole channel appears, or is gone
        sight = self._sight
        self._streams.send_each(
            "channel", lambda u: sight.channel(u, channel) if sight.sees_channel(u, channel.id) else None
        )

    def _view(self, notice: Notice) -> None:
        user, home = notice["user"], self._ws.modals.homes.get(notice["user"])
        if home is not None and home.id == notice.get("view"):
            self._streams.send("home", self._sight.home(user), user)
        else:
            self._streams.send("view", self._sight.view(user), user)

    def _traffic(self, _notice: Notice) -> None:
        for entry in self._inspector.look():
            self._streams.send("inspector", entry)

    def _reset(self, _notice: Notice) -> None:
        self._sight.forget()
        self._inspector.clear()
        self._streams.send("reset", {})


def _nothing(_notice: Notice) -> None:
    """The page does not show this."""
