"""The practice model registry: a real MLflow with a linear ETA model per release."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from bot.practice.stack.layout import ALIAS, MODEL, Layout
from bot.practice.stack.world import VIEW

# Read by mlflow when it is imported: a practice stack calls nobody.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException

FILE = "eta.json"
RELEASE_TAG = "rollbot.release"
VIEWS_TAG = "feast.feature_views"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EtaModel:
    """Minutes = intercept + coefficients * features. ``version`` is the registry's number, once it has one."""

    release: str
    features: tuple[str, ...]
    intercept: float
    coefficients: tuple[float, ...]
    version: str = ""

    def predict(self, rows: Floats) -> Floats:
        """Minutes for rows whose columns are ``features``."""
        minutes: Floats = self.intercept + rows @ np.array(self.coefficients)
        return minutes


def fit(release: str, features: tuple[str, ...], rows: Floats, minutes: Floats) -> tuple[EtaModel, dict[str, float]]:
    """Least squares on four fifths of the rows; metrics in minutes, measured on the rest."""
    held = np.arange(len(minutes)) % 5 == 0
    design = np.column_stack([np.ones(len(rows)), rows])
    solved = np.linalg.lstsq(design[~held], minutes[~held], rcond=None)[0]
    model = EtaModel(release, features, float(solved[0]), tuple(float(c) for c in solved[1:]))
    error = model.predict(rows[held]) - minutes[held]
    metrics = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean())), "rows": float(len(rows))}
    return model, {name: round(value, 4) for name, value in metrics.items()}


def client(layout: Layout) -> MlflowClient:
    """Opens the registry; the first time this makes its tables."""
    return MlflowClient(tracking_uri=layout.tracking_uri, registry_uri=layout.tracking_uri)


def open_from(template: Path, layout: Layout) -> MlflowClient:
    """A new registry. Its migrations take 1.5 s, so the first one's empty tables are kept as ``template``."""
    if template.is_file():
        shutil.copyfile(template, layout.tracking)
        return client(layout)
    opened = client(layout)
    part = template.with_name(f"{template.name}.{os.getpid()}")
    with closing(sqlite3.connect(layout.tracking)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
    part.replace(template)
    return opened


def prepare(mlflow: MlflowClient, layout: Layout) -> None:
    """The experiment and the registered model, if they are not there yet."""
    if mlflow.get_experiment_by_name(MODEL) is None:
        mlflow.create_experiment(MODEL, artifact_location=layout.artifacts.as_uri())
        mlflow.create_registered_model(MODEL, description="Minutes until a driver is there")


def publish(mlflow: MlflowClient, model: EtaModel, metrics: dict[str, float]) -> str:
    """Log the run, register its files as a new version and make it the champion. Returns the version."""
    experiment = mlflow.get_experiment_by_name(MODEL)
    if experiment is None:
        raise LookupError(f"experiment {MODEL} is gone")
    run = mlflow.create_run(experiment.experiment_id, run_name=f"{MODEL}-{model.release}")
    for name, value in metrics.items():
        mlflow.log_metric(run.info.run_id, name, value)
    body = {"release": model.release, "features": model.features, "intercept": model.intercept}
    mlflow.log_text(
        run.info.run_id, json.dumps({**body, "coefficients": model.coefficients}, indent=2), f"model/{FILE}"
    )
    mlflow.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.FINISHED))
    tags = {VIEWS_TAG: VIEW, RELEASE_TAG: model.release}
    made = mlflow.create_model_version(MODEL, f"{run.info.artifact_uri}/model", run_id=run.info.run_id, tags=tags)
    version = str(made.version)
    mlflow.set_registered_model_alias(MODEL, ALIAS, version)
    return version


def champion_version(mlflow: MlflowClient) -> str:
    """The version that the alias points to. Raises LookupError."""
    try:
        return str(mlflow.get_model_version_by_alias(MODEL, ALIAS).version)
    except MlflowException as error:
        raise LookupError(f"model {MODEL} has no {ALIAS}: {error.message}") from error


def load(mlflow: MlflowClient, version: str) -> EtaModel:
    """The model from its files. Raises LookupError if they are gone."""
    file = _files(mlflow, version) / FILE
    if not file.is_file():
        raise LookupError(f"the files of model {MODEL} version {version} are gone")
    body: dict[str, Any] = json.loads(file.read_text())
    return EtaModel(
        release=body["release"],
        features=tuple(body["features"]),
        intercept=body["intercept"],
        coefficients=tuple(body["coefficients"]),
        version=version,
    )


def delete_files(mlflow: MlflowClient, release: str) -> str:
    """Take the files of a release's newest version from the disk; the registry is not told. Returns the version."""
    tagged = [v for v in mlflow.search_model_versions(f"name='{MODEL}'") if v.tags.get(RELEASE_TAG) == release]
    if not tagged:
        raise LookupError(f"model {MODEL} has no version of release {release}")
    version = str(max(int(v.version) for v in tagged))
    shutil.rmtree(_files(mlflow, version), ignore_errors=True)
    return version


def _files(mlflow: MlflowClient, version: str) -> Path:
    return Path(unquote(urlsplit(mlflow.get_model_version_download_uri(MODEL, version)).path))
