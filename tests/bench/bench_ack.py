"""From a slash command to its ack over loopback, where an ack means that the command is on the disk (SQLite, WAL,
synchronous=FULL): ``rollbot serve`` beside a bare Bolt app that stores nothing, one after the other in one run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from tests.bench import Number, median, quantile
from tests.bench.ack_scene import FEATURES, Scene, channel_of, name_of, open_scene

IN_TURN = 500
AT_ONCE = 20
BURSTS = 25
PAUSE_S = 0.2
"""Between two bursts, so that they are 20 at once and not 500."""
WARM = 20


async def in_turn(scene: Scene) -> tuple[list[float], list[float]]:
    """Floor and bot, one request at a time, each of which begins a run; the next one when that run is planned."""
    floor, bot = [], []
    for n in range(-WARM, IN_TURN):
        feature = n % FEATURES
        [bare] = await scene.send(scene.floor, scene.request(feature))
        [real] = await scene.send(scene.bot, scene.request(feature))
        await scene.planned(real.run, feature)
        if n >= 0:
            floor.append(bare.ms)
            bot.append(real.ms)
    return floor, bot


async def bursts(scene: Scene) -> tuple[list[float], list[float]]:
    """Twenty people at the same moment, again and again, to the floor and to the bot."""
    floor, bot = [], []
    for n in range(-2, BURSTS):
        for port, into in ((scene.floor, floor), (scene.bot, bot)):
            said = [scene.request(i % FEATURES) for i in range(AT_ONCE)]
            answers = await scene.send(port, *said)
            into.extend(a.ms for a in answers if n >= 0)
            await asyncio.sleep(PAUSE_S)
    return floor, bot


@asynccontextmanager
async def busy(scene: Scene) -> AsyncIterator[None]:
    """Meanwhile runs are begun as fast as the worker can end them: each is planned, approved by nobody, disables a
    flag through children, and is posted."""

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
    with contextlib.closing(sqlite3.connect(f"file:{scene.folder / 'rollbot.db'}?mode=ro", uri=True)) as db:
        runs = db.execute("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL").fetchone()[0]
        return runs, db.execute("SELECT count(*) FROM steps WHERE status = 'done'").fetchone()[0]


async def measure() -> list[Number]:
    async with open_scene() as scene:
        floor, bot = await in_turn(scene)
        idle_floor, idle = await bursts(scene)
        async with busy(scene):
            before = done(scene)
            busy_floor, hard = await bursts(scene)
            runs, steps = (b - a for a, b in zip(before, done(scene), strict=True))
    over = [b - f for f, b in zip(floor, bot, strict=True)]
    meanwhile = f"meanwhile the worker ended {runs} runs and did {steps} steps"
    return [
        Number(
            "ack, bare Bolt, p50", median(floor), "ms", note=f"p99 {quantile(floor, 0.99):.1f} ms; {IN_TURN} in turn"
        ),
        Number("ack, bot, durable, a new run each, p50", median(bot), "ms", note=f"p99 {quantile(bot, 0.99):.1f} ms"),
        Number(
            "ack, bot over bare Bolt, p50",
            median(bot) - median(floor),
            "ms",
            2,
            f"median of pairs {median(over):.2f} ms",
        ),
        Number(
            "ack, 20 at once, bare Bolt, p99", quantile(idle_floor, 0.99), "ms", note=f"p50 {median(idle_floor):.1f} ms"
        ),
        Number("ack, 20 at once, bot, p99", quantile(idle, 0.99), "ms", note=f"p50 {median(idle):.1f} ms"),
        Number(
            "ack, 20 at once, bare Bolt beside the busy bot, p99",
            quantile(busy_floor, 0.99),
            "ms",
            note=f"p50 {median(busy_floor):.1f} ms",
        ),
        Number(
            "ack, 20 at once, bot with a busy worker, p99",
            quantile(hard, 0.99),
            "ms",
            20,
            f"p50 {median(hard):.1f} ms; {meanwhile}",
        ),
    ]


def numbers() -> Iterator[Number]:
    yield from asyncio.run(measure())
