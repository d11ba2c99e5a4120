"""rollbot serve and migrate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from enum import StrEnum
from typing import Annotated

import aiohttp
import typer
from aiohttp import web

from bot.cli.output import command, line, note, one_line
from bot.cli.session import need_playbooks, open_store, own, upgrade
from bot.core.errors import RollbotError, Usage
from bot.flows import clockwork, drills, liveness
from bot.flows.guard import Guard
from bot.flows.stalls import Stalls
from bot.flows.world import World
from bot.outside.identity import same_disk
from bot.store.jobs import down
from bot.store.move import move
from bot.web.server import build_app
from bot.wiring import Parts, Settings, build, load_settings, migrate_driver
from bot.worker import Tick, Worker

log = logging.getLogger("rollbot")


class Role(StrEnum):
    """What this process does."""

    all = "all"
    web = "web"
    worker = "worker"


BACKLOG = 4096
"""Connections that wait until they are accepted. With aiohttp's 128 the kernel drops the others of a storm, and they
come again a second later (2000 at once, slowest ack: 2.8 s with 128, 1.4 s with this)."""
SWITCH_S = 0.0005
"""Seconds after which a thread that works makes way for one that waits (Python's default: 5 ms). An ack needs both the
loop and the thread that writes; with the default it took 0.2 to 0.4 ms longer at rest, and 0.7 to 2.5 ms back to back
(two rounds side by side; twenty at the same moment took as long either way)."""


def serve(
    role: Annotated[
        Role, typer.Option(help="web takes what people say, worker does it; 'all' is one process.")
    ] = Role.all,
) -> None:
    """Serve Slack, hooks and the CI answer, and run rollbacks."""
    _serving(role)
    _leave()


def _leave() -> None:
    """All of ours has ended. A library's thread that waits for a database that is away (dbos does, for ever) would keep
    the process all the same, until somebody kills it."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.current_thread()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


@command
async def _serving(role: Role) -> None:
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
    worker = Worker(parts.world, parts.driver(), parts.slack.publisher if parts.slack else None, ticks(parts))
    async with contextlib.AsyncExitStack() as stack:
        where = await _listen(parts, worker, stack) if role != Role.worker else ""
        await parts.children.start()  # from here on heavy libraries are imported behind, on a core of their own
        if role != Role.web:
            await worker.start()
            stack.push_async_callback(worker.stop)
        else:
            stack.push_async_callback(_ended, asyncio.create_task(_watch_workers(parts.world)))
        line(f"rollbot is ready on {where}" if where else "rollbot is ready: the worker")
        if parts.slack:
            stack.push_async_callback(parts.slack.stop)
            await parts.slack.start(listen=role != Role.worker)
        else:
            note("no SLACK_BOT_TOKEN, so Slack is off; the terminal, hooks and the gate work")
        await _until_signal()


async def _watch_workers(world: World) -> None:
    """Web alone: it says where nobody does what it takes."""
    while True:
        with contextlib.suppress(RollbotError):  # then nothing is taken either, and that is said
            await liveness.look(world)
        await asyncio.sleep(liveness.BEAT_S)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _listen(parts: Parts, worker: Worker, stack: contextlib.AsyncExitStack) -> str:
    """The address at which it answers."""
    settings: Settings = parts.settings
    app = build_app(parts.world, parts.slack, tokens=settings.tokens, beat=lambda: worker.beat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, settings.host, settings.port, backlog=BACKLOG)
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
    world, waiting = parts.world, clockwork.Waiting()

    async def moments() -> object:
        return await clockwork.take_moments(world)

    async def reminders() -> object:
        return await clockwork.remind(world, page, waiting)

    async def scheduled() -> object:
        return await drills.call(world)

    async def overlong() -> object:
        return await drills.end_overlong(world)

    async def overslept() -> object:
        return await clockwork.wake_overslept(world)

    checkpoints = clockwork.Checkpoints(world, parts.sign, parts.keep_checkpoint)
    stalls, guard = Stalls(world, page), Guard(world)
    often = [stalls.when_due, guard.when_due, checkpoints.when_due]
    return [moments, reminders, scheduled, overlong, overslept, *often]


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


def migrate(
    from_: Annotated[
        str, typer.Option("--from", help="Move everything here from another database, e.g. sqlite:///rollbot.db.")
    ] = "",
) -> None:
    """Bring the database to this version's schema. Safe to run again."""
    with one_line():
        settings = load_settings()
        if from_:
            _moved(settings, from_)
            return
        before, after = upgrade(settings)
        line(f"the database is at {after}" + ("" if before == after else f" (it was at {before or 'nothing'})"))


def _moved(settings: Settings, source: str) -> None:
    """Nobody may work on the source meanwhile."""
    old = settings.model_copy(update={"database_url": source})
    if old.database_file is None or not old.database_file.exists():
        raise Usage(f"--from {source}: there is no such SQLite file; write it as sqlite:///rollbot.db")
    if settings.database_file is not None and old.database_file.resolve() == settings.database_file.resolve():
        raise Usage(f"--from {source} is the database to move into: set ROLLBOT_DATABASE_URL to the new one")
    lock = own(old)
    if lock is None:
        raise RollbotError(f"a rollbot works on {old.database_file}: stop it first")
    try:
        upgrade(old)
        rows = move(source, settings.database_url, lambda table, n: note(f"{table}: {n:,}"))
        migrate_driver(settings)
        line(
            f"{rows:,} rows moved; the log is the same. Start rollbot on the new database, and keep the old file unused"
        )
    except Exception as e:
        raise down(e, doing="be moved", outcome="nothing was moved") from e
    finally:
        lock.close()
