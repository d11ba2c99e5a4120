"""What the tests of the store do again and again, in a line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from bot.core.commands import Actor, Command, Request
from bot.core.policy import Nod
from bot.core.run import Happened, Run, RunStep, Status
from bot.core.target import Kind
from bot.store import runs
from bot.store import tables as t
from bot.store.taking import Taking
from bot.store.write import Store

R = TypeVar("R")
NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)
ANA = Actor(kind="person", id="T1/ANA", via="slack", channel="C1")
BEN = Actor(kind="person", id="T1/BEN", via="slack", channel="C1")
TTL = 60.0


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def wish(feature: str = "fares", to: str = "v1", **more: object) -> Request:
    return Request.model_validate({"feature": feature, "to": to, "channel": "C1", **more})


def took(key: str, command: Command | None = None, actor: Actor = ANA) -> Taking:
    """A function for ``store.intake``."""
    return Taking(key, actor, command or wish(), "{run} begins", NOW)


async def a_run(store: Store, feature: str = "fares", to: str = "v1", **more: object) -> int:
    """A new run in planning."""
    taken = await store.intake(took(f"{feature}:{to}:{sorted(more.items())}", wish(feature, to, **more)))
    assert taken.run is not None
    return taken.run


async def moved(store: Store, run: int, **fields: Any) -> Run:
    """A run with some fields changed, as some transition would."""
    return await store.write(lambda c: runs.change(c, run, lambda r: (r.to(**fields), []), NOW))


async def ended(store: Store, run: int) -> Run:
    return await moved(store, run, status=Status.succeeded, ended_at=NOW)


def a_step(n: int = 0, **more: object) -> RunStep:
    fields = {"n": n, "group": n, "verb": "restore", "component": "flag", "kind": Kind.flag, "resource": "flags/fares"}
    return RunStep.model_validate({**fields, **more})


def happened(act: str = "step_done", actor: Actor = ANA, **more: Any) -> Happened:
    return Happened(act=act, actor=actor, **more)


async def count(store: Store, table: sa.Table) -> int:
    return await store.read(lambda c: int(c.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()))


async def begun(work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
    """A task that has come as far as its first wait."""
    under_way = asyncio.Event()

    async def run() -> R:
        under_way.set()
        return await work

    task = asyncio.create_task(run())
    await under_way.wait()
    return task


def put(key: str, value: str = "") -> Callable[[sa.Connection], str]:
    """Writes one small row; says the key."""

    def fn(conn: sa.Connection) -> str:
        conn.execute(sa.insert(t.meta).values(key=key, value=value))
        return key

    return fn


async def keys(store: Store) -> set[str]:
    """The small rows that stand."""
    return await store.read(lambda c: {r.key for r in c.execute(sa.select(t.meta.c.key))})


async def until_it_waits(work: asyncio.Task[Any], store: Store) -> None:
    """For a lock that another transaction holds; fails if it gets through."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while not await store.read(lambda c: c.execute(waiting).scalar_one()):
        assert not work.done(), "nothing held it up"


TABLES = (t.runs, t.steps, t.approvals, t.messages, t.events, t.event_texts, t.event_head, t.people, t.resource_locks)


async def everything(store: Store) -> list[Any]:
    """All rows that a change can touch."""
    return await store.read(lambda c: [sorted(map(repr, c.execute(sa.select(x)))) for x in TABLES])


def planned(run: Run) -> tuple[Run, list[Happened]]:
    """A change that touches every table: status, steps, an approval, messages and an event with a text."""
    nod = Nod(person="T1/BEN", yes=True, digest="d", groups=frozenset({"b", "a"}))
    to = run.to(
        status=Status.running,
        plan_no=1,
        steps=[a_step(0), a_step(1)],
        nods=[nod],
        planned_at=NOW,
        started_at=NOW,
        plan_digest="d",
    )
    return to, [happened("run_planned", texts={"why": "because"})]
