"""The same plan, status and ack on an empty database and on one with a long log and a large catalogue: costs must stay
flat. Both in one process, one after the other, over the bot's own code from Slack's payload to its answer."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from bot.core.commands import Actor, Purpose
from bot.core.release import Stint
from bot.core.run import Happened, Run, RunStep, Status
from bot.core.target import Kind
from bot.slack.app import SlackApp, SlackConfig
from bot.store import events, releases, runs
from bot.store import tables as t
from bot.store.codec import iso
from bot.store.write import Connection
from tests.bench import Number, median, progress
from tests.bench.instant import ANA, FEATURE, KINDS, Engine, add_release, open_engine, release

FULL = os.environ.get("ROLLBOT_BENCH") == "full"
"""As large as is promised for; makes 3 GB on the disk, which are removed again."""
EVENTS, FEATURES, RELEASES = (1_000_000, 10_000, 50) if FULL else (100_000, 2_000, 10)
RUNS = 10_000
TOGETHER = 10
"""Events of one transaction in a row; more are not many for one run."""
TIMES = 60
PROMISED = 1.2
COMPONENTS = {kind.value: kind for kind in KINDS}


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def log(conn: Connection, start: int, count: int) -> None:
    """As many events as one transaction holds, spread over features."""
    who = Actor(kind="person", id=ANA, via="slack")
    for n in range(start, start + count, TOGETHER):
        happened = Happened(act="run_requested", actor=who, after="v12", facts={"n": n}, texts={"reason": "too long"})
        events.append(conn, [happened] * TOGETHER, ago(1), feature=name_of(n // TOGETHER % FEATURES))


def name_of(n: int) -> str:
    return f"other_{n:05}"


def catalogue(conn: Connection, name: str, engine: Engine) -> None:
    """Releases with their captures and moments, stints, and what the feature stands on."""
    parts = engine.world.books.feature(name).parts()
    for n in range(RELEASES):
        add_release(conn, *release(name, f"v{n}", parts))
        until = None if n == RELEASES - 1 else ago(RELEASES - n - 1)
        releases.add_stint(conn, name, Stint(version=f"v{n}", since=ago(RELEASES - n), until=until))
    releases.index_feature(conn, name, {p.name: f"instant:{name}/{p.name}" for p in parts})


def copies(conn: Connection, like: str, names: list[str]) -> None:
    """The same for each of these: made one by one they take an hour."""
    for table in (t.releases, t.moments, t.stints, t.catalogue):
        columns = [c for c in table.c if c.name != "id"]
        new = [sa.func.replace(c, like, sa.bindparam("new")) if isinstance(c.type, sa.Text) else c for c in columns]
        rows = sa.select(*new).where(table.c.feature == like)
        for name in names:
            conn.execute(table.insert().from_select(columns, rows), {"new": name})


def past_runs(conn: Connection, first: int, count: int) -> None:
    """Runs that ended, each with a step, an inbox row that was applied and a card that stands."""
    for n in range(first, first + count):
        name, when = name_of(n % FEATURES), ago(2)
        run = Run(
            id=n,
            feature=name,
            purpose=Purpose.rollback,
            status=Status.succeeded,
            requester=Actor(kind="person", id=ANA, via="slack"),
            channel="C1",
            plan_no=1,
            created_at=when,
            ended_at=when,
        )
        _insert_run(conn, run, when)


def _insert_run(conn: Connection, run: Run, when: datetime) -> None:
    step = RunStep(n=0, group=0, verb="restore", component="model", kind=Kind.model, resource="m", status="done")
    body = run.model_dump_json(exclude={"steps", "nods"})
    row = {"id": run.id, "feature": run.feature, "status": "succeeded", "same_as": f"{run.id}", "body": body}
    conn.execute(t.runs.insert(), {**row, "channel": "C1", "fence": 1, "created_at": iso(when), "ended_at": iso(when)})
    of_step = {"run": run.id, "plan": 1, "n": 0, "feature": run.feature, "verb": "restore", "component": "model"}
    conn.execute(t.steps.insert(), {**of_step, "status": "done", "seconds": 1.0, "body": step.model_dump_json()})
    came = {"request_key": f"old-{run.id}", "actor": "{}", "command": "{}", "run": run.id, "answer": "", "result": "{}"}
    conn.execute(t.inbox.insert(), {**came, "created_at": iso(when), "applied_at": iso(when)})
    card = {"key": f"R-{run.id}:card", "run": run.id, "purpose": "card", "channel": "C1", "ts": "1.1"}
    conn.execute(t.messages.insert(), {**card, "wanted": 1, "sent": 1, "failures": 0, "created_at": iso(when)})


async def fill(engine: Engine) -> None:
    first, *names = [name_of(n) for n in range(FEATURES)]
    write, batch = engine.world.store.write, 1000
    for start in range(0, EVENTS, batch):
        await write(lambda conn, start=start: log(conn, start, batch))
    progress(f"{EVENTS:,} events")
    await write(lambda conn: catalogue(conn, first, engine))
    for start in range(0, FEATURES, 100):
        await write(lambda conn, start=start: copies(conn, first, names[start : start + 100]))
    progress(f"{FEATURES * RELEASES:,} releases")
    for start in range(0, RUNS, batch):
        await write(lambda conn, start=start: past_runs(conn, 1_000_000 + start, batch))
    progress(f"{RUNS:,} runs")


@dataclass
class Side:
    """One database with everything that answers over it."""

    engine: Engine
    slack: SlackApp
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def typed(self, text: str) -> str:
        payload = {"team_id": "T1", "user_id": "UANA", "channel_id": "C1", "command": "/rollback", "text": text}
        url = {"response_url": "http://127.0.0.1:1/nowhere", "trigger_id": f"trigger-{next(self.numbers)}"}
        answer = await self.slack.handle({**payload, **url})
        assert answer.status == 200, answer
        return answer.body

    async def ack(self) -> None:
        """A request, durable; its run is ended again outside the clock."""
        await self.typed(f"{FEATURE} to v12 because ETAs are too long")

    async def status(self) -> None:
        assert FEATURE in await self.typed(f"status {FEATURE}")

    async def everywhere(self) -> None:
        await self.typed("status")

    async def plan(self) -> None:
        """Planned anew from a request: everything between the inbox and the card."""
        run = await self.engine.planned()
        assert run.waiting_for == "approval", run.why
        await self.engine.world.store.write(lambda conn: self._end(conn, run))

    def _end(self, conn: Connection, run: Run) -> None:
        now = datetime.now(UTC)
        runs.change(conn, run.id, lambda r: (r.to(status=Status.aborted, ended_at=now), []), now)


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


async def compared(small: Side, large: Side, what: str) -> Number:
    """Medians of runs that take turns."""
    took: tuple[list[float], list[float]] = ([], [])
    for n in range(-5, TIMES):
        for side, into in ((small, took[0]), (large, took[1])):
            ms = await timed(getattr(side, what))
            into.extend([ms] if n >= 0 else [])
    few, many = median(took[0]), median(took[1])
    note = (
        f"{few:.2f} ms and {many:.2f} ms; {EVENTS:,} events, {FEATURES:,} features x {RELEASES} releases, {RUNS:,} runs"
    )
    return Number(f"{what}, large database against empty", many / few, "times", PROMISED, note)


async def measure(folder: Path) -> list[Number]:
    async with AsyncExitStack() as opened:
        sides = []
        for name in ("small", "large"):
            (folder / name).mkdir()
            engine = await opened.enter_async_context(
                open_engine(f"sqlite:///{folder / name / 'rollbot.db'}", COMPONENTS)
            )
            config = SlackConfig(bot_token="-", signing_secret="-", api_url="http://127.0.0.1:1/api/")
            sides.append(Side(engine, SlackApp(engine.world, config)))
        await fill(sides[1].engine)
        return [await compared(*sides, what) for what in ("plan", "status", "everywhere", "ack")]


def numbers() -> Iterator[Number]:
    with tempfile.TemporaryDirectory(prefix="rollbot-bench-") as folder:
        yield from asyncio.run(measure(Path(folder)))
