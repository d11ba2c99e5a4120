"""What the page's traffic measures is what the real servers answer: harm shows, is gone when it is, and gaps stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.practice.page.traffic import EACH, OLDER, RECENT, Point, Series, Traffic
from bot.practice.place import in_thread
from bot.practice.stack.build import make_stack
from bot.practice.stack.stack import Stack
from tests.practice.page_place import DRIVERS, PATIENCE

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    made = await in_thread(make_stack, tmp_path / "stack", drivers=DRIVERS, publish=("v12",))
    try:
        await in_thread(made.start_serving)
        yield made
    finally:
        await in_thread(made.close)


async def loaded(stack: Stack) -> None:
    """The model server has a new model."""
    assert stack.serving is not None
    while "loaded" not in await in_thread(stack.serving.next, PATIENCE):
        pass


async def test_harm_is_measured_and_gone_after_the_good_release_is_back(stack: Stack) -> None:
    """ETAs are right with v12, 40 % too long with v13, right again with v12; lost rows show as missing values."""
    traffic = Traffic(stack, lambda _point: None, 0.1)
    await traffic.prepare()
    async with aiohttp.ClientSession() as http:
        good = await traffic.measure(http)
        await in_thread(stack.publish, "v13")
        await loaded(stack)
        bad = await traffic.measure(http)
        await in_thread(stack.publish, "v12")
        await loaded(stack)
        again = await traffic.measure(http)
        await in_thread(stack.ask, "lose_rows")
        lost = await traffic.measure(http)
    for point, release in ((good, "v12"), (again, "v12")):
        assert point.serves == release and point.bias is not None and abs(point.bias) < 3 and point.nulls == 0
        assert point.mae is not None and point.mae < 1 and point.p99 is not None and 0 < point.p99 < 5000
    assert bad.serves == "v13" and bad.bias == pytest.approx(40, abs=4) and bad.mae is not None and bad.mae > 5
    assert good.on and lost.nulls == pytest.approx(33, abs=12) and lost.bias is not None


async def test_where_nothing_is_measured_there_is_a_gap(stack: Stack) -> None:
    """Without servers a point has no values; nothing is carried on from the last one."""
    traffic = Traffic(stack, lambda _point: None, 0.1)
    await traffic.prepare()
    async with aiohttp.ClientSession() as http:
        assert (await traffic.measure(http)).bias is not None
        await in_thread(stack.stop_serving)
        gap = await traffic.measure(http)
    assert (gap.bias, gap.mae, gap.nulls, gap.serves) == (None, None, None, None)


def test_the_series_is_bounded_and_keeps_only_what_was_measured() -> None:
    """Half an hour at most; older points are left out, none is made up."""
    series = Series()
    for n in range(5000):
        series.add(Point(float(n), float(n), None, 0.0, 1.0, on=True, serves="v12"))
    points = series.points()
    times = [p[0] for p in points]
    assert len(points) == RECENT + OLDER and times == sorted(times) and times[-RECENT:] == [*range(4850, 5000)]
    assert times[1] - times[0] == EACH and all(p[0] == p[1] and p[2] is None for p in points)
