"""Who may write a run now, what becomes of one that has ended meanwhile, and which runs want somebody to drive them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from bot.core.errors import LostOwnership
from bot.core.run import Status
from bot.store import leases, runs
from bot.store.leases import Lease
from bot.store.write import Store
from tests.store.deeds import (
    NOW,
    TTL,
    a_run,
    a_step,
    ended,
    everything,
    happened,
    later,
    moved,
    planned,
)


@pytest.mark.parametrize("how", ["lapsed", "taken over", "given back", "another owner", "another fence"])
async def test_without_the_lease_nothing_is_written(store: Store, how: str) -> None:
    """Whoever lost the lease, in whatever way, changes neither run nor steps, messages, locks or events."""
    run = await a_run(store)
    lease = await store.write(lambda c: leases.claim(c, run, "w1", 0.0 if how in ("lapsed", "taken over") else TTL))
    assert lease
    if how == "taken over":
        assert await store.write(lambda c: leases.claim(c, run, "w2", TTL))
    if how == "given back":
        await store.write(lambda c: leases.release(c, lease))
    wrong = {"another owner": Lease(run, "w2", lease.fence), "another fence": Lease(run, "w1", lease.fence + 1)}
    stale = wrong.get(how, lease)
    before = await everything(store)

    def attempt(conn: sa.Connection) -> None:
        runs.lock(conn, run, ["a"], NOW)
        runs.change(conn, run, planned, NOW, lease=stale)

    for fn in (attempt, lambda c: runs.change(c, run, lambda r: (r, [happened()]), NOW, lease=stale)):
        with pytest.raises(LostOwnership, match=f"R-{run}"):
            await store.write(fn)
    with pytest.raises(LostOwnership):
        await store.write(lambda c: leases.renew(c, stale, TTL))
    assert await everything(store) == before


AFTERWARDS = [
    {"status": Status.waiting, "waiting_for": "approval"},
    {"status": Status.running},
    {"status": Status.planning, "wake_at": NOW},
    {"status": Status.failed, "ended_at": NOW},
]


@pytest.mark.parametrize("to", AFTERWARDS, ids=lambda to: str(to["status"]))
async def test_what_has_ended_stays_ended(store: Store, to: dict[str, Any]) -> None:
    """A worker that planned or parked while somebody ended the run brings it back with nothing; results are kept."""
    run = await a_run(store)
    lease = await store.write(lambda c: leases.claim(c, run, "w1", TTL))
    await moved(store, run, plan_no=1, steps=[a_step()])
    await ended(store, run)
    before = await everything(store)

    with pytest.raises(LostOwnership, match="has ended"):
        await store.write(lambda c: runs.change(c, run, lambda r: (r.to(**to), [happened()]), NOW, lease=lease))
    assert await everything(store) == before
    result = a_step(0, status="done", changed=True)
    await store.write(lambda c: runs.change(c, run, lambda r: (r.with_step(result), [happened()]), NOW, lease=lease))
    read = await store.read(lambda c: runs.load(c, run))
    assert read is not None
    assert (read.status, read.steps[0].status) == (Status.succeeded, "done")


async def test_the_owner_writes_and_renews(store: Store) -> None:
    """With the lease, changes and renewals go through; after giving it back another one may claim, fence grown."""
    run = await a_run(store)
    lease = await store.write(lambda c: leases.claim(c, run, "w1", TTL))
    assert lease == Lease(run, "w1", 1)
    await store.write(lambda c: runs.change(c, run, planned, NOW, lease=lease))
    await store.write(lambda c: runs.change(c, run, lambda r: (r, []), NOW, lease=lease))
    await store.write(lambda c: leases.renew(c, lease, TTL))

    assert await store.write(lambda c: leases.claim(c, run, "w2", TTL)) is None
    await store.write(lambda c: leases.release(c, lease))
    assert await store.write(lambda c: leases.claim(c, run, "w2", 0.0)) == Lease(run, "w2", 2)
    assert await store.write(lambda c: leases.claim(c, run, "w2", TTL)) == Lease(run, "w2", 3)


async def test_one_of_many_claims(store: Store) -> None:
    """However many ask at the same time, one gets the lease."""
    run = await a_run(store)
    got = await asyncio.gather(*(store.write(lambda c, n=n: leases.claim(c, run, f"w{n}", TTL)) for n in range(20)))

    assert len([x for x in got if x]) == 1


async def test_an_ended_run_is_not_claimed(store: Store) -> None:
    """Nobody drives what is over."""
    run = await a_run(store)
    await ended(store, run)

    assert await store.write(lambda c: leases.claim(c, run, "w1", TTL)) is None


async def test_all_leases_are_void_at_the_start(store: Store) -> None:
    """A lease from before a crash (on SQLite: of a clock that may have restarted) holds nobody up; its owner is out."""
    run, over = await a_run(store), await a_run(store, to="v2")
    await moved(store, run, wake_at=NOW)
    await store.write(lambda c: runs.lock(c, over, ["flag"], NOW))
    lease = await store.write(lambda c: leases.claim(c, run, "dead", 1e9))
    assert await store.write(lambda c: leases.claim(c, over, "dead", 1e9))
    await ended(store, over)
    assert lease
    assert await store.read(lambda c: runs.due(c, NOW)) == []
    await store.write(leases.void_leases)

    assert await store.read(lambda c: runs.due(c, NOW)) == [run]
    assert await store.write(lambda c: runs.lock(c, run, ["flag"], NOW)) is None
    with pytest.raises(LostOwnership):
        await store.write(lambda c: leases.renew(c, lease, TTL))
    assert await store.write(lambda c: leases.claim(c, run, "w1", TTL)) == Lease(run, "w1", 2)


DUE = {
    "planning": {"status": Status.planning, "wake_at": NOW},
    "planning, and the clock was set back": {"status": Status.planning, "wake_at": later(7200)},
    "running": {"status": Status.running},
    "woken": {"status": Status.waiting, "waiting_for": "time", "wake_at": NOW},
    "rechecked": {"status": Status.waiting, "waiting_for": "approval", "wake_at": later(-1), "expires_at": later(60)},
    "undecided": {"status": Status.waiting, "waiting_for": "approval", "expires_at": NOW},
}
NOT_DUE = {
    "not judged yet": {"status": Status.planning},
    "asleep": {"status": Status.waiting, "waiting_for": "time", "wake_at": later(1)},
    "open card": {"status": Status.waiting, "waiting_for": "approval", "expires_at": later(1)},
    "needs a person": {"status": Status.waiting, "waiting_for": "person"},
    # an old card's deadline says nothing about a run that waits for something else
    "stale deadline": {"status": Status.waiting, "waiting_for": "person", "expires_at": later(-60)},
    "paused": {"status": Status.paused, "wake_at": later(-1), "expires_at": later(-1)},
    "over": {"status": Status.succeeded, "ended_at": NOW, "wake_at": later(-1), "expires_at": later(-1)},
}


async def test_exactly_what_is_due_is_found(store: Store) -> None:
    """Due are runs that were judged and are to be planned, running ones, parked ones whose time has come, and those
    with a card that nobody decided; no others."""
    made = {}
    for name, fields in {**DUE, **NOT_DUE}.items():
        made[name] = await a_run(store, name)
        await moved(store, made[name], **fields)
    owned, lapsed = await a_run(store, "owned"), await a_run(store, "lapsed")
    for run in (owned, lapsed):
        await moved(store, run, wake_at=NOW)
    await store.write(lambda c: leases.claim(c, owned, "w", TTL))
    await store.write(lambda c: leases.claim(c, lapsed, "w", 0.0))

    assert await store.read(lambda c: runs.due(c, NOW)) == sorted([*(made[n] for n in DUE), lapsed])
