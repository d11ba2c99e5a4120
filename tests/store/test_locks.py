"""Resource locks: all or none, until a run has ended and nobody writes for it any more."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from bot.core.run import Status
from bot.store import leases, locks, runs
from bot.store import tables as t
from bot.store.write import PostgresStore, Store
from tests.store.deeds import NOW, TTL, a_run, count, ended, moved
from tests.store.test_inbox import Meanwhile, racing

__all__ = ["racing"]
Pair = tuple[PostgresStore, PostgresStore]


async def test_a_lock_is_taken_by_one_run(store: Store) -> None:
    """The second run that wants a resource is told who has it, and keeps nothing of what it had taken."""
    one, other = await a_run(store, to="v1"), await a_run(store, to="v2")
    assert await store.write(lambda c: runs.lock(c, one, ["b"], NOW)) is None

    assert await store.write(lambda c: runs.lock(c, other, ["c", "a", "b"], NOW)) == one
    assert await count(store, t.resource_locks) == 1
    assert await store.write(lambda c: runs.lock(c, one, ["b", "c"], NOW)) is None
    await ended(store, one)
    assert await store.write(lambda c: runs.lock(c, other, ["a", "b", "c"], NOW)) is None


async def test_what_a_run_had_already_it_keeps(store: Store) -> None:
    """It took over from another run and wants one thing more, which somebody has: nobody gets at the others."""
    one, other = await a_run(store, to="v1"), await a_run(store, to="v2")
    assert await store.write(lambda c: runs.lock(c, one, ["b"], NOW)) is None
    assert await store.write(lambda c: runs.lock(c, other, ["a", "c"], NOW)) is None

    assert await store.write(lambda c: runs.lock(c, other, ["A", "a", "b", "c"], NOW)) == one
    assert await store.read(lambda c: locks.held(c, other)) == ["a", "c"]


async def test_two_runs_that_start_at_the_same_time(replicas: Pair) -> None:
    """Of two runs with one resource in common, named in any order, exactly one gets all its locks."""
    for n in range(10):
        one, other = await a_run(replicas[0], to=f"a{n}"), await a_run(replicas[0], to=f"b{n}")
        wanted = [f"{n}:x", f"{n}:y", f"{n}:z"]
        holders = await asyncio.gather(
            replicas[0].write(lambda c, one=one, w=wanted: runs.lock(c, one, w, NOW)),
            replicas[1].write(lambda c, other=other, w=wanted: runs.lock(c, other, w[::-1], NOW)),
        )
        assert sorted(holders, key=str) in ([one, None], [other, None])


def test_a_lock_that_is_freed_meanwhile_is_taken(racing: tuple[sa.Engine, sa.Engine]) -> None:
    """A holder may end between the refused insert and the look for it: then the lock is ours, not R-0's."""
    ours, theirs = racing
    with theirs.begin() as conn:
        for to in ("v1", "v2"):
            values = {"feature": "f", "status": "running", "same_as": to, "body": "", "channel": "", "fence": 0}
            conn.execute(sa.insert(t.runs).values(**values, created_at="2026-11-22T03:02:00.000000Z"))
        assert runs.lock(conn, 1, ["a"], NOW) is None

    def free() -> None:
        with theirs.begin() as conn:
            runs.free(conn, 1)

    race = Meanwhile(ours, "SELECT resource_locks.run", free)
    with ours.begin() as conn:
        assert runs.lock(conn, 2, ["a"], NOW) is None
    assert race.done


async def test_an_end_frees_the_locks(store: Store) -> None:
    """Ending a run frees what it had locked in the same transaction; a paused or waiting one keeps it."""
    run = await a_run(store)
    assert await store.write(lambda c: runs.lock(c, run, ["b", "a", "a"], NOW)) is None
    await moved(store, run, status=Status.waiting, waiting_for="person")
    assert await count(store, t.resource_locks) == 2
    await ended(store, run)

    assert await count(store, t.resource_locks) == 0


async def test_a_run_that_is_ended_while_a_worker_writes_keeps_its_locks(store: Store) -> None:
    """Somebody aborts: nobody else may touch the thing before the worker has let go, be it alive or dead."""
    run, other = await a_run(store), await a_run(store, to="v2")

    def wanted(conn: sa.Connection) -> int | None:
        return runs.lock(conn, other, ["a", "b"], NOW)

    lease = await store.write(lambda c: leases.claim(c, run, "w1", TTL))
    assert lease
    assert await store.write(lambda c: runs.lock(c, run, ["b"], NOW)) is None
    await ended(store, run)
    assert await store.write(wanted) == run
    await store.write(lambda c: leases.renew(c, lease, TTL))
    assert await store.write(wanted) == run
    await store.write(lambda c: leases.release(c, lease))
    assert await count(store, t.resource_locks) == 0
    assert await store.write(wanted) is None


async def test_the_locks_of_a_dead_worker_s_ended_run_are_taken_over(store: Store) -> None:
    """Once its lease has lapsed, an ended run stands in nobody's way, and only what is wanted is taken from it."""
    run, other = await a_run(store), await a_run(store, to="v2")
    assert await store.write(lambda c: runs.lock(c, run, ["a", "b", "c"], NOW)) is None
    lease = await store.write(lambda c: leases.claim(c, run, "dead", TTL))
    assert lease
    await ended(store, run)
    await store.write(lambda c: leases.renew(c, lease, 0.0))

    assert await store.write(lambda c: runs.lock(c, other, ["b"], NOW)) is None
    held = await store.read(lambda c: [(r.resource, r.run) for r in c.execute(sa.select(t.resource_locks))])
    assert sorted(held) == [("a", run), ("b", other), ("c", run)]


async def test_many_take_over_without_deadlock(replicas: Pair) -> None:
    """Runs that find the locks of a dead one at the same time, wanting them in other combinations, get through."""
    for n in range(8):
        dead = await a_run(replicas[0], to=f"dead{n}")
        lease = await replicas[0].write(lambda c, dead=dead: leases.claim(c, dead, "dead", TTL))
        assert lease
        await replicas[0].write(lambda c, dead=dead: runs.lock(c, dead, ["a", "c", "e"], NOW))
        await ended(replicas[0], dead)
        await replicas[0].write(lambda c, lease=lease: leases.renew(c, lease, 0.0))
        heirs = {wanted: await a_run(replicas[0], to=f"{n}:{wanted}") for wanted in ("abc", "ecb", "ad", "ced")}
        work = [
            replicas[len(wanted) % 2].write(lambda c, run=run, wanted=wanted: runs.lock(c, run, wanted, NOW))
            for wanted, run in heirs.items()
        ]
        assert None in await asyncio.gather(*work)
        for run in heirs.values():
            await ended(replicas[0], run)
