"""A real MLflow store (SQLite and a folder of artifacts) with one model: the world of the model target's tests."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from bot.core.target import Capture, Connection, Json
from bot.targets.mlflow import MlflowModel
from tests.targets.world import World, digest_tree, flip

TABLES = ("registered_models", "registered_model_aliases", "model_versions", "model_version_tags", "runs", "tags")
NOLOAD = "ignore:The ``noload`` loader strategy is deprecated"
"""MLflow 3.17.2 under SQLAlchemy 2.1, at the first use of its SQL store."""


@cache
def empty_store() -> bytes:
    """A store with its schema made, once per process (MLflow needs seconds for it)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mlflow.db")
        MlflowClient(f"sqlite:///{file}", f"sqlite:///{file}").search_registered_models()
        return file.read_bytes()


class ModelWorld(World):
    """Model eta with versions 1 and 2, champion at 2."""

    kills = 2
    preload = ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")
    absent = ("99", "v2", "latest", "champion", "2.0", "-1", "02", "２", "")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.db, self.artifacts = folder / "mlflow.db", folder / "artifacts"
        self.db.write_bytes(empty_store())
        self.uri = f"sqlite:///{self.db}"
        self.client = MlflowClient(self.uri, self.uri)
        self.experiment = self.client.create_experiment("eta", artifact_location=str(self.artifacts))
        self.client.create_registered_model("eta")
        self.connection = Connection(name="models", type="mlflow", settings={"tracking_uri": self.uri})
        self.target = MlflowModel(model="eta")
        for auc in (0.89, 0.91):
            self.release(auc)

    def release(self, auc: float, **files: bytes) -> str:
        """Train and register a version as a pipeline would, and make it champion."""
        run = self.client.create_run(self.experiment)
        self.client.log_metric(run.info.run_id, "auc", auc)
        self.client.set_tag(run.info.run_id, "feast.feature_views", "driver_stats")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "weights").mkdir()
            Path(folder, "MLmodel").write_text(f"auc: {auc}\n")
            Path(folder, "weights", "model.bin").write_bytes(hashlib.sha256(str(auc).encode()).digest() * 100)
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            self.client.log_artifacts(run.info.run_id, folder, "model")
        self.client.set_terminated(run.info.run_id)
        return self.register(run.info.run_id)

    def register(self, run_id: str) -> str:
        mv = self.client.create_model_version("eta", source=f"runs:/{run_id}/model", run_id=run_id)
        self.client.set_registered_model_alias("eta", "champion", str(mv.version))
        return str(mv.version)

    def folder_of(self, number: str) -> Path:
        return self.artifacts / self.client.get_model_version("eta", number).run_id / "artifacts" / "model"

    def change(self) -> None:
        self.release(0.5 + len(self.client.search_model_versions("name='eta'")) / 100)

    def content(self) -> Json:
        number = str(self.client.get_model_version_by_alias("eta", "champion").version)
        return [number, digest_tree(self.folder_of(number))]

    def fingerprint(self) -> str:
        """Everything in the registry but the times of the last update, the artifacts, and the folder's files."""
        with closing(sqlite3.connect(self.db)) as connection:
            connection.row_factory = sqlite3.Row
            rows = {t: [dict(r) for r in connection.execute(f"select * from {t}")] for t in TABLES}  # noqa: S608
        for row in (r for table in rows.values() for r in table):
            row.pop("last_updated_time", None)
        names = sorted(p.name for p in self.folder.iterdir())
        return digest_tree(self.artifacts) + json.dumps([rows, names], sort_keys=True)

    def lose(self, capture: Capture) -> None:
        shutil.rmtree(self.folder_of(capture.pointer))

    def corrupt(self, capture: Capture) -> bool:
        flip(self.folder_of(capture.pointer) / "weights" / "model.bin")
        return True


@contextmanager
def model_server(body: str, status: int = 200) -> Iterator[tuple[str, dict[str, Any]]]:
    """A real HTTP server on a free port that answers ``said["body"]`` to every GET."""
    said: dict[str, Any] = {"body": body, "status": status}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(said["body"].encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/version", said
        finally:
            server.shutdown()
            thread.join()
