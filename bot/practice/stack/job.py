"""The practice pipeline's hold, as a program: ``job.py inspect|hold|lift|capture|restore FOLDER``, JSON on stdout.

Rollbot's ``command`` target runs it. Only the standard library, and run by its path, so that it starts in
milliseconds and without the bot being installed.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

VERBS = ("inspect", "hold", "lift", "capture", "restore")
PATIENCE = 60.0
"""Seconds to wait for a round or a release that is in the middle."""


def hold_file(folder: Path) -> Path:
    """Exists while the pipeline is held."""
    return folder / "hold.json"


@contextmanager
def running(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Nobody else is in the middle of a round or a release inside this block. Raises TimeoutError.

    The lock is the kernel's, so a killed holder leaves it free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "round.lock").open("w") as lock:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"a pipeline round has been running for {patience:.0f} s") from None
                time.sleep(0.02)
        yield


def held(folder: Path) -> dict[str, Any] | None:
    """Who holds the pipeline and why; None if nobody does."""
    try:
        found: dict[str, Any] = json.loads(hold_file(folder).read_text())
    except FileNotFoundError:
        return None
    return found


def hold(folder: Path, reason: str, patience: float = PATIENCE) -> None:
    """Hold the pipeline. On return no round is in the middle and none will start. A second hold changes nothing.

    Raises TimeoutError if a round does not end; the hold stays then, so that no further one starts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if held(folder) is None:
        part = hold_file(folder).with_name(f".hold.{os.getpid()}")
        part.write_text(json.dumps({"reason": reason, "since": datetime.now(UTC).isoformat()}))
        part.replace(hold_file(folder))
    with running(folder, patience):
        pass


def lift(folder: Path) -> None:
    """Let the pipeline go on. Harmless if it is not held."""
    hold_file(folder).unlink(missing_ok=True)


def inspect(folder: Path) -> dict[str, Any]:
    """Held or running, and how far the pipeline is."""
    found = held(folder)
    try:
        state = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        state = {}
    return {"held": found is not None, "hold": found, **state}


def _obey(verb: str, folder: Path, given: dict[str, Any]) -> None:
    if verb == "restore":
        capture = given.get("capture") or {}
        verb = "hold" if capture.get("facts", {}).get("held") else "lift"
    if verb == "hold":
        context = given.get("context") or {}
        hold(folder, str(context.get("reason") or f"held by Rollbot {given.get('key') or ''}".strip()))
    elif verb == "lift":
        lift(folder)


def main(words: list[str]) -> int:
    """One verb on one folder; the answer is the state after it. 75 (try again later) if a round does not end."""
    if len(words) != 2 or words[0] not in VERBS:
        sys.stderr.write(f"usage: job.py {'|'.join(VERBS)} FOLDER\n")
        return 2
    given = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    try:
        _obey(words[0], Path(words[1]), json.loads(given or "{}"))
    except TimeoutError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_TEMPFAIL
    sys.stdout.write(json.dumps(inspect(Path(words[1]))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
