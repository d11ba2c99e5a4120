"""What a storm of requests is measured in: ``rollbot serve`` on SQLite or on PostgreSQL, between a practice Slack and a
client in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from bot.practice.bot_process import environment as clean
from bot.practice.place import key_of, manifest
from bot.practice.slack_server import PracticeSlack
from bot.store import migrate
from tests.bench import cpu
from tests.bench.ack_scene import channel_of, environment, name_of, seed, write_books
from tests.bench.load_client import Job
from tests.services import Postgres, postgres_binaries

TOKEN = "token-of-the-bench"
FEATURE, VERSION = name_of(0), "v1"
STRANGER = "U0SAM"
READY = re.compile(rb"rollbot is ready(?: on http://[^:]+:(\d+))?")
WARM_S = 60
LONGEST = 2**26
"""Bytes of the client's longest line."""


@dataclass
class Load:
    """``press``: the payload of a stranger's press of *Approve*, which the worker refuses."""

    url: str
    port: int
    secret: str
    client: asyncio.subprocess.Process
    press: dict[str, Any]

    async def send(self, *, presses: int, posts: int = 0, lines: int = 0, seconds: float = 0.0) -> dict[str, Any]:
        """What the client answers to this job."""
        release = {"feature": FEATURE, "version": VERSION}
        job = Job(self.port, self.secret, TOKEN, self.press, release, presses, posts, lines, seconds)
        assert self.client.stdin and self.client.stdout
        self.client.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        await self.client.stdin.drain()
        answer = await self.client.stdout.readline()
        if not answer:
            raise RuntimeError("the client ended without an answer")
        return dict(json.loads(answer))

    def kept(self) -> dict[str, tuple[int, int]]:
        """Rows of the inbox, and different keys among them, for presses and for posts."""
        counted = "SELECT count(*), count(DISTINCT request_key) FROM inbox WHERE request_key LIKE '{}:%'"
        return {what: self._ask(counted.format(like)) for what, like in (("press", "slack"), ("post", "hook"))}

    def _ask(self, sql: str) -> tuple[int, int]:
        if self.url.startswith("sqlite:///"):
            with closing(sqlite3.connect(f"file:{self.url.removeprefix('sqlite:///')}?mode=ro", uri=True)) as db:
                row = db.execute(sql).fetchone()
        else:
            with psycopg.connect(self.url) as pg:
                row = pg.execute(sql).fetchone()  # type: ignore[call-overload]
        return int(row[0]), int(row[1])


@contextmanager
def postgres() -> Iterator[Callable[[], str] | None]:
    """Makes empty databases, and says their URL, on a server that waits for its disk; None where there is none."""
    binaries = postgres_binaries()
    if binaries is None:
        yield None
        return
    server = Postgres(binaries, fsync=True)
    server.start()
    try:
        yield server.new_database
    finally:
        server.remove()


@asynccontextmanager
async def open_load(url: str | None, roles: Sequence[str]) -> AsyncIterator[Load]:
    """On SQLite, or on PostgreSQL at ``url``; a process for each role."""
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="rollbot-bench-"))).resolve()
        write_books(folder)
        slack: Any = PracticeSlack(manifest(), seed())
        await slack.start()
        opened.push_async_callback(slack.stop)
        env = {**environment(folder, slack), "ROLLBOT_HOOK_TOKENS": f"ci={TOKEN}"}
        env["ROLLBOT_WORKSPACES"] = seed().team_id
        if url:
            env["ROLLBOT_DATABASE_URL"] = url
            await asyncio.to_thread(migrate.migrate, url)
        port = 0
        for role in roles:
            port = await _serve(folder, env, role, opened) or port
        slack.connect_http(f"http://127.0.0.1:{port}/slack/events")
        press = await _stranger(slack)
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.load_client"), stdin=-1, stdout=-1, limit=LONGEST
        )
        opened.push_async_callback(_end, client)
        await _calm()
        yield Load(env["ROLLBOT_DATABASE_URL"], port, slack.signing_secret, client, press)


async def _calm() -> None:
    """Until all has warmed up that was started: the libraries that each process imports behind take a core."""
    before = cpu.of_tree(os.getpid())
    for _ in range(WARM_S):
        await asyncio.sleep(1.0)
        now = cpu.of_tree(os.getpid())
        if now - before < 0.1:
            return
        before = now


async def _serve(folder: Path, env: Mapping[str, str], role: str, opened: AsyncExitStack) -> int:
    """Its port, once it is ready; 0 where it has none."""
    words = [sys.executable, "-m", "bot", "serve", "--role", role]
    with (folder / f"{role}.log").open("wb") as log:
        bot = await asyncio.create_subprocess_exec(*words, cwd=folder, env=clean(env), stdout=-1, stderr=log)
    opened.push_async_callback(_end, bot)
    assert bot.stdout
    while line := await bot.stdout.readline():
        if found := READY.search(line):
            return int(found[1] or 0)
    raise RuntimeError(f"serve --role {role} ended: {(folder / f'{role}.log').read_text()[-300:]}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.communicate()


async def _stranger(slack: Any) -> dict[str, Any]:
    """A release, a run of it that waits for approval, and a stranger who presses *Approve* once."""
    channel = channel_of(0)
    await slack.slash("/rollback", f"capture {FEATURE} {VERSION}", "U0ANA", channel)
    await slack.wait_for(lambda: any("Captured" in m.text for m in slack.ephemerals("U0ANA", channel)), 120.0)
    await slack.slash("/rollback", f"{FEATURE} to {VERSION} because ETAs are wrong", "U0ANA", channel)
    waits = lambda m: key_of(m).endswith(":card") and any(b["action_id"] == "approve" for b in m.buttons)  # noqa: E731
    card = await slack.wait_for(lambda: next(filter(waits, slack.channel(channel)), None), 60.0)
    await slack.click(channel, card.ts, "approve", STRANGER)
    return dict(slack.deliveries[-1].payload)
