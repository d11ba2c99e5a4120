"""kill -9 during a drill with a real Delta table and a flag file: it goes on, no sandbox is left, production is as it
was."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from bot.core import drilled
from bot.core.auditor import verify_export
from bot.core.commands import Abort, CaptureRelease, Decide, Request
from bot.core.run import Status
from bot.store import events, inbox, migrate
from bot.store.write import open_store
from tests.faults.test_kill_steps import Bench

POINTS = [
    ("before", "sandbox", "dataset"),
    ("after", "sandbox", "dataset"),
    ("after", "restore", "flag"),
    ("between", "restore", "dataset"),
    ("after", "restore", "dataset"),
    ("after", "verify", "dataset"),
    ("before", "discard", "dataset"),
    ("after", "discard", "dataset"),
]
ABORTED = [("after", "sandbox", "dataset"), ("after", "restore", "dataset")]
FEATURE = """
feature: fares
owner: "@ml-oncall"
components:
  flag: {target: flags, flag: fares}
  dataset: {target: lake, uri: fares}
"""
STANDARD = """
playbook: standard
steps:
  - disable: flag
  - restore: dataset
  - verify: dataset
  - enable: flag
  - verify: flag
"""
TARGETS = "flags: {type: flagd, file: ../../flags/flags.json}\nlake: {type: delta, root: LAKE}\n"


def write_place(folder: Path) -> None:
    books = folder / "stack/playbooks"
    for sub in ("features", "playbooks"):
        (books / sub).mkdir(parents=True)
    (books / "policy.yaml").write_text('groups: {ml-oncall: [T/BEN]}\nrules: [{approve: 1, from: "@ml-oncall"}]\n')
    (books / "targets.yaml").write_text(TARGETS.replace("LAKE", str(folder / "lake")))
    (books / "features/fares.yaml").write_text(FEATURE)
    for name in ("standard", "stop"):
        (books / f"playbooks/{name}.yaml").write_text(STANDARD.replace("standard", name))
    rule = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    (folder / "flags").mkdir()
    (folder / "flags/flags.json").write_text(json.dumps({"flags": {"fares": rule}}))
    write_rows(folder, 1.0)


def write_rows(folder: Path, factor: float) -> None:
    rows = pa.table({"id": list(range(500)), "fare": [n * factor for n in range(500)]})
    write_deltalake(str(folder / "lake/fares"), rows, mode="overwrite")


def production(folder: Path) -> dict[str, str]:
    """Every file of both systems, sandboxes too, with the digest of its bytes."""
    files = [p for sub in ("lake", "flags") for p in (folder / sub).rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    await asyncio.to_thread(write_place, tmp_path)
    url = f"sqlite:///{tmp_path / 'rollbot.db'}"
    migrate.migrate(url)
    store = open_store(url)
    await store.start()
    made = Bench(tmp_path, None, store)
    yield made
    made.stop()
    await store.stop()


async def captured(bench: Bench, version: str) -> None:
    taken = await bench.say(CaptureRelease(feature="fares", version=version), "T/ANA")
    until = asyncio.get_running_loop().time() + 60
    result = None
    while result is None and asyncio.get_running_loop().time() < until:
        result = await bench.store.read(lambda c: inbox.result_of(c, taken.id))
    assert result and result["ok"], result


async def approved(bench: Bench) -> int:
    """A drill to v1 that is approved, and no worker."""
    bench.start()
    await captured(bench, "v1")
    await asyncio.to_thread(write_rows, bench.folder, 2.0)
    await captured(bench, "v2")
    taken = await bench.say(Request(feature="fares", to="v1", mode="drill"), "T/ANA")
    number = taken.run or 0
    rest = await asyncio.to_thread(bench.until_rest, number)
    assert str(rest).startswith("waiting approval"), rest
    bench.stop()
    run = await bench.run(number)
    await bench.say(Decide(run=number, yes=True, digest=run.plan_digest or ""), "T/BEN")
    return number


async def die(bench: Bench, number: int, points: list[tuple[str, str, str]]) -> str | None:
    """Dies at each of these points in turn; how the run came to rest, if one was not reached."""
    for point in points:
        await asyncio.to_thread(bench.start, *point)
        rest = await asyncio.to_thread(bench.until_rest, number, "" if bench.deaths else "waiting approval")
        if rest is not None:
            return rest
        bench.deaths.append(" ".join(point))
    return None


async def finished(bench: Bench, number: int) -> None:
    await asyncio.to_thread(bench.start)
    assert await asyncio.to_thread(bench.until_rest, number) is not None
    bench.stop()


@pytest.mark.timeout(300)
async def test_a_drill_killed_in_every_kind_of_step_leaves_nothing(bench: Bench) -> None:
    """After a SIGKILL at eight points it succeeds; production has the very same bytes and no sandbox is left."""
    number = await approved(bench)
    before = production(bench.folder)
    assert await die(bench, number, POINTS) is None
    await finished(bench, number)
    run = await bench.run(number)

    assert (run.status, len(bench.deaths)) == (Status.succeeded, len(POINTS)), (run.why, bench.deaths)
    assert {s.status for s in run.steps} == {"done"}
    assert all(s.accuracy and s.accuracy.ratio == 1 for s in run.steps if s.verb == "verify")
    assert run.production == ["Production has the versions that it had before: 2 parts of 2"]
    assert production(bench.folder) == before
    history = DeltaTable(str(bench.folder / "lake/fares")).history()
    assert "RESTORE" not in [h["operation"] for h in history]
    assert await bench.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM resource_locks").scalar()) == 0
    assert verify_export(await bench.store.read(lambda c: list(events.exported(c, "rollbot")))).ok


@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", ABORTED)
async def test_a_drill_aborted_while_its_worker_is_dead_leaves_nothing(
    bench: Bench, point: tuple[str, str, str]
) -> None:
    """Killed right after an effect whose result was not written, and aborted before anybody goes on: the next worker
    finds out where the sandboxes are and removes them, and does nothing else."""
    number = await approved(bench)
    before = production(bench.folder)
    assert await die(bench, number, [point]) is None
    assert len(production(bench.folder)) > len(before)
    await bench.say(Abort(run=number), "T/BEN")
    await finished(bench, number)
    run = await bench.run(number)

    assert run.status == Status.aborted
    assert production(bench.folder) == before
    assert not [s for s in run.steps if s.verb in ("enable", "verify") and s.attempts]
    assert {s.status for s in run.steps if s.verb == drilled.REMOVE} == {"done"}
