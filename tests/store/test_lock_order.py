"""Who waits for whom: wake-ups that must not be lost, and an order that never deadlocks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bot.core import decide, progress
from bot.core.commands import Actor, Decide
from bot.core.decide import Judging
from bot.core.errors import LostOwnership, Refused
from bot.core.plan import Plan, PlanBody, Seen
from bot.core.policy import Alternative, Policy, Requirement, Standing
from bot.core.run import Happened, Run, Status
from bot.store import events, inbox, jobs, leases, messages, migrate, postgres, releases, runs
from bot.store import tables as t
from bot.store.leases import Lease
from bot.store.write import PostgresStore, Store
from tests.store.deeds import BEN, NOW, TTL, a_run, a_step, begun, count, happened, later, moved, took, until_it_waits
from tests.store.test_inbox import racing

__all__ = ["racing"]
Pair = tuple[PostgresStore, PostgresStore]


async def test_runs_over_shared_resources_never_deadlock(replicas: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four workers that start, work and end runs over the same things, and two that take presses on these runs and
    apply them, at the same time: all get through, and nothing has to be tried again."""
    clashes: list[BaseException] = []
    monkeypatch.setattr(postgres, "clashed", lambda e: clashes.append(e) if jobs.clashed(e) else False)
    wanted = [["flag", "table"], ["table", "model"], ["model", "flag"], ["table", "flag", "model"]]
    made = [await a_run(replicas[0], to=f"v{n}") for n in range(16)]
    todo = list(made)

    async def worker(n: int) -> None:
        store, dice = replicas[n % 2], random.Random(n)
        while todo:
            run = dice.choice(todo)
            await _one_turn(store, run, f"w{n}", wanted[run % 4])
            read = await store.read(lambda c, run=run: runs.load(c, run))
            if read and not read.open and run in todo:
                todo.remove(run)

    async def writer(n: int) -> None:
        store, dice, pressed = replicas[n % 2], random.Random(f"writer {n}"), 0
        while todo:
            pressed += 1
            keys = [(f"{n}:{pressed}:{i}", dice.choice(made)) for i in range(4)]
            await asyncio.gather(*(_press(store, *key) for key in dice.sample(keys, 4)))

    await asyncio.gather(*(worker(n) for n in range(4)), *(writer(n) for n in range(2)))
    assert clashes == []
    assert await count(replicas[0], t.resource_locks) == 0
    acts = await replicas[0].read(lambda c: [r.act for r in c.execute(sa.select(t.events.c.act))])
    assert (acts.count("run_started"), acts.count("run_ended")) == (16, 16)


async def _press(store: Store, key: str, run: int) -> None:
    """A press that is taken, and applied as ``flows/apply.py`` does it."""
    taken = await store.intake(took(key, Decide(run=run, yes=True, digest="?")))

    def apply(conn: sa.Connection) -> None:
        if inbox.claim(conn, taken.id):
            runs.change(conn, run, lambda r: (r, [happened("press_refused", BEN)]), NOW)
            inbox.applied(conn, taken.id, {"ok": False}, NOW)

    await store.write(apply)


async def _one_turn(store: Store, run: int, owner: str, wanted: list[str]) -> None:
    """Starts a run if its locks are free, else ends it if it runs: as ``flows/drive.py`` does."""
    lease = await store.write(lambda c: leases.claim(c, run, owner, TTL))
    if lease is None:
        return

    def move(conn: sa.Connection, r: Run) -> tuple[Run, list[Happened]]:
        if r.started_at:
            return progress.finished(r, NOW)
        if runs.lock(conn, r.id, wanted, NOW) is not None:
            return r, []
        return progress.started(r.to(status=Status.running), NOW)

    try:
        await store.write(lambda c: runs.change(c, run, lambda r: move(c, r), NOW, lease=lease))
        await store.write(lambda c: leases.release(c, lease))
    except LostOwnership:
        pass


POLICY = Policy.model_validate({"groups": {"ml-oncall": ["T1/BEN"]}})
NEED = Requirement(alternatives=[Alternative(count=1, group="ml-oncall")])


