"""From a slash command to its ack over loopback, where an ack means that the command is on the disk (SQLite, WAL,
synchronous=FULL): ``rollbot serve`` beside a bare Bolt app that stores nothing, one after the other in one run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench import Number, median, progress, quantile
from tests.bench.ack_scene import FEATURES, Scene, channel_of, name_of, open_scene

IN_TURN = 500
NEW_RUNS = 60
AT_ONCE = 20
BURSTS = 25
PAUSE_S = 0.2
"""Between two bursts, so that they are 20 at once and not 500."""
WARM = 20
Pairs = tuple[list[float], list[float]]


async def in_turn(scene: Scene) -> Pairs:
    """Floor and bot, one request at a time, back to back: the work that follows from one goes on beside the next."""
    floor, bot = [], []
    for n in range(-WARM, IN_TURN):
        [bare] = await scene.send(scene.floor, scene.asked(n % FEATURES))
        [real] = await scene.send(scene.bot, scene.asked(n % FEATURES))
        floor += [bare.ms] if n >= 0 else []
        bot += [real.ms] if n >= 0 else []
    return floor, bot


async def new_runs(scene: Scene) -> Pairs:
    """The same, but each begins a run, and the next one comes when nothing of that is left to do: as people type."""
    floor, bot = [], []
    for n in range(NEW_RUNS):
        [bare] = await scene.send(scene.floor, scene.fresh(n % FEATURES))
        [real] = await scene.send(scene.bot, scene.fresh(n % FEATURES))
        await scene.planned(real.run, n % FEATURES)
        await scene.rest()
        await asyncio.sleep(PAUSE_S)
        floor.append(bare.ms)
        bot.append(real.ms)
    return floor, bot


async def bursts(scene: Scene) -> Pairs:
    """Twenty people at the same moment, again and again, to the floor and to the bot."""
    floor, bot = [], []
    for n in range(-2, BURSTS):
        for port, into in ((scene.floor, floor), (scene.bot, bot)):
            answers = await scene.send(port, *(scene.asked(i) for i in range(AT_ONCE)))
            into.extend(a.ms for a in answers if n >= 0)
            await asyncio.sleep(PAUSE_S)
    return floor, bot


def disk(folder: Path) -> list[float]:
    """Milliseconds of writing a page and waiting for the disk, which no durable ack can do without."""
    took = []
    file = os.open(folder / "page", os.O_RDWR | os.O_CREAT)
    try:
        for _ in range(100):
            began = time.perf_counter()
            os.pwrite(file, b"x" * 4096, 0)
            os.fdatasync(file)
            took.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
    return took


@asynccontextmanager
async def busy(scene: Scene) -> AsyncIterator[None]:
    """Meanwhile stops are asked for faster than the worker can end them: each is planned, disables a flag through
    children, and is posted."""

    async def feed() -> None:
        for n in itertools.count():
            where = n % FEATURES
            said = f"stop {name_of(where)} because {n} people complain"
            await scene.slack.slash("/rollback", said, "U0SAM", channel_of(where))
            await asyncio.sleep(0.05)

    feeding = asyncio.create_task(feed())
    try:
        await asyncio.sleep(1.0)
        yield
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding


def done(scene: Scene) -> tuple[int, int]:
    """Ended runs and done steps so far."""
    runs = scene.ask("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL")
    return runs, scene.ask("SELECT count(*) FROM steps WHERE status = 'done'")


def over(what: str, pairs: Pairs, note: str) -> list[Number]:
    """The bot's p50 beside the floor's, and what it is more."""
    floor, bot = pairs
    tails = f"p99 {quantile(bot, 0.99):.1f} ms, bare Bolt's {quantile(floor, 0.99):.1f} ms"
    return [
        Number(f"{what}: bare Bolt, p50", median(floor), "ms"),
        Number(f"{what}: bot, durable, p50", median(bot), "ms", note=tails),
        Number(f"{what}: bot over bare Bolt, p50", median(bot) - median(floor), "ms", 2, note),
    ]


def at_once(what: str, pairs: Pairs, promised: float | None, note: str) -> Iterator[Number]:
    floor, bot = pairs
    yield Number(f"{what}: bare Bolt, p99", quantile(floor, 0.99), "ms", note=f"p50 {median(floor):.1f} ms")
    yield Number(f"{what}: bot, p99", quantile(bot, 0.99), "ms", promised, f"p50 {median(bot):.1f} ms{note}")


async def measure() -> list[Number]:
    async with open_scene() as scene:
        progress("the bot serves, every feature has an open run")
        turns, waits = await in_turn(scene), disk(scene.folder)
        progress("one at a time: done")
        seldom = await new_runs(scene)
        await scene.rest()
        progress("new runs: done")
        calm = await bursts(scene)
        async with busy(scene):
            before = done(scene)
            hard = await bursts(scene)
            runs, steps = (b - a for a, b in zip(before, done(scene), strict=True))
    disk_note = (
        f"{IN_TURN} in turn; waiting for the disk alone, p50 {median(waits):.2f} ms, p99 {quantile(waits, 0.99):.1f} ms"
    )
    return [
        *over("ack, back to back", turns, disk_note),
        *over("ack, seldom, a new run each", seldom, f"{NEW_RUNS} in turn"),
        *at_once(f"ack, {AT_ONCE} at once", calm, None, ""),
        *at_once(
            f"ack, {AT_ONCE} at once, busy worker", hard, 20, f"; meanwhile {runs} runs ended, {steps} steps done"
        ),
    ]


def numbers() -> Iterator[Number]:
    yield from asyncio.run(measure())
