"""The end of a store, and of those who wait for it: everybody is told, and nothing is left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.store import migrate
from bot.store.write import PostgresStore, Store, StoreDown, open_store
from tests.store.conftest import opened
from tests.store.deeds import begun, keys, put, until_it_waits


async def test_a_closed_store_refuses(database_url: str) -> None:
    """After stop, reads, writes and intakes are refused at once; stopping again is harmless."""
    made = await opened(database_url)
    await made.stop()

    for way in (made.write, made.intake, made.read):
        with pytest.raises(StoreDown, match="closed"):
            await way(put("k"))
    await made.stop()


async def test_stop_answers_everybody(database_url: str) -> None:
    """Whoever waits when the store is stopped is told: stored (and then it is), or not (and then it is not)."""
    made = await opened(database_url)
    ways = [made.intake if n % 2 else made.write for n in range(40)]
    waiting = [await begun(way(put(f"k{n}"))) for n, way in enumerate(ways)]
    await made.stop()
    said = await asyncio.gather(*waiting, return_exceptions=True)

    again = await opened(database_url)
    stored = await keys(again)
    await again.stop()
    assert {f"k{n}" for n, answer in enumerate(said) if isinstance(answer, str)} == stored
    assert all(isinstance(answer, str | StoreDown) for answer in said)


async def test_a_loop_that_is_torn_down_leaves_nobody_waiting(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """If the task behind the inbox is cancelled, whoever waits in the group and behind it hears of it."""
    store, engine = replicas[0], migrate.engine_for(replicas[0].url)
    with engine.connect() as blocker:
        put("k")(blocker)
        waiting = [await begun(store.intake(put("k")))]
        await until_it_waits(waiting[0], replicas[1])
        waiting += [await begun(store.intake(put(f"k{n}"))) for n in range(3)]
        assert store._task
        store._task.cancel()
        said = await asyncio.gather(*waiting, return_exceptions=True)
        blocker.rollback()
    engine.dispose()

    assert [type(e) for e in said] == [StoreDown] * 4
    assert "unknown" in str(said[0])
    assert await keys(replicas[1]) == set()


async def test_stop_waits_for_writes_in_hand(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """A write that the database holds up is waited for: its connection must not be left behind open."""
    other, made = replicas[1], await opened(replicas[0].url)
    engine = migrate.engine_for(other.url)
    with engine.connect() as blocker:
        put("k")(blocker)
        writing = await begun(made.write(put("k")))
        await until_it_waits(writing, other)
        stopping = await begun(made.stop())
        for _ in range(20):
            await keys(other)
        assert not stopping.done()
        blocker.rollback()
        await stopping
    engine.dispose()
    assert await writing == "k"


async def test_a_store_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    """A start that fails half way can clean up."""
    made = open_store(f"sqlite:///{tmp_path / 'x.db'}")
    await made.stop()


async def test_a_cancelled_caller_does_not_take_back_its_write(store: Store) -> None:
    """A press whose connection broke is stored all the same, and those behind it are served."""
    leaving = await begun(store.intake(put("left")))
    staying = await begun(store.intake(put("stayed")))
    leaving.cancel()

    assert await staying == "stayed"
    assert await keys(store) == {"left", "stayed"}
