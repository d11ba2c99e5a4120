"""Driving a run: claim it, bring it as far as it goes, park or end it, give the lease back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

from bot.core import drilled, progress
from bot.core.decide import expires
from bot.core.errors import LostOwnership, RollbotError
from bot.core.plan import Plan, changed_since
from bot.core.playbook import DONE
from bot.core.run import Happened, Run, RunStep, Status
from bot.core.target import Json
from bot.flows import ramp
from bot.flows.begin import begin
from bot.flows.finish import finish
from bot.flows.plan import make_plan
from bot.flows.sandboxes import work_on
from bot.flows.steps import do_step, flush_progress
from bot.flows.watch import gone_back, let_go, wake_rivals
from bot.flows.work import Work
from bot.flows.world import World
from bot.store import events, inbox, leases, releases, runs
from bot.store.leases import Lease
from bot.store.write import Connection, StoreDown

_DRIVEN = (Status.planning, Status.waiting, Status.running)
PATIENT_S = 120.0
"""Seconds that a system may take to answer behind the card: what is slow is not dead."""


async def drive(world: World, run: int) -> None:
    """Safe to call at any time, from anywhere, any number of times; returns at once if there is nothing to do or
    another worker holds the run."""
    lease = await world.store.write(lambda c: _claim(c, world, run))
    if lease is None:
        return
    plans: dict[int, Plan] = {}
    try:
        async with _heartbeat(world, lease) as alive:
            while await _once(world, lease, alive, plans):
                pass
    except LostOwnership:
        return
    finally:
        with contextlib.suppress(RollbotError):
            await asyncio.shield(world.store.write(lambda c: leases.release(c, lease)))


def _claim(conn: Connection, world: World, number: int) -> Lease | None:
    """The lease. If another worker let it lapse (it died, or was frozen or cut off for longer), that is told, once."""
    lease = leases.claim(conn, number, world.owner, world.lease_s)
    if lease is None or lease.taken_from is None:
        return lease
    facts: dict[str, Json] = {"worker": lease.taken_from, "fence": lease.fence - 1}
    lost = Happened(act="ownership_lost", actor=progress.ENGINE, facts=facts)
    events.append(conn, [lost], world.now(), run=runs.load(conn, number))
    return lease


@contextlib.asynccontextmanager
async def _heartbeat(world: World, lease: Lease) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Renews the lease every third of its life; without a confirmed renewal for 0.8 of it the work is cancelled."""
    loop = asyncio.get_running_loop()
    confirmed = loop.time()
    lost = False

    async def alive() -> None:
        if lost or loop.time() - confirmed > 0.8 * world.lease_s:
            raise LostOwnership(f"R-{lease.run}: the lease was not renewed")

    async def beat(worker: asyncio.Task[object]) -> None:
        nonlocal confirmed, lost
        while True:
            await asyncio.sleep(world.lease_s / 3)
            asked = loop.time()
            try:
                await world.store.write(lambda c: leases.renew(c, lease, world.lease_s))
                confirmed = asked
            except Exception as e:  # noqa: BLE001 - whatever keeps a renewal from being confirmed counts alike
                if isinstance(e, LostOwnership) or loop.time() - confirmed > 0.8 * world.lease_s:
                    lost = True
                    worker.cancel()
                    return

    worker = asyncio.current_task()
    if worker is None:
        raise RuntimeError("drive() runs in a task")
    beating = asyncio.create_task(beat(worker))
    try:
        yield alive
    except asyncio.CancelledError:
        if lost:
            worker.uncancel()
            raise LostOwnership(f"R-{lease.run}: the lease was lost") from None
        raise
    finally:
        beating.cancel()
        await asyncio.wait([beating])


async def _once(world: World, lease: Lease, alive: Callable[[], Awaitable[None]], plans: dict[int, Plan]) -> bool:
    """One move. True: there may be more to do now. ``plans``: those by which this owner has worked, by number."""
    run, plan = await world.store.read(lambda c: _as_it_stands(c, lease.run, plans))
    if run is None or run.status not in _DRIVEN:
        return False
    now = world.now()
    if run.expires_at and run.expires_at <= now and run.waiting_for == "approval":
        await world.store.write(lambda c: _expire(c, lease, now))
        return False
    if run.status == Status.planning:  # without a time to wake nobody has judged yet whether this person may ask
        return run.wake_at is not None and await _plan(world, lease, run)
    if run.status == Status.waiting:
        return await _woken(world, lease, run)
    if run.started_at is None or plan is None:
        return await begin(world, lease, run)
    return await _work(work_on(world, lease, run, plan, alive), run)


def _expire(conn: Connection, lease: Lease, now: datetime) -> None:
    """Nobody has decided in time. What was said in time, and is being judged just now, comes first."""
    run = runs.load(conn, lease.run)
    if run and run.expires_at and not inbox.unjudged(conn, run.id, run.expires_at):
        runs.change(conn, run.id, lambda r: progress.expired(r, now), now, lease=lease)


def _as_it_stands(conn: Connection, number: int, plans: dict[int, Plan]) -> tuple[Run | None, Plan | None]:
    """A run, and what it works by if it works. One read: every step passes here. The plan by which a run works stays
    as it is, so it is read once (30 kB, and one trip to PostgreSQL for each step)."""
    run = runs.load(conn, number)
    if run is None or run.status != Status.running:
        return run, None
    if run.plan_no not in plans and (plan := runs.load_plan(conn, number, run.plan_no)):
        plans[run.plan_no] = plan
    return run, plans.get(run.plan_no)


