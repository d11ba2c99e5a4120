"""One worker replica, as ``rollbot serve --role worker`` is one: ``LEASE_S``; settings from the environment.

It says ``ready`` when it works, and then, once each, how a run came to rest (from the second plan on with
its number) and how often it was taken over. A line
``METHOD COMPONENT N`` on its standard input lets it freeze in the worst moment of that call: the child has asked for
the Nth time whether it may write, and the yes is on its way. First all below this process stop, then itself; it says
``freezing`` before. An empty line takes that back; it answers ``armed``.
``ROLLBOT_TEST_POINTS``: a folder; whichever replica first comes to the point that the file ``armed`` there names takes
that file and dies of kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bot.core.ports import Component, Errand
from bot.core.run import OPEN
from bot.store import runs
from bot.store.write import Fn, Store, T
from bot.wiring import build, load_settings
from bot.worker import Worker
from tests.faults.simulated.failpoints import named


def descendants(pid: int) -> list[int]:
    """All processes below this one, parents first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Freezing:
    """The real port to the targets; at the point that it was told of, this process and all below it stop."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.point: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name != "restore":
            return real

        async def call(c: Component, errand: Errand, *args: object) -> object:
            return await real(c, self._armed(errand, name, c.name), *args)

        return call

    def _armed(self, errand: Errand, *where: str) -> Errand:
        asked = 0

        async def check() -> None:
            nonlocal asked
            asked += 1
            if errand.check:
                await errand.check()
            if self.point == [*where, str(asked)]:
                self._freeze()

        return Errand(errand.key, errand.fence, errand.timeout, errand.progress, check, errand.context)

    def _freeze(self) -> None:
        for pid in descendants(os.getpid()):
            os.kill(pid, signal.SIGSTOP)
        say("freezing")
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGSTOP)  # the yes is written by then

    def hear(self) -> None:
        self.point = os.read(0, 1000).decode().split()
        say("armed")


class Dying:
    """Before or after the commit of what the log calls by that name, as in tests/faults/simulated/failpoints.py."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._real, self._armed, self._struck = store.write, folder / "armed", folder / "struck"
        store.write = self.write  # type: ignore[method-assign]

    async def write(self, fn: Fn[T]) -> T:
        names: list[str] = []

        def watched(conn: sa.Connection) -> T:
            behind = conn.exec_driver_sql("SELECT coalesce(max(seq), -1) FROM events").scalar()
            result = fn(conn)
            names[:] = named(conn, int(behind or 0))
            self._strike("before", names)
            return result

        result = await self._real(watched)
        self._strike("after", names)
        return result

    def _strike(self, when: str, names: list[str]) -> None:
        if not names or not self._armed.exists():
            return
        if self._armed.read_text() in [f"{when} {name}" for name in names]:
            with contextlib.suppress(FileNotFoundError):  # the other one was faster
                self._armed.rename(self._struck)
                os.kill(os.getpid(), signal.SIGKILL)


def _news(conn: sa.Connection) -> list[tuple[int, str]]:
    resting = [
        (run.id, f"{run.status} {run.waiting_for or ''}".strip() + (f" {run.plan_no}" if run.plan_no > 1 else ""))
        for run in runs.newest(conn)
        if run.status not in OPEN or run.waiting_for in ("approval", "person")
    ]
    taken = "SELECT run, count(*) FROM events WHERE act = 'ownership_lost' GROUP BY run"
    return [*resting, *((run, f"taken over {times}") for run, times in conn.exec_driver_sql(taken))]


async def report(world: Any, worker: Worker) -> None:
    told: set[tuple[int, str]] = set()
    changed = asyncio.Event()

    def on_write() -> None:
        changed.set()
        worker.poke()

    world.store.on_write = on_write
    while True:
        changed.clear()
        for news in await world.store.read(_news):
            if news not in told:
                told.add(news)
                say(json.dumps({"run": news[0], "state": news[1]}))
        await changed.wait()


def snatch() -> None:
    """This replica is first at most wake-ups and comes to none of them, as one that dies with each in its hand."""
    from bot.drivers import dbos

    async def dead(_driver: object, _run: int) -> None:
        await asyncio.Event().wait()

    dbos.QUEUE_S = 0.01
    dbos.Dbos.taken = dead  # type: ignore[method-assign]


async def main() -> None:
    if build_no := os.environ.get("ROLLBOT_TEST_BUILD"):
        from bot.drivers import dbos

        dbos.VERSION = f"drive-of-build-{build_no}"
    if idle := bool(os.environ.get("ROLLBOT_TEST_SNATCH")):
        snatch()
    parts = build(load_settings(), warm=() if idle else ("delta", "mlflow", "flagd"))
    parts.world.lease_s = float(sys.argv[1])
    await parts.start()
    if os.environ.get("ROLLBOT_TEST_WARM"):  # else heavy libraries are imported behind, and kills may come meanwhile
        await parts.children.warmed()
    if points := os.environ.get("ROLLBOT_TEST_POINTS"):
        Dying(parts.world.store, Path(points))
    freezing = Freezing(parts.world.targets)
    parts.world.targets = freezing  # type: ignore[assignment]
    worker = Worker(parts.world, parts.driver())
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(0, freezing.hear)
    await worker.start()
    say("ready")
    telling = asyncio.create_task(report(parts.world, worker))
    await over.wait()
    telling.cancel()
    loop.remove_reader(0)
    await worker.stop()
    await parts.stop()


if __name__ == "__main__":
    asyncio.run(main())
