"""Builds everything once and hands it in. Nothing is opened or started here."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core import checkpoint
from bot.core.errors import MissingExtra
from bot.core.ports import Membership, People
from bot.drivers import Driver
from bot.drivers.embedded import Embedded
from bot.flows.world import World
from bot.outside.blobs import BlobStore
from bot.outside.books import TeamBooks
from bot.outside.child import PRELOAD, Children
from bot.outside.registry import Registry, TargetPort
from bot.settings import Settings
from bot.settings import load as load_settings
from bot.store.write import Store, open_store

if TYPE_CHECKING:
    from bot.slack.app import SlackApp, SlackConfig

LIBRARIES = {
    "delta": ("deltalake", "pyarrow"),
    "feast": ("feast", "dask", "pandas", "pyarrow", "sqlalchemy"),
    "mlflow": ("mlflow", "sqlalchemy"),
}
"""What a type of system imports that takes long. The others import little, or ask a process of their own."""


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class NoPeople:
    """Without a chat system only the groups that policy.yaml lists are known."""

    async def group(self, handle: str) -> Membership | None:  # noqa: ARG002  as the protocol names it
        return None

    async def name(self, person: str) -> str:
        return person


@dataclass
class Parts:
    """Everything of one process. ``slack`` None: no token, so nothing is posted."""

    settings: Settings
    store: Store
    children: Children
    blobs: BlobStore
    books: TeamBooks
    registry: Registry
    world: World
    slack: SlackApp | None

    async def start(self) -> None:
        """Opens the store and the fork servers; heavy libraries warm up behind."""
        await self.store.start()
        await self.children.start()

    async def stop(self) -> None:
        await self.children.stop()
        await self.store.stop()

    def driver(self) -> Driver:
        """Who calls ``drive`` in this process, as the settings choose. Raises MissingExtra."""
        if self.settings.driver == "embedded":
            return Embedded(self.world)
        with _extra("dbos"):
            from bot.drivers.dbos import Dbos  # noqa: PLC0415  as below
        return Dbos(self.world, self.settings.database_url)

    def sign(self, size: int, root: bytes) -> str:
        """A signed checkpoint of the log."""
        return checkpoint.sign(size, root, audit_key(self.settings))

    def keep_checkpoint(self, note: str) -> None:
        """Beside the key, outside the database: the newest note replaces the one before."""
        file = self.settings.audit_key_file.with_suffix(".checkpoint")
        fresh = file.with_suffix(".new")
        fresh.write_text(note, encoding="utf-8", newline="\n")
        fresh.replace(file)


def audit_key(settings: Settings) -> str:
    """The log's private key; made at first need, readable by its owner only."""
    file = settings.audit_key_file
    if not file.exists():
        key = checkpoint.new_key(settings.audit_log, secrets.token_bytes(32))
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(key + "\n")
        Path(str(file) + ".pub").write_text(f"{checkpoint.public_key(key)}\n", encoding="utf-8", newline="\n")
    return file.read_text(encoding="utf-8").strip()


def migrate_driver(settings: Settings) -> None:
    """What the chosen driver keeps in the database beside our tables. Raises MissingExtra."""
    if settings.driver == "dbos" and settings.database_file is None:
        with _extra("dbos"):
            from bot.drivers import dbos  # noqa: PLC0415  as long as all the rest, and only where it was chosen
        dbos.migrate(settings.database_url)


@contextlib.contextmanager
def _extra(name: str) -> Iterator[None]:
    """Around an import of what this extra brings."""
    try:
        yield
    except ModuleNotFoundError as e:
        raise MissingExtra(name, str(e.name)) from None


def team_books(settings: Settings) -> TeamBooks:
    """The team's files alone."""
    return TeamBooks(settings.playbooks, Registry())


def build(settings: Settings, *, warm: Iterable[str] | None = None) -> Parts:
    """``warm``: the types of system whose libraries are imported ahead of the first call; None: all that there are.
    Raises Fault where settings contradict one another."""
    clock = SystemClock()
    store = open_store(settings.database_url)
    blobs = BlobStore(settings.artifacts)
    memory = int(settings.child_memory_gib * 1024**3)
    children = Children(settings.artifacts, memory, preload_for(warm), settings.child_log)
    registry = Registry()
    books = TeamBooks(settings.playbooks, registry)
    targets = TargetPort(registry, children, books.connections, clock, books.connection_faults)
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    people: People = NoPeople()
    world = World(store=store, targets=targets, people=people, books=books, clock=clock, owner=owner)
    slack = slack_app(world, settings) if settings.slack_bot_token.get_secret_value() else None
    if slack:
        world.people = slack.people
    return Parts(settings, store, children, blobs, books, registry, world, slack)


def preload_for(types: Iterable[str] | None) -> list[str]:
    """What to import ahead for these types of system; nothing where nothing takes long."""
    if types is None:
        return PRELOAD
    heavy = {name: roots for name, roots in LIBRARIES.items() if name in set(types)}
    roots = {root for needed in heavy.values() for root in needed}
    ours = {f"bot.targets.{name}" for name in heavy}
    return [module for module in PRELOAD if module.split(".")[0] in roots or module in ours]


def slack_app(world: World, settings: Settings) -> SlackApp:
    from bot.slack.app import SlackApp  # noqa: PLC0415  a third of a command's start, and without a token for nothing

    return SlackApp(world, slack_config(settings))


def slack_config(settings: Settings) -> SlackConfig:
    from bot.slack.app import SlackConfig  # noqa: PLC0415  as above

    return SlackConfig(
        bot_token=settings.slack_bot_token.get_secret_value(),
        signing_secret=settings.slack_signing_secret.get_secret_value(),
        app_token=settings.slack_app_token.get_secret_value() or None,
        api_url=settings.slack_api_url,
        workspaces=settings.allowed_workspaces,
    )


__all__ = [
    "NoPeople",
    "Parts",
    "Settings",
    "SystemClock",
    "audit_key",
    "build",
    "load_settings",
    "migrate_driver",
    "slack_config",
    "team_books",
]
