"""What a trainer makes go wrong between Slack and the bot."""

from __future__ import annotations

from typing import Any

from bot.practice.page.inspector import Inspector
from bot.practice.page.keeper import Keeper
from bot.practice.page.streams import Streams
from bot.practice.slack_server import CannotDo, PracticeSlack

Json = dict[str, Any]


class Trouble:
    """Each has its real effect: a connection is cut, a call refused, a request repeated, a process killed."""

    def __init__(self, slack: PracticeSlack, inspector: Inspector, streams: Streams) -> None:
        self._slack, self._inspector, self._streams = slack, inspector, streams
        self.keeper: Keeper | None = None

    async def make(self, name: str) -> Json:
        """Raises CannotDo where it can't be, and for a name that is none of them."""
        ways = {
            "drop_socket": self._drop_socket,
            "inject_429": self._inject_429,
            "redeliver": self._redeliver,
            "kill_worker": self._kill_worker,
        }
        if name not in ways:
            raise CannotDo(f"no such trouble: {name}; there are {', '.join(ways)}")
        return await ways[name]()

    async def _drop_socket(self) -> Json:
        if not self._slack.connections:
            raise CannotDo("The bot hears Slack by HTTP, or is away: no connection is open that could be dropped.")
        await self._slack.drop_sockets()
        return {}

    async def _inject_429(self) -> Json:
        """The next call, whichever it is."""
        self._slack.fault("*", error="ratelimited", status=429, headers={"Retry-After": "1"})
        return {}

    async def _redeliver(self) -> Json:
        if not self._slack.deliveries:
            raise CannotDo("Nothing was sent to the bot yet.")
        last = self._slack.deliveries[-1]
        ack = await self._slack.redeliver()
        self._streams.send("inspector", self._inspector.again(last, ack))
        return {"ms": round(ack.ms, 2)}

    async def _kill_worker(self) -> Json:
        if self.keeper is None or not self.keeper.alive:
            raise CannotDo("The bot is not running now.")
        self.keeper.kill()
        return {}
