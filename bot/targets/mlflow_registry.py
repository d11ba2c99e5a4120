"""MLflow's registry as ``mlflow.py`` needs it: a client that notices a dead server, names that say what is near, and
errors in one line.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.core.errors import MissingExtra, TargetError
from bot.core.target import Call, Connection, Json, digest_of

_METRICS = 50
_BUSY = {"TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}
_SILENT = re.compile(r"failed with (timeout )?exception|^Failed to query |error code 5\d\d|OperationalError")
_REASONS = ("Connection refused", "timed out", "Name or service not known", "Temporary failure in name resolution")
_SECRET = re.compile(r"//[^/\s]*@")


def uris(connection: Connection) -> tuple[str, str]:
    """Tracking and registry URI of a connection. Raises TargetError if there is none."""
    tracking = connection.settings.get("tracking_uri")
    if not isinstance(tracking, str) or not tracking:
        raise TargetError(f"connection {connection.name}: tracking_uri is missing")
    return tracking, str(connection.settings.get("registry_uri") or tracking)


def without_secrets(text: str) -> str:
    """``text`` without the user and password of any URL in it."""
    return _SECRET.sub("//", text)


@contextmanager
def registry(call: Call) -> Iterator[Any]:
    """An MlflowClient whose requests end well inside ``call.deadline``. MLflow's errors become TargetErrors.

    Raises TargetError before anything is opened if the URI names a local store that isn't there: MLflow would
    create an empty one.
    """
    tracking, place = uris(call.connection)
    for uri in (tracking, place):
        _refuse_missing_store(uri)
    seconds = max(1, min(10, int(call.deadline / 4)))
    with _environment(seconds, tracking, place):
        mlflow = _mlflow()
        try:
            yield mlflow.MlflowClient(tracking, place)
        except mlflow.MlflowException as error:
            raise _in_words(error, place) from None
        except Exception as error:
            if not type(error).__module__.startswith(("sqlalchemy.", "requests.")):
                raise
            text = first_line(without_secrets(str(error)))
            raise TargetError(f"MLflow at {without_secrets(place)} does not answer: {text}", retriable=True) from None


def _mlflow() -> Any:
    """The library, with its usage reports off unless the operator wants them: an incident tool does not phone home."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
    except ImportError:
        raise MissingExtra("mlflow", "mlflow") from None
    return mlflow


@contextmanager
def _environment(seconds: int, tracking: str, place: str) -> Iterator[None]:
    """MLflow's own way to set timeouts: 7 retries of 120 s each by default, longer than any rollback may wait.

    The URIs too: parts of MLflow 3.17 ask the global client, which makes an empty store in the working directory.
    """
    wanted = {
        "MLFLOW_TRACKING_URI": tracking,
        "MLFLOW_REGISTRY_URI": place,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _refuse_missing_store(uri: str) -> None:
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        path = Path(uri.removeprefix("sqlite:///").split("?")[0])
    elif parts.scheme in ("", "file"):
        path = Path(parts.path)
    else:
        return
    if not path.exists():
        raise TargetError(f"there is no MLflow store at {path}")


def _in_words(error: Any, place: str) -> TargetError:
    text, code = without_secrets(str(error)), error.error_code
    if _SILENT.search(text):
        reason = next((r for r in _REASONS if r in text), first_line(text))
        return TargetError(f"MLflow at {without_secrets(place)} does not answer: {reason}", retriable=True)
    return TargetError(f"MLflow: {first_line(text)}", retriable=code in _BUSY)


def first_line(text: str) -> str:
    line = text.strip().split("\n")[0]
    return line if len(line) <= 300 else line[:299] + "…"


def registered(client: Any, model: str) -> Any:
    """The registered model, aliases included. Raises TargetError that names near misses if there is none."""
    try:
        return client.get_registered_model(model)
    except _mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    names = [m.name for m in client.search_registered_models(max_results=200)]
    near = get_close_matches(model, names, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(sorted(names)[:5]) or 'none'}"
    raise TargetError(f"MLflow has no registered model {model}; {hint}")


def alias_of(found: Any, alias: str) -> str | None:
    """The version behind an alias as a string (3.17 gives integers), or None."""
    number = found.aliases.get(alias)
    return None if number is None else str(number)


def version(client: Any, model: str, number: str) -> Any:
    """One model version. Raises TargetError that names the newest ones if it does not exist."""
    try:
        return client.get_model_version(model, number)
    except _mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    quote = '"' if "'" in model else "'"
    held = sorted(int(v.version) for v in client.search_model_versions(f"name={quote}{model}{quote}", max_results=200))
    has = ", ".join(str(n) for n in held[-5:]) or "none"
    raise TargetError(f"model {model} has no version {number}; the newest it has: {has}")


def identity(mv: Any) -> str:
    """Digest of what makes a version the same thing: a model that was deleted and made again counts from 1 again."""
    return digest_of([mv.name, str(mv.version), mv.run_id or "", mv.source or "", int(mv.creation_timestamp or 0)])


def run_of(client: Any, mv: Any) -> Any:
    """The run that made a version; None if there is none, or the store no longer has it."""
    if not mv.run_id:
        return None
    try:
        return client.get_run(mv.run_id)
    except _mlflow().MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def facts_of(client: Any, mv: Any, run: Any) -> dict[str, Json]:
    """A version in facts: metrics as measured when it was made, and what it says it was trained on."""
    metrics = {**_logged_metrics(client, mv), **(run.data.metrics if run else {})}
    tags = {**(run.data.tags if run else {}), **mv.tags}
    own = sorted(name for name in metrics if not name.startswith("system/"))[:_METRICS]
    created = datetime.fromtimestamp((mv.creation_timestamp or 0) / 1000, UTC)
    return {
        "version": str(mv.version),
        "run_id": mv.run_id or None,
        "metrics": {name: metrics[name] if math.isfinite(metrics[name]) else str(metrics[name]) for name in own},
        "tags": {k: v for k, v in sorted(tags.items()) if k.startswith("feast.") or k == "rollbot.release"},
        "created": created.isoformat(timespec="seconds"),
        "source": without_secrets(mv.source or ""),
    }


def doubts(mv: Any, run: Any) -> list[str]:
    """What may take a version away soon."""
    if run is None or run.info.lifecycle_stage != "deleted":
        return []
    return [f"the run of {mv.name} {mv.version} is deleted in MLflow: `mlflow gc` will remove its files"]


def _logged_metrics(client: Any, mv: Any) -> dict[str, float]:
    """Metrics of MLflow 3's logged model, which a version without a run may have."""
    if not mv.model_id or mv.run_id:
        return {}
    return {m.key: m.value for m in client.get_logged_model(mv.model_id).metrics or []}
