"""A storm: a thousand presses and a thousand hook posts at the same moment, and as many presses as fit into some
seconds; to ``rollbot serve`` on SQLite and on PostgreSQL, whose server waits for its disk at each commit.

The promises are for two cores, which the client, the practice Slack and the worker's children share with the bot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tests.bench import Number, median, progress, quantile
from tests.bench.load_scene import Load, open_load, postgres

PRESSES = POSTS = 1000
LINES = 50
SECONDS = 10.0
MOST = 20_000
"""Presses that are made ahead for those seconds."""
SLOWEST_MS, P99_MS, A_SECOND = 2500, 180, 500
APART = "PostgreSQL, web and worker apart"
ROLES = {APART: ("web", "worker")}
"""As the Procfile has them; they share the two cores with everything else."""
SHARED = f"{os.cpu_count()} cores, shared with the client"
GOOD = {"press": 200, "post": 202}


def refused(told: dict[str, Any]) -> int:
    return sum(status != GOOD[what] for what in GOOD for _, status in told[what])


async def at_once(on: str, load: Load) -> list[Number]:
    before = load.kept()
    told = await load.send(presses=PRESSES, posts=POSTS)
    after = load.kept()
    rows, keys = (sum(after[what][n] - before[what][n] for what in GOOD) for n in (0, 1))
    ms = {what: [ms for ms, _ in told[what]] for what in GOOD}
    slow = "; ".join(f"{name}: p50 {median(took):.0f} ms, slowest {max(took):.0f} ms" for name, took in ms.items())
    what = f"{PRESSES:,} presses and {POSTS:,} hook posts at once, {on}"
    return [
        Number(f"{what}: lost", PRESSES + POSTS - keys, "rows", 0, f"in the inbox: {rows:,} more"),
        Number(f"{what}: doubled", rows - keys, "rows", 0),
        Number(f"{what}: neither 200 nor 202", refused(told), "answers", 0),
        Number(f"{what}: slowest ack", max(map(max, ms.values())), "ms", SLOWEST_MS, f"{slow}; {SHARED}"),
    ]


async def sustained(on: str, load: Load) -> list[Number]:
    told = await load.send(presses=MOST, lines=LINES, seconds=SECONDS)
    ms = [ms for ms, _ in told["press"]]
    what = f"presses, {LINES} at a time for {told['seconds']:.0f} s, {on}"
    note = f"{len(ms):,} in all, {refused(told)} not acked; {SHARED}"
    return [
        Number(f"{what}: a second", len(ms) / told["seconds"], "presses", A_SECOND, note, at_least=True),
        Number(f"{what}: p99", quantile(ms, 0.99), "ms", P99_MS, f"p50 {median(ms):.0f} ms, slowest {max(ms):.0f} ms"),
    ]


async def measure(on: str, url: str | None, how: Callable[[str, Load], Awaitable[list[Number]]]) -> list[Number]:
    """In a house of its own: what one leaves to be applied would be in the other's way."""
    async with open_load(url, ROLES.get(on, ("all",))) as load:
        await load.send(presses=100, lines=4, seconds=5)
        told = await how(on, load)
        progress(f"{on}, {how.__name__}: done")
        return told


def numbers() -> Iterator[Number]:
    for how in (at_once, sustained):
        yield from asyncio.run(measure("SQLite", None, how))
    with postgres() as new_database:
        if new_database is None:
            progress("PostgreSQL is not here: not measured on it")
            return
        for on in ("PostgreSQL", APART):
            for how in (at_once, sustained):
                yield from asyncio.run(measure(on, new_database(), how))
