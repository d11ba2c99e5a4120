"""What people wait for, on the practice platform with 50,000 drivers and a pipeline that never rests: the card, the
flag that goes off, the rollback. Real Slack requests, the real bot, and what really changed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from bot.practice.incident import Incident, pressable
from bot.practice.narrator import Narrator
from bot.practice.place import ANA, BEN, INCIDENT, SAM, Place, in_thread, key_of, open_place
from bot.practice.releases import three_releases
from bot.practice.slack_server import Message
from bot.practice.stack.layout import write_text
from tests.bench import Number, cpu, median, progress, spread

DRIVERS = 50_000
TIMES = 5
TIMES_DEAD = 2
LOOK_AGAIN = 0.002


class Stage(Incident):
    """The practice incident, one act at a time and timed. Nothing is told."""

    async def card(self) -> float:
        """Seconds from the request to its card, as it stands in the channel with what would be done."""
        began = time.perf_counter()
        await self.ask()
        progress(f"{self.run} has its card after {time.perf_counter() - began:.2f} s")
        return time.perf_counter() - began

    async def over(self) -> None:
        """Ends the run that waits, so that the next request is a new one."""
        await self.place.slack.slash("/rollback", f"abort {self.run} measured", ANA, INCIDENT)
        await self.place.until(lambda: not self.has("approve"), f"{self.run} was not aborted")

    def has(self, action: str) -> bool:
        return pressable(self._card(), action)

    async def stop(self) -> float:
        """Seconds from the press on *Stop the harm* to the flag being off in its file; then it is on again."""
        before = self.place.stack.layout.flags.read_text()
        ended = len(self._stops())
        began = time.perf_counter()
        pressing = asyncio.create_task(self.place.slack.click(INCIDENT, self._card().ts, "stop_harm", SAM))
        while self.flag_on() and time.perf_counter() - began < 60:
            await asyncio.sleep(LOOK_AGAIN)
        took = time.perf_counter() - began
        progress(f"the flag is off after {took:.2f} s")
        await pressing
        await self.place.until(lambda: len(self._stops()) > ended, "the stop was not said to be done")
        write_text(self.place.stack.layout.flags, before)
        await in_thread(self.place.stack.lift_pipeline)
        return took

    def _stops(self) -> list[Message]:
        """Cards, but not the rollback's own, that say that all is done."""
        cards = [m for m in self.place.slack.channel(INCIDENT) if key_of(m).endswith(":card")]
        return [m for m in cards if key_of(m) != f"{self.run}:card" and " · DONE " in m.text]

    async def rolled_back(self) -> dict[str, Any]:
        """Approved and followed to its end: the run as ``rollbot run show --json`` says it."""
        await self.place.slack.click(INCIDENT, self._card().ts, "approve", BEN)
        await self.place.until(lambda: self.place.message(f"{self.run}:outcome"), f"{self.run} did not end", 600.0)
        shown = await self.place.bot.command("run", "show", self.run, "--json")
        found: dict[str, Any] = json.loads(shown.out)
        return found


@contextmanager
def mlflow_silent(place: Place) -> Iterator[None]:
    """The model registry's address takes connections and never answers."""
    file = place.stack.layout.playbooks / "targets.yaml"
    before = file.read_text()
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        write_text(file, before.replace(place.stack.layout.tracking_uri, uri))
        yield
    write_text(file, before)


@contextmanager
def servers_silent(place: Place) -> Iterator[None]:
    """Feature server and model server take connections and never answer."""
    assert place.stack.serving is not None
    pid = place.stack.serving.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def cards(stage: Stage, times: int) -> list[float]:
    took = []
    for _ in range(times):
        took.append(await stage.card())
        await stage.over()
    return took


async def waiting_for(stage: Stage) -> list[Number]:
    """Cards and stops, with all systems alive and with some dead."""
    await cards(stage, 1)
    before = cpu.of_tree(stage.place.bot.pid)
    warm = await cards(stage, TIMES)
    cost = (cpu.of_tree(stage.place.bot.pid) - before) / TIMES
    with mlflow_silent(stage.place):
        no_mlflow = await cards(stage, TIMES_DEAD)
    with servers_silent(stage.place):
        no_servers = await cards(stage, TIMES_DEAD)
    await stage.card()
    stops = [await stage.stop() for _ in range(TIMES)]
    with servers_silent(stage.place):
        stops_dead = [await stage.stop() for _ in range(TIMES_DEAD)]
    await stage.over()
    return [
        Number("request to card, warm", median(warm), "s", 2, f"{spread(warm, 's')}; {cost:.2f} s of CPU each"),
        Number("request to card, MLflow never answers", median(no_mlflow), "s", 10, spread(no_mlflow, "s")),
        Number("request to card, both servers never answer", median(no_servers), "s", 10, spread(no_servers, "s")),
        Number("Stop the harm pressed to flag off", median(stops), "s", 2, spread(stops, "s")),
        Number("the same, both servers never answer", median(stops_dead), "s", 5, spread(stops_dead, "s")),
    ]


async def rollback(stage: Stage) -> list[Number]:
    pipeline = stage.place.stack.start_pipeline()
    pipeline.forget()
    await stage.card()
    run = await stage.rolled_back()
    clocks, accuracy = run["clocks"], run["accuracy"] or {}
    rounds = "the pipeline ran all the time" if pipeline.alive else "THE PIPELINE HAS ENDED"
    cells = f"{accuracy.get('matched', 0):,} of {accuracy.get('expected', 0):,} cells, {accuracy.get('where', '')}"
    share = accuracy.get("matched", 0) / max(1, accuracy.get("expected", 0))
    name = f"rollback of {DRIVERS:,} rows, approved to"
    return [
        Number(
            f"{name} applied",
            clocks["applied_s"] or -1,
            "s",
            60,
            f"the feature's own SLO; {run['status']}: {run['why']}",
        ),
        Number(f"{name} visible", clocks["visible_s"] or -1, "s"),
        Number(f"{name} verified", clocks["verified_s"] or -1, "s", 900, f"the feature's own SLO; {rounds}"),
        Number("its accuracy", share, "", 1, cells, at_least=True),
        Number("its extra rows", accuracy.get("extra", -1), "", 0),
        Number("its missing rows", accuracy.get("missing", -1), "", 0, f"{accuracy.get('null', -1)} null cells"),
    ]


async def measure(folder: Path) -> list[Number]:
    with Path(os.devnull).open("w") as nowhere:
        tell = Narrator(Console(file=nowhere))
        nothing = lambda _done, _total, _note: None  # noqa: E731
        async with open_place(folder, drivers=DRIVERS, transport="http", port=0, bar=nothing) as place:
            await three_releases(place, tell)
            stage = Stage(place, tell)
            return [*await waiting_for(stage), *await rollback(stage)]


def numbers() -> Iterator[Number]:
    with tempfile.TemporaryDirectory(prefix="rollbot-bench-", ignore_cleanup_errors=True) as folder:
        yield from asyncio.run(measure(Path(folder).resolve()))
