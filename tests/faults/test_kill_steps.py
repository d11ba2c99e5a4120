"""kill -9 during each kind of step, with real Feast, Delta, MLflow, a flag file and a command: it goes on, once."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.auditor import verify_export
from bot.core.commands import Actor, CaptureRelease, Command, Decide, Request
from bot.core.run import Run, Status
from bot.practice.stack.build import make_stack
from bot.practice.stack.stack import Stack
from bot.store import events, inbox, migrate, runs
from bot.store.inbox import Taken
from bot.store.write import Store, open_store

PROGRAM = Path(__file__).parent / "worker_program.py"
POINTS = [
    ("after", "restore", "flag"),
    ("after", "restore", "pipeline"),
    ("after", "restore", "dataset"),
    ("between", "restore", "definition"),
    ("between", "restore", "online"),
    ("after", "restore", "model"),
    ("before", "visible", "model"),
    ("after", "verify", "online"),
]
if os.environ.get("ROLLBOT_FAULTS") == "all":
    METHODS = [("restore", c) for c in ("flag", "pipeline", "dataset", "definition", "online", "model")]
    METHODS += [("visible", "online"), ("verify", "dataset"), ("verify", "definition"), ("verify", "model")]
    POINTS = [(phase, m, c) for m, c in METHODS for phase in ("before", "between", "after")]


@dataclass
class Bench:
    """A stack, a database, and a worker that can be started anew."""

    folder: Path
    stack: Stack
    store: Store
    worker: subprocess.Popen[str] | None = None
    deaths: list[str] = field(default_factory=list)

    def start(self, phase: str = "never", method: str = "-", component: str = "-") -> None:
        words = [sys.executable, "-W", "ignore", str(PROGRAM), str(self.folder), phase, method, component]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.worker = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)
        assert self.line() == "ready"

    def line(self) -> str | None:
        """The worker's next line; None when it has died."""
        assert self.worker and self.worker.stdout
        return self.worker.stdout.readline().strip() or None

    def until_rest(self, run: int, passing: str = "") -> str | None:
        """The state in which a run came to rest, other than ``passing``; None if the worker died before."""
        while (text := self.line()) is not None:
            said = json.loads(text)
            if said["run"] == run and said["state"] != passing:
                return f"{said['state']} {said['why']}"
        assert self.worker and self.worker.wait() == -signal.SIGKILL
        self.close()
        return None

    def close(self) -> None:
        if self.worker and self.worker.stdout:
            self.worker.stdout.close()

    def stop(self) -> None:
        if self.worker and self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait()
        self.close()

    async def say(self, command: Command, who: str) -> Taken:
        actor = Actor(kind="person", id=who, via="slack")
        now = datetime.now(UTC)
        return await self.store.intake(lambda c: inbox.take(c, secrets.token_hex(8), actor, command, "{run}", now))

    async def run(self, number: int) -> Run:
        found = await self.store.read(lambda c: runs.load(c, number))
        assert found
        return found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with make_stack(tmp_path / "stack", drivers=300, oncall=["BEN"]) as made:
        yield made


@pytest.fixture
async def bench(tmp_path: Path, stack: Stack) -> AsyncIterator[Bench]:
    url = f"sqlite:///{tmp_path / 'rollbot.db'}"
    migrate.migrate(url)
    store = open_store(url)
    await store.start()
    made = Bench(tmp_path, stack, store)
    yield made
    made.stop()
    await store.stop()


async def captured(bench: Bench, version: str) -> None:
    taken = await bench.say(CaptureRelease(feature="driver_stats", version=version), "T/ANA")
    changed = asyncio.get_running_loop().time() + 120
    result = None
    while result is None and asyncio.get_running_loop().time() < changed:
        result = await bench.store.read(lambda c: inbox.result_of(c, taken.id))
    assert result and result["ok"], result


@pytest.mark.timeout(600)
async def test_a_rollback_killed_in_every_kind_of_step_ends_exact(bench: Bench) -> None:
    """After a SIGKILL in each kind of step v12 is served, every effect happened once, and the log is whole."""
    bench.start()
    await captured(bench, "v11")
    for version in ("v12", "v13"):
        await asyncio.to_thread(bench.stack.publish, version)
        await captured(bench, version)
    taken = await bench.say(Request(feature="driver_stats", to="v12"), "T/ANA")
    number = taken.run or 0
    assert str(await asyncio.to_thread(bench.until_rest, number)).startswith("waiting approval")
    digest = (await bench.run(number)).plan_digest or ""
    bench.stop()

    await bench.say(Decide(run=number, yes=True, digest=digest), "T/BEN")
    for point in POINTS:
        await asyncio.to_thread(bench.start, *point)
        rest = await asyncio.to_thread(bench.until_rest, number, "" if bench.deaths else "waiting approval")
        if rest is not None:  # this point is not reached any more (e.g. "between" the writes of a single write)
            assert rest.startswith("succeeded"), rest
            break
        bench.deaths.append(" ".join(point))
    else:
        await asyncio.to_thread(bench.start)
        assert await asyncio.to_thread(bench.until_rest, number) is not None
    bench.stop()

    run = await bench.run(number)
    assert run.status == Status.succeeded
    assert len(bench.deaths) >= 8, bench.deaths
    assert {s.status for s in run.steps} == {"done"}
    await assert_effects_once(bench)
    assert await bench.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar()) == 0
    lines = await bench.store.read(lambda c: list(events.exported(c, "rollbot")))
    assert verify_export(lines).ok


async def assert_effects_once(bench: Bench) -> None:
    """Counted from outside: one Delta restore, the values of v12, the flag as it was."""
    from deltalake import DeltaTable

    history = DeltaTable(str(bench.stack.layout.lake)).history()
    assert [h["operation"] for h in history].count("RESTORE") == 1
    error = await asyncio.to_thread(bench.stack.eta_error)
    assert error.release == "v12" and error.bias is not None and abs(error.bias) < 0.05
    flag = json.loads(bench.stack.layout.flags.read_text())["flags"]["use_driver_stats"]
    assert flag["defaultVariant"] == "on"
