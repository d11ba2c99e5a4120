"""rollbot serve and migrate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from enum import StrEnum
from typing import Annotated

import aiohttp
import typer
from aiohttp import web

from bot.cli.output import command, line, note, one_line
from bot.cli.session import need_playbooks, open_store, own, upgrade
from bot.core.errors import RollbotError
from bot.flows import clockwork
from bot.flows.guard import Guard
from bot.outside.identity import same_disk
from bot.web.server import build_app
from bot.wiring import Parts, Settings, build, load_settings
from bot.worker import Tick, Worker

log = logging.getLogger("rollbot")


class Role(StrEnum):
    """What this process does."""

    all = "all"
    web = "web"
    worker = "worker"


SWITCH_S = 0.0005
"""Seconds after which a thread that works makes way for one that waits (Python's default: 5 ms). An ack needs both the
loop and the thread that writes; with the default it took 0.2 to 0.4 ms longer at rest, and 0.7 to 2.5 ms back to back
(two rounds side by side; twenty at the same moment took as long either way)."""


@command
async def serve(
    role: Annotated[
        Role, typer.Option(help="web takes what people say, worker does it; 'all' is one process.")
    ] = Role.all,
) -> None:
    """Serve Slack, hooks and the CI answer, and run rollbacks."""
    sys.setswitchinterval(SWITCH_S)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("apscheduler", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    settings = load_settings()
    if settings.database_file is not None and role != Role.all:
        raise RollbotError("separate web and worker roles need PostgreSQL: set ROLLBOT_DATABASE_URL=postgresql://...")
    need_playbooks(settings)
    lock = own(settings)
    if settings.database_file is not None and lock is None:
        raise RollbotError(f"another rollbot works on {settings.database_file}; several replicas need PostgreSQL")
    parts = build(settings)
    try:
        await open_store(parts, fresh=True, owned=lock is not None)
        await _serve(parts, role)
    finally:
        await parts.stop()
        if lock is not None:
            lock.close()


async def _serve(parts: Parts, role: Role) -> None:
    """Until a signal. What is in hand is given back and goes on at the next start."""
    for warning in await same_disk(parts.store, parts.blobs):
        note(warning)
    worker = Worker(parts.world, parts.slack.publisher if parts.slack else None, ticks(parts))
    async with contextlib.AsyncExitStack() as stack:
        where = await _listen(parts, worker, stack) if role != Role.worker else ""
        await parts.children.start()  # from here on heavy libraries are imported behind, on a core of their own
        if role != Role.web:
            await worker.start()
            stack.push_async_callback(worker.stop)
        line(f"rollbot is ready on {where}" if where else "rollbot is ready: the worker")
        if parts.slack:
            stack.push_async_callback(parts.slack.stop)
            await parts.slack.start(listen=role != Role.worker)
        else:
            note("no SLACK_BOT_TOKEN, so Slack is off; the terminal, hooks and the gate work")
        await _until_signal()


async def _listen(parts: Parts, worker: Worker, stack: contextlib.AsyncExitStack) -> str:
    """The address at which it answers."""
    settings: Settings = parts.settings
    app = build_app(parts.world, parts.slack, tokens=settings.tokens, beat=lambda: worker.beat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, settings.host, settings.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


async def _until_signal() -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, over.set)
    await over.wait()


def ticks(parts: Parts) -> list[Tick]:
    """What is done every 15 seconds."""
    world = parts.world

    async def moments() -> object:
        return await clockwork.take_moments(world)

    async def reminders() -> object:
        return await clockwork.remind(world, page)

    checkpoints = clockwork.Checkpoints(world, parts.sign, parts.keep_checkpoint)
    return [moments, reminders, Guard(world).when_due, checkpoints.when_due]


async def page(url: str, body: dict[str, object]) -> None:
    """One JSON POST. A pager that does not answer is logged; the card still stands."""
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(url, json=body, allow_redirects=False) as r,
        ):
            r.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as e:
        log.warning("the page for %s was not taken: %s", body.get("run"), type(e).__name__)


def migrate() -> None:
    """Bring the database to this version's schema. Safe to run again."""
    with one_line():
        before, after = upgrade(load_settings())
        line(f"the database is at {after}" + ("" if before == after else f" (it was at {before or 'nothing'})"))
