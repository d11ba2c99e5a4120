"""The practice pipeline: every few seconds a few drivers have news, which go to Delta and into the online store.

A process of its own (``python -m bot.practice.stack.pipeline FOLDER [SECONDS]``) that prints one JSON line a round.
It may be killed at any point: the next round covers what the last one left open.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feast import FeatureStore

from bot.outside.forkserver import die_with_parent
from bot.practice.stack import features, harm, job, lake
from bot.practice.stack.layout import Layout, Settings, write_json
from bot.practice.stack.world import World

SECOND = timedelta(seconds=1)
"""Online stores keep event times in whole seconds, so each write gets a second of its own."""
EVERY = 3.0
FEW = 0.002
"""The share of the drivers that one round has news of."""


@dataclass
class State:
    """How far the data is. ``event_time``: the newest ever given out; rows up to ``online_until`` are served."""

    layout: Layout
    round: int = 0
    event_time: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    online_until: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    @classmethod
    def load(cls, layout: Layout) -> State:
        file = layout.pipeline / "state.json"
        if not file.is_file():
            return cls(layout)
        kept = json.loads(file.read_text())
        times = [datetime.fromisoformat(kept[name]) for name in ("event_time", "online_until")]
        return cls(layout, kept["round"], times[0], times[1])

    def save(self) -> None:
        times = {"event_time": self.event_time.isoformat(), "online_until": self.online_until.isoformat()}
        write_json(self.layout.pipeline / "state.json", {"round": self.round, **times})

    def next_time(self) -> datetime:
        """A whole second, later than every event time before; remembered before it is used."""
        now = datetime.now(UTC).replace(microsecond=0)
        self.event_time = max(now, self.event_time + SECOND)
        self.save()
        return self.event_time


@dataclass
class Pipeline:
    """Everything one round needs, opened once."""

    layout: Layout
    world: World
    store: FeatureStore

    @classmethod
    def open(cls, layout: Layout) -> Pipeline:
        settings = Settings.load(layout)
        return cls(layout, World(settings.drivers, settings.seed), features.open_store(layout))

    def round(self, *, everybody: bool = False) -> dict[str, Any]:
        """One round, or nothing while held; ``everybody``: of all drivers. Returns what the printed line says."""
        with job.running(self.layout.pipeline):
            hold = job.held(self.layout.pipeline)
            if hold is not None:
                return {"held": True, "reason": hold["reason"]}
            return self._write(everybody=everybody)

    def _write(self, *, everybody: bool) -> dict[str, Any]:
        state = State.load(self.layout)
        logic = features.live_logic(self.store)
        state.round += 1
        at = state.next_time()
        drift = harm.drifted(self.layout, state.round)
        share = 1.0 if everybody else harm.SHARE if drift else FEW
        ids = self.world.batch(logic, state.round, share)
        rows = self.world.rows(logic, ids, at, state.round, drift or 1.0)
        version = lake.append(self.layout.lake, rows, logic.release)
        features.materialize(self.store, state.online_until + SECOND, at)
        state.online_until = at
        state.save()
        said = {"round": state.round, "release": logic.release, "rows": int(ids.size), "delta": version}
        return {"held": False, **said, "event_time": at.isoformat()}


def main(words: list[str]) -> int:
    """Rounds until killed. A round that fails is said and tried again."""
    pipeline = Pipeline.open(Layout(Path(words[0])))
    every = float(words[1]) if len(words) > 1 else EVERY
    while True:
        try:
            said = pipeline.round()
        except Exception as error:  # noqa: BLE001 (a pipeline goes on)
            said = {"held": False, "error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        time.sleep(every)


if __name__ == "__main__":
    die_with_parent(os.getppid())
    sys.exit(main(sys.argv[1:]))
