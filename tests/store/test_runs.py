"""Runs as rows: one change is one transaction, only the owner of a lease writes, and what is due is found."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from bot.core.errors import LostOwnership
from bot.core.policy import Nod
from bot.core.run import Happened, Run, Status
from bot.store import events, messages, runs
from bot.store import tables as t
from bot.store.runs import Lease
from bot.store.write import Store
from tests.store.deeds import NOW, TTL, a_run, a_step, count, ended, happened, later, moved

TABLES = (t.runs, t.steps, t.approvals, t.messages, t.events, t.event_texts, t.event_head, t.people, t.resource_locks)


async def everything(store: Store) -> list[Any]:
    """All rows that a change can touch."""
    return await store.read(
        lambda c: [sorted(map(repr, c.execute(sa.select(x))), key=str) for x in TABLES]  # rows of a table, as text
    )


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


async def test_one_change_saves_run_steps_approvals_messages_and_events(store: Store) -> None:
    """After a change the run reads back as the transition made it, its card and thread are due, its events stand."""
    run = await a_run(store)
    new = await store.write(lambda c: runs.change(c, run, planned, NOW))
    read = await store.read(lambda c: runs.load(c, run))
    said = await store.read(lambda c: events.of_run(c, run))

    assert read == new
    assert read is not None
    assert [s.n for s in read.steps] == [0, 1]
    assert [(e["act"], e["run"], e["texts"]) for e in said] == [("run_planned", f"R-{run}", {"why": "because"})]
    due = await store.read(messages.due)
    assert [(m.key, m.parent) for m in due] == [(f"R-{run}:card", None), (f"R-{run}:live", f"R-{run}:card")]


async def test_a_transition_that_raises_changes_nothing(store: Store) -> None:
    """All or nothing, also if locks were taken on the way."""
    run = await a_run(store)
    before = await everything(store)

    def move(r: Run) -> tuple[Run, list[Happened]]:
        raise ValueError(r.name)

    def attempt(conn: sa.Connection) -> None:
        runs.lock(conn, run, ["b", "a"], NOW)
        runs.change(conn, run, move, NOW)

    with pytest.raises(ValueError, match=f"R-{run}"):
        await store.write(attempt)
    assert await everything(store) == before


async def test_an_event_that_cannot_be_stored_undoes_the_change(store: Store) -> None:
    """A run never moves without its event."""
    run = await a_run(store)
    before = await everything(store)
    bad = Happened(act="Not A Word")

    with pytest.raises(ValueError, match="word"):
        await store.write(lambda c: runs.change(c, run, lambda r: (planned(r)[0], [bad]), NOW))
    assert await everything(store) == before


async def test_no_such_run(store: Store) -> None:
    """A run that does not exist is a KeyError, or None to read."""
    with pytest.raises(KeyError):
        await store.write(lambda c: runs.change(c, 99, planned, NOW))
    assert await store.read(lambda c: runs.load(c, 99)) is None


@pytest.mark.parametrize("how", ["lapsed", "taken over", "given back", "another owner", "another fence"])
async def test_without_the_lease_nothing_is_written(store: Store, how: str) -> None:
    """Whoever lost the lease, in whatever way, changes neither run nor steps, messages, locks or events."""
    run = await a_run(store)
    lease = await store.write(lambda c: runs.claim(c, run, "w1", 0.0 if how in ("lapsed", "taken over") else TTL))
    assert lease
    if how == "taken over":
        assert await store.write(lambda c: runs.claim(c, run, "w2", TTL))
    if how == "given back":
        await store.write(lambda c: runs.release(c, lease))
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
        await store.write(lambda c: runs.renew(c, stale, TTL))
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
    lease = await store.write(lambda c: runs.claim(c, run, "w1", TTL))
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
    lease = await store.write(lambda c: runs.claim(c, run, "w1", TTL))
    assert lease == Lease(run, "w1", 1)
    await store.write(lambda c: runs.change(c, run, planned, NOW, lease=lease))
    await store.write(lambda c: runs.change(c, run, lambda r: (r, []), NOW, lease=lease))
    await store.write(lambda c: runs.renew(c, lease, TTL))

    assert await store.write(lambda c: runs.claim(c, run, "w2", TTL)) is None
    await store.write(lambda c: runs.release(c, lease))
    assert await store.write(lambda c: runs.claim(c, run, "w2", 0.0)) == Lease(run, "w2", 2)
    assert await store.write(lambda c: runs.claim(c, run, "w2", TTL)) == Lease(run, "w2", 3)


async def test_one_of_many_claims(store: Store) -> None:
    """However many ask at the same time, one gets the lease."""
    run = await a_run(store)
    leases = await asyncio.gather(*(store.write(lambda c, n=n: runs.claim(c, run, f"w{n}", TTL)) for n in range(20)))

    assert len([x for x in leases if x]) == 1


async def test_an_ended_run_is_not_claimed(store: Store) -> None:
    """Nobody drives what is over."""
    run = await a_run(store)
    await ended(store, run)

    assert await store.write(lambda c: runs.claim(c, run, "w1", TTL)) is None


async def test_all_leases_are_void_at_the_start(store: Store) -> None:
    """A lease from before a crash (on SQLite: of a clock that may have restarted) holds nobody up; its owner is out."""
    run, over = await a_run(store), await a_run(store, to="v2")
    await moved(store, run, wake_at=NOW)
    await store.write(lambda c: runs.lock(c, over, ["flag"], NOW))
    lease = await store.write(lambda c: runs.claim(c, run, "dead", 1e9))
    assert await store.write(lambda c: runs.claim(c, over, "dead", 1e9))
    await ended(store, over)
    assert lease
    assert await store.read(lambda c: runs.due(c, NOW)) == []
    await store.write(runs.void_leases)

    assert await store.read(lambda c: runs.due(c, NOW)) == [run]
    assert await store.write(lambda c: runs.lock(c, run, ["flag"], NOW)) is None
    with pytest.raises(LostOwnership):
        await store.write(lambda c: runs.renew(c, lease, TTL))
    assert await store.write(lambda c: runs.claim(c, run, "w1", TTL)) == Lease(run, "w1", 2)


DUE = {
    "planning": {"status": Status.planning, "wake_at": NOW},
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
    await store.write(lambda c: runs.claim(c, owned, "w", TTL))
    await store.write(lambda c: runs.claim(c, lapsed, "w", 0.0))

    assert await store.read(lambda c: runs.due(c, NOW)) == sorted([*(made[n] for n in DUE), lapsed])


async def test_only_steps_that_changed_are_written(store: Store) -> None:
    """A change of one step leaves the rows of the others alone; a new plan has rows of its own."""
    run = await a_run(store)
    await store.write(lambda c: runs.change(c, run, planned, NOW))

    def mark(conn: sa.Connection) -> None:
        conn.execute(sa.update(t.steps).values(feature="untouched"))
        step = a_step(1, status="done", started_at=NOW, ended_at=later(4))
        runs.change(conn, run, lambda r: (r.with_step(step), []), NOW)

    await store.write(mark)
    rows = await store.read(lambda c: [(r.n, r.feature, r.seconds) for r in c.execute(sa.select(t.steps))])
    assert sorted(rows) == [(0, "untouched", None), (1, "fares", 4.0)]
    again = await moved(store, run, plan_no=2, steps=[a_step(0)])
    assert await store.read(lambda c: runs.load(c, run)) == again
    assert await count(store, t.steps) == 3


async def test_approvals_are_kept_once_a_person_and_plan(store: Store) -> None:
    """The same person's second yes to the same plan changes nothing; to another plan it is another row."""
    run = await a_run(store)
    first = Nod(person="T1/BEN", yes=True, digest="d1")
    for nods in ([first], [first, Nod(person="T1/BEN", yes=False, digest="d1")]):
        await moved(store, run, nods=nods)
    await store.write(lambda c: runs.change(c, run, lambda r: (_nod(r, "d2"), []), NOW))
    read = await store.read(lambda c: runs.load(c, run))

    assert read is not None
    assert sorted((n.person, n.yes, n.digest) for n in read.nods) == [("T1/BEN", True, "d1"), ("T1/BEN", True, "d2")]


