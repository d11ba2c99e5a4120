"""The servers that other tests rely on are real, start by themselves and survive what is done to them."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from bot.core.ports import Clock
from tests import services
from tests.services import FakeClock, Postgres, Redis, postgres_binaries


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row
        return int(row[0])


def test_each_url_is_a_database_of_its_own(postgres_url: Callable[[], str]) -> None:
    """What one test writes another doesn't see."""
    one, other = postgres_url(), postgres_url()
    with psycopg.connect(one) as connection:
        connection.execute("CREATE TABLE kept (x int)")

    assert count(one) == 0
    with pytest.raises(psycopg.errors.UndefinedTable):
        count(other)


def test_a_killed_cluster_comes_back_with_what_was_committed() -> None:
    """After kill -9 and a new start the same port answers and committed rows are there."""
    binaries = postgres_binaries()
    server = Postgres(binaries) if binaries else services.absent("PostgreSQL")
    server.start()
    try:
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
        server.end(signal.SIGKILL)
        server.start()

        assert count(server.url()) == 1
    finally:
        server.remove()


def test_database_url_names_an_empty_database(database_url: str) -> None:
    """Both kinds of database are reached by the URL that the bot itself would be given."""
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        tables = "pg_tables WHERE schemaname = 'public'" if "postgresql" in database_url else "sqlite_master"
        assert connection.execute(text(f"SELECT count(*) FROM {tables}")).scalar() == 0  # noqa: S608 - two constants
    engine.dispose()


def test_redis_is_empty_at_the_start_of_a_test(redis_server: Redis, redis_address: str) -> None:
    """What an earlier test left in Redis is gone."""
    host, _, port = redis_address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"SET a b\r\n")
        assert connection.recv(64) == b"+OK\r\n"
        redis_server.flush()
        connection.sendall(b"DBSIZE\r\n")
        assert connection.recv(64) == b":0\r\n"


def test_binaries_that_nobody_may_enter_are_copied(tmp_path: Path) -> None:
    """A checkout in a closed folder is no obstacle: the cluster runs from a copy, libraries included."""
    binaries = tmp_path / "site" / "pg" / "pginstall" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "initdb").write_text("")
    (tmp_path / "site" / "pg.libs").mkdir()
    tmp_path.chmod(0o700)

    copy = services._reachable(binaries, tmp_path)

    assert copy == tmp_path / "pg" / "pginstall" / "bin"
    assert (copy / "initdb").exists() and (tmp_path / "pg.libs").is_dir()


def test_an_absent_service_fails_in_ci_and_else_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CI run can't turn green because a server was missing."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Redis is not here"):
        services.absent("Redis")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="Redis is not here"):
        services.absent("Redis")


def test_a_server_that_does_not_start_says_why() -> None:
    """The output of a server that gave up is in the error."""
    server = Redis(Path("/bin/false"))
    with pytest.raises(RuntimeError, match="/bin/false did not start"):
        server.start()
    server.remove()


def test_the_clock_moves_only_when_told(clock: FakeClock) -> None:
    """Time in tests is an argument."""
    typed: Clock = clock
    start = typed.now()

    assert clock.now() == start
    assert clock.advance(90) == clock.now() == start + timedelta(seconds=90)
    assert clock.advance(timedelta(hours=-1)) < start
