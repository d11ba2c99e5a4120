"""What time brings: moments, reminders, lists of what was left behind, checkpoints. Each occurrence is claimed once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from functools import partial

from bot.core.asleep import FAR, overslept, woken
from bot.core.commands import Actor, TakeMoment
from bot.core.errors import RollbotError
from bot.core.feature import Feature
from bot.core.policy import Policy
from bot.core.run import Run
from bot.flows.finish import REMIND_S
from bot.flows.stalls import leads_of
from bot.flows.world import World
from bot.store import events, inbox, messages, occurrences, releases, runs, waiting
from bot.store.write import Connection

DAILY = timedelta(hours=24)
TICKER = Actor(kind="schedule", id="ticker", via="ticker")
Page = Callable[[str, dict[str, object]], Awaitable[None]]
LOOK_AGAIN = timedelta(minutes=5)
"""At most until a waiting run is looked at again, whatever is due."""
PAGED_TIER = 1
PAGE_AFTER = (0.0, 300.0)
"""Seconds after the card at which tier 1 pages: at once, and again."""


async def take_moments(world: World) -> int:
    """Asks for a moment of every live release whose newest one is older than its feature wants."""
    now = world.now()
    asked = 0
    for name, version, newest in await world.store.read(releases.live_features):
        try:
            every = world.books.feature(name).moments
        except RollbotError:
            continue
        if newest is None or now - newest >= timedelta(seconds=every):
            key = f"moment:{name}:{version}:{int(now.timestamp() // max(every, 1.0))}"
            taken = await world.store.intake(partial(_ask, key, TakeMoment(feature=name), now))
            asked += taken.fresh
    return asked


def _ask(key: str, command: TakeMoment, now: datetime, conn: Connection) -> inbox.Taken:
    return inbox.take(conn, key, TICKER, command, "asked", now)


class Waiting:
    """What a worker keeps in mind of runs that wait for people, so that it need not read them all at each look."""

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._seen: dict[int, tuple[str, datetime]] = {}
        """By run: how it stood at the last look, and when the next word can be due at the earliest."""

    def due(self, those: dict[int, str], policy: Policy, now: datetime) -> list[int]:
        """Which to look at now: what is new, stands otherwise, or may be due."""
        if policy != self._policy:
            self._policy, self._seen = policy, {}
        self._seen = {run: seen for run, seen in self._seen.items() if those.get(run) == seen[0]}
        return [run for run in those if run not in self._seen or self._seen[run][1] <= now]

    def looked(self, run: int, how: str, again: datetime) -> None:
        self._seen[run] = how, again


async def remind(world: World, page: Page, known: Waiting | None = None) -> int:
    """Says waiting cards again, pages for tier 1, and repeats what was left behind until it is empty."""
    now, known = world.now(), known or Waiting()
    said = 0
    open_ = await world.store.read(waiting.for_people)
    for number in known.due(open_, world.books.policy(), now):
        run = await world.store.read(partial(runs.load, run=number))
        if run is not None and run.waiting_for in ("approval", "person"):
            said += await _remind_of(world, run, now, page)
            known.looked(number, open_[number], _next_look(world.books.policy(), run, now))
    again = now + timedelta(seconds=REMIND_S)
    return said + await world.store.write(lambda c: _left(c, now, again))


def _next_look(policy: Policy, run: Run, now: datetime) -> datetime:
    """When something of this run can be due next. Soon enough for what people change in between."""
    began = _waits_since(run, now)[1]
    times = [began + timedelta(seconds=after) for after in (*policy.reminders, *PAGE_AFTER)]
    later = [at for at in (*times, run.quiet_until) if at and at > now]
    return min([*later, now + LOOK_AGAIN])


async def _remind_of(world: World, run: Run, now: datetime, page: Page) -> int:
    """At the policy's times since the card, or since a step failed; the last one is for the on-call lead, too."""
    if run.quiet_until and now < run.quiet_until:
        return 0
    policy, said, (key, began) = world.books.policy(), 0, _waits_since(run, now)
    since = (now - began).total_seconds()
    reminders = {f"{run.name}:{key}remind:{n}": n for n, after in enumerate(policy.reminders, 1) if since >= after}
    for claim in await _open(world, reminders):
        n = reminders[claim]
        if await _once(world, claim, now):
            last = n == len(policy.reminders) and run.mode != "drill"
            leads = await leads_of(world, run) if last else []
            await world.store.write(partial(_remind, run, f"remind:{key}{n}", leads, now))
            said += 1
    paging = bool(policy.page) and run.mode == "live"
    pages = [f"{run.name}:{key}page:{n}" for n, after in enumerate(PAGE_AFTER) if paging and since >= after]
    pages = await _open(world, pages)
    if pages and await _tier(world, run) == PAGED_TIER:
        for claim in pages:
            if await _once(world, claim, now):
                needs = run.requirement.say() if run.requirement and run.waiting_for == "approval" else "a person"
                await page(policy.page, {"run": run.name, "feature": run.feature, "needs": needs})
    return said


