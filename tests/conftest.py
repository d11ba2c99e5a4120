"""Fixtures for all tests. Servers are started once per test process, and only if a test asks for them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bot.store import migrate
from tests.flows.kept import end_servers
from tests.services import FakeClock, Postgres, Redis, absent, postgres_binaries, redis_binary

# Before any test imports them: what they assert is said in full then.
pytest.register_assert_rewrite("tests.targets.contract", "tests.targets.contract_reading", "tests.targets.world")

# A busy machine is no failing test. Under CI Hypothesis has a profile of its own, which is also repeatable.
settings.register_profile("here", deadline=None)
if os.environ.get("CI") != "true":
    settings.load_profile("here")

# A test run that was started in the background inherits an ignored SIGINT, and so would the programs that it starts:
# those that must hear Ctrl-C would not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


WHOLE = {
    "test_kill_steps.py",
    "test_kill_replicas.py",
    "test_frozen_replicas.py",
    "test_demo.py",
    "test_whole_rollback.py",
    "test_whole_incident.py",
}
"""Files whose tests start a whole platform each; one keeps both cores busy for minutes."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole platforms are spread among the other files: two at once starve one another, and one at the end lets the
    other worker wait."""
    files = list(dict.fromkeys(item.path for item in items))
    others = [file for file in files if file.name not in WHOLE]
    whole = [file for file in files if file.name in WHOLE]
    place = {file: float(n) for n, file in enumerate(others)}
    place |= {file: n * len(others) / len(whole) - 0.5 for n, file in enumerate(whole)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session", autouse=True)
def fork_servers() -> Iterator[None]:
    """Those that tests share end with the last one."""
    yield
    end_servers()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL cluster."""
    binaries = postgres_binaries()
    server = Postgres(binaries) if binaries else absent("PostgreSQL")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Callable[[], str]:
    """Each call gives the URL of a new, empty database."""
    return postgres.new_database


@pytest.fixture(scope="session")
def kept_database(postgres: Postgres) -> str:
    """One database for all tests that want the newest schema and nothing in it: a hundred are a hundred thousand
    files."""
    url = postgres.new_database()
    migrate.migrate(url)
    return url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis."""
    binary = redis_binary()
    server = Redis(binary) if binary else absent("redis-server")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis_address(redis_server: Redis) -> str:
    """``127.0.0.1:PORT`` of a Redis that is empty when the test begins."""
    redis_server.flush()
    return redis_server.address


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database; the test runs once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rollbot.db'}"
    url: Callable[[], str] = request.getfixturevalue("postgres_url")
    return url()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only the test moves."""
    return FakeClock()
