"""Opens a Feast store from a connection without any user code, and says its answers in one line.

Opening must not create anything: Feast makes an empty registry out of a mistyped path.
"""

# ruff: noqa: SLF001 - the online store, and closing what was opened, have no public way
from __future__ import annotations

import difflib
import gc
import importlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.core.errors import Fault, MissingExtra, RollbotError, TargetError, Unknown
from bot.core.target import Connection, Json

SUPPORTED = ">=0.67,<0.68"
TRANSIENT = {"OperationalError", "ConnectionError", "TimeoutError", "BusyLoadingError", "ClusterDownError", "HTTPError"}


class Settings(BaseModel):
    """A Feast connection: ``repo`` names a feature_store.yaml, or ``config`` holds its content.

    ``writers: only_rollbot`` promises that nobody else writes a file registry. ``max_rows`` bounds what is
    computed in this process. Up to ``keep_rows`` keys a capture keeps every row and can be restored from them;
    beyond that it keeps ``sample_rows`` as evidence. ``cache_ttl`` (seconds): how long serving processes keep
    the registry, if that differs from the registry's own ``cache_ttl_seconds``.
    """

    model_config = ConfigDict(extra="forbid")

    repo: str | None = None
    config: dict[str, Json] | None = None
    writers: Literal["only_rollbot"] | None = None
    max_rows: int = Field(default=1_000_000, gt=0)
    keep_rows: int = Field(default=100_000, gt=0)
    sample_rows: int = Field(default=10_000, gt=0)
    cache_ttl: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_of(self) -> Settings:
        if (self.repo is None) == (self.config is None):
            raise ValueError("give either repo: (a feature_store.yaml) or config: (its content)")
        return self


@dataclass(frozen=True)
class Opened:
    """One open store. Everything of Feast's own is ``Any``: the library is loaded late."""

    store: Any
    settings: Settings

    @property
    def config(self) -> Any:
        return self.store.config

    @property
    def project(self) -> str:
        return str(self.store.config.project)

    @property
    def registry(self) -> Any:
        return self.store.registry

    @property
    def online(self) -> Any:
        """Feast's online store object. Raises TargetError if the store has none."""
        online = self.store._get_provider().online_store
        if online is None:
            raise TargetError(f"project {self.project} has no online store")
        return online

    @property
    def offline(self) -> Any:
        return self.store._get_provider().offline_store

    @property
    def versioned(self) -> bool:
        """Does each schema version have its own online rows?"""
        return bool(self.config.registry.enable_online_feature_view_versioning)

    @property
    def registry_type(self) -> str:
        return str(self.config.registry.registry_type)

    @property
    def cache_ttl(self) -> int:
        """Seconds that a serving process may go on with an old registry."""
        own = self.settings.cache_ttl
        return int(self.config.registry.cache_ttl_seconds) if own is None else own


