"""What the bot itself adds to a step that takes no time: pre-image and intent in one commit, result and event in
another, and everything read between. Beside it a bare insert and update of as many bytes, each with its commit."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg

from bot.cli.serve import SWITCH_S
from bot.flows.drive import drive
from bot.store.write import PRAGMAS
from tests.bench import Number, median, progress, quantile
from tests.bench.instant import KINDS, Engine, open_engine
from tests.bench.load_scene import postgres

STEPS = 12
"""As many as a playbook with all kinds has."""
RUNS = 25
SQLITE = "INSERT INTO bench_pairs (n, body) VALUES (?, ?)", "UPDATE bench_pairs SET body = ? WHERE n = ?"
POSTGRES = "INSERT INTO bench_pairs (n, body) VALUES (%s, %s)", "UPDATE bench_pairs SET body = %s WHERE n = %s"
Execute = Callable[[str, tuple[object, ...]], Any]
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


def bare_pairs(execute: Execute, insert: str, update: str) -> list[float]:
    """Milliseconds of each pair of commits."""
    took = []
    for n in range(STEPS - 1):
        began = time.perf_counter()
        execute(insert, (n, BODY))
        execute(update, (BODY[:-1] + "y", n))
        took.append((time.perf_counter() - began) * 1000)
    execute("DELETE FROM bench_pairs", ())
    return took


async def measure(url: str, execute: Execute, insert: str, update: str) -> list[Number]:
    steps: list[float] = []
    pairs: list[float] = []
    components = {f"part_{n:02}": KINDS[n % len(KINDS)] for n in range(STEPS)}
    async with open_engine(url, components) as engine:
        execute("CREATE TABLE bench_pairs (n BIGINT PRIMARY KEY, body TEXT)", ())
        for n in range(RUNS + 1):
            fresh, bare = await one_run(engine), bare_pairs(execute, insert, update)
            steps += fresh if n else []
            pairs += bare if n else []
    bot, floor, where = median(steps), median(pairs), url.split(":", 1)[0]
    note = f"p99 {quantile(steps, 0.99):.1f} ms; {len(steps)} steps; {bot / floor:.1f} times the bare pair"
    return [
        Number(
            f"{where}: bare insert and update, two commits", floor, "ms", note=f"p99 {quantile(pairs, 0.99):.1f} ms"
        ),
        Number(f"{where}: the bot's own overhead per step", bot, "ms", 10, note),
    ]


def numbers() -> Iterator[Number]:
    sys.setswitchinterval(SWITCH_S)  # as the program does that serves
    with tempfile.TemporaryDirectory(prefix="rollbot-bench-") as folder:
        file = Path(folder) / "rollbot.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            yield from asyncio.run(measure(f"sqlite:///{file}", db.execute, *SQLITE))
    with postgres() as new_database:
        if new_database is None:
            progress("PostgreSQL is not here: not measured")
            return
        url = new_database()
        with psycopg.connect(url, autocommit=True) as conn:
            yield from asyncio.run(measure(url, conn.execute, *POSTGRES))
