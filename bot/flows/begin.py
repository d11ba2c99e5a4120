"""Beginning: approvals are counted again, versions looked at again, and locks taken, before anything is touched."""

from __future__ import annotations

import asyncio

from bot.core import policy as rules
from bot.core import progress
from bot.core.commands import Purpose
from bot.core.errors import RollbotError
from bot.core.feature import Feature
from bot.core.plan import Plan, changed_since
from bot.core.run import Happened, Run, Status
from bot.flows.plan import make_plan
from bot.flows.standing import standing
from bot.flows.world import World
from bot.store import runs
from bot.store.leases import Lease
from bot.store.write import Connection, StoreDown


async def _move(world: World, lease: Lease, fn: runs.Transition) -> Run:
    now = world.now()
    return await world.store.write(lambda c: runs.change(c, lease.run, fn, now, lease=lease))


async def begin(world: World, lease: Lease, run: Run) -> bool:
    """Versions are looked at again and locks taken; what is merely observed may have moved, a version may not."""
    old = await world.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    if old is None:
        raise KeyError(run.plan_no)
    if not old.body.requirement.alternatives and not old.body.live:
        return await _start(world, lease, run)  # nobody had to approve, and no version is replaced
    try:
        new = await make_plan(world, run, no=run.plan_no, diffs=False)
    except StoreDown:  # it is asked again when the database is back, and nobody need help
        raise
    except RollbotError as e:
        why = e.message  # what was approved must not be lost to a file that is broken at this moment
        await _move(world, lease, lambda r: progress.needs_person(r, why, world.now()))
        return False
    if new.seen.blockers or (new.digest != old.digest and not _only_unknown(world, old, new)):
        why_not = new.seen.blockers or changed_since(old.body, new.body)
        await _move(world, lease, lambda r: progress.replanned(r, why_not))
        return True
    if why_void := await _lapsed(world, run):
        await _move(world, lease, lambda r: progress.replanned(r, [why_void]))
        return True
    return await _start(world, lease, run)


async def _lapsed(world: World, run: Run) -> str | None:
    """Approvals are counted again with today's groups: who has left one meanwhile no longer counts."""
    policy, need = world.books.policy(), run.requirement or rules.Requirement()
    if run.glass or not need.alternatives:
        return None
    nods = [n for n in run.present_nods if n.yes]
    people = await asyncio.gather(*(standing(world, policy, n.person, need) for n in nods))
    today = [
        n.model_copy(update={"groups": who.member_of | (n.groups & who.unknown)})
        for n, who in zip(nods, people, strict=True)
    ]
    if rules.satisfied(policy, need, today, run.plan_digest or ""):
        return None
    return "somebody who approved is no longer in the group that may"


def _only_unknown(world: World, old: Plan, new: Plan) -> bool:
    """A system that does not answer now may still answer its step: that is not a changed plan. Risk is judged on what
    is known, and not knowing is no new risk; but the requirement must be one that today's policy still makes."""
    live = {n: old.body.live.get(n, v) if v == "?" else v for n, v in new.body.live.items()}
    blind = bool(new.seen.not_checked) and old.body.requirement in _possible(world, new)
    need = old.body.requirement if blind else new.body.requirement
    return new.body.model_copy(update={"live": live, "requirement": need}) == old.body


def _possible(world: World, plan: Plan) -> list[rules.Requirement]:
    """What today's policy asks for this plan, whatever the risk is."""
    feature = Feature.model_validate(plan.feature_doc)
    policy, mode = world.books.policy(), plan.body.mode
    both: tuple[rules.Risk, ...] = ("low", "high")
    return [
        rules.requirement(policy, tier=feature.tier, risk=risk, mode=mode, owner=feature.owner, stops_only=False)
        for risk in both
    ]


async def _start(world: World, lease: Lease, run: Run) -> bool:
    now = world.now()
    resources = [s.resource for s in run.steps]

    def start(conn: Connection) -> bool:
        holder: list[int] = []

        def move(r: Run) -> tuple[Run, list[Happened]]:
            if r.status != Status.running:
                return r, []
            # Stopping the harm waits for nobody: compare-and-set keeps it apart from a run that is stuck or busy.
            other = None if r.purpose == Purpose.stop else runs.lock(conn, r.id, resources, now)
            if other is None:
                return progress.started(r, now)
            holder.append(other)
            why = f"R-{other} is working on the same thing; this goes on when it ends"
            return progress.parked(r, why, 2.0, now).to(behind=other), []

        runs.change(conn, run.id, move, now, lease=lease)
        return not holder

    return await world.store.write(start)
