"""Brings a database to the newest schema, forward only. The migrations are shipped in the wheel."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from bot.store import tables as t
from bot.store.engines import sqlite_engine, sync_url
from bot.store.triggers import POSTGRES_TRIGGERS, SQLITE_TRIGGERS


def folder() -> Path:
    """Where the migrations are: beside the package in a checkout, inside it in a wheel."""
    shipped = Path(str(resources.files("bot"))) / "_shipped" / "migrations"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "migrations"


def engine_for(url: str) -> sa.Engine:
    """A synchronous engine, for migrations and offline tools."""
    return sqlite_engine(url, begin="BEGIN IMMEDIATE") if url.startswith("sqlite") else sa.create_engine(sync_url(url))


def migrate(url: str) -> tuple[str | None, str]:
    """Upgrades to the newest revision; returns (before, after). Safe to call again."""
    engine = engine_for(url)
    try:
        with engine.begin() as conn:
            before = MigrationContext.configure(conn).get_current_revision()
            config = _config()
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
        return before, newest()
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder()))
    return config


def newest() -> str:
    """The revision that this build wants."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def is_current(conn: sa.Connection) -> bool:
    return MigrationContext.configure(conn).get_current_revision() == newest()


def triggers(conn: sa.Connection) -> None:
    """The triggers that refuse to change the log."""
    for sql in (POSTGRES_TRIGGERS if conn.dialect.name == "postgresql" else SQLITE_TRIGGERS).values():
        conn.exec_driver_sql(sql)


def create_all(conn: sa.Connection) -> None:
    """The schema as the code says it; the migrations must end at the same (tested)."""
    t.metadata.create_all(conn)
    triggers(conn)
