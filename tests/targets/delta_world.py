"""Real Delta tables for the tests, and what befalls them: bad releases, vacuum, log cleanup, damage."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from bot.core.target import Capture, Connection, Json
from bot.targets.delta import DeltaDataset
from tests.targets.contract import World, digest_tree, flip

ROWS = 1_000
LONG_AGO = 90 * 86_400


def stats(rows: int, start: int = 0, factor: float = 1.0, **more: list[float]) -> pa.Table:
    """Driver statistics: two shards, a null now and then."""
    ids = range(start, start + rows)
    columns = {
        "driver_id": pa.array(ids, pa.int64()),
        "avg_trip": pa.array([None if i % 97 == 0 else i * factor for i in ids], pa.float64()),
        "city": pa.array([f"städt {i % 7}" for i in ids]),
        "shard": pa.array([f"s {i % 2}/x" for i in ids]),
    }
    return pa.table(columns | {name: pa.array(values) for name, values in more.items()})


class DeltaWorld(World):
    """Copied captures; everything is still in the log and the folder."""

    preload: ClassVar[tuple[str, ...]] = ("pyarrow", "pyarrow.dataset", "deltalake")
    absent: ClassVar[tuple[str, ...]] = ("v12", "999", "-1", "2026-11-22T01:00:00Z", "1.0", "", "01", "٣")
    kills = 2
    copy = "auto"
    partition_by: ClassVar[list[str]] = []

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lake = folder / "lake"
        self.table = self.lake / "data" / "driver_stats"
        self.connection = Connection(
            name="lake", type="delta", settings={"root": str(self.lake), "storage_options": {}}
        )
        self.target = DeltaDataset.model_validate({"uri": "data/driver_stats", "copy": self.copy, "key": ["driver_id"]})
        self.changes = 0
        self.lake.mkdir()
        write_deltalake(str(self.table), stats(ROWS), partition_by=self.partition_by or None)
        self.append()

    def open(self, version: int | None = None) -> DeltaTable:
        return DeltaTable(str(self.table), version=version)

    def change(self) -> None:
        """Wrong logic, one more column, more drivers; and the operators keep deleted files for longer from now on."""
        self.changes += 1
        rows = ROWS + 50
        bad = stats(rows, 0, 1.5 + self.changes, rating=[float(self.changes)] * rows)
        write_deltalake(str(self.table), bad, mode="overwrite", schema_mode="overwrite")
        self.open().alter.set_table_properties(
            {"delta.deletedFileRetentionDuration": f"interval {20 + self.changes} days"}
        )

    def append(self) -> None:
        write_deltalake(
            str(self.table), stats(10, 50_000 + self.open().version() * 100), mode="append", schema_mode="merge"
        )

    def content(self) -> Json:
        table = self.open()
        rows = table.to_pyarrow_table().to_pylist()
        return {
            "rows": sorted(([row[k] for k in sorted(row)] for row in rows), key=str),
            "schema": table.schema().to_json(),
            "partitions": table.metadata().partition_columns,
        }

    def fingerprint(self) -> str:
        return digest_tree(self.lake)

    def files_of(self, capture: Capture) -> list[Path]:
        """The files of the captured version that are in the table's folder."""
        paths = [self.table / f["path"] for f in capture.data["files"]]
        return [p for p in paths if p.exists()]

    def lose(self, capture: Capture) -> None:
        super().lose(capture)
        for path in self.files_of(capture):
            path.unlink()

    def corrupt(self, capture: Capture) -> bool:
        """One file in the table, and its copy if it has one."""
        damaged = self.files_of(capture)[:1]
        copies = [p for p in self.blob_files(capture) if p.stat().st_size == capture.data["files"][0]["size"]]
        for path in damaged + copies:
            flip(path)
        return True

    def vacuum(self) -> None:
        """Everything that the newest version does not need goes, now."""
        self.open().vacuum(0, dry_run=False, enforce_retention_duration=False)

    def clean_log(self) -> None:
        """As after a checkpoint and the end of the log's retention."""
        table = self.open()
        table.create_checkpoint()
        kept = f"{table.version():020}"
        for path in (self.table / "_delta_log").iterdir():
            if not path.name.startswith((kept, "_last")):
                old = path.stat().st_mtime - LONG_AGO
                os.utime(path, (old, old))
        table.cleanup_metadata()


class UncopiedWorld(DeltaWorld):
    """Nothing but the table's own folder to restore from."""

    copy = "never"

    def corrupt(self, capture: Capture) -> bool:
        flip(self.files_of(capture)[0])
        return True


class PartitionedWorld(DeltaWorld):
    """Partition values that must be escaped, once in the path and once more in the log."""

    partition_by: ClassVar[list[str]] = ["shard"]


class VacuumedWorld(DeltaWorld):
    """Every bad release is followed by a vacuum: the files come back from their copies."""

    kills = 4

    def change(self) -> None:
        super().change()
        self.vacuum()


class ForgottenWorld(PartitionedWorld):
    """Every bad release is followed by a vacuum and a log cleanup: the version is written anew."""

    kills = 5

    def change(self) -> None:
        super().change()
        self.vacuum()
        self.clean_log()


def committed(world: DeltaWorld, version: int) -> datetime:
    """From the log itself: deltalake's ``history`` numbers the commits of an earlier version wrongly."""
    text = (world.table / "_delta_log" / f"{version:020}.json").read_text()
    (info,) = [json.loads(line)["commitInfo"] for line in text.splitlines() if line.startswith('{"commitInfo"')]
    return datetime.fromtimestamp(info["timestamp"] / 1000, UTC)


def sandboxes(world: DeltaWorld) -> list[Path]:
    """The sandboxes that are left."""
    return [p for p in world.lake.rglob(".rollbot-sandbox-*") if p.is_dir()]


def use_deletion_vectors(world: DeltaWorld) -> None:
    """Rewrite the protocol in the newest log entry, as an engine that writes deletion vectors would have."""
    path = world.table / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        if "protocol" in action:
            features = ["deletionVectors"]
            action["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": features,
                "writerFeatures": features,
            }
    path.write_text("\n".join(json.dumps(a) for a in actions))


def made_anew(world: DeltaWorld) -> None:
    """Somebody dropped the table and made another one at the same place, with as many versions."""
    versions = world.open().version()
    shutil.rmtree(world.table)
    write_deltalake(str(world.table), stats(3))
    for _ in range(versions):
        write_deltalake(str(world.table), stats(3), mode="append")
