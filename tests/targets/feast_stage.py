"""A small real Feast stack for the feast tests, changed the way a team's own CI and pipeline would change it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.core.target import Connection, Json

VIEW = "driver_stats"
T0 = datetime(2026, 11, 1, tzinfo=UTC)
IGNORED = (
    "ignore::DeprecationWarning:feast",
    "ignore::DeprecationWarning:google",
    "ignore:.*utcfromtimestamp.*:DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::RuntimeWarning:feast",
    "ignore:There are some mismatches:UserWarning",
    "ignore::UserWarning:feast",
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
)
"""Feast's own warnings; ours stay errors."""


class Stage:
    """One project with a feature view over parquet files; ``feast`` is what a team's own code would hold."""

    def __init__(
        self,
        folder: Path,
        *,
        registry: str = "sql",
        versioned: bool = False,
        redis_port: int | None = None,
        drivers: int = 200,
    ) -> None:
        self.folder, self.drivers, self.versioned, self.redis_port = folder, drivers, versioned, redis_port
        self.clock = T0
        (folder / "data").mkdir(parents=True)
        path = f"sqlite:///{folder / 'registry.db'}" if registry == "sql" else "registry.db"
        online = (
            {"type": "redis", "connection_string": f"127.0.0.1:{redis_port}"}
            if redis_port
            else {"type": "sqlite", "path": "online.db"}
        )
        self.config: dict[str, Json] = {
            "project": "p1",
            "provider": "local",
            "registry": {
                "registry_type": registry,
                "path": path,
                "cache_ttl_seconds": 1,
                "enable_online_feature_view_versioning": versioned,
            },
            "online_store": online,
            "offline_store": {"type": "file"},
            "entity_key_serialization_version": 3,
        }
        self.yaml = folder / "feature_store.yaml"
        self.yaml.write_text(yaml_text(self.config))

    def connection(self, **more: Json) -> Connection:
        return Connection(name="feast-prod", type="feast", settings={"repo": str(self.yaml), **more})

    @contextmanager
    def feast(self) -> Iterator[Any]:
        """A store as anybody else would open it."""
        from feast import FeatureStore
        from feast.repo_config import load_repo_config

        store = FeatureStore(repo_path=str(self.folder), config=load_repo_config(self.folder, self.yaml))
        try:
            yield store
        finally:
            engine = getattr(store.registry, "write_engine", None)
            if engine is not None:
                engine.dispose()

    def tick(self) -> datetime:
        """Time in the data goes on by an hour."""
        self.clock += timedelta(hours=1)
        return self.clock

    def source(self, file: str, *, factor: float = 1.0, drivers: int | None = None, rating: bool = False) -> str:
        """A parquet file with one row per driver, at the present time of the data."""
        import pandas as pd

        count = drivers or self.drivers
        ids = range(1000, 1000 + count)
        frame = pd.DataFrame(
            {
                "driver_id": list(ids),
                "avg_trip": [(i % 97) * factor + 0.25 for i in ids],
                "trips": [None if i % 50 == 7 else i % 31 for i in ids],
                "city": [f"city {i % 5}" for i in ids],
                "event_timestamp": [self.clock] * count,
                "created": [self.clock] * count,
            }
        )
        frame["trips"] = frame["trips"].astype("Int64")
        if rating:
            frame["rating"] = [float(i % 5) for i in ids]
        path = self.folder / "data" / file
        if path.exists():
            frame = pd.concat([pd.read_parquet(path), frame], ignore_index=True)
        frame.to_parquet(path)
        return f"data/{file}"

    def view(self, path: str, *, extra: Sequence[str] = (), ttl: int = 2, tags: dict[str, str] | None = None) -> Any:
        from feast import FeatureView, Field, FileSource
        from feast.types import Float64, Int64, String

        schema = [Field(name="avg_trip", dtype=Float64), Field(name="trips", dtype=Int64)]
        schema += [Field(name="city", dtype=String), *[Field(name=n, dtype=Float64) for n in extra]]
        return FeatureView(
            name=VIEW,
            entities=[self.driver()],
            ttl=timedelta(days=ttl),
            schema=schema,
            source=FileSource(
                name="driver_src", path=path, timestamp_field="event_timestamp", created_timestamp_column="created"
            ),
            tags=tags or {"team": "trips"},
            owner="ana@example.com",
        )

    def driver(self) -> Any:
        from feast import Entity, ValueType

        return Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)

    def apply(self, view: Any) -> None:
        """What a team's CI does."""
        with self.feast() as store:
            store.apply([self.driver(), view.batch_source, view])

    def materialize(self) -> None:
        """What a team's pipeline does: everything up to the present time of the data."""
        with self.feast() as store:
            store.materialize(T0 - timedelta(days=1), self.clock, feature_views=[VIEW])

    def good(self) -> None:
        """The good release, live."""
        self.apply(self.view(self.source("good.parquet")))
        self.materialize()

    def bad(self, n: int = 1, *, extra: bool = True, drivers: int = 20) -> None:
        """A bad release: wrong logic, one more column, more drivers, later event times, other ttl, tags and source."""
        self.tick()
        path = self.source(f"bad{n}.parquet", factor=1.5 + n, drivers=self.drivers + drivers, rating=True)
        names = [f"rating{n}"] if extra else []
        if names:
            import pandas as pd

            file = self.folder / path
            pd.read_parquet(file).rename(columns={"rating": names[0]}).to_parquet(file)
        self.apply(self.view(path, extra=names, ttl=3 + n, tags={"team": "trips", "try": str(n)}))
        self.materialize()

    def by_hand(self) -> None:
        """What a person does without Rollbot: the good definition again, and a materialization."""
        self.apply(self.view("data/good.parquet"))
        self.materialize()

    def served(self, features: Sequence[str] = ("avg_trip", "trips", "city"), *, extra: int = 30) -> Json:
        """What a consumer gets for every driver there is, and for some that there should not be."""
        ids = list(range(1000, 1000 + self.drivers + extra))
        with self.feast() as store:
            known = {f.name for f in store.get_feature_view(VIEW).features}
            asked = [f for f in features if f in known]
            answer = store.get_online_features(
                features=[f"{VIEW}:{f}" for f in asked], entity_rows={"driver_id": ids}
            ).to_dict()
        return {**{f: answer[f] for f in asked}, "features": sorted(known)}

    def versions(self) -> list[int]:
        with self.feast() as store:
            return [v["version_number"] for v in store.registry.list_feature_view_versions(VIEW, "p1")]


def yaml_text(config: dict[str, Json]) -> str:
    """JSON is YAML."""
    import json

    return json.dumps(config)


def dump(*databases: Path) -> list[str]:
    """Everything in these SQLite files, as text; an absent file has nothing."""
    lines: list[str] = []
    for path in databases:
        if path.exists():
            with sqlite3.connect(path) as connection:
                lines += sorted(connection.iterdump())
            connection.close()
    return lines
