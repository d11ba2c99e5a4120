"""A little traffic on the practice platform, and what it measures: the ETAs' error, missing values, time to answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.practice.place import FEATURE, in_thread
from bot.practice.stack.host import Ended
from bot.practice.stack.stack import Broken, Stack

Json = dict[str, Any]
POOL, SAMPLE, SINGLE = 1000, 100, 5
"""Drivers whose truth is known; asked for together; and asked for one by one, as an application does."""
RECENT, OLDER, EACH = 150, 150, 5
"""Points: of the last minutes all, before that every fifth; half an hour at one each 2 s."""
WINDOW_S = 30.0
"""Time to answer is said of the requests of so many seconds."""
PATIENCE_S = 5.0
AWAY = (aiohttp.ClientError, TimeoutError, KeyError, ValueError, TypeError)
"""What it is if a server is not there, or answers something else."""


@dataclass(frozen=True)
class Point:
    """One measurement; None where nothing could be measured. ``bias``: ETAs are so many per cent too long; ``mae``
    minutes off each; ``nulls`` per cent of values that are missing; ``p99`` ms; ``on``: customers are served these."""

    t: float
    bias: float | None
    mae: float | None
    nulls: float | None
    p99: float | None
    on: bool
    serves: str | None

    def row(self) -> list[Any]:
        return [round(self.t, 1), self.bias, self.mae, self.nulls, self.p99, int(self.on)]


class Series:
    """The points of half an hour; older ones are thinned out, never averaged."""

    def __init__(self) -> None:
        self._recent: deque[Point] = deque()
        self._older: deque[Point] = deque(maxlen=OLDER)
        self._out = 0

    def add(self, point: Point) -> None:
        self._recent.append(point)
        if len(self._recent) > RECENT:
            leaving = self._recent.popleft()
            if self._out % EACH == 0:
                self._older.append(leaving)
            self._out += 1

    def points(self) -> list[list[Any]]:
        """``[t, bias, mae, nulls, p99, on]``, oldest first."""
        return [point.row() for point in (*self._older, *self._recent)]


class Traffic:
    """Asks the real servers every few seconds and tells each Point. ``every`` in seconds."""

    def __init__(self, stack: Stack, tell: Callable[[Point], None], every: float) -> None:
        self.stack, self.every, self._tell = stack, every, tell
        self._truth: dict[int, float] = {}
        self._took: deque[tuple[float, float]] = deque(maxlen=1000)

    async def run(self) -> None:
        """Until cancelled, or the platform has ended."""
        try:
            await self.prepare()
        except (Broken, Ended):
            return
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                began = time.monotonic()
                self._tell(await self.measure(http))
                await asyncio.sleep(max(0.0, self.every - (time.monotonic() - began)))

    async def prepare(self) -> None:
        """The truth, asked for once. Raises Broken, Ended."""
        known = await in_thread(self.stack.ask, "truth", count=POOL)
        self._truth = dict(zip(known["ids"], known["minutes"], strict=True))

    async def measure(self, http: aiohttp.ClientSession) -> Point:
        """One sample, asked for now."""
        sample = random.sample(sorted(self._truth), min(SAMPLE, len(self._truth)))
        version = await self._ask(http, "GET", f"{self.stack.model_url}/version") or {}
        names = version.get("features") or []
        body = {"features": [f"{FEATURE}:{name}" for name in names], "entities": {"driver_id": sample}}
        served = (
            await self._ask(http, "POST", f"{self.stack.features_url}/get-online-features", body) if names else None
        )
        said = (
            await self._ask(http, "POST", f"{self.stack.model_url}/predict", {"driver_ids": sample}) if names else None
        )
        await asyncio.gather(*(self._single(http, driver) for driver in sample[:SINGLE]))
        bias, mae = self._error(sample, said)
        on = await in_thread(self.stack.flag_on)
        return Point(time.time(), bias, mae, _nulls(names, served), self._p99(), on, version.get("release"))

    async def _single(self, http: aiohttp.ClientSession, driver: int) -> None:
        """As one customer asks. A driver without values is an answer too."""
        began = time.monotonic()
        try:
            async with http.get(f"{self.stack.model_url}/predict", params={"driver_id": str(driver)}) as answer:
                await answer.read()
        except AWAY:
            return
        self._took.append((time.monotonic(), (time.monotonic() - began) * 1000))

    async def _ask(self, http: aiohttp.ClientSession, method: str, url: str, body: Json | None = None) -> Json | None:
        """The answer, or None if there is none."""
        try:
            async with http.request(method, url, json=body) as answer:
                found = await answer.json()
        except AWAY:
            return None
        return found if answer.status == 200 and isinstance(found, dict) else None

    def _error(self, sample: list[int], said: Json | None) -> tuple[float | None, float | None]:
        """Bias in per cent and mean error in minutes over the drivers for whom there is an ETA."""
        minutes = (said or {}).get("minutes") or []
        pairs = [(eta, self._truth[i]) for i, eta in zip(sample, minutes, strict=False) if eta is not None]
        if not pairs:
            return None, None
        bias = sum(eta / truth for eta, truth in pairs) / len(pairs) - 1.0
        return round(bias * 100, 2), round(sum(abs(eta - truth) for eta, truth in pairs) / len(pairs), 2)

    def _p99(self) -> float | None:
        since = time.monotonic() - WINDOW_S
        while self._took and self._took[0][0] < since:
            self._took.popleft()
        took = sorted(ms for _, ms in self._took)
        return round(took[min(len(took) - 1, int(len(took) * 0.99))], 1) if took else None


def _nulls(names: list[str], served: Json | None) -> float | None:
    """Per cent of all values asked for that are missing."""
    if served is None:
        return None
    try:
        columns = dict(zip(served["metadata"]["feature_names"], served["results"], strict=True))
        cells = [value for name in names for value in columns[name]["values"]]
    except AWAY:
        return None
    return round(100 * sum(value is None for value in cells) / len(cells), 2) if cells else None
