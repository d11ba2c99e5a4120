"""A target that uses the real heavy libraries, to see that they work in a process forked from one that has them."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.core.target import Call, State
from tests.outside.fakes import Thing

ROWS = 500


class Heavy(Thing):
    """Writes a Delta table, materializes it with Feast into SQLite, reads it back, and asks MLflow."""

    def inspect(self, call: Call) -> State:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            delta = self.delta(folder)
            took = {"delta": time.perf_counter() - began}
            began = time.perf_counter()
            served = self.feast(folder)
            took["feast"] = time.perf_counter() - began
        facts = {
            "pid": os.getpid(),
            "delta": delta,
            "served": served,
            "took": took,
            "threads": threading.active_count(),
        }
        return State(kind=self.kind, resource="r", pointer="p", digest="d", facts=facts)

    def delta(self, folder: str) -> int:
        import pandas as pd
        from deltalake import DeltaTable, write_deltalake

        at = datetime.now(UTC) - timedelta(days=1)
        frame = pd.DataFrame({"driver": range(ROWS), "at": [at] * ROWS, "trips": range(ROWS)})
        write_deltalake(f"{folder}/t", frame)
        return DeltaTable(f"{folder}/t").to_pyarrow_table().num_rows

    def feast(self, folder: str) -> list[int]:
        from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
        from feast.data_format import DeltaFormat
        from feast.types import Int64
        from feast.value_type import ValueType

        store = FeatureStore(
            config=RepoConfig(
                project="p",
                provider="local",
                registry={"registry_type": "sql", "path": f"sqlite:///{folder}/r.db"},
                online_store={"type": "sqlite", "path": f"{folder}/o.db"},
                entity_key_serialization_version=3,
            )
        )
        driver = Entity(name="driver", join_keys=["driver"], value_type=ValueType.INT64)
        source = FileSource(path=str(Path(folder, "t")), file_format=DeltaFormat(), timestamp_field="at")
        view = FeatureView(
            name="stats",
            entities=[driver],
            ttl=timedelta(days=30),
            schema=[Field(name="trips", dtype=Int64)],
            source=source,
        )
        store.apply([driver, view])
        store.materialize(datetime.now(UTC) - timedelta(days=2), datetime.now(UTC))
        got = store.get_online_features(features=["stats:trips"], entity_rows=[{"driver": n} for n in (0, 7, 499)])
        return list(got.to_dict()["trips"])
