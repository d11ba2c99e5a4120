"""The two drivers on one PostgreSQL server, which waits for its disk, in turn: from a press of *Approve* to the first
write, and what the bot adds to each step. Beside them a bare insert and update, each with its commit."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import psycopg

from bot.cli.serve import SWITCH_S
from bot.drivers import dbos
from bot.drivers.embedded import Embedded
from tests.bench import Number, median, progress, quantile
from tests.bench.bench_steps import BODY
from tests.bench.load_scene import postgres
from tests.bench.stage import STEPS, open_stage, step_ms

TIMES = 25


def bare_pairs(db: psycopg.Connection) -> list[float]:
    """Milliseconds of each pair of commits."""
    took = []
    for _ in range(STEPS - 1):
        began = time.perf_counter()
        row = db.execute("INSERT INTO bench_pairs (body) VALUES (%s) RETURNING n", (BODY,)).fetchone()
        assert row
        db.execute("UPDATE bench_pairs SET body = %s WHERE n = %s", (BODY[:-1] + "y", row[0]))
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(new_database: Callable[[], str]) -> list[Number]:
    sys.setswitchinterval(SWITCH_S)
    logging.getLogger("dbos").setLevel(logging.WARNING)
    ours, theirs, plain = (new_database() for _ in range(3))
    began: dict[str, list[float]] = {"embedded": [], "dbos": []}
    steps: dict[str, list[float]] = {"embedded": [], "dbos": []}
    pairs: list[float] = []
    async with AsyncExitStack() as opened:
        db = opened.enter_context(psycopg.connect(plain, autocommit=True))
        db.execute("CREATE TABLE bench_pairs (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body TEXT)")
        await asyncio.to_thread(dbos.migrate, theirs)
        embedded = await opened.enter_async_context(open_stage(ours, Embedded))
        queued = await opened.enter_async_context(open_stage(theirs, lambda world: dbos.Dbos(world, theirs)))
        progress("both drivers work")
        for n in range(-3, TIMES):
            bare = bare_pairs(db)
            pairs += bare if n >= 0 else []
            for name, stage in (("embedded", embedded), ("dbos", queued)):
                seconds, run = await stage.begin("next")
                if n >= 0:
                    began[name].append(seconds * 1000)
                    steps[name] += step_ms(run)
    return table(pairs, began, steps)


def table(pairs: list[float], began: dict[str, list[float]], steps: dict[str, list[float]]) -> list[Number]:
    bare = median(pairs)
    made = [Number("bare insert and update, two commits", bare, "ms", note=f"p99 {quantile(pairs, 0.99):.1f} ms")]
    for what, took in (("approval to first write", began), ("the bot's own overhead per step", steps)):
        ms = {name: median(each) for name, each in took.items()}
        for name, each in took.items():
            note = f"{ms[name] / bare:.1f} times the bare pair; p99 {quantile(each, 0.99):.1f} ms, {len(each)} times"
            made.append(Number(f"{what}, {name}", ms[name], "ms", note=note))
        made.append(Number(f"{what}, dbos against embedded", ms["dbos"] / ms["embedded"], "times"))
    return made


def numbers() -> Iterator[Number]:
    with postgres() as new_database:
        if new_database is None:
            progress("PostgreSQL is not here: not measured")
        else:
            yield from asyncio.run(measure(new_database))
