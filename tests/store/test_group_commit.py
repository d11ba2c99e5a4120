"""What is written: all or nothing, each for itself, and an answer for everybody who waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from bot.store import engines, migrate, sqlite
from bot.store import tables as t
from bot.store.write import PostgresStore, SqliteStore, Store, StoreDown
from tests.store.deeds import begun, keys, put


def breaking(key: str) -> Callable[[sa.Connection], None]:
    """Writes a row and then fails, for a reason of its own."""

    def fn(conn: sa.Connection) -> None:
        put(key)(conn)
        raise ValueError(f"{key} is no good")

    return fn


def disk_full(conn: sa.Connection) -> None:
    """What the driver raises when a file can't grow."""
    put("full")(conn)
    raise OperationalError("INSERT", {}, Exception("database or disk is full"))


@pytest.mark.parametrize("way", ["write", "intake"])
async def test_what_raises_leaves_nothing(store: Store, way: str) -> None:
    """A function that writes and then raises has written nothing, and its caller gets exactly its error."""
    with pytest.raises(ValueError, match="k is no good"):
        await getattr(store, way)(breaking("k"))

    assert await keys(store) == set()


async def test_one_failing_in_a_group_does_not_take_the_others_along(store: Store) -> None:
    """Of takes that share a commit, those that fail (by their own fault or by the database's word) fail alone."""
    await store.write(put("there"))
    work = [put("a"), breaking("b"), put("c"), put("there"), put("d")]
    said = await asyncio.gather(*(store.intake(fn) for fn in work), return_exceptions=True)

    assert [said[n] for n in (0, 2, 4)] == ["a", "c", "d"]
    assert isinstance(said[1], ValueError)
    assert isinstance(said[3], IntegrityError)
    assert await keys(store) == {"there", "a", "c", "d"}


async def test_trouble_with_the_database_fails_the_whole_group(store: Store) -> None:
    """If the database itself gives out, nobody of the group is told that anything is stored, and nothing is."""
    work = [put("a"), disk_full, put("b")]
    said = await asyncio.gather(*(store.intake(fn) for fn in work), return_exceptions=True)

    assert [type(e) for e in said] == [StoreDown] * 3
    assert all("disk is full" in str(e) and "nothing was stored" in str(e) for e in said)
    assert len({id(e) for e in said}) == 3
    assert await keys(store) == set()
    assert await store.intake(put("afterwards")) == "afterwards"


async def test_a_transaction_that_sqlite_undid_by_itself_is_trouble_for_all(sqlite: SqliteStore) -> None:
    """SQLite may undo everything at once when it is in need: those before and after in the group hear why."""

    def undone(conn: sa.Connection) -> None:
        put("full")(conn)
        conn.exec_driver_sql("ROLLBACK")
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    held, gate = threading.Event(), threading.Event()

    def busy(_conn: sa.Connection) -> None:
        held.set()
        gate.wait(60)

    writing = asyncio.create_task(sqlite.write(busy))
    await asyncio.to_thread(held.wait, 60)
    together = asyncio.gather(*(sqlite.intake(fn) for fn in [put("a"), undone, put("b")]), return_exceptions=True)
    asyncio.get_running_loop().call_soon(gate.set)  # after all three stand in line: they are one group
    said = await together
    await writing

    assert [type(e) for e in said] == [StoreDown] * 3
    assert all("disk is full" in str(e) for e in said)
    assert await keys(sqlite) == set()


async def test_a_failed_group_hands_out_no_results(store: Store) -> None:
    """The error of a group has no traceback in common: sixty tasks raise it sixty times, each its own."""
    work = [put(f"k{n}") for n in range(60)]
    said = await asyncio.gather(*(store.intake(fn) for fn in [*work, disk_full]), return_exceptions=True)

    assert all(isinstance(e, StoreDown) for e in said)
    assert max(_depth(e) for e in said if isinstance(e, BaseException)) < 20


def _depth(error: BaseException) -> int:
    at, depth = error.__traceback__, 0
    while at is not None:
        at, depth = at.tb_next, depth + 1
    return depth


async def test_an_error_that_no_future_can_carry_is_still_told(store: Store) -> None:
    """A function that lets StopIteration out does not leave its caller waiting for ever."""

    def exhausted(_conn: sa.Connection) -> None:
        next(iter([]))

    for way in (store.write, store.intake):
        with pytest.raises((RuntimeError, StopIteration)):
            await way(exhausted)
    assert await store.intake(put("k")) == "k"


async def test_reading_changes_nothing(store: Store) -> None:
    """A function that writes is refused where reading was asked for, on both databases alike."""
    with pytest.raises(StoreDown, match=r"read-?only"):
        await store.read(put("k"))

    assert await keys(store) == set()