async def _move(world: World, lease: Lease, fn: runs.Transition) -> Run:
    now = world.now()
    return await world.store.write(lambda c: runs.change(c, lease.run, fn, now, lease=lease))


async def _plan(world: World, lease: Lease, run: Run) -> bool:
    try:
        plan = await make_plan(world, run, no=run.plan_no + 1)
    except StoreDown:
        raise
    except RollbotError as e:
        why = e.message
        await _move(world, lease, lambda r: progress.refused(r, why, world.now()))
        return False
    await _store_plan(world, lease, plan)
    if run.mode == "live":
        await wake_rivals(world, run)
    return not plan.body.requirement.alternatives


async def _store_plan(world: World, lease: Lease, plan: Plan) -> None:
    now = world.now()
    until = expires(now, world.books.policy())

    def store(conn: Connection) -> None:
        resources = {s.component: s.resource for s in plan.body.steps}
        if plan.body.mode != "drill":
            releases.index_feature(conn, plan.body.feature, resources)
        runs.save_plan(conn, lease.run, plan)
        runs.change(conn, lease.run, lambda r: progress.planned(r, plan, until, now), now, lease=lease)

    await world.store.write(store)


async def _woken(world: World, lease: Lease, run: Run) -> bool:
    """A parked run whose time has come: goes on, or looks again at what had not answered while planning."""
    if run.wake_at is None or run.wake_at > world.now():
        return False
    if run.waiting_for == "time":
        await _move(world, lease, lambda r: (r.to(status=Status.running, waiting_for=None, why="", wake_at=None), []))
        return True
    if run.waiting_for == "approval":
        await _look_again(world, lease, run)
    return False


async def _look_again(world: World, lease: Lease, run: Run) -> None:
    """Retried behind the card: the same plan with fresh eyes, or a new plan if it turned out to be another one."""
    old = await world.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    later = world.now() + timedelta(seconds=progress.RECHECK)
    try:
        new = await make_plan(world, run, no=run.plan_no, seconds=max(PATIENT_S, world.plan_s))
    except StoreDown:
        raise
    except RollbotError:  # a file that is broken at this moment: the card stands as it was, and is looked at again
        await _move(world, lease, lambda r: (r.to(wake_at=later), []))
        return
    if old and new.digest == old.digest and not new.seen.blockers:
        wake = later if new.seen.not_checked or new.seen.unanswered else None

        def refresh(conn: Connection) -> None:
            runs.save_plan(conn, run.id, new)
            runs.change(conn, run.id, lambda r: (r.to(wake_at=wake), []), world.now(), lease=lease)

        await world.store.write(refresh)
        return
    why = new.seen.blockers or (changed_since(old.body, new.body) if old else ["it was looked at again"])
    await _move(world, lease, lambda r: progress.replanned(r, why))
    # The plan that was made with patience is the one: made anew in haste, it would be as blind as the first.
    await _store_plan(world, lease, new.model_copy(update={"no": run.plan_no + 1}))


async def _work(work: Work, run: Run) -> bool:
    """The next group of steps, together; or parked, waiting for a person, or the end."""
    if stop := _stopped(run):
        await work.move(lambda r: progress.needs_person(r, stop, work.world.now()))
        return False
    group = progress.next_group(run)
    run = await ramp.rested(work, run, group)
    if asked := [s for s in group if s.status == "again" and run.wake_at]:
        await _park(work, asked[0].note)
        return False
    if drilled.to_prove(run, group):
        await let_go(work, run)
        if await gone_back(work, run):
            return True
    if not group:
        await finish(work, run)
        return False
    flushing = asyncio.create_task(flush_progress(work))
    try:
        async with asyncio.TaskGroup() as together:
            if not drilled.removing(group):
                together.create_task(let_go(work, run))
            for step in ramp.due(work, group):
                together.create_task(do_step(work, run, step))
    except* LostOwnership as lost:
        raise LostOwnership(f"R-{run.id}: {lost.exceptions[0]}") from None
    finally:
        flushing.cancel()
        await asyncio.wait([flushing])
    return True


def _stopped(run: Run) -> str | None:
    """A failed step that stops the run, in words; None if it may go on."""
    must = {s.n for s in run.steps if s.on_failure == "stop" or s.verb == "verify" or s.verb not in DONE}
    bad: list[RunStep] = [s for s in run.steps if s.status == "failed" and s.n in must]
    if not bad or run.ends_as:
        return None
    return "; ".join(f"{s.verb} {s.component}: {s.error}" for s in bad)


async def _park(work: Work, why: str) -> None:
    """A step is to be asked again later: no lease is held meanwhile."""
    now = work.world.now()

    def rest(r: Run) -> tuple[Run, list[Happened]]:
        until, said = r.wake_at or now, r.parked_at
        since = said if said and said > now else now  # the clock was set back since the step said when
        note = next((s.note for s in progress.next_group(r) if s.status == "again"), why)
        return progress.parked(r, note, max(0.0, (until - since).total_seconds()), now), []

    await work.move(rest)
