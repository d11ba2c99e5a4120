"""One command's session with the database: reading, and saying something that a worker applies."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import getpass
import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bot.cli.output import err, log_in_lines, note
from bot.core.commands import Actor, Command
from bot.core.errors import Fault, MissingExtra, Refused, RollbotError
from bot.core.release import no_release
from bot.core.target import Kind
from bot.core.text import past, span
from bot.flows import liveness
from bot.store import inbox, keys, migrate, releases
from bot.store.inbox import Taken
from bot.store.jobs import down
from bot.store.move import not_moved
from bot.wiring import Parts, Settings, build, load_settings, migrate_driver, team_books

if TYPE_CHECKING:
    from bot.worker import Worker

PATIENCE_S = 900.0
"""Seconds that a command waits for its answer before it says where to look."""
HINT_S = 5.0
"""Seconds after which it says what it is waiting for."""
HEIR_S = 1.0
"""Seconds between two looks whether the worker has gone."""
WARM_S = 60.0
"""Seconds that heavy libraries may take to be imported before calls begin all the same."""


def own(settings: Settings) -> IO[str] | None:
    """The lock that makes this process the only worker on a SQLite file; None if another one has it."""
    file = settings.database_file
    if file is None:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = Path(str(file) + ".lock").open("w")  # noqa: SIM115  held as long as this process works
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def need_playbooks(settings: Settings) -> None:
    """Raises Fault if the folder is not there: every feature would be called unknown."""
    if not settings.playbooks.is_dir():
        raise Fault(f"there is no folder {settings.playbooks}: write one with 'rollbot init', or set ROLLBOT_PLAYBOOKS")


async def open_store(parts: Parts, *, fresh: bool, owned: bool) -> None:
    """Opens the database with this version's schema. A SQLite file is made (``fresh``) or migrated here, unless
    another process works on it; a shared database is not touched without being asked. Raises RollbotError."""
    file = parts.settings.database_file
    if file is not None and not fresh and not file.exists():
        raise Fault(
            f"there is no database {file.absolute()}: set ROLLBOT_DATABASE_URL, or make it with 'rollbot migrate'"
        )
    await parts.store.start()
    if await parts.store.read(migrate.is_current):
        await parts.store.read(not_moved)
        return
    lock = None if owned or file is None else own(parts.settings)
    if lock is None and not owned:
        raise RollbotError("the database has not this version's schema: run 'rollbot migrate' first")
    try:
        await asyncio.to_thread(upgrade, parts.settings)
    finally:
        if lock is not None:
            lock.close()


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """To the newest schema; (before, after). Raises RollbotError."""
    try:
        if settings.database_file is not None:
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
        found = migrate.migrate(settings.database_url)
        migrate_driver(settings)
    except MissingExtra:
        raise
    except ImportError as e:
        raise RollbotError(f"{e.name} is not installed: pip install 'rollbot[postgres]'") from e
    except Exception as e:
        told = down(e, doing="be migrated", outcome="nothing was changed")
        if isinstance(told, RollbotError | OSError):
            raise told from e
        raise RollbotError(f"the database can't be migrated: {e}. Was it made by a newer rollbot?") from e
    return found


def types_of(settings: Settings, feature: str | None, kinds: Iterable[Kind] = tuple(Kind)) -> set[str]:
    """The types of system behind a feature (None: behind any). Raises what reading the feature raises."""
    books = team_books(settings)
    if feature is None:
        with contextlib.suppress(RollbotError):
            return {c.type for c in books.connections().values()}
        return set()
    wanted = set(kinds)
    parts = [p for p in books.feature(feature).parts() if p.kind in wanted]
    return {books.connections()[p.target].type for p in parts}


@dataclass
class Session:
    """``worker`` runs in this process if nobody else is the worker."""

    parts: Parts
    worker: Worker | None = None

    async def say(self, command: Command, actor: Actor, answer: str = "") -> tuple[Taken, dict[str, object]]:
        """Puts one command into the inbox and waits until it is applied; what came of it. Raises RollbotError in its
        words, but for a run that was refused: its own row says why."""
        store, now = self.parts.store, self.parts.world.now()
        key = f"cli:{secrets.token_hex(16)}"
        taken = await store.intake(lambda c: inbox.take(c, key, actor, command, answer, now))
        try:
            result = await self.until(taken.id)
        except asyncio.CancelledError:
            raise RollbotError("stopped waiting; what you asked for is stored, and a worker does it") from None
        if not result.get("ok") and (result.get("error") or result.get("why")):
            raise _error(result)
        return taken, result

    async def until(self, item: int) -> dict[str, object]:
        """What came of an inbox row."""
        loop = asyncio.get_running_loop()
        began, hinted = loop.time(), self.worker is not None
        while (waited := loop.time() - began) < PATIENCE_S:
            result = await self.parts.store.read(lambda c: inbox.result_of(c, item))
            if result is not None:
                return result
            await asyncio.sleep(0.1)  # another process writes the answer, and tells nobody
            if not hinted and waited >= HINT_S:
                hinted = True
                shared = self.parts.settings.database_file is None  # else whoever has the file's lock works
                nobody = await liveness.look(self.parts.world) if shared else ""
                patient = f"; this waits for one up to {span(PATIENCE_S)}, and what you asked for is kept"
                note(f"{nobody}{patient}" if nobody else "still waiting: reading the systems takes as long as it takes")
        raise RollbotError("no worker has applied this yet; it stays in the inbox. Is 'rollbot serve' running?")


def _error(result: dict[str, object]) -> RollbotError:
    error = Refused(str(result.get("error") or result.get("why")))
    code = result.get("code", 4 if "rule" in result else 1)
    error.code = code if isinstance(code, int) else 1
    return error


@contextlib.asynccontextmanager
async def session(*, fresh: bool = False, books: bool = True) -> AsyncIterator[Session]:
    """For a command that reads what is stored; no process is started. ``fresh``: makes the database if there is none.
    ``books``: needs the folder of playbooks."""
    settings = load_settings()
    if books:
        need_playbooks(settings)
    log_in_lines()
    parts = build(settings, warm=())
    try:
        await open_store(parts, fresh=fresh, owned=False)
        yield Session(parts)
    finally:
        await parts.store.stop()


@contextlib.asynccontextmanager
async def looking(feature: str | None, *, fresh: bool = False) -> AsyncIterator[Session]:
    """For a command that asks outside systems of one feature, or of all. Raises Unknown for a feature that is not
    there before anything is opened."""
    settings = load_settings()
    need_playbooks(settings)
    log_in_lines()
    parts = build(settings, warm=types_of(settings, feature))
    try:
        await open_store(parts, fresh=fresh, owned=False)
        await warm(parts)
        yield Session(parts)
    finally:
        await parts.stop()


@contextlib.asynccontextmanager
async def working(feature: str, kinds: Iterable[Kind] = tuple(Kind)) -> AsyncIterator[Session]:
    """For a command that a worker applies: this process, if no other is the worker. ``kinds``: which components it is
    about. Raises as ``looking``."""
    settings = load_settings()
    need_playbooks(settings)
    log_in_lines()
    parts = build(settings, warm=types_of(settings, feature, kinds))
    lock = own(settings)
    try:
        await open_store(parts, fresh=True, owned=lock is not None)
        s = Session(parts)
        async with _worker(s) if lock is not None else _heir(s):
            yield s
    finally:
        await parts.stop()
        if lock is not None:
            lock.close()


@contextlib.asynccontextmanager
async def _heir(s: Session) -> AsyncIterator[None]:
    """Another process is the worker. If it ends before this command does (it may be a command as well), this one takes
    over; else it would wait for an answer that nobody gives."""
    task = asyncio.create_task(_take_over(s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _take_over(s: Session) -> None:
    if s.parts.settings.database_file is None:
        return
    while (lock := own(s.parts.settings)) is None:  # noqa: ASYNC110  another process' end is no event here
        await asyncio.sleep(HEIR_S)
    try:
        async with _worker(s):
            await asyncio.Event().wait()
    finally:
        lock.close()


async def known(s: Session, feature: str, version: str, at: str | None = None) -> None:
    """Asked before anything is started or written. Raises Unknown with near misses for a feature or a release that is
    not there; ``previous`` and nothing pass. Raises Usage for a time that has not been."""
    s.parts.books.feature(feature)
    if at:
        past(at, s.parts.world.now())
    if version in ("", "previous"):
        return
    versions = await s.parts.store.read(lambda c: releases.versions(c, feature))
    if version not in versions:
        raise no_release(feature, version, versions)


async def warm(parts: Parts) -> None:
    """Starts the children, and waits for heavy libraries: a call that imports them itself takes longer than a plan
    may (measured: Feast 8-10 s)."""
    await parts.children.start()
    says = err.status("loading what talks to the systems") if err.is_terminal else contextlib.nullcontext()
    with says, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WARM_S):
            await parts.children.warmed()


@contextlib.asynccontextmanager
async def _worker(s: Session) -> AsyncIterator[None]:
    """A worker for as long as the command lasts; the lock must be ours. At the end what is due is posted once, and the
    log is signed."""
    from bot.flows import clockwork
    from bot.worker import Worker

    parts = s.parts
    await warm(parts)
    if parts.slack:
        await parts.slack.start(listen=False)
    worker = Worker(parts.world, parts.driver(), parts.slack.publisher if parts.slack else None)
    try:
        await worker.start()
        s.worker = worker
        yield
    finally:
        await worker.stop()
        with contextlib.suppress(RollbotError, OSError):
            await clockwork.Checkpoints(parts.world, parts.sign, parts.keep_checkpoint).now()
        if parts.slack:
            with contextlib.suppress(RollbotError, OSError):
                await parts.slack.publisher.publish_due()
            await parts.slack.stop()


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
