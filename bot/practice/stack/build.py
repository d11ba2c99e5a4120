"""Makes a practice stack in an empty folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bot.practice.stack.host import Host, shared_host
from bot.practice.stack.layout import FLAG, PROJECT, SERVING_TTL, Layout, Settings, write_json
from bot.practice.stack.stack import PARTS, Progress, Stack, silent


def make_stack(
    folder: Path,
    *,
    drivers: int = 50_000,
    redis_url: str | None = None,
    online_versioning: bool = False,
    publish: Sequence[str] = ("v11",),
    oncall: Sequence[str] = (),
    host: Host | None = None,
    on_progress: Progress = silent,
) -> Stack:
    """A whole platform under ``folder`` with the releases of ``publish`` shipped in that order.

    ``redis_url``: serve from this Redis (``redis://host:port/db``) and not from SQLite. ``online_versioning``: Feast
    keeps each schema version's rows apart. ``oncall``: user ids for @ml-oncall in policy.yaml, else the chat system
    is asked. ``on_progress(done, total, note)`` counts steps. Raises Broken, Ended.
    """
    layout = Layout(folder.resolve())
    settings = Settings(drivers=drivers, redis_url=redis_url, online_versioning=online_versioning)
    total = 2 + PARTS * len(publish)
    on_progress(0, total, "loading Feast, Delta and MLflow")
    chosen = host or shared_host()
    _write_files(layout, settings)
    words = [str(layout.folder), str(chosen.scratch / "mlflow.db")]
    worker = chosen.spawn("work", words, layout.folder / "logs" / "work.log")
    on_progress(1, total, "making the registries")
    worker.next(120.0)
    stack = Stack(layout=layout, settings=settings, host=chosen, worker=worker)
    stack.write_playbooks(oncall=oncall)
    for number, release in enumerate(publish):
        stack.publish(release, _shifted(on_progress, 2 + number * PARTS, total))
    return stack


def _shifted(on_progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _total, note: on_progress(before + done, total, note)


def _write_files(layout: Layout, settings: Settings) -> None:
    layout.pipeline.mkdir(parents=True, exist_ok=True)
    settings.save(layout)
    _yaml(layout.feature_store, _feature_store(layout, settings, 60))
    _yaml(layout.serving_store, _feature_store(layout, settings, SERVING_TTL))
    write_json(layout.flags, {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": _flags()})


def _feature_store(layout: Layout, settings: Settings, ttl: int) -> dict[str, Any]:
    registry = {
        "registry_type": "sql",
        "path": f"sqlite:///{layout.registry}",
        "cache_ttl_seconds": ttl,
        # Or a materialization makes every read fail until it is done.
        "serve_features_while_materializing": True,
        "enable_online_feature_view_versioning": settings.online_versioning,
    }
    return {
        "project": PROJECT,
        "provider": "local",
        "registry": registry,
        "offline_store": {"type": "bot.practice.stack.delta_offline.DeltaOfflineStore"},
        "online_store": settings.online_store(layout),
        "entity_key_serialization_version": 3,
        # Feast's default writes all rows of the window, one over the other.
        "materialization": {"pull_latest_features": True},
    }


def _flags() -> dict[str, Any]:
    def boolean(default: str) -> dict[str, Any]:
        return {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": default}

    everybody = {"fractional": [["on", 100], ["off", 0]]}
    return {FLAG: {**boolean("on"), "targeting": everybody}, "show_surge_banner": boolean("off")}


def _yaml(path: Path, value: dict[str, Any]) -> None:
    yaml = YAML()
    yaml.default_flow_style = False
    with path.open("w") as file:
        yaml.dump(value, file)
