"""What the ack is measured in: ``rollbot serve`` on SQLite between a practice Slack and a client in processes of
their own, and the bare Bolt app beside it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.practice.bot_process import BotProcess
from bot.practice.place import key_of, manifest
from bot.practice.slack_server import PracticeSlack
from bot.practice.slack_server.seed import PEOPLE, Seed, SeedChannel, default_seed

FEATURES = 24
"""Each with a channel of its own: Slack takes one message a second and channel."""
STOP_AND_STANDARD = """\
playbook: {name}
steps:
  - disable: flag
"""
STANDARD = "  - verify: flag\n  - enable: flag\n"
FEATURE = """\
feature: {name}
owner: "@ml-oncall"
channel: "#ml-platform"
consumers: [pricing]
components:
  flag: {{target: flags, flag: {name}}}
"""
POLICY = "policy: 1\ngroups: {ml-oncall: [U0BEN]}\nrules:\n  - {name: one, approve: 1, from: '@ml-oncall'}\n"


def name_of(n: int) -> str:
    return f"fares_{n:03}"


def channel_of(n: int) -> str:
    return f"C0BENCH{n:03}"


def seed() -> Seed:
    more = tuple(SeedChannel(channel_of(n), f"bench-{n:03}", (*PEOPLE, "U0BOT")) for n in range(FEATURES))
    return replace(default_seed(), channels=(*default_seed().channels, *more))


def write_books(folder: Path) -> None:
    """Features that consist of one flag each, all in one file."""
    books = folder / "playbooks"
    for sub in ("features", "playbooks"):
        (books / sub).mkdir(parents=True)
    (books / "policy.yaml").write_text(POLICY)
    (books / "targets.yaml").write_text("flags: {type: flagd, file: ../flags.json}\n")
    (books / "playbooks/stop.yaml").write_text(STOP_AND_STANDARD.format(name="stop"))
    (books / "playbooks/standard.yaml").write_text(STOP_AND_STANDARD.format(name="standard") + STANDARD)
    rule: dict[str, object] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    names = [name_of(n) for n in range(FEATURES)]
    (folder / "flags.json").write_text(json.dumps({"flags": dict.fromkeys(names, rule)}))
    for name in names:
        (books / f"features/{name}.yaml").write_text(FEATURE.format(name=name))


def environment(folder: Path, slack: PracticeSlack) -> dict[str, str]:
    return {
        "ROLLBOT_DATABASE_URL": f"sqlite:///{folder / 'rollbot.db'}",
        "ROLLBOT_PLAYBOOKS": str(folder / "playbooks"),
        "ROLLBOT_ARTIFACTS": str(folder / "artifacts"),
        "ROLLBOT_AUDIT_KEY_FILE": str(folder / "rollbot-audit.key"),
        "ROLLBOT_HOST": "127.0.0.1",
        "PORT": "0",
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
    }


@dataclass(frozen=True)
class Acked:
    """One answer. ``ms`` from the first byte sent to the last one received."""

    ms: float
    status: int
    text: str

    @property
    def run(self) -> str:
        """The run that it names, if it was made by this command."""
        found = re.search(r"(R-\d+): ", self.text)
        return found[1] if found and "already" not in self.text else ""


@dataclass
class Scene:
    """``floor`` and ``bot`` are ports. ``send`` says commands, all at the same moment."""

    folder: Path
    slack: PracticeSlack
    floor: int
    bot: int
    client: asyncio.subprocess.Process
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def send(self, port: int, *said: tuple[str, str]) -> list[Acked]:
        """``said``: pairs of text and channel. Raises RuntimeError if one was not acked."""
        assert self.client.stdin and self.client.stdout
        job = [[port, text, channel] for text, channel in said]
        self.client.stdin.write(json.dumps(job).encode() + b"\n")
        await self.client.stdin.drain()
        answers = [Acked(*one) for one in json.loads(await self.client.stdout.readline())]
        bad = [a for a in answers if a.status != 200]
        if bad:
            raise RuntimeError(f"{len(bad)} of {len(answers)} not acked: {bad[0].status} {bad[0].text[:200]}")
        return answers

    def asked(self, n: int) -> tuple[str, str]:
        """What the feature's open run does already: stored like any other command, and no work follows from it."""
        return f"{name_of(n)} to v1 because {next(self.numbers)} ETAs are wrong", channel_of(n)

    def fresh(self, n: int) -> tuple[str, str]:
        """A dry run: a new run that is over when it is planned."""
        return f"{name_of(n)} to v1 dry run because {next(self.numbers)} ETAs are wrong", channel_of(n)

    async def planned(self, run: str, n: int) -> None:
        """Until the card of this run stands, so that nothing of it is still being worked on. Raises TimeoutError."""
        key = f"{run}:card"
        await self.slack.wait_for(lambda: any(key_of(m) == key for m in self.slack.channel(channel_of(n))), 60.0)

    async def capture_all(self) -> None:
        for n in range(FEATURES):
            await self.send(self.bot, (f"capture {name_of(n)} v1", channel_of(n)))
        told = self.slack.ephemerals
        done = lambda n: any("Captured" in m.text for m in told("U0ANA", channel_of(n)))  # noqa: E731
        await self.slack.wait_for(lambda: all(done(n) for n in range(FEATURES)), 120.0)

    async def open_all(self) -> None:
        """A run of each feature, which waits for approval from now on."""
        for n in range(FEATURES):
            [answer] = await self.send(self.bot, self.asked(n))
            await self.planned(answer.run, n)
        await self.rest()

    async def rest(self) -> None:
        """Until nothing is left to post (approvers get each card directly, one a second) or to apply."""
        while self.ask(
            "SELECT (SELECT count(*) FROM messages WHERE wanted > sent) + count(*) FROM inbox WHERE applied_at IS NULL"
        ):
            await asyncio.sleep(0.2)

    def ask(self, sql: str) -> int:
        """One number from the bot's database."""
        with closing(sqlite3.connect(f"file:{self.folder / 'rollbot.db'}?mode=ro", uri=True)) as db:
            return int(db.execute(sql).fetchone()[0])


async def _program(module: str, *words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    argv = [sys.executable, "-m", f"tests.bench.{module}", *words]
    return await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, limit=2**20)


async def _end(process: asyncio.subprocess.Process) -> None:
    """A program that ends with its input."""
    if process.stdin:
        process.stdin.close()
    await process.wait()


@asynccontextmanager
async def open_scene() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="rollbot-bench-"))).resolve()
        write_books(folder)
        slack: Any = PracticeSlack(manifest(), seed())
        await slack.start()
        opened.push_async_callback(slack.stop)
        floor = await _program("ack_floor", slack.signing_secret)
        opened.push_async_callback(_end, floor)
        assert floor.stdout
        floor_port = int(await floor.stdout.readline())
        bot = BotProcess(folder, environment(folder, slack))
        opened.push_async_callback(bot.stop)
        await bot.start()
        slack.connect_http(f"{bot.url}/slack/events")
        client = await _program("ack_client", slack.signing_secret)
        opened.push_async_callback(_end, client)
        scene = Scene(folder, slack, floor_port, int(bot.url.rpartition(":")[2]), client)
        await scene.capture_all()
        await scene.open_all()
        yield scene
