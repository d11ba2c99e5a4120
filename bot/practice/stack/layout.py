"""Where everything of a practice stack lies, and what it was made with."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROJECT = "practice"
MODEL = "eta"
ALIAS = "champion"
FLAG = "use_driver_stats"
SERVING_TTL = 2
"""Seconds for which the feature server keeps its picture of the registry."""


@dataclass(frozen=True)
class Layout:
    """The paths under a stack's folder."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "stack.json"

    @property
    def lake(self) -> Path:
        return self.folder / "data" / "driver_stats"

    @property
    def feature_store(self) -> Path:
        return self.folder / "feature_store.yaml"

    @property
    def serving_store(self) -> Path:
        return self.folder / "serving_store.yaml"

    @property
    def registry(self) -> Path:
        return self.folder / "registry.db"

    @property
    def online(self) -> Path:
        return self.folder / "online.db"

    @property
    def flags(self) -> Path:
        return self.folder / "flags.json"

    @property
    def tracking(self) -> Path:
        return self.folder / "mlflow.db"

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.tracking}"

    @property
    def artifacts(self) -> Path:
        return self.folder / "mlartifacts"

    @property
    def playbooks(self) -> Path:
        return self.folder / "playbooks"

    @property
    def pipeline(self) -> Path:
        """The pipeline's own folder: its state, its lock and its hold."""
        return self.folder / "pipeline"


@dataclass(frozen=True)
class Settings:
    """What a stack was made with; kept in ``stack.json`` for its processes."""

    drivers: int
    seed: int = 12
    redis_url: str | None = None
    online_versioning: bool = False

    def save(self, layout: Layout) -> None:
        write_json(layout.settings, vars(self))

    @classmethod
    def load(cls, layout: Layout) -> Settings:
        return cls(**json.loads(layout.settings.read_text()))

    def online_store(self, layout: Layout) -> dict[str, Any]:
        """Feast's ``online_store`` block."""
        if self.redis_url is None:
            return {"type": "sqlite", "path": str(layout.online)}
        url = urlsplit(self.redis_url)
        words = [f"{url.hostname or '127.0.0.1'}:{url.port or 6379}", f"db={url.path.strip('/') or 0}"]
        words += [f"password={url.password}"] if url.password else []
        return {"type": "redis", "connection_string": ",".join(words)}


def write_text(path: Path, text: str) -> None:
    """Replace a file as a whole: a reader sees the old text or the new, also when this process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file as a whole."""
    write_text(path, json.dumps(value, indent=2) + "\n")
