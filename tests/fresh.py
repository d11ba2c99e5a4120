"""Databases with the newest schema and nothing in them. Migrating one takes longer than many a test."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import psycopg

from bot.store import migrate
from bot.store import tables as t


@functools.cache
def _file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fresh.db"
        migrate.migrate(f"sqlite:///{file}")
        return file.read_bytes()


def prepare(url: str) -> None:
    """What migrating a new SQLite file gives; an old one, and PostgreSQL, are left alone."""
    file = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite") and not file.exists():
        file.write_bytes(_file())


def emptied(url: str) -> str:
    """A migrated PostgreSQL database as it was at first."""
    with psycopg.connect(url) as conn:
        conn.execute("SET session_replication_role = replica")  # or the triggers refuse, as they should
        conn.execute(f"TRUNCATE {', '.join(t.metadata.tables)} RESTART IDENTITY")
    return url
