"""The synthetic city behind the practice stack: what is true of each driver, and how each release sees it.

Everything is a pure function of a seed, so that two runs of the same incident have the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

KEY = "driver_id"
TIME = "event_timestamp"
VIEW = "driver_stats"

TYPES = {
    "avg_trip_minutes": pa.float64(),
    "trips_today": pa.int64(),
    "acceptance_rate": pa.float64(),
    "rating": pa.float64(),
}
LABEL_NOISE = 0.3

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Logic:
    """How one release computes the features. ``noise`` and ``scale`` act on ``avg_trip_minutes``; ``scale`` also on
    the labels, because the model is trained on minutes that the same job measured."""

    release: str
    about: str
    features: tuple[str, ...]
    ttl_days: int
    noise: float
    scale: float = 1.0
    newcomers: bool = False


LOGICS = {
    "v11": Logic(
        release="v11",
        about="First version: plain mean of the day's trips",
        features=("avg_trip_minutes", "trips_today"),
        ttl_days=7,
        noise=2.5,
    ),
    "v12": Logic(
        release="v12",
        about="Trips weighted by age; acceptance rate added",
        features=("avg_trip_minutes", "trips_today", "acceptance_rate"),
        ttl_days=30,
        noise=0.2,
    ),
    # The bad one: waiting time is counted into the trip, in the feature and in the label that the model learns
    # from. Its offline metric is better than v12's, which is why nobody stopped it.
    "v13": Logic(
        release="v13",
        about="Rating added; trip time taken from the dispatcher's clock",
        features=("avg_trip_minutes", "trips_today", "acceptance_rate", "rating"),
        ttl_days=30,
        noise=0.2,
        scale=1.4,
        newcomers=True,
    ),
}


@dataclass(frozen=True)
class World:
    """``drivers`` known from the start, and 2 % more that the newest release takes in."""

    drivers: int
    seed: int = 12

    @property
    def newcomers(self) -> int:
        """How many drivers only the newest release has."""
        return max(1, self.drivers // 50)

    def ids(self, logic: Logic) -> Ints:
        """The drivers that a release knows."""
        return np.arange(self.drivers + (self.newcomers if logic.newcomers else 0), dtype=np.int64)

    @cached_property
    def truth(self) -> dict[str, Floats]:
        """What is really true of every driver, by feature name."""
        rng = np.random.default_rng([self.seed, 0])
        n = self.drivers + self.newcomers
        return {
            "avg_trip_minutes": np.clip(rng.normal(18.0, 4.0, n), 7.0, 40.0),
            "trips_today": 1.0 + rng.poisson(9.0, n).astype(np.float64),
            "acceptance_rate": rng.beta(18.0, 2.0, n),
            "rating": np.clip(rng.normal(4.6, 0.25, n), 3.0, 5.0),
        }

    def eta(self, ids: Ints) -> Floats:
        """Minutes that these drivers really take."""
        t = {name: column[ids] for name, column in self.truth.items()}
        refused = 1.0 - t["acceptance_rate"]
        return 3.0 + 0.9 * t["avg_trip_minutes"] + 0.12 * t["trips_today"] + 6.0 * refused - 3.0 * (t["rating"] - 4.6)

    def labels(self, logic: Logic, ids: Ints) -> Floats:
        """Minutes as the release's own job measured them: what its model is trained on."""
        rng = np.random.default_rng([self.seed, 1, int(logic.release[1:])])
        return (self.eta(ids) + rng.normal(0.0, LABEL_NOISE, ids.size)) * logic.scale

    def batch(self, logic: Logic, number: int, share: float) -> Ints:
        """The ``share`` of the drivers, at least 20, that round ``number`` of the pipeline has news of."""
        known = self.ids(logic)
        rng = np.random.default_rng([self.seed, 2, number])
        return np.sort(rng.choice(known, size=min(known.size, max(20, int(known.size * share))), replace=False))

    def rows(self, logic: Logic, ids: Ints, at: datetime, number: int, drift: float = 1.0) -> pa.Table:
        """The release's rows of these drivers at one event time; trip times are wrong by the factor ``drift``. Equal
        arguments give equal rows."""
        rng = np.random.default_rng([self.seed, 3, int(logic.release[1:]), number])
        minutes = self.truth["avg_trip_minutes"][ids] + rng.normal(0.0, logic.noise, ids.size)
        seen = {name: column[ids] for name, column in self.truth.items()}
        seen["avg_trip_minutes"] = np.maximum(minutes, 1.0) * logic.scale * drift
        seen["trips_today"] = seen["trips_today"] + rng.integers(0, 2, ids.size)
        columns = {KEY: pa.array(ids), TIME: pa.array([at] * ids.size, pa.timestamp("us", tz="UTC"))}
        for name in logic.features:
            columns[name] = pa.array(np.round(seen[name], 4)).cast(TYPES[name])
        return pa.table(columns)