async def test_no_wake_up_is_lost(replicas: Pair) -> None:
    """400 times somebody approves just while a worker parks the run again: afterwards each is running and due."""
    made = list(await asyncio.gather(*(a_run(replicas[0], to=f"v{n}") for n in range(400))))
    waiting = {"status": Status.waiting, "waiting_for": "approval", "plan_digest": "d", "requirement": NEED}
    judging = Judging(POLICY, Standing(person="T1/BEN", member_of=frozenset({"ml-oncall"})), NOW)

    def begin(conn: sa.Connection) -> list[Lease]:
        for run in made:
            runs.change(conn, run, lambda r: (r.to(**waiting), []), NOW, tell=False)
        return [lease for run in made if (lease := leases.claim(conn, run, "w", TTL))]

    async def park(lease: Lease) -> None:
        """A worker looked again at what had not answered, and parks the run for later."""

        def parked(conn: sa.Connection) -> None:
            runs.change(conn, lease.run, lambda r: (r.to(wake_at=later(15)), []), NOW, lease=lease)
            leases.release(conn, lease)

        await replicas[0].write(parked)

    async def approve(run: int) -> None:
        yes = Decide(run=run, yes=True, digest="d")
        await replicas[1].write(lambda c: runs.change(c, run, lambda r: decide.decide(r, yes, BEN, judging), NOW))

    held = await replicas[0].write(begin)
    for first in range(0, 400, 10):
        some = held[first : first + 10]
        await asyncio.gather(*(work for lease in some for work in (park(lease), approve(lease.run))))
    read = await replicas[0].read(lambda c: [runs.load(c, run) for run in made])
    due = await replicas[0].read(lambda c: runs.due(c, NOW, limit=500))

    assert {(r.status, len(r.nods)) for r in read if r} == {(Status.running, 1)}
    assert due == sorted(made)


async def test_two_clicks_are_one_approval(replicas: Pair) -> None:
    """The same person's two presses at the same time: one counts, the other is refused."""
    run = await a_run(replicas[0])
    await moved(replicas[0], run, status=Status.waiting, waiting_for="approval", plan_digest="d", requirement=NEED)
    judging = Judging(POLICY, Standing(person="T1/BEN", member_of=frozenset({"ml-oncall"})), NOW)

    def press(conn: sa.Connection) -> Run:
        yes = Decide(run=run, yes=True, digest="d")
        return runs.change(conn, run, lambda r: decide.decide(r, yes, BEN, judging), NOW)

    said = await asyncio.gather(*(replicas[n % 2].write(press) for n in range(6)), return_exceptions=True)
    assert [type(x) for x in said].count(Run) == 1
    assert [type(x) for x in said].count(Refused) == 5
    assert await count(replicas[0], t.approvals) == 1


def a_plan(no: int) -> Plan:
    body = PlanBody(
        feature="fares",
        environment="production",
        purpose="rollback",  # type: ignore[arg-type]
        mode="live",
        playbook="standard",
        from_version="v2",
        to_version="v1",
        release_digest=None,
        moment=None,
        moment_digest=None,
        steps=[],
        live={},
        consumers=[],
        shared=[],
        without=[],
        requirement=NEED,
    )
    return Plan.model_validate({"no": no, "body": body, "digest": f"d{no}", "seen": Seen(at=NOW), "feature_doc": {}})


async def test_planning_does_not_deadlock_with_presses(replicas: Pair) -> None:
    """Storing plan, catalogue and run while others press on the same run and plan the same feature gets through."""
    made = [await a_run(replicas[0], to=f"v{n}") for n in range(4)]

    def plan(run: int, no: int) -> Callable[[sa.Connection], object]:
        def fn(conn: sa.Connection) -> None:
            names = ["flag", "model", "dataset"][no % 3 :]
            releases.index_feature(conn, "fares", {name: f"{name}/{run}" for name in names})
            runs.save_plan(conn, run, a_plan(no))
            runs.change(conn, run, lambda r: (r.to(plan_no=no, steps=[a_step(0)]), [happened()]), NOW)

        return fn

    def press(run: int) -> Callable[[sa.Connection], object]:
        return lambda c: runs.change(c, run, lambda r: (r.to(why=r.why + "x"), [happened("pressed", BEN)]), NOW)

    work = [fn for no in range(15) for run in made for fn in (plan(run, no), press(run))]
    await asyncio.gather(*(replicas[n % 2].write(fn) for n, fn in enumerate(work)))

    read = await replicas[0].read(lambda c: [runs.load(c, run) for run in made])
    assert {len(r.why) for r in read if r} == {15}
    assert await count(replicas[0], t.events) == len(work)


