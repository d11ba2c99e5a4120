"""What runs cost that wait: two idle ``rollbot serve`` side by side, one with parked runs and one with none. Processor
time of both processes, with every tick of the worker, is read from the kernel, so a busy machine does little to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.core.plan import Plan
from bot.core.run import Run, RunStep, Status
from bot.store import runs
from bot.store import tables as t
from bot.store.codec import iso, maybe_iso
from bot.store.write import Connection
from tests.bench import Number, cpu, progress
from tests.bench.ack_scene import write_books
from tests.bench.bench_start import READY, settings
from tests.bench.instant import KINDS, open_engine

PARKED = 500
COMPONENTS = {f"part_{n:02}": KINDS[n % len(KINDS)] for n in range(12)}
WARM_S, SECONDS = 35.0, 60.0
"""The first ticks, in which everything is new to the worker, are not counted; then four of each are."""
LONG_AGO = timedelta(days=2)


def parked(like: Run, n: int) -> Run:
    """For an approval, for time that is far away, or for a person: a third each, and long enough that all was said."""
    now = datetime.now(UTC)
    since, later = now - LONG_AGO, now + timedelta(days=3)
    run = like.to(id=1000 + n, feature=f"other_{n:03}", planned_at=since, created_at=since, expires_at=later)
    if n % 3 == 0:
        return run
    begun = {"attempts": 1, "started_at": since}
    run = run.to(started_at=since, expires_at=None)
    if n % 3 == 1:
        step = run.steps[0].model_copy(update={**begun, "status": "again", "note": "1 of 2 see it"})
        return run.with_step(step).to(waiting_for="time", wake_at=later)
    step = run.steps[0].model_copy(update={**begun, "status": "failed", "error": "it does not answer"})
    return run.with_step(step).to(waiting_for="person", stuck_at=since)


def put(conn: Connection, run: Run, plan: Plan) -> None:
    row = {"id": run.id, "feature": run.feature, "status": Status.waiting.value, "same_as": f"{run.id}"}
    row |= {"waiting_for": run.waiting_for, "wake_at": maybe_iso(run.wake_at), "expires_at": maybe_iso(run.expires_at)}
    body = run.model_dump_json(exclude={"steps", "nods"})
    conn.execute(t.runs.insert(), {**row, "body": body, "channel": "C1", "fence": 2, "created_at": iso(run.created_at)})
    runs.save_plan(conn, run.id, plan)
    conn.execute(t.steps.insert(), [_step(run, step) for step in run.steps])


def _step(run: Run, step: RunStep) -> dict[str, object]:
    known = {"run": run.id, "plan": run.plan_no, "n": step.n, "feature": run.feature, "verb": step.verb}
    return {**known, "component": step.component, "status": step.status, "body": step.model_dump_json()}


async def fill(folder: Path, many: int) -> None:
    """A database with so many parked runs, each like one that was really planned, which is ended."""
    write_books(folder)
    async with open_engine(f"sqlite:///{folder / 'rollbot.db'}", COMPONENTS) as engine:
        like = await engine.planned()
        plan = await engine.world.store.read(lambda c: runs.load_plan(c, like.id, like.plan_no))
        assert plan

        def store(conn: Connection) -> None:
            now = datetime.now(UTC)
            runs.change(conn, like.id, lambda r: (r.to(status=Status.aborted, ended_at=now), []), now)
            for n in range(many):
                put(conn, parked(like, n), plan)

        await engine.world.store.write(store)


def serve(folder: Path, opened: ExitStack) -> int:
    """Its process id, once it is ready."""
    with (folder / "serve.log").open("wb") as log:
        words = [sys.executable, "-m", "bot", "serve"]
        process = subprocess.Popen(words, cwd=folder, env=settings(folder), stdout=subprocess.PIPE, stderr=log)
    opened.callback(_end, process)
    assert process.stdout
    if not any(READY in line for line in process.stdout):
        raise RuntimeError(f"rollbot serve ended: {(folder / 'serve.log').read_text()[-300:]}")
    return process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.communicate(timeout=60)


def numbers() -> Iterator[Number]:
    with ExitStack() as opened:
        many = (0, PARKED)
        folders = [Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="rollbot-bench-"))) for _ in many]
        for folder, count in zip(folders, many, strict=True):
            asyncio.run(fill(folder, count))
        pids = [serve(folder, opened) for folder in folders]
        progress(f"serving with none and with {PARKED} parked runs; {WARM_S + SECONDS:.0f} s")
        time.sleep(WARM_S)
        before, began = [cpu.of_tree(pid) for pid in pids], time.perf_counter()
        time.sleep(SECONDS)
        took = time.perf_counter() - began
        none, all_ = (100 * (cpu.of_tree(pid) - b) / took for pid, b in zip(pids, before, strict=True))
    yield Number("an idle bot, no run", none, "% of a core", note=f"{took:.0f} s, all children included")
    yield Number(f"{PARKED} parked runs more", all_ - none, "% of a core", 2, f"{all_:.2f} % in all")