@cache
def lib(module: str) -> Any:
    """A module of Feast, or one that comes with it. Raises MissingExtra."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra("feast", error.name or module) from error


def met(connection: Connection | None = None) -> str:  # noqa: ARG001 - other targets ask the system itself
    """The version of Feast found here, for ``rollbot check``. Raises MissingExtra."""
    try:
        return version("feast")
    except PackageNotFoundError as error:
        raise MissingExtra("feast", "feast") from error


def version_warnings() -> list[str]:
    """One line if the Feast found here was never tried with Rollbot."""
    found = met()
    if found.split(".")[:2] == ["0", "67"]:
        return []
    return [f"Feast {found} is outside the supported range {SUPPORTED}: restores were not tried with it"]


def settings_of(connection: Connection) -> Settings:
    """The checked settings. Raises Fault."""
    try:
        return Settings.model_validate(connection.settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
        raise Fault(f"connection {connection.name}: {what}") from None


def place(connection: Connection) -> str:
    """Canonical name of the store, without credentials; pure."""
    settings = settings_of(connection)
    if settings.repo:
        return settings.repo
    config = settings.config or {}
    registry = config.get("registry", "")
    path = str(registry.get("path", "") if isinstance(registry, dict) else registry)
    scheme, sep, rest = path.partition("://")
    bare = f"{scheme}{sep}{rest.rpartition('@')[2]}" if sep else path
    return f"{bare}:{config.get('project', '')}"


def drill_folder(drill: str) -> Path:
    """Where the sandbox ``drill`` keeps its registry and rows."""
    return Path(tempfile.gettempdir()) / f"rollbot-feast-{drill}"


@contextmanager
def opened(connection: Connection, drill: str = "", *, registry: bool = True) -> Iterator[Opened]:
    """The store of a connection, or of its sandbox. ``registry=False``: only its rows will be touched.

    Raises Fault, TargetError, MissingExtra.
    """
    settings = settings_of(connection)
    with _no_collection(), answers():
        raw, folder = _raw(settings, connection.name)
        if drill:
            _redirect(raw, drill)
        if registry:
            _must_exist(raw["registry"], folder, connection.name)
        _allow_older_rows(raw)
        config = lib("feast.repo_config").RepoConfig(**raw)
        config.repo_path = folder
        store = lib("feast").FeatureStore(repo_path=str(folder), config=config)
        if registry:
            _tell_apart(store)
        try:
            yield Opened(store, settings)
        finally:
            _close(store)


def _tell_apart(store: Any) -> None:
    """Feast remembers what it read by a registry object's address and version, which SQL registries leave empty: of
    two opened one after the other the second could be taken for the first."""
    if (read := getattr(store.registry, "cached_registry_proto", None)) is not None:
        read.version_id = read.version_id or secrets.token_hex(8)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hundreds of thousands of small values live at once here; looking for cycles among them took half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def answers() -> Iterator[None]:
    """Turns whatever Feast and the stores below it raise into one line."""
    try:
        yield
    except RollbotError:
        raise
    except Exception as error:
        name = type(error).__name__
        text = " ".join(str(error).split())[:300]
        retriable = name in TRANSIENT or isinstance(error, (ConnectionError, TimeoutError))
        raise TargetError(f"Feast answered {name}: {text}", retriable=retriable) from error


def unknown_view(opened: Opened, name: str) -> Unknown:
    """The error for a view that the registry does not have."""
    names = [v.name for v in opened.registry.list_all_feature_views(opened.project)]
    near = difflib.get_close_matches(name, names, n=2)
    return Unknown(f"project {opened.project} has no feature view {name}.", near=near)


def _raw(settings: Settings, connection: str) -> tuple[dict[str, Any], Path]:
    if settings.config is not None:
        raw, folder = dict(settings.config), Path.cwd()
    else:
        path = Path(str(settings.repo))
        if not path.is_file():
            raise Fault(f"connection {connection}: {path} does not exist; repo: must name a feature_store.yaml")
        # as Feast itself reads this file, ${NAME} included
        raw, folder = lib("yaml").safe_load(os.path.expandvars(path.read_text())) or {}, path.parent
    if "project" not in raw or "registry" not in raw:
        raise Fault(f"connection {connection}: the Feast configuration lacks project or registry")
    registry = raw["registry"]
    raw["registry"] = dict(registry) if isinstance(registry, dict) else {"path": registry}
    if raw["registry"].get("registry_type") == "sql":
        raw["registry"]["schema_mode"] = "verify"  # Feast's default creates tables when it only opens
        raw["registry"]["path"] = _absolute(str(raw["registry"].get("path", "")), folder)
    return raw, folder


def _absolute(url: str, folder: Path) -> str:
    """Feast takes a relative SQLite path from where it is started, which for a team is the repository."""
    scheme, path = "sqlite:///", url.removeprefix("sqlite:///")
    return url if path == url or path.startswith("/") else f"{scheme}{folder / path}"


def _redirect(raw: dict[str, Any], drill: str) -> None:
    """Point a configuration at the sandbox: own registry and project; rows in an own file, or the same Redis."""
    home = drill_folder(drill)
    old = raw["registry"]
    raw["registry"] = {
        "registry_type": "sql",
        "path": f"sqlite:///{home / 'registry.db'}",
        "schema_mode": "verify",
        **{k: old[k] for k in ("enable_online_feature_view_versioning", "cache_ttl_seconds") if k in old},
    }
    raw["project"] = sandbox_project(str(raw["project"]), drill)
    online = raw.get("online_store") or {"type": "sqlite"}
    online = dict(online) if isinstance(online, dict) else {"type": online}
    if online.get("type", "sqlite") == "sqlite":
        online["path"] = str(home / "online.db")
    raw["online_store"] = online


def _allow_older_rows(raw: dict[str, Any]) -> None:
    """Redis silently keeps a row whose event time is newer than the written one, which every rollback's is."""
    online = raw.get("online_store")
    if isinstance(online, str) and online == "redis":
        online = {"type": "redis"}
    if isinstance(online, dict) and str(online.get("type", "")).endswith(("redis", "RedisOnlineStore")):
        raw["online_store"] = {**online, "skip_dedup": True}


def sandbox_project(project: str, drill: str) -> str:
    """Must not end with the real project's name: Feast scans Redis keys for that suffix."""
    return f"{project}_rb{drill}"


def _close(store: Any) -> None:
    for engine in {getattr(store._registry, n, None) for n in ("write_engine", "read_engine")}:
        if engine is not None:
            engine.dispose()
    online = getattr(store._provider, "online_store", None)
    for client in (getattr(online, "_conn", None), getattr(online, "_client", None)):
        if client is not None:
            client.close()


def _must_exist(registry: dict[str, Any], folder: Path, connection: str) -> None:
    path = str(registry.get("path", ""))
    if path.startswith("sqlite:///"):
        file = Path(path.removeprefix("sqlite:///").partition("?")[0])
    elif "://" not in path and registry.get("registry_type", "file") == "file":
        file = folder / path
    else:
        return
    if not file.is_file() or file.stat().st_size == 0:
        raise TargetError(f"connection {connection}: there is no registry at {file}")
