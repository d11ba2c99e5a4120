"""rollbot serve and migrate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from enum import StrEnum
from typing import Annotated

import aiohttp
import typer
from aiohttp import web

from bot.cli.output import command, err, line
from bot.cli.session import own, prepare
from bot.core.errors import RollbotError
from bot.flows import clockwork
from bot.outside.identity import same_disk
from bot.store import migrate as migrations
from bot.web.server import build_app
from bot.wiring import Parts, Settings, build, load_settings
from bot.worker import Tick, Worker

log = logging.getLogger("rollbot")


class Role(StrEnum):
    """What this process does."""

    all = "all"
    web = "web"
    worker = "worker"


@command
async def serve(
    role: Annotated[Role, typer.Option(help="web takes what people say, worker does it; 'all' is one process.")] = Role.all,
) -> None:
    """Serve Slack, hooks and the CI answer, and run rollbacks."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    settings = load_settings()
    if settings.database_file is not None and role != Role.all:
        raise RollbotError("separate web and worker roles need PostgreSQL: set ROLLBOT_DATABASE_URL=postgresql://...")
    prepare(settings)
    lock = own(settings)
    if settings.database_file is not None and lock is None:
        raise RollbotError(f"another rollbot works on {settings.database_file}; several replicas need PostgreSQL")
    parts = build(settings)
    await parts.start()
    try:
        await _serve(parts, role)
    finally:
        await parts.stop()
        if lock:
            lock.close()


async def _serve(parts: Parts, role: Role) -> None:
    """Until a signal. What is in hand is given back and goes on at the next start."""
    for warning in await same_disk(parts.store, parts.blobs):
        err.print(f"rollbot: {warning}", markup=False)
    worker = Worker(parts.world, parts.slack.publisher if parts.slack else None, ticks(parts))
    async with contextlib.AsyncExitStack() as stack:
        if role != Role.web:
            await worker.start()
            stack.push_async_callback(worker.stop)
        if role != Role.worker:
            await _listen(parts, worker, stack)
        if parts.slack and role != Role.worker:
            await parts.slack.start()
            stack.push_async_callback(parts.slack.stop)
        if not parts.slack:
            err.print("rollbot: no SLACK_BOT_TOKEN, so Slack is off; the terminal, hooks and the gate work", markup=False)
        await _until_signal()


async def _listen(parts: Parts, worker: Worker, stack: contextlib.AsyncExitStack) -> None:
    settings: Settings = parts.settings
    app = build_app(parts.world, parts.slack, tokens=settings.tokens, beat=lambda: worker.beat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, settings.host, settings.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    line(f"rollbot is ready on http://{host}:{port}")


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

    async def checkpoints() -> object:
        return await clockwork.checkpoint(world, parts.sign, parts.keep_checkpoint)

    return [moments, reminders, checkpoints]


async def page(url: str, body: dict[str, object]) -> None:
    """One JSON POST. A pager that does not answer is logged; the card still stands."""
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.post(url, json=body, allow_redirects=False) as r:
            r.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as e:
        log.warning("the page for %s was not taken: %s", body.get("run"), type(e).__name__)


def migrate() -> None:
    """Bring the database to this version's schema. Safe to run again."""
    try:
        settings = load_settings()
        if settings.database_file is not None:
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
        before, after = migrations.migrate(settings.database_url)
    except RollbotError as e:
        err.print(f"rollbot: {e.message}", markup=False)
        raise typer.Exit(e.code) from None
    line(f"the database is at {after}" + ("" if before == after else f" (it was at {before or 'nothing'})"))
