"""A worker as a process of its own that can be told to die by SIGKILL at one point: ``FOLDER PHASE METHOD COMPONENT``.

It says ``ready`` when it works, and one JSON line a run each time a run comes to rest. Died at its point: no line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from bot.core.ports import Component, Errand
from bot.core.run import OPEN
from bot.store import runs
from bot.wiring import build, load_settings, team_books
from bot.worker import Worker


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """The real port to the targets; at one point of one call the whole process dies."""

    def __init__(self, real: Any, phase: str, method: str, component: str) -> None:
        self._real, self._point = real, (method, component)
        self._phase = phase

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name != self._point[0]:
            return real

        async def call(c: Component, errand: Errand, *args: object) -> object:
            if c.name != self._point[1]:
                return await real(c, errand, *args)
            if self._phase == "before":
                die()
            answer = await real(c, self._armed(errand), *args)
            die()
            return answer

        return call

    def _armed(self, errand: Errand) -> Errand:
        """Dies when the child asks for the second time whether it may write: between two writes, or never."""
        asked = 0

        async def check() -> None:
            nonlocal asked
            asked += 1
            if self._phase == "between" and asked > 1:
                die()
            if errand.check:
                await errand.check()

        return Errand(errand.key, errand.fence, errand.timeout, errand.progress, check, errand.context)


async def main() -> None:
    folder, phase, method, component = Path(sys.argv[1]), *sys.argv[2:5]
    settings = load_settings(
        database_url=f"sqlite:///{folder / 'rollbot.db'}",
        playbooks=folder / "stack" / "playbooks",
        artifacts=str(folder / "artifacts"),
        audit_key_file=folder / "audit.key",
    )
    parts = build(settings, warm={c.type for c in team_books(settings).connections().values()})
    await parts.start()
    if phase == "never":  # whoever captures first waits for no library
        await parts.children.warmed()
    else:
        parts.world.targets = Deadly(parts.world.targets, phase, method, component)
    worker = Worker(parts.world, parts.driver())
    await worker.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await _report(parts.world, worker)


async def _report(world: Any, worker: Worker) -> None:
    told: set[tuple[int, str]] = set()
    changed = asyncio.Event()
    poke = worker.poke

    def on_write() -> None:
        changed.set()
        poke()

    world.store.on_write = on_write
    while True:
        changed.clear()
        for run in await world.store.read(runs.newest):
            resting = run.status not in OPEN or run.waiting_for in ("approval", "person")
            state = f"{run.status} {run.waiting_for or ''}".strip()
            if resting and (run.id, state) not in told:
                told.add((run.id, state))
                sys.stdout.write(json.dumps({"run": run.id, "state": state, "why": run.why}) + "\n")
                sys.stdout.flush()
        await changed.wait()


if __name__ == "__main__":
    asyncio.run(main())
