"""What one process takes in is heard by another at once, and after its connection was lost as well."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from bot.core.commands import Actor, Request
from bot.store import inbox, listen
from bot.store.write import Fn, PostgresStore

NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)
LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
Replicas = tuple[PostgresStore, PostgresStore]


def press(key: str) -> Fn[inbox.Taken]:
    actor = Actor(kind="person", id="T1/ANA", via="slack", channel="C1")
    return lambda conn: inbox.take(conn, key, actor, Request(feature=key, to="v1"), "{run} begins", NOW)


def hears(store: PostgresStore) -> asyncio.Event:
    heard = asyncio.Event()
    store.on_write = heard.set
    store.listen()
    return heard


async def next_of(heard: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await heard.wait()
    heard.clear()


async def test_a_press_in_one_process_is_heard_in_another(replicas: Replicas) -> None:
    """Whoever listens is called for what another process has taken in, and not for a write that failed."""
    web, worker = replicas
    heard = hears(worker)
    await next_of(heard)  # the connection stands

    await web.intake(press("k1"))
    await next_of(heard)

    def fails(_conn: sa.Connection) -> None:
        raise KeyError("k2")

    with pytest.raises(KeyError):
        await web.intake(fails)
    await web.intake(press("k3"))
    await next_of(heard)
    assert [i.command.feature for i in await worker.read(inbox.waiting) if isinstance(i.command, Request)] == [
        "k1",
        "k3",
    ]


async def test_a_lost_connection_is_made_anew_and_nothing_is_missed(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off, it connects again, and looks once at what was taken in meanwhile."""
    monkeypatch.setattr(listen, "AGAIN_S", 0.01)
    web, worker = replicas
    heard = hears(worker)
    await next_of(heard)
    cut = await web.write(lambda c: c.exec_driver_sql(f"SELECT pg_terminate_backend(pid) {LISTENERS}").all())

    assert len(cut) == 1
    await next_of(heard)
    await web.intake(press("k"))
    await next_of(heard)


async def test_without_a_connection_the_store_works_and_stops(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can listen: reading and writing go on, and a stop does not wait for it."""
    refused: list[str] = []

    async def refuse(url: str) -> None:
        refused.append(url)
        raise ConnectionRefusedError

    monkeypatch.setattr(listen, "AGAIN_S", 0.0)
    monkeypatch.setattr(listen, "asyncpg_connect", refuse)
    _, worker = replicas
    hears(worker)
    assert (await worker.intake(press("k"))).run
    assert refused