async def test_an_end_does_not_deadlock_with_a_capture(replicas: Pair) -> None:
    """What follows from an end (stints, holds, what was left) is written before the log's head is locked."""
    made = [await a_run(replicas[0], to=f"v{n}") for n in range(20)]

    def finish(run: int) -> Callable[[sa.Connection], object]:
        def follows(conn: sa.Connection, r: Run) -> None:
            releases.goes_live(conn, "fares", f"v{run}", later(100 + run), rolled_back=True)
            releases.place_hold(conn, "fares", run, "rolled back", NOW)
            releases.close_left(conn, "fares", "hold", "", NOW)
            releases.leave(conn, r, r.left, NOW, NOW)

        def fn(conn: sa.Connection) -> None:
            runs.change(conn, run, lambda r: progress.finished(r, NOW), NOW, also=lambda r: follows(conn, r))

        return fn

    def capture(n: int) -> Callable[[sa.Connection], object]:
        def fn(conn: sa.Connection) -> None:
            releases.goes_live(conn, "fares", f"c{n}", later(n))
            releases.lift_hold(conn, "fares", NOW)
            releases.close_left(conn, "fares", "hold", "", NOW)
            events.append(conn, [happened("release_captured")], NOW, feature="fares")

        return fn

    work = [fn for n, run in enumerate(made) for fn in (finish(run), capture(n))]
    await asyncio.gather(*(replicas[n % 2].write(fn) for n, fn in enumerate(work)))
    rows = await replicas[0].read(lambda c: c.execute(sa.select(t.stints).order_by(t.stints.c.id)).all())

    assert len(rows) == len(work)
    assert [r.until for r in rows] == [*(r.since for r in rows[1:]), None]
    assert [r.rolled_back for r in rows] == [*(r.version.startswith("v") for r in rows[1:]), False]


async def test_messages_of_a_run_are_locked_in_one_order(replicas: Pair) -> None:
    """Who wants them said again waits for the first one before it locks the next, as a change of the run does."""
    run = await a_run(replicas[0])

    def backwards(conn: sa.Connection) -> None:
        """The rows lie in another order on disk than by name."""
        for purpose in ("outcome", "live", "card"):
            messages.want(conn, f"R-{run}:{purpose}", purpose=purpose, channel="C1", run=run, now=NOW)

    await replicas[0].write(backwards)
    engine = migrate.engine_for(replicas[0].url)
    with engine.connect() as changing:
        mine = sa.select(t.messages.c.key).order_by(t.messages.c.key)
        changing.execute(mine.where(t.messages.c.key == f"R-{run}:card").with_for_update())
        again = await begun(replicas[0].write(lambda c: messages.again(c, run, ("card", "live", "outcome"))))
        await until_it_waits(again, replicas[1])
        free = changing.execute(mine.with_for_update(skip_locked=True)).scalars().all()
        changing.rollback()
        await again
    engine.dispose()
    assert free == [f"R-{run}:card", f"R-{run}:live", f"R-{run}:outcome"]


async def test_who_stores_a_plan_locks_the_run_first(replicas: Pair) -> None:
    """Two who store plans of one run (one of them thawed too late) wait for each other before they write."""
    run = await a_run(replicas[0])
    engine = migrate.engine_for(replicas[0].url)
    with engine.begin() as first:
        runs.save_plan(first, run, a_plan(1))
        second = await begun(replicas[0].write(lambda c: runs.save_plan(c, run, a_plan(2))))
        await until_it_waits(second, replicas[1])
        runs.change(first, run, lambda r: (r.to(plan_no=1), [happened()]), NOW)
    await second
    engine.dispose()
    assert await count(replicas[0], t.plans) == 2


async def test_new_people_are_stored_in_one_order(replicas: Pair) -> None:
    """Two who meet the same new people in other orders wait for each other at the first one."""
    who = [Actor(kind="person", id=f"T1/{name}", via="slack") for name in "HGFEDCBA"]
    engine = migrate.engine_for(replicas[0].url)
    with engine.begin() as first:
        events.commitment(first, "T1/A")
        second = await begun(replicas[0].write(lambda c: events.append(c, [happened("x", w) for w in who], NOW)))
        await until_it_waits(second, replicas[1])
        for name in "BCDEFGH":
            events.commitment(first, f"T1/{name}")
    await second
    engine.dispose()
    assert await count(replicas[0], t.people) == 8


async def test_a_frozen_process_does_not_hold_up_the_log(replicas: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that does nothing any more is ended by the database, and who waits for its locks goes on."""
    frozen = await asyncio.to_thread(migrate.engine_for, replicas[0].url)
    idle = await replicas[0].read(lambda c: c.execute(sa.text("SHOW idle_in_transaction_session_timeout")).scalar())
    assert idle == "5s"
    conn = await asyncio.to_thread(frozen.connect)
    await asyncio.to_thread(conn.execute, sa.text("SET idle_in_transaction_session_timeout = '50ms'"))
    await asyncio.to_thread(events.append, conn, [happened()], NOW)

    await replicas[1].write(lambda c: events.append(c, [happened()], NOW))
    with pytest.raises(sa.exc.DBAPIError):
        await asyncio.to_thread(conn.execute, sa.text("SELECT 1"))
    conn.close()
    frozen.dispose()
    assert await count(replicas[0], t.events) == 1
