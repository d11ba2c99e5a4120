"""Flags that come back by shares, half an hour each, must not stand in the way of the next rollback: the time from a
press of *Approve* to the first write, on two databases in turn, of which one has eight such runs under way."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from bot.cli.serve import SWITCH_S
from bot.drivers.embedded import Embedded
from tests.bench import Number, median, progress, quantile
from tests.bench.stage import open_stage

RAMPS = 8
"""As many as one process drives at a time."""
TIMES = 40
PROMISED = 1.2


async def measure(folder: Path) -> list[Number]:
    sys.setswitchinterval(SWITCH_S)
    async with AsyncExitStack() as opened:
        urls = [f"sqlite:///{folder / name}.db" for name in ("free", "ramping")]
        free, ramping = [await opened.enter_async_context(open_stage(url, Embedded)) for url in urls]
        for _ in range(RAMPS):
            _, run = await ramping.begin("ramp")
            assert run.waiting_for == "time", (run.status, run.why)
        progress(f"{RAMPS} ramps are under way")
        took: tuple[list[float], list[float]] = ([], [])
        for n in range(-3, TIMES):
            for stage, into in zip((free, ramping), took, strict=True):
                seconds, _ = await stage.begin("next")
                into.extend([seconds * 1000] if n >= 0 else [])
    none, some = map(median, took)
    note = f"{none:.1f} ms and {some:.1f} ms; p99 {quantile(took[0], 0.99):.0f} and {quantile(took[1], 0.99):.0f} ms"
    what = f"approval to first write beside {RAMPS} ramps, against none"
    return [Number(what, some / none, "times", PROMISED, f"{note}; {TIMES} times in turn")]


def numbers() -> Iterator[Number]:
    with tempfile.TemporaryDirectory(prefix="rollbot-bench-") as folder:
        yield from asyncio.run(measure(Path(folder)))
