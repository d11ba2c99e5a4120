"""What time brings: moments, reminders, lists of what was left behind, checkpoints. Each occurrence is claimed once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from bot.core.commands import Actor, TakeMoment
from bot.core.errors import RollbotError
from bot.core.feature import Feature
from bot.core.run import Run
from bot.flows.drive import REMIND_S
from bot.flows.world import World
from bot.store import events, inbox, messages, occurrences, releases, runs
from bot.store.write import Connection

DAILY = timedelta(hours=24)
TICKER = Actor(kind="schedule", id="ticker", via="ticker")
Page = Callable[[str, dict[str, object]], Awaitable[None]]
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


async def remind(world: World, page: Page) -> int:
    """Says waiting cards again, pages for tier 1, and repeats what was left behind until it is empty."""
    now = world.now()
    said = 0
    waiting = await world.store.read(runs.awaiting_approval)
    for run in waiting:
        said += await _remind_of(world, run, now, page)
    again = now + timedelta(seconds=REMIND_S)
    return said + await world.store.write(lambda c: _left(c, now, again))


async def _remind_of(world: World, run: Run, now: datetime, page: Page) -> int:
    policy = world.books.policy()
    said = 0
    since = (now - (run.planned_at or now)).total_seconds()
    for n, after in enumerate(policy.reminders, 1):
        if since >= after and await _once(world, f"{run.name}:{run.plan_no}:remind:{n}", now):
            await world.store.write(partial(_say, run, f"remind:{run.plan_no}:{n}", "reminder", now))
            said += 1
    if policy.page and await _tier(world, run) == PAGED_TIER:
        for n, after in enumerate(PAGE_AFTER):
            if since >= after and await _once(world, f"{run.name}:{run.plan_no}:page:{n}", now):
                needs = run.requirement.say() if run.requirement else ""
                await page(policy.page, {"run": run.name, "feature": run.feature, "needs": needs})
    return said


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