async def test_a_read_sees_one_moment(store: Store) -> None:
    """What is written while a function reads is not seen by it: run, steps and approvals belong together."""
    await store.write(put("before"))
    half, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def both(conn: sa.Connection) -> tuple[int, int]:
        count = sa.select(sa.func.count()).select_from(t.meta)
        first = conn.execute(count).scalar_one()
        if store.dialect == "sqlite":
            loop.call_soon_threadsafe(half.set)
            go_on.wait(10)
        else:
            conn.execute(sa.select(sa.func.pg_advisory_lock_shared(7)))  # waits without holding up the loop
        return first, conn.execute(count).scalar_one()

    if store.dialect == "sqlite":
        reading = await begun(store.read(both))
        await half.wait()
        await store.write(put("meanwhile"))
        go_on.set()
        assert await reading == (1, 1)
    else:
        assert await _while_it_waits(store, both) == (1, 1)
    assert await keys(store) == {"before", "meanwhile"}


async def _while_it_waits(store: Store, both: Callable[[sa.Connection], object]) -> object:
    """Lets a reader stop at an advisory lock, writes, and lets it go on."""
    engine = migrate.engine_for(store.url)  # type: ignore[attr-defined]
    with engine.connect() as gate:
        gate.execute(sa.select(sa.func.pg_advisory_lock(7)))
        reading = await begun(store.read(both))
        blocked = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not await store.read(lambda c: c.execute(blocked).scalar_one()):
            pass
        await store.write(put("meanwhile"))
        gate.execute(sa.select(sa.func.pg_advisory_unlock(7)))
        seen = await reading
    engine.dispose()
    return seen


async def test_whoever_polls_is_told_of_each_write(store: Store) -> None:
    """The hint comes after the commit, on the loop, also for a caller that has gone away; not for a failure."""
    told: list[threading.Thread] = []
    store.on_write = lambda: told.append(threading.current_thread())
    await store.write(put("a"))
    await store.intake(put("b"))
    with pytest.raises(ValueError, match="no good"):
        await store.intake(breaking("c"))

    assert told == [threading.main_thread()] * 2


async def test_a_hint_that_fails_keeps_nobody_waiting(store: Store) -> None:
    """What is stored is told to whoever waits for it, also if the one who polls can't be woken."""

    def broken() -> None:
        raise RuntimeError("nobody is there")

    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    store.on_write = broken
    async with asyncio.timeout(10):
        assert await store.intake(put("k")) == "k"
    assert await keys(store) == {"k"}


async def test_the_inbox_overtakes(sqlite: SqliteStore) -> None:
    """Presses are stored before writes that were queued earlier."""
    order = await _in_line(sqlite, normal=5, urgent=3)

    assert order[:3] == ["press 0", "press 1", "press 2"]
    assert sorted(order[3:]) == [f"write {n}" for n in range(5)]


async def test_a_storm_of_presses_does_not_stop_a_run(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each group of presses one other write has its turn, or leases would lapse while presses keep coming."""
    monkeypatch.setattr("bot.store.sqlite.BATCH", 4)
    order = await _in_line(sqlite, normal=2, urgent=12)

    assert order[4] == "write 0"
    assert order[9] == "write 1"


async def _in_line(store: SqliteStore, *, normal: int, urgent: int) -> list[str]:
    """Queues writes, then presses, while the writer is busy; says in which order they were run."""
    order: list[str] = []
    gate, busy, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def hold(_conn: sa.Connection) -> None:
        loop.call_soon_threadsafe(busy.set)
        gate.wait(10)

    async def line_up(way: Any, name: str) -> asyncio.Task[Any]:
        return await begun(way(lambda _conn: order.append(name)))

    first = await begun(store.write(hold))
    await busy.wait()
    waiting = [await line_up(store.write, f"write {n}") for n in range(normal)]
    waiting += [await line_up(store.intake, f"press {n}") for n in range(urgent)]
    gate.set()
    await asyncio.gather(first, *waiting)
    return order


async def test_a_busy_database_says_so(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process holds the file for longer than the patience, the caller hears that it is locked."""
    monkeypatch.setattr(engines, "PRAGMAS", (*engines.PRAGMAS, "busy_timeout=1"))
    other = migrate.engine_for(sqlite.url)
    with other.begin():
        await sqlite.read(lambda c: c.exec_driver_sql("SELECT 1"))
        with pytest.raises(StoreDown, match="locked"):
            await sqlite.write(put("k"))
    other.dispose()
    assert await sqlite.write(put("k")) == "k"


async def test_a_group_may_be_as_large_as_it_likes(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """A thousand presses at once are all stored, in groups."""
    said = await asyncio.gather(*(replicas[0].intake(put(f"k{n}")) for n in range(1000)))

    assert len(await keys(replicas[1])) == len(set(said)) == 1000
    assert sqlite.BATCH < 1000
