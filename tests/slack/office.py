"""A practice Slack, the real bot and a small real platform, on one clock that only the test moves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bot.core.run import Run
from bot.practice.slack_server import Ack, Message, PracticeSlack
from bot.slack.app import SlackApp, SlackConfig
from bot.store import messages
from bot.web.server import build_app
from tests.flows.house import House, close_house, open_house, write_flag
from tests.services import FakeClock

MANIFEST = json.loads((Path(__file__).parents[2] / "manifest.json").read_text(encoding="utf-8"))
ANA, BEN, CLEO, LEA, SAM = "U0ANA", "U0BEN", "U0CLEO", "U0LEA", "U0SAM"
INC, PLAT, SECRET = "C0INC", "C0PLAT", "G0SECRET"
FARES = """
feature: fares
owner: "@ml-oncall"
channel: "#ml-platform"
consumers: [pricing]
components:
  flag: {target: flags, flag: fares}
"""
POLICY = """
policy: 1
rules:
  - {name: one, approve: 1, from: "@ml-oncall"}
"""
TOKENS = {"ci-token": "ci"}


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Office:
    """``type``, ``press`` and the like are what people do; ``settle`` lets everything happen that follows from it."""

    house: House
    slack: PracticeSlack
    app: SlackApp
    url: str

    @property
    def clock(self) -> FakeClock:
        return self.house.clock

    async def type(self, text: str, who: str = ANA, channel: str = INC) -> str:
        """Types a command and lets everything happen; what was acked."""
        ack = await self.typed(text, who, channel)
        assert ack.ok, (ack.error, ack.details)
        await self.settle()
        return str(ack.body["text"] if isinstance(ack.body, dict) else ack.body or "")

    async def typed(self, text: str, who: str = ANA, channel: str = INC) -> Ack:
        return await self.slack.slash("/rollback", text, who, channel)

    async def press(
        self, message: Message, action: str, who: str = BEN, *, force: bool = False, value: str | None = None
    ) -> None:
        """Presses a button of a message and lets everything happen."""
        ack = await self.slack.click(message.channel, message.ts, action, who, value, force=force)
        assert ack.ok, (ack.error, ack.details)
        await self.settle()

    async def settle(self) -> None:
        """The worker's and the publisher's loops, by hand, until nothing is left to do."""
        await self.app.desk.idle()
        await self.house.settle()
        await self.publish()

    async def publish(self, patience: int = 200) -> None:
        """Sends what is due; time passes while Slack wants it to."""
        for _ in range(patience):
            if not await self.app.publisher.publish_due():
                if not await self.due():
                    return
                self.clock.advance(1.0)
        raise AssertionError(f"messages stay due: {await self.troubles()}")

    async def due(self) -> list[str]:
        return [m.key for m in await self.house.store.read(messages.due)]

    async def troubles(self) -> list[tuple[str, str]]:
        return await self.house.store.read(messages.troubled)

    def card(self, channel: str = INC, run: int | None = None) -> Message:
        """The newest card in a channel."""
        cards = [m for m in self.slack.channel(channel) if key_of(m).endswith(":card")]
        return [m for m in cards if run is None or key_of(m) == f"R-{run}:card"][-1]

    def told(self, who: str, channel: str | None = None) -> list[str]:
        """What only this person has seen, oldest first."""
        return [m.text for m in self.slack.ephemerals(who, channel)]

    async def run(self, number: int) -> Run:
        return await self.house.run(number)

    async def two_releases(self) -> None:
        """v1 serves everybody, v2 a quarter; v2 is live and bad."""
        await self.type("capture fares v1 the good one")
        self.clock.advance(25 * 3600)
        write_flag(self.house.folder, share=25)
        await self.type("capture fares v2 the bad one")
        self.clock.advance(600)

    async def waiting(
        self, text: str = "fares to v1 because ETAs are wrong", who: str = ANA, channel: str = INC
    ) -> Message:
        """Two releases and a card that waits for approval."""
        await self.two_releases()
        await self.type(text, who, channel)
        return self.card(channel)


def key_of(message: Message) -> str:
    return str(((message.metadata or {}).get("event_payload") or {}).get("key", ""))


def actions(message: Message) -> list[str]:
    return [str(b["action_id"]) for b in message.buttons]


async def serve(app: web.Application) -> tuple[str, Callable[[], Awaitable[None]]]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}", runner.cleanup


def write_team(folder: Path, feature: str = FARES, policy: str = POLICY) -> None:
    """What the team has written: this feature, and groups that only Slack knows."""
    (folder / "playbooks/features/fares.yaml").write_text(feature)
    (folder / "playbooks/policy.yaml").write_text(policy)


@contextlib.asynccontextmanager
async def open_office(
    folder: Path, clock: FakeClock, transport: str, url: str = "", **how: Any
) -> AsyncIterator[Office]:
    """``transport``: http or socket. ``url``: of the database, SQLite if none. ``how``: for PracticeSlack."""
    async with contextlib.AsyncExitStack() as stack:
        house = await open_house(folder, clock, url or f"sqlite:///{folder / 'rollbot.db'}")
        stack.push_async_callback(close_house, house)
        write_team(folder)
        given = {"ack_timeout": 20.0, "retry_scale": 0.0, **how}
        slack = PracticeSlack(MANIFEST, clock=lambda: clock.now().timestamp(), **given)
        await slack.start()
        stack.push_async_callback(slack.stop)
        config = SlackConfig(
            bot_token=slack.bot_token,
            signing_secret=slack.signing_secret,
            app_token=slack.app_token if transport == "socket" else None,
            api_url=slack.api_url,
        )
        app = SlackApp(house.world, config)
        house.world.people = app.people
        # Signatures are made and judged on the real clock, everything else on the test's.
        url, stop_web = await serve(build_app(house.world, app, tokens=TOKENS, clock=RealClock()))
        stack.push_async_callback(stop_web)
        await app.start()
        stack.push_async_callback(app.stop)
        if transport == "http":
            slack.connect_http(f"{url}/slack/events")
        else:
            await slack.wait_for(lambda: slack.connections == config.sockets, 30)
        yield Office(house, slack, app, url)


async def get(url: str, **how: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(url, **how) as answer:
        return answer.status, await answer.text()


async def post(url: str, **how: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.post(url, **how) as answer:
        return answer.status, await answer.text()
