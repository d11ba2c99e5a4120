"""The chain of migrations and the schema in code give the same database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.store import migrate as m
from bot.store import tables as t


@pytest.fixture
def other_database_url(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A second empty database of the same kind."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'other.db'}"
    url: Callable[[], str] = request.getfixturevalue("postgres_url")
    return url()


def catalogue(engine: sa.Engine) -> dict[str, object]:
    """Everything the database itself says of its schema: columns, keys, checks, indexes with predicates, triggers."""
    with engine.connect() as conn:
        seen: dict[str, object] = {}
        look = sa.inspect(conn)
        for table in sorted(set(look.get_table_names()) - {"alembic_version"}):
            seen[table] = {
                "columns": [(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(table)],
                "pk": look.get_pk_constraint(table),
                "fk": sorted(map(str, look.get_foreign_keys(table))),
                "checks": sorted(str(c["sqltext"]) for c in look.get_check_constraints(table)),
                "unique": sorted(map(str, look.get_unique_constraints(table))),
            }
        seen["raw"] = _raw(conn)
        return seen


def _raw(conn: sa.Connection) -> list[tuple[str, str]]:
    if conn.dialect.name == "sqlite":
        rows = conn.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        )
    else:
        rows = conn.exec_driver_sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        )
    return sorted((r[0], re.sub(r"\s+", " ", str(r[1])).replace('"', "")) for r in rows if "alembic" not in r[0])


def test_migrations_end_at_the_schema_in_code(database_url: str, other_database_url: str) -> None:
    """Migrating an empty database gives exactly what the code creates, down to triggers and index predicates."""
    m.migrate(database_url)
    engine, other = m.engine_for(database_url), m.engine_for(other_database_url)
    with other.begin() as conn:
        m.create_all(conn)

    assert catalogue(engine) == catalogue(other)
    assert len(t.metadata.tables) > 10
    engine.dispose()
    other.dispose()


def test_migrating_again_changes_nothing(database_url: str) -> None:
    """A second migrate is a no-op and says so by equal revisions."""
    m.migrate(database_url)

    assert m.migrate(database_url) == (m.newest(), m.newest())


def test_the_log_refuses_to_be_changed(database_url: str) -> None:
    """After migrating, UPDATE and DELETE on events fail in the database itself."""
    m.migrate(database_url)
    engine = m.engine_for(database_url)
    with engine.begin() as conn:
        conn.execute(sa.insert(t.events).values(seq=0, act="x", body="{}"))
    for attack in (sa.update(t.events).values(act="y"), sa.delete(t.events)):
        try:
            with engine.begin() as conn:
                conn.execute(attack)
        except sa.exc.DBAPIError as e:
            assert "append-only" in str(e)  # noqa: PT017 (which of several drivers' errors it is does not matter)
        else:
            raise AssertionError("the log was changed")
    engine.dispose()
