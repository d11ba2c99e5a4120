"""Online rows: the contract, on every kind of store that Rollbot writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.targets.contract import TargetContract, World
from tests.targets.feast_stage import IGNORED
from tests.targets.feast_world import OnlineWorld, redis_server

pytestmark = [pytest.mark.timeout(300), *(pytest.mark.filterwarnings(w) for w in IGNORED)]


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


class TestSqlite(TargetContract):
    """The contract on a SQLite online store, one set of rows for all versions."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return OnlineWorld(tmp_path, drivers=40)


class TestSqliteVersioned(TargetContract):
    """The contract with online versioning: each version has its own rows."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return OnlineWorld(tmp_path, versioned=True, drivers=40)


class TestRedis(TargetContract):
    """The contract on a real Redis, where a plain re-materialization restores nothing."""

    @pytest.fixture
    def world(self, tmp_path: Path, redis_port: int) -> World:
        return OnlineWorld(tmp_path, redis_port=redis_port, drivers=40)