def _nod(run: Run, digest: str) -> Run:
    return run.to(nods=[*run.nods, Nod(person="T1/BEN", yes=True, digest=digest)])


async def test_lists_page_and_filter(store: Store) -> None:
    """Open runs by feature and channel, any runs newest first and page by page."""
    made = [await a_run(store, f"f{n % 2}", f"v{n}", channel=f"C{n % 2}") for n in range(6)]
    await ended(store, made[0])
    read = store.read

    assert [r.id for r in await read(runs.open_runs)] == made[:0:-1]
    assert [r.id for r in await read(lambda c: runs.open_runs(c, feature="f0"))] == [made[4], made[2]]
    assert [r.id for r in await read(lambda c: runs.open_runs(c, channel="C1", limit=2))] == [made[5], made[3]]
    assert [r.id for r in await read(lambda c: runs.newest(c, feature="f0"))] == [made[4], made[2], made[0]]
    assert [r.id for r in await read(lambda c: runs.newest(c, before=made[3], limit=2))] == [made[2], made[1]]


async def test_what_stop_the_harm_changed_is_known_to_the_run(store: Store) -> None:
    """The pre-images of the first stop on a run's card are found by component; unchanged steps and others are not."""
    run = await a_run(store)
    before = {"kind": "flag", "resource": "flags/fares", "pointer": "p1", "digest": "sha256:1", "taken_at": NOW}
    for n, pointer in enumerate(("p1", "p2")):
        stop = await a_run(store, "fares", "", purpose="stop", of_run=run, playbook=f"s{n}")
        done = a_step(0, status="done", changed=True, before={**before, "pointer": pointer})
        same = a_step(1, component="pipeline", status="done", changed=False, before=before)
        await moved(store, stop, steps=[done, same])
    found = await store.read(lambda c: runs.stop_before_images(c, run))

    assert {name: s.before.pointer for name, s in found.items() if s.before} == {"flag": "p1"}


async def test_what_follows_from_a_change_is_in_its_transaction(store: Store) -> None:
    """``also`` sees the run as it is now, and what it writes goes with the change, or not at all."""
    run = await a_run(store)

    def hold(r: Run) -> None:
        raise ValueError(f"{r.name} is {r.status}")

    before = await everything(store)
    with pytest.raises(ValueError, match="running"):
        await store.write(lambda c: runs.change(c, run, planned, NOW, also=hold))
    assert await everything(store) == before
