"""One command's session with the database: reading, and saying something that a worker applies."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import getpass
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bot.core.commands import Actor, Command
from bot.core.errors import Refused, RollbotError
from bot.store import inbox, keys, migrate
from bot.store.inbox import Taken
from bot.wiring import Parts, Settings, build, load_settings
from bot.worker import Worker

PATIENCE_S = 900.0
"""Seconds that a command waits for its answer before it says where to look."""


def own(settings: Settings) -> IO[str] | None:
    """The lock that makes this process the only worker on a SQLite file; None if another one has it."""
    file = settings.database_file
    if file is None:
        return None
    lock = Path(str(file) + ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def prepare(settings: Settings) -> None:
    """A SQLite file is brought to the newest schema; a shared database is not touched without being asked."""
    if settings.database_file is not None:
        settings.database_file.parent.mkdir(parents=True, exist_ok=True)
        migrate.migrate(settings.database_url)
        return
    engine = migrate.engine_for(settings.database_url)
    try:
        with engine.connect() as conn:
            current = migrate.is_current(conn)
    finally:
        engine.dispose()
    if not current:
        raise RollbotError("the database has not this version's schema: run 'rollbot migrate' first")


@dataclass
class Session:
    """``parts`` are started; ``worker`` runs in this process if nobody else is the worker."""

    parts: Parts
    worker: Worker | None

    async def say(self, command: Command, actor: Actor, answer: str = "") -> tuple[Taken, dict[str, object]]:
        """Puts one command into the inbox and waits until it is applied. Raises RollbotError in its words."""
        store, now = self.parts.store, self.parts.world.now()
        key = f"cli:{secrets.token_hex(16)}"
        taken = await store.intake(lambda c: inbox.take(c, key, actor, command, answer, now))
        result = await self.until(taken.id)
        if not result.get("ok"):
            raise _error(result)
        return taken, result

    async def until(self, item: int) -> dict[str, object]:
        """What came of an inbox row."""
        waited = 0.0
        while waited < PATIENCE_S:
            result = await self.parts.store.read(lambda c: inbox.result_of(c, item))
            if result is not None:
                return result
            await asyncio.sleep(0.1)
            waited += 0.1
        raise RollbotError("no worker has applied this yet; it stays in the inbox. Is 'rollbot serve' running?")


def _error(result: dict[str, object]) -> RollbotError:
    error = Refused(str(result.get("error") or result.get("why") or "refused"))
    code = result.get("code", 4 if "rule" in result else 1)
    error.code = code if isinstance(code, int) else 1
    return error


@contextlib.asynccontextmanager
async def session(*, working: bool = False, **overrides: object) -> AsyncIterator[Session]:
    """``working``: this process does the worker's part if no other does."""
    settings = load_settings(**overrides)
    prepare(settings)
    lock = own(settings) if working else None
    parts = build(settings)
    await parts.start()
    worker = Worker(parts.world, parts.slack.publisher if parts.slack else None) if lock else None
    try:
        if worker:
            await worker.start()
        yield Session(parts, worker)
    finally:
        if worker:
            await worker.stop()
        await parts.stop()
        if lock:
            lock.close()


def terminal() -> Actor:
    """Somebody at a shell of this machine, known by their login only."""
    return Actor(kind="terminal", id=f"terminal/{getpass.getuser()}", via="cli")


async def person(parts: Parts) -> Actor:
    """Who the personal key says. Raises Refused without one."""
    key = parts.settings.key.get_secret_value()
    if not key:
        raise Refused("say who you are: set ROLLBOT_KEY to your personal key (get one in Slack with /rollback key)")
    found = await parts.store.read(lambda c: keys.person_of(c, key))
    if found is None:
        raise Refused("ROLLBOT_KEY is nobody's key; get a new one in Slack with /rollback key")
    return Actor(kind="person", id=found, via="cli")
