"""The practice stack's workshop: a process that makes releases and breaks things when asked, one JSON line each way.

It is apart from the caller so that the caller's event loop never waits for Feast or pandas.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bot.practice.stack import features, harm, job, lake, models
from bot.practice.stack.layout import FLAG, Layout, write_json
from bot.practice.stack.pipeline import Pipeline, State
from bot.practice.stack.world import KEY, LOGICS, TIME, VIEW, Logic

TRAINED_ON = 4000
SAMPLE = 500
Progress = Callable[[str], None]


class Workshop:
    """One method per request; arguments and results are JSON."""

    def __init__(self, layout: Layout, template: Path, say: Progress) -> None:
        self.layout = layout
        self.say = say
        self.mlflow = models.open_from(template, layout)
        for file in (layout.registry, layout.online, layout.tracking):
            _reads_beside_writes(file)
        models.prepare(self.mlflow, layout)
        self.pipeline = Pipeline.open(layout)
        self.world, self.store = self.pipeline.world, self.pipeline.store

    def publish(self, release: str) -> dict[str, Any]:
        """Data, definition, online rows, model and flag of a release, as a team's CI would ship them."""
        logic = LOGICS[release]
        with job.running(self.layout.pipeline):
            state = State.load(self.layout)
            at = state.next_time()
            self.say("dataset")
            ids = self.world.ids(logic)
            version = lake.overwrite(self.layout.lake, self.world.rows(logic, ids, at, 0), release)
            self.say("definition")
            features.apply(self.store, self.layout, logic)
            self.say(f"online ({ids.size:,} drivers)")
            features.materialize(self.store, at, at)
            state.online_until = at
            state.save()
            self.say("model")
            model, metrics = self._train(logic)
            number = models.publish(self.mlflow, model, metrics)
            self._flag_on()
        return {"release": release, "delta": version, "model": number, "metrics": metrics, "drivers": int(ids.size)}

    def _train(self, logic: Logic) -> tuple[models.EtaModel, dict[str, float]]:
        ids = self.world.ids(logic)
        some = slice(0, TRAINED_ON)
        asked = pd.DataFrame({KEY: ids[some], "minutes": self.world.labels(logic, ids)[some]})
        asked[TIME] = State.load(self.layout).event_time
        refs = [f"{VIEW}:{name}" for name in logic.features]
        joined = self.store.get_historical_features(entity_df=asked, features=refs).to_df()
        rows = joined[list(logic.features)].to_numpy(float)
        return models.fit(logic.release, logic.features, rows, joined["minutes"].to_numpy(float))

    def _flag_on(self) -> None:
        flags = json.loads(self.layout.flags.read_text())
        flags["flags"][FLAG].update(state="ENABLED", defaultVariant="on")
        write_json(self.layout.flags, flags)

    def rounds(self, count: int) -> dict[str, Any]:
        """Rounds of the pipeline, at once and in this process. Returns the last one's line."""
        said: dict[str, Any] = {}
        for _ in range(count):
            said = self.pipeline.round()
        return said

    def eta_error(self) -> dict[str, Any]:
        """The champion's predictions from real online values, against the truth."""
        model = models.load(self.mlflow, models.champion_version(self.mlflow))
        every = max(1, self.world.drivers // SAMPLE)
        ids = np.arange(0, self.world.drivers, every, dtype=np.int64)
        served = features.read_online(self.store, model.features, [int(i) for i in ids])
        rows = np.array([served[name] for name in model.features], dtype=float).T
        there = ~np.isnan(rows).any(axis=1)
        missing = int((~there).sum())
        found = {"release": model.release, "model": model.version, "read": int(ids.size), "missing": missing}
        if not there.any():
            return {**found, "bias": None, "mae": None}
        eta, truth = model.predict(rows[there]), self.world.eta(ids[there])
        return {**found, "bias": float((eta / truth).mean() - 1.0), "mae": float(np.abs(eta - truth).mean())}

    def read_online(self, columns: list[str], ids: list[int]) -> dict[str, Any]:
        """Online values by column."""
        return features.read_online(self.store, columns, ids)

    def read_dataset(self) -> dict[str, Any]:
        """The newest row of each driver in the Delta table, by column, ordered by driver."""
        frame = lake.read(self.layout.lake).to_pandas().sort_values([KEY, TIME]).drop_duplicates(KEY, keep="last")
        frame[TIME] = frame[TIME].map(lambda at: at.isoformat())
        columns: dict[str, Any] = frame.to_dict("list")
        return columns

    def delta_version(self) -> int:
        return lake.version(self.layout.lake)

    def definition(self) -> dict[str, Any]:
        """The live feature view, in words."""
        features.refresh(self.store)
        view = self.store.get_feature_view(VIEW)
        versions = self.store.registry.list_feature_view_versions(VIEW, self.store.project)
        names = [field.name for field in view.features]
        return {"features": names, "tags": dict(view.tags), "versions": [v["version"] for v in versions]}

    def ci_apply(self, release: str) -> None:
        """Apply a release's definition again, as CI does that nobody has told of a rollback."""
        features.apply(self.store, self.layout, LOGICS[release])

    def live(self) -> dict[str, Any]:
        """The release that the live definition names, and the champion's; None where the registry does not answer."""
        return {"definition": features.live_logic(self.store).release, "model": self._champion()}

    def _champion(self) -> str | None:
        try:
            return models.load(self.mlflow, models.champion_version(self.mlflow)).release
        except LookupError:
            return None

    def truth(self, count: int) -> dict[str, Any]:
        """``count`` drivers that every release knows, spread over the fleet, and the minutes that each really takes."""
        ids = np.unique(np.linspace(0, self.world.drivers - 1, count).astype(np.int64))
        return {"ids": [int(i) for i in ids], "minutes": [float(m) for m in self.world.eta(ids)]}

    def drift(self, on: bool) -> dict[str, Any]:
        """The pipeline's values begin to drift; or they are right again, and all drivers are written once more."""
        harm.drift(self.layout, State.load(self.layout).round + 1 if on else None)
        return {} if on else self.pipeline.round(everybody=True)

    def lose_rows(self) -> list[int]:
        """Delete every third driver's rows from the online store. Returns how many drivers, and of how many."""
        with job.running(self.layout.pipeline):
            return list(harm.lose_rows(self.layout, VIEW))

    def refill(self) -> None:
        """Materialize all that the Delta table holds, as a team does that finds rows missing."""
        with job.running(self.layout.pipeline):
            state = State.load(self.layout)
            features.materialize(self.store, datetime(2000, 1, 1, tzinfo=UTC), state.online_until)

    def delete_model_files(self, release: str) -> str:
        return models.delete_files(self.mlflow, release)

    def delete_delta_files(self, release: str) -> int:
        return lake.delete_files(self.layout.lake, release)

    def vacuum(self) -> int:
        return lake.vacuum(self.layout.lake)


def _reads_beside_writes(file: Path) -> None:
    """Write-ahead logging: else a materialization of seconds locks every reader out (and "database is locked")."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    """Answer requests ``{"do": name, "with": {...}}`` until stdin ends: notes on the way, then result or error."""
    workshop = Workshop(Layout(Path(words[0])), Path(words[1]), lambda note: _say({"note": note}))
    _say({"result": "ready"})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            _say({"result": getattr(workshop, request["do"])(**request["with"])})
        except Exception as error:  # noqa: BLE001 (whatever a library raises is the answer)
            traceback.print_exc()
            _say({"error": f"{type(error).__name__}: {error}"})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