async def _open(world: World, keys: Collection[str]) -> list[str]:
    """Those that nobody has claimed: a look costs less than a try."""
    claimed = await world.store.read(lambda c: occurrences.claimed_among(c, keys)) if keys else set()
    return [key for key in keys if key not in claimed]


def _waits_since(run: Run, now: datetime) -> tuple[str, datetime]:
    """What it is that waits, as part of a key, and since when."""
    if run.waiting_for == "person" and run.stuck_at:
        return f"stuck:{run.stuck_at:%m%d%H%M%S%f}:", run.stuck_at
    return f"{run.plan_no}:", run.planned_at or now


def _remind(run: Run, what: str, leads: list[str], now: datetime, conn: Connection) -> None:
    _say(run, what, "reminder", now, conn)
    for person in leads:
        key, user = f"{run.name}:{what}:{person}", person.rpartition("/")[2]
        messages.want(conn, key, purpose="reminder", channel=user, run=run.id, person=person, now=now)


async def _tier(world: World, run: Run) -> int | None:
    """As it was when the card was made; a later edit of the feature's file is of the next plan."""
    made = await world.store.read(lambda c: runs.load_plan(c, run.id, run.plan_no))
    return Feature.model_validate(made.feature_doc).tier if made and made.feature_doc else None


async def _once(world: World, key: str, now: datetime) -> bool:
    return await world.store.write(lambda c: occurrences.claim(c, key, now))


def _say(run: Run, what: str, purpose: str, now: datetime, conn: Connection) -> None:
    if run.channel:
        messages.want(
            conn,
            f"{run.name}:{what}",
            purpose=purpose,
            channel=run.channel,
            run=run.id,
            parent=f"{run.name}:card",
            now=now,
        )


def _left(conn: Connection, now: datetime, again: datetime) -> int:
    """One message a run and period, while anything of it is left behind."""
    due = releases.due_reminders(conn, now, again)
    for number in due:
        run = runs.load(conn, number)
        if run:
            _say(run, f"left:{int(now.timestamp())}", "left", now, conn)
    return len(due)


async def wake_overslept(world: World) -> int:
    """After the clock was set back: what lay down for seconds would sleep for as long as that. How many were woken."""
    now = world.now()
    far = await world.store.read(lambda c: runs.asleep(c, now + FAR))
    late = [run for run in far if overslept(run, now)]
    for run in late:
        await world.store.write(partial(runs.change, run=run.id, move=partial(woken, now), now=now))
    return len(late)


class Checkpoints:
    """Signs the log and keeps the note outside the database."""

    def __init__(self, world: World, sign: Callable[[int, bytes], str], keep: Callable[[str], None]) -> None:
        self._world, self._sign, self._keep = world, sign, keep
        self._looked = 0
        """No run whose end is still to be signed for has an event before this one."""

    async def when_due(self) -> str | None:
        """If a run has ended since the last one, and a day after it if the log has grown; the first one at once."""
        size, last = await self._world.store.read(_grown)
        if last is not None and self._world.now() - last[1] < DAILY:
            start = max(self._looked, last[0])
            if not await self._world.store.read(lambda c: events.ended_since(c, start)):
                self._looked = size
                return None
        return await self.now()

    async def now(self) -> str | None:
        """Of the log as it stands; None if it has not grown."""
        size, last = await self._world.store.read(_grown)
        if size == (last[0] if last else 0):
            return None
        at = await self._world.store.read(events.head)
        note, now, channel = self._sign(at.size, at.root), self._world.now(), self._world.books.policy().audit_channel
        self._keep(note)

        def store(conn: Connection) -> None:
            events.add_checkpoint(conn, at.size, note, now)
            if channel:
                key = f"checkpoint:{at.size}"
                messages.want(conn, key, purpose="checkpoint", channel=channel, body={"note": note}, now=now)

        await self._world.store.write(store)
        return note


def _grown(conn: Connection) -> tuple[int, tuple[int, datetime] | None]:
    """Events now, and at the last checkpoint with its time."""
    return events.head(conn).size, events.last_signed(conn)
