"""The real heavy libraries work in forked children, fast, because the fork server has them imported already."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from bot.outside.child import Children
from tests.outside.tools import facts, request

if any(find_spec(m) is None for m in ("feast", "deltalake", "mlflow")) and not os.environ.get("CI"):
    pytest.skip("feast, deltalake or mlflow is not installed: pip install 'rollbot[practice]'", allow_module_level=True)


def resident(pid: int) -> float:
    """Resident MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2


def threads(pid: int) -> int:
    """Those of C libraries included."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@pytest.mark.timeout(300)
async def test_heavy_libraries_are_preloaded_and_safe_to_fork(tmp_path):
    """Delta and Feast give right answers in four children at once, and an empty call costs milliseconds, not the
    seconds of the imports. Prints what it measured."""
    children = Children(str(tmp_path / "artifacts"), log=tmp_path / "log")
    began = time.perf_counter()
    await children.start()
    started = time.perf_counter() - began
    await children.run(request(), timeout=60)
    first = time.perf_counter() - began
    await asyncio.wait_for(children.warmed(), 120)
    warm = time.perf_counter() - began
    times = []
    for _ in range(20):
        began = time.perf_counter()
        modules = facts(await children.run(request(), timeout=60))["modules"]
        times.append(time.perf_counter() - began)
    heavy = replace(request(), target="tests.outside.heavy:Heavy")
    results = [facts(r) for r in await asyncio.gather(*[children.run(heavy, timeout=120) for _ in range(4)])]
    light, full = resident(children._light.pid or 0), resident(children._warm.pid or 0)
    tasks = threads(children._warm.pid or 0)
    await children.stop()
    sys.stdout.write(
        f"start {started * 1000:.0f} ms, first call {first * 1000:.0f} ms, warm after {warm:.1f} s, warm call p50 "
        f"{statistics.median(times) * 1000:.0f} ms, max {max(times) * 1000:.0f} ms, "
        f"resident {light:.0f} + {full:.0f} MiB, real work {[r['took'] for r in results]}\n"
    )
    assert all(r["delta"] == 500 and r["served"] == [0, 7, 499] for r in results)
    assert {"feast", "deltalake", "mlflow", "pyarrow", "pandas"} <= set(modules)
    assert tasks == 1, "the fork server must have one thread"
    assert first < warm and statistics.median(times) < warm / 5
    assert "starts a thread" not in (tmp_path / "log").read_text()
