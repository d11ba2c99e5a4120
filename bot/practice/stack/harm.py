"""Ways in which a platform goes wrong under its team: values that drift, rows that are lost, answers that take long,
a registry that nobody reaches. Each can be taken back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from bot.practice.stack.layout import PROJECT, Layout, write_json

RATE, MOST = 0.04, 0.6
"""While they drift, trip times grow by 4 % of the truth a round, up to 60 %."""
SHARE = 0.1
"""A tenth of the drivers a round, or nobody could wait for it."""
LOST = 3
"""Every third driver's rows."""

App = Callable[[Any, Any, Any], Awaitable[None]]


def drift(layout: Layout, now: int | None) -> None:
    """From round ``now`` on the pipeline's values drift; None: they do no more."""
    if now is None:
        _drift_file(layout).unlink(missing_ok=True)
    else:
        write_json(_drift_file(layout), {"round": now})


def drifted(layout: Layout, now: int) -> float | None:
    """By which factor trip times are wrong in round ``now``; None while nothing drifts."""
    with suppress(FileNotFoundError):
        began = int(json.loads(_drift_file(layout).read_text())["round"])
        return 1.0 + min(MOST, RATE * (now - began + 1))
    return None


def lose_rows(layout: Layout, view: str) -> tuple[int, int]:
    """Delete every third driver's rows from the online store. Returns how many drivers, and of how many."""
    table = f"{PROJECT}_{view}"
    with closing(sqlite3.connect(layout.online, timeout=30.0)) as online, online:
        keys = [row[0] for row in online.execute(f"SELECT DISTINCT entity_key FROM {table} ORDER BY entity_key")]  # noqa: S608
        gone = keys[::LOST]
        online.executemany(f"DELETE FROM {table} WHERE entity_key = ?", [(key,) for key in gone])  # noqa: S608
    return len(gone), len(keys)


def slow(layout: Layout, seconds: float) -> None:
    """The feature server waits so long before each answer; 0 lets it answer at once."""
    if seconds:
        write_json(_slow_file(layout), {"seconds": seconds})
    else:
        _slow_file(layout).unlink(missing_ok=True)


def slowed(app: App, layout: Layout) -> App:
    """The app, waiting as it was told before each answer."""

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            with suppress(FileNotFoundError):
                await asyncio.sleep(json.loads(_slow_file(layout).read_text())["seconds"])
        await app(scope, receive, send)

    return waits


def cut_registry(layout: Layout) -> None:
    """Nobody can open the model registry's database any more; who has it open already keeps it. Twice is as once."""
    file = layout.tracking
    if file.is_symlink():
        return
    # A link to nowhere in its place, at once: where nothing is, SQLite makes an empty database.
    nowhere = file.with_name("nowhere")
    nowhere.unlink(missing_ok=True)
    nowhere.symlink_to(file.with_name("unreachable") / file.name)
    _away(file).hardlink_to(file)
    nowhere.rename(file)
    for part in _parts(file):
        if part.exists():
            part.rename(_away(part))


def join_registry(layout: Layout) -> None:
    """It can be opened again, with all that was in it. Harmless if it could be all the time."""
    if layout.tracking.is_symlink():
        for file in (*_parts(layout.tracking), layout.tracking):
            if _away(file).exists():
                _away(file).rename(file)


def _parts(file: Path) -> list[Path]:
    return [file.with_name(file.name + end) for end in ("-wal", "-shm")]


def _away(file: Path) -> Path:
    return file.with_name(f"away.{file.name}")


def _drift_file(layout: Layout) -> Path:
    return layout.pipeline / "drift.json"


def _slow_file(layout: Layout) -> Path:
    return layout.folder / "slow.json"
