"""Steps that take longer than they usually do are said: at most five times, with growing gaps, and louder with time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from bot.core import policy as rules
from bot.core import stall
from bot.core.run import Happened, Run, RunStep
from bot.core.stall import Limit
from bot.flows.standing import members
from bot.flows.world import World
from bot.store import events, history, messages, occurrences, runs
from bot.store.write import Connection

Page = Callable[[str, dict[str, object]], Awaitable[None]]
LOUDER = 2
"""The alert at which the on-call lead hears of it, and the pager is called."""
MOST_LEADS = 25
RECENT = timedelta(days=7)
"""Alerts that a worker cares for at its first look: nobody reads older ones, and there may be thousands."""
SOON = timedelta(seconds=30)
"""Until the next look at what was quiet."""


class Stalls:
    """Looks at steps under way. Another replica's look is harmless: each alert is claimed once."""

    def __init__(self, world: World, page: Page) -> None:
        self._world, self._page = world, page
        self._looked = False
        self._seen: dict[int, tuple[str, datetime]] = {}
        """By run: how its steps stood at the last look, and when the next alert can be due at the earliest."""

    async def when_due(self) -> int:
        """How many alerts were said."""
        now, world = self._world.now(), self._world
        steps = await world.store.read(history.steps_under_way)
        for run in await self._others(steps):
            await self._over(run, now)
        self._seen = {run: seen for run, seen in self._seen.items() if run in steps}
        said = 0
        for run, state in steps.items():
            known = self._seen.get(run)
            if known is None or known[0] != state or known[1] <= now:
                said += await self._look(run, state, now)
        return said

    async def _look(self, number: int, state: str, now: datetime) -> int:
        run = await self._world.store.read(lambda c: runs.load(c, number))
        if run is None or not run.open:
            return 0
        took = await self._world.store.read(lambda c: history.history(c, run.feature))
        said, soonest = 0, timedelta(days=1)
        for step in filter(partial(stall.under_way, run), run.steps):
            after = stall.limit(step, took.get((step.verb, step.component), []))
            age = stall.age(step, now)
            soonest = min(soonest, timedelta(seconds=min(86_400.0, stall.next_due(age, after))))
            if self._quiet(run, step, stall.alerts_due(age, after)):
                soonest = min(soonest, SOON)
            else:
                said += await self._of(run, step, after, age)
        self._seen[number] = (state, now + soonest)
        return said

    async def _others(self, steps: dict[int, str]) -> set[int]:
        """Runs whose steps stand otherwise than at the last look; at the first one, all that an alert speaks of."""
        changed = {run for run, seen in self._seen.items() if steps.get(run) != seen[0]}
        if not self._looked:
            changed |= set(await self._world.store.read(lambda c: history.alerted(c, self._world.now() - RECENT)))
            self._looked = True
        return changed

    async def _over(self, number: int, now: datetime) -> None:
        """Alerts of what is not under way any more say so, and offer nothing."""
        run, told = await self._world.store.read(lambda c: (runs.load(c, number), messages.of_run(c, number, "stall")))
        over = [m.key for m in told if run is None or stall.said_of(run, m.body) is None]

        def say(conn: Connection) -> None:
            if [key for key in over if occurrences.claim(conn, f"{key}{history.OVER}", now)]:
                messages.again(conn, number, ("stall",))

        if over:
            await self._world.store.write(say)

    def _quiet(self, run: Run, step: RunStep, due: int) -> bool:
        """Somebody is looking, or it has said lately how far it is."""
        now = self._world.now()
        looked_at = run.quiet_until is not None and now < run.quiet_until
        goes_on = step.progress_at is not None and (now - step.progress_at).total_seconds() < stall.PROGRESS
        return bool(due) and (looked_at or (due > 1 and goes_on))

    async def _of(self, run: Run, step: RunStep, after: Limit, age: float) -> int:
        due, now = stall.alerts_due(age, after), self._world.now()
        if not due:
            return 0
        louder = due >= LOUDER and run.mode != "drill"
        leads = await leads_of(self._world, run) if louder else []
        alert = partial(_say, run, step, after, due, leads, now)
        if not await self._world.store.write(alert):
            return 0
        policy = self._world.books.policy()
        paging = f"{_key(run, step)}:page"
        if louder and policy.page and await self._world.store.write(lambda c: occurrences.claim(c, paging, now)):
            what = f"{step.verb} {step.component}"
            await self._page(policy.page, {"run": run.name, "feature": run.feature, "stalled": what})
        return 1


async def leads_of(world: World, run: Run) -> list[str]:
    """Whom policy calls when nobody helps."""
    policy = world.books.policy()
    if not policy.escalate:
        return []
    found, _ = await members(world, policy, rules.bare(policy.escalate), run.requester.id.rpartition("/")[0])
    return sorted(found or ())[:MOST_LEADS]


def _key(run: Run, step: RunStep) -> str:
    """Retried, a step begins anew, and may stall anew."""
    began = since.timestamp() if (since := stall.begun(step)) else 0
    return f"{run.name}:{run.plan_no}:{step.key_part}:{began:.0f}:stall"


def _say(run: Run, step: RunStep, after: Limit, due: int, leads: list[str], now: datetime, conn: Connection) -> bool:
    """In the thread and to the leads, once: those that were due while nobody looked are one."""
    key = _key(run, step)
    if not occurrences.claim(conn, f"{key}:{due}", now):
        return False
    since = stall.begun(step)
    body: dict[str, object] = {"step": step.n, "after": after.seconds, "usual": after.usual, "alert": due}
    body["since"] = since.isoformat() if since else None
    if run.channel:
        messages.want(
            conn,
            f"{key}:{due}",
            purpose="stall",
            channel=run.channel,
            run=run.id,
            parent=f"{run.name}:card",
            body=body,
            now=now,
        )
    for person in leads:
        user = person.rpartition("/")[2]
        messages.want(
            conn, f"{key}:lead:{person}", purpose="stall", channel=user, run=run.id, person=person, body=body, now=now
        )
    facts = {"step": step.n, "verb": step.verb, "component": step.component, "alert": due, "after": after.seconds}
    events.append(conn, [Happened(act="step_stalled", facts=facts)], now, run=run)
    return True
