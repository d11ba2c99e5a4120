"""A whole practice: the local Slack, the small real platform, and the real bot between the two."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from bot.core.errors import Fault
from bot.practice.bot_process import BotProcess
from bot.practice.narrator import Bar
from bot.practice.slack_server import Message, PracticeSlack
from bot.practice.stack.build import make_stack
from bot.practice.stack.host import Host
from bot.practice.stack.stack import PARTS, Stack

Transport = Literal["http", "socket"]
P = ParamSpec("P")
R = TypeVar("R")
ANA, BEN, CLEO, LEA, SAM = "U0ANA", "U0BEN", "U0CLEO", "U0LEA", "U0SAM"
INCIDENT, PLATFORM = "C0INC", "C0PLAT"
FEATURE = "driver_stats"
SOCKETS = 2
"""Connections that the bot opens in Socket Mode."""
PATIENCE = 180.0
"""Seconds that a practice waits for anything before it says what did not happen."""


@dataclass
class Place:
    """All of it, started. ``token`` is what CI shows to the bot's hooks."""

    folder: Path
    slack: PracticeSlack
    stack: Stack
    bot: BotProcess
    transport: Transport
    token: str

    async def start_bot(self) -> None:
        """Also after it was killed: Slack then sends to where it listens now."""
        await self.bot.start()
        if self.transport == "http":
            self.slack.connect_http(f"{self.bot.url}/slack/events")
        else:
            await self.until(lambda: self.slack.connections >= SOCKETS, "the bot did not connect to Slack")

    async def until(self, predicate: Callable[[], R | None], otherwise: str, patience: float = PATIENCE) -> R:
        """The first truthy answer, asked after each change in Slack. Raises Fault with ``otherwise``."""
        try:
            found = await self.slack.wait_for(predicate, patience)
        except TimeoutError:
            ended = "" if self.bot.alive else " (the bot has ended)"
            last = self.bot.last_words()
            raise Fault(f"{otherwise} within {patience:.0f} s{ended}; the bot's last words: {last}") from None
        if found is None:
            raise Fault(otherwise)
        return found

    def message(self, key: str) -> Message | None:
        """What the bot has posted under this name; the newest, wherever it stands."""
        everywhere = (m for place in self.slack.workspace.messages.values() for m in place)
        return max((m for m in everywhere if key_of(m) == key), key=lambda m: m.ts, default=None)


def key_of(message: Message) -> str:
    """The name under which the bot finds its own message again."""
    return str(((message.metadata or {}).get("event_payload") or {}).get("key", ""))


def manifest() -> dict[str, Any]:
    """The Slack app's manifest: inside the package in a wheel, beside it in a checkout."""
    shipped = Path(str(resources.files("bot"))) / "_shipped" / "manifest.json"
    file = shipped if shipped.is_file() else Path(__file__).parents[2] / "manifest.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The platform's calls block; Slack lives on this event loop."""
    return await asyncio.to_thread(work, *args, **kwargs)


@asynccontextmanager
async def open_place(folder: Path, drivers: int, transport: Transport, port: int, bar: Bar) -> AsyncIterator[Place]:
    """Everything started, v11 live and served. On the way out every process has ended; the folder stays.

    ``port`` is the practice Slack's; 0 takes a free one. Raises Fault, BotEnded, and what the stack raises.
    """
    async with AsyncExitStack() as opened:
        slack = PracticeSlack(manifest())
        await _listen(slack, port)
        opened.push_async_callback(slack.stop)
        host = Host()
        opened.push_async_callback(in_thread, host.close)
        total = float(2 + PARTS + 2)
        stack = await in_thread(
            make_stack, folder / "stack", drivers=drivers, publish=(), host=host, on_progress=_from(bar, 0, total)
        )
        bot, token = _bot(folder, slack, stack, transport)
        opened.push_async_callback(bot.stop)
        place = Place(folder, slack, stack, bot, transport, token)
        await asyncio.gather(place.start_bot(), in_thread(_first_release, stack, _from(bar, 2, total)))
        yield place


async def _listen(slack: PracticeSlack, port: int) -> None:
    try:
        await slack.start(port)
    except OSError as e:
        await slack.stop()
        raise Fault(f"the practice Slack can't listen on port {port} ({e.strerror}); give another: --port 3001") from e


def _bot(folder: Path, slack: PracticeSlack, stack: Stack, transport: Transport) -> tuple[BotProcess, str]:
    token = secrets.token_urlsafe(16)
    env = {
        "ROLLBOT_DATABASE_URL": f"sqlite:///{folder / 'rollbot.db'}",
        "ROLLBOT_PLAYBOOKS": str(stack.playbooks),
        "ROLLBOT_ARTIFACTS": str(folder / "artifacts"),
        "ROLLBOT_AUDIT_KEY_FILE": str(folder / "rollbot-audit.key"),
        "ROLLBOT_CHILD_LOG": str(folder / "children.log"),
        "ROLLBOT_HOOK_TOKENS": f"ci={token}",
        "ROLLBOT_HOST": "127.0.0.1",
        "PORT": "0",
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
    }
    env |= {"SLACK_APP_TOKEN": slack.app_token} if transport == "socket" else {}
    return BotProcess(folder, env), token


def _first_release(stack: Stack, bar: Bar) -> None:
    stack.publish("v11", bar)
    bar(PARTS, PARTS, "feature server and model server")
    stack.start_serving(timeout=PATIENCE)
    bar(PARTS + 2, PARTS, "ready")


def _from(bar: Bar, before: float, total: float) -> Bar:
    return lambda done, _total, note: bar(before + done, total, note)
