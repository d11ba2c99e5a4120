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
from bot.practice.stack import playbooks
from bot.practice.stack.build import make_stack
from bot.practice.stack.host import Host
from bot.practice.stack.layout import Layout
from bot.practice.stack.stack import PARTS, Stack

Transport = Literal["http", "socket"]
P = ParamSpec("P")
R = TypeVar("R")
ANA, BEN, CLEO, LEA, SAM = "U0ANA", "U0BEN", "U0CLEO", "U0LEA", "U0SAM"
INCIDENT, PLATFORM = "C0INC", "C0PLAT"
FEATURE = "driver_stats"
STACK = "stack"
"""The platform's folder in the practice's."""
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

    async def connect(self) -> None:
        """Slack and the bot to one another; also after the bot was started anew, since it then listens elsewhere."""
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
async def listening(slack: PracticeSlack, port: int) -> AsyncIterator[PracticeSlack]:
    """On this port of 127.0.0.1; 0 takes a free one. Raises Fault if it is taken."""
    try:
        await slack.start(port)
    except OSError as e:
        await slack.stop()
        raise Fault(f"the practice Slack can't listen on port {port} ({e.strerror}); give another: --port 3001") from e
    try:
        yield slack
    finally:
        await slack.stop()


@asynccontextmanager
async def open_place(
    folder: Path, drivers: int, transport: Transport, port: int, bar: Bar, slack: PracticeSlack | None = None
) -> AsyncIterator[Place]:
    """Everything started, v11 live and served. On the way out every process has ended; the folder stays.

    ``slack`` listens already and goes on after this; else one is made, on ``port``, where 0 takes a free one. Raises
    Fault, BotEnded, and what the stack raises.
    """
    async with AsyncExitStack() as opened:
        if slack is None:
            slack = await opened.enter_async_context(listening(PracticeSlack(manifest()), port))
        tmp, token = folder / "tmp", secrets.token_urlsafe(16)
        tmp.mkdir()
        host = Host(tmp)
        making = asyncio.get_running_loop().run_in_executor(None, _platform, folder / STACK, drivers, host, bar)
        opened.push_async_callback(_over, making)
        opened.push_async_callback(in_thread, host.close)
        opened.push_async_callback(_closed, making)
        playbooks.write(Layout(folder / STACK))  # the bot does not start without; it sees them change
        bot = BotProcess(folder, _settings(folder, slack, transport, token))
        opened.push_async_callback(bot.stop)
        # Together: both import Feast, Delta and MLflow first, which takes seconds.
        stack, _ = await asyncio.gather(asyncio.shield(making), bot.start())
        place = Place(folder, slack, stack, bot, transport, token)
        await place.connect()
        yield place


async def _closed(making: asyncio.Future[Stack]) -> None:
    if making.done() and making.exception() is None:
        await in_thread(making.result().close)


async def _over(making: asyncio.Future[Stack]) -> None:
    """A thread can't be cancelled; it ends when its host has, and must not write into the folder after that."""
    await asyncio.gather(making, return_exceptions=True)


def _settings(folder: Path, slack: PracticeSlack, transport: Transport, token: str) -> dict[str, str]:
    env = {
        "ROLLBOT_DATABASE_URL": f"sqlite:///{folder / 'rollbot.db'}",
        "ROLLBOT_PLAYBOOKS": str(Layout(folder / STACK).playbooks),
        "ROLLBOT_ARTIFACTS": str(folder / "artifacts"),
        "ROLLBOT_AUDIT_KEY_FILE": str(folder / "rollbot-audit.key"),
        "ROLLBOT_CHILD_LOG": str(folder / "children.log"),
        "ROLLBOT_HOOK_TOKENS": f"ci={token}",
        "ROLLBOT_HOST": "127.0.0.1",
        "PORT": "0",
        "TMPDIR": str(folder / "tmp"),
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
    }
    return env | ({"SLACK_APP_TOKEN": slack.app_token} if transport == "socket" else {})


def _platform(folder: Path, drivers: int, host: Host, bar: Bar) -> Stack:
    """With v11 live, and served."""
    total = 2.0 + PARTS + 1

    def shown(done: float, _total: float, note: str) -> None:
        bar(done, total, note)

    stack = make_stack(folder, drivers=drivers, publish=("v11",), host=host, on_progress=shown)
    bar(total - 1, total, "feature server and model server")
    stack.start_serving(timeout=PATIENCE)
    bar(total, total, "rollbot serve")
    return stack
