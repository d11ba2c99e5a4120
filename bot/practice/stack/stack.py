"""The handle on one practice stack: publish releases, run its processes, break things."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bot.practice.stack import job, playbooks
from bot.practice.stack.host import Child, Ended, Host
from bot.practice.stack.layout import FLAG, Layout, Settings

Progress = Callable[[float, float, str], None]
PARTS = 4
"""Notes that the workshop says while it publishes one release."""


def silent(_done: float, _total: float, _note: str) -> None:
    """No progress wanted."""


class Broken(RuntimeError):
    """What was asked of the stack failed there; the text is the library's own."""


@dataclass(frozen=True)
class EtaError:
    """How wrong the live model is on values that were really served. ``bias`` 0.4: 40 % too long; ``mae`` in minutes.

    None where nothing could be predicted. ``missing`` of ``read`` drivers had no complete values.
    """

    release: str
    model: str
    bias: float | None
    mae: float | None
    read: int
    missing: int


@dataclass
class Stack:
    """A platform under ``layout.folder``. All methods block; give them a thread. They may be called from any thread."""

    layout: Layout
    settings: Settings
    host: Host
    worker: Child
    pipeline: Child | None = None
    serving: Child | None = None
    features_url: str | None = None
    model_url: str | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def playbooks(self) -> Path:
        """The folder for ``ROLLBOT_PLAYBOOKS``."""
        return self.layout.playbooks

    def flag_on(self) -> bool:
        """Whether the applications use the features, as they read the flag file."""
        rule = json.loads(self.layout.flags.read_text())["flags"][FLAG]
        return rule["state"] == "ENABLED" and ("targeting" in rule or rule["defaultVariant"] == "on")

    def publish(self, release: str, on_progress: Progress = silent) -> dict[str, Any]:
        """Ship ``v11``, ``v12`` or ``v13``: data, definition, online rows, model, flag. Waits for a running round.

        Returns release, delta (version), model (version), metrics and drivers.
        """
        done = iter(range(PARTS))
        found = self.ask("publish", lambda note: on_progress(next(done), PARTS, f"{release}: {note}"), release=release)
        on_progress(PARTS, PARTS, f"{release} is live")
        return dict(found)

    def eta_error(self) -> EtaError:
        """The champion on real online values against the truth. Raises Broken if model or features are gone."""
        return EtaError(**self.ask("eta_error"))

    def run_rounds(self, count: int) -> dict[str, Any]:
        """``count`` rounds of the pipeline, at once. Returns the last round's line."""
        return dict(self.ask("rounds", count=count))

    def read_online(self, columns: list[str], ids: list[int]) -> dict[str, list[Any]]:
        """Online values by column, in the order of ``ids``."""
        return dict(self.ask("read_online", columns=columns, ids=ids))

    def read_dataset(self) -> dict[str, list[Any]]:
        """The newest row of each driver in the Delta table, by column, ordered by driver."""
        return dict(self.ask("read_dataset"))

    def delta_version(self) -> int:
        return int(self.ask("delta_version"))

    def definition(self) -> dict[str, Any]:
        """``features``, ``tags`` and Feast ``versions`` of the live feature view."""
        return dict(self.ask("definition"))

    def ci_apply(self, release: str = "v13") -> None:
        """Apply a release's definition again, as CI does that nobody has told of a rollback."""
        self.ask("ci_apply", release=release)

    def delete_model_files(self, release: str) -> str:
        """Take a release's model files from the disk. Returns the model version whose files are gone."""
        return str(self.ask("delete_model_files", release=release))

    def delete_delta_files(self, release: str) -> int:
        """Take the data files of a release's newest Delta version from the disk. Returns how many."""
        return int(self.ask("delete_delta_files", release=release))

    def vacuum(self) -> int:
        """Vacuum the Delta table without any retention. Returns how many files were deleted."""
        return int(self.ask("vacuum"))

    def start_pipeline(self, every: float = 3.0) -> Child:
        """The pipeline as a process of its own; ``child.next()`` gives its lines, one a round."""
        if self.pipeline is None or not self.pipeline.alive:
            self.pipeline = self._spawn("pipeline", str(every))
        return self.pipeline

    def stop_pipeline(self, number: int = signal.SIGTERM) -> None:
        """End the pipeline's process, in the middle of a round or not."""
        if self.pipeline is not None:
            self.host.kill(self.pipeline, number)
            self.pipeline = None

    def hold_pipeline(self, reason: str = "held by hand") -> None:
        """As the ``command`` target does: on return nothing is being written and nothing will be."""
        job.hold(self.layout.pipeline, reason)

    def lift_pipeline(self) -> None:
        job.lift(self.layout.pipeline)

    def start_serving(self, timeout: float = 60.0) -> None:
        """Feature server and model server; their addresses go into the feature's YAML."""
        if self.serving is not None and self.serving.alive:
            return
        self.serving = self._spawn("serving")
        urls = self.serving.next(timeout)
        self.features_url, self.model_url = urls["features"], urls["model"]
        self.write_playbooks()

    def stop_serving(self) -> None:
        if self.serving is not None:
            self.host.kill(self.serving)
            self.serving = None

    def write_playbooks(self, **options: Any) -> None:
        """(Re)write the playbooks folder; ``oncall``: user ids for @ml-oncall, else the chat system is asked."""
        playbooks.write(self.layout, features_url=self.features_url, model_url=self.model_url, **options)

    def ask(self, verb: str, note: Callable[[str], None] | None = None, **words: Any) -> Any:
        """One request to the workshop. Raises Broken with the library's words, or Ended."""
        with self._turn:
            self.worker.send({"do": verb, "with": words})
            while True:
                said = self.worker.next(600.0)
                if "note" not in said:
                    break
                if note is not None:
                    note(said["note"])
        if "error" in said:
            raise Broken(said["error"])
        return said["result"]

    def _spawn(self, program: str, *words: str) -> Child:
        log = self.layout.folder / "logs" / f"{program}.log"
        return self.host.spawn(program, [str(self.layout.folder), *words], log)

    def close(self) -> None:
        """End the stack's processes; the folder stays."""
        for child in (self.pipeline, self.serving, self.worker):
            if child is not None:
                try:
                    self.host.kill(child)
                except (Ended, ProcessLookupError):
                    continue
        self.pipeline = self.serving = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
