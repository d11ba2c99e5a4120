"""What the bot itself adds to a step that takes no time: pre-image and intent in one commit, result and event in
another, and everything read between. Beside it a bare insert and update of as many bytes, each with its commit."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from bot.cli.serve import SWITCH_S
from bot.flows.drive import drive
from bot.store.write import PRAGMAS
from tests.bench import Number, median, quantile
from tests.bench.instant import KINDS, Engine, open_engine

STEPS = 12
"""As many as a playbook with all kinds has."""
RUNS = 25
BODY = "x" * 3500
"""Bytes that a step's row holds: pre-image and what is restored."""


async def one_run(engine: Engine) -> list[float]:
    """Milliseconds from the end of each restore to the end of the next one."""
    waiting = await engine.planned()
    await engine.approved(waiting)
    await drive(engine.world, waiting.id)
    run = await engine.run(waiting.id)
    ends = [s.ended_at for s in run.steps if s.ended_at and s.verb == "restore"]
    assert len(ends) == STEPS, (run.status, run.why)
    return [(b - a).total_seconds() * 1000 for a, b in pairwise(ends)]


def bare_pairs(db: sqlite3.Connection) -> list[float]:
    """Milliseconds of each pair of commits."""
    took = []
    for _ in range(STEPS - 1):
        began = time.perf_counter()
        row = db.execute("INSERT INTO bench_pairs (body) VALUES (?)", (BODY,)).lastrowid
        db.execute("UPDATE bench_pairs SET body = ? WHERE n = ?", (BODY[:-1] + "y", row))
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(folder: Path) -> list[Number]:
    sys.setswitchinterval(SWITCH_S)  # as the program does that serves
    steps: list[float] = []
    pairs: list[float] = []
    components = {f"part_{n:02}": KINDS[n % len(KINDS)] for n in range(STEPS)}
    async with open_engine(folder / "rollbot.db", components) as engine:
        with closing(sqlite3.connect(folder / "rollbot.db", isolation_level=None)) as db:
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            db.execute("CREATE TABLE bench_pairs (n INTEGER PRIMARY KEY, body TEXT)")
            for n in range(RUNS + 1):
                fresh, bare = await one_run(engine), bare_pairs(db)
                steps += fresh if n else []
                pairs += bare if n else []
    bot, floor = median(steps), median(pairs)
    note = f"p99 {quantile(steps, 0.99):.1f} ms; {len(steps)} steps; {bot / floor:.1f} times the bare pair"
    return [
        Number("bare insert and update, two commits", floor, "ms", note=f"p99 {quantile(pairs, 0.99):.1f} ms"),
        Number("the bot's own overhead per step", bot, "ms", 10, note),
    ]


def numbers() -> Iterator[Number]:
    with tempfile.TemporaryDirectory(prefix="rollbot-bench-") as folder:
        yield from asyncio.run(measure(Path(folder)))
