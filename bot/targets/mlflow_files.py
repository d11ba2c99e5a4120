"""The files behind a model version, by digest: MLflow's own answers ("alias set", "READY") say nothing of them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.core.errors import TargetError
from bot.core.target import Call, Json
from bot.targets.mlflow_registry import first_line, uris, without_secrets

Files = dict[str, dict[str, Json]]
"""Path inside the model -> ``size`` in bytes and ``sha256`` in hex."""


def read(client: Any, call: Call, mv: Any, recorded: Files | None = None, since: str = "") -> tuple[Files, list[str]]:
    """A version's files, read and digested, and what is wrong with them: nothing there, or not as ``recorded``.

    Names and sizes are compared first; only if they fit is anything downloaded. Raises TargetError (retriable) if the
    store does not answer.
    """
    name = f"{mv.name} {mv.version}"
    if mv.status != "READY":
        return {}, [f"{name} has the status {mv.status}, not READY"]
    if recorded == {}:
        return {}, [f"{name} had no readable files when it was captured {since}"]
    try:
        store, sizes = _listed(client, call, mv)
        if not sizes and recorded is None:
            return {}, [f"{name}: MLflow lists no files for it, so nobody can load it"]
        faults = _damage(name, recorded or {}, {p: {"size": s} for p, s in sizes.items()}, since)
        if faults:
            return {}, faults
        files = _digested(call, mv, store, sizes)
    except TargetError as error:
        if error.retriable:
            raise
        return {}, [error.message]
    return files, _damage(name, recorded or {}, files, since)


def _damage(name: str, recorded: Files, found: Files, since: str) -> list[str]:
    """Each recorded file that is gone or whose known size or digest differs, in two lines at most."""
    gone = sorted(recorded.keys() - found.keys())
    other = [
        path for path in sorted(found.keys() & recorded.keys()) if not found[path].items() <= recorded[path].items()
    ]
    faults = [f"{name}: {_names(gone)} gone ({len(gone)} of {len(recorded)} files; there at {since})"] if gone else []
    return faults + ([f"{name}: {_names(other)} changed since {since}"] if other else [])


def _names(paths: list[str]) -> str:
    shown = ", ".join(paths[:3])
    return (
        f"{shown} and {len(paths) - 3} more are" if len(paths) > 3 else f"{shown} {'is' if len(paths) == 1 else 'are'}"
    )


def _listed(client: Any, call: Call, mv: Any) -> tuple[Any, dict[str, int]]:
    """The store that holds a version's files, and path -> size of each. Raises TargetError if it can't be read."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    tracking, place = uris(call.connection)
    with _readable(mv):
        where = client.get_model_version_download_uri(mv.name, str(mv.version))
        store = get_artifact_repository(where, tracking_uri=tracking, registry_uri=place)
        return store, dict(sorted(_walk(store, None)))


def _walk(store: Any, folder: str | None) -> Iterator[tuple[str, int]]:
    for info in store.list_artifacts(folder):
        if info.is_dir:
            yield from _walk(store, info.path)
        else:
            yield info.path, int(info.file_size or 0)


def _digested(call: Call, mv: Any, store: Any, sizes: dict[str, int]) -> Files:
    """Reads every file, one at a time through a temporary folder, and takes its digest. Nothing is kept."""
    files: Files = {}
    total, done = sum(sizes.values()), 0
    for path, size in sizes.items():
        with _readable(mv), tempfile.TemporaryDirectory(prefix="rollbot-model-") as folder:
            local = Path(store.download_artifacts(path, folder))
            with local.open("rb") as file:
                files[path] = {"size": local.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        done += size
        call.progress(done, total, f"read {path}")
    return files


@contextmanager
def _readable(mv: Any) -> Iterator[None]:
    """Each kind of store (local, S3, GCS, HTTP) raises its own errors; all mean that the bytes can't be read now."""
    try:
        yield
    except TargetError:
        raise
    except Exception as error:  # noqa: BLE001
        gone = getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST" or isinstance(error, FileNotFoundError)
        text = first_line(without_secrets(str(error))) or type(error).__name__
        raise TargetError(f"can't read the files of {mv.name} {mv.version}: {text}", retriable=not gone) from None
