"""What every handler works with: the inbox, reads for answers, modals, and tasks behind the ack that may be lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from bot.core.commands import Command
from bot.core.run import Run
from bot.flows.world import World
from bot.slack.client import TROUBLE, SlackClient, Unsendable
from bot.slack.origin import Origin
from bot.slack.people import SlackPeople
from bot.slack.refusals import error_of
from bot.slack.reply import Private
from bot.slack.views.form import notice
from bot.slack.views.words import Json, Scene, Shown, paragraphs, said, section
from bot.store import messages, releases, runs
from bot.store.inbox import Taken
from bot.store.taking import Taking
from bot.store.write import Connection

log = logging.getLogger(__name__)
PERMALINKS = 1000
"""Of cards, kept in memory."""
SEEN = 10_000
"""Runs that are known to exist."""


class Desk:
    """One per process. Handlers read through it, and write nothing but inbox rows."""

    def __init__(self, world: World, client: SlackClient, people: SlackPeople) -> None:
        self.world, self.client, self.people = world, client, people
        self.private = Private(client)
        self._tasks: set[asyncio.Task[None]] = set()
        self._permalinks: dict[tuple[str, str], str] = {}
        self._seen: dict[int, None] = {}

    async def take(self, origin: Origin, *wanted: tuple[Command, str]) -> Taken:
        """All of ``wanted``, each a command and its answer, durable in one commit; the last one's outcome. The same
        request again gets the first answers again, and hears where no worker would do it. Raises StoreDown."""
        now, actor, key = self.world.now(), origin.actor, origin.key
        all_ = [Taking(f"{key}:{n}" if n else key, actor, *pair, now) for n, pair in enumerate(wanted)]

        def in_order(conn: Connection) -> Taken:
            return [taking(conn) for taking in all_][-1]

        taken = await self.world.store.intake(all_[0] if len(all_) == 1 else in_order)
        if self.world.unworked:
            self.later(self.tell(origin, f"It is kept, but nobody does it yet: {self.world.unworked}"))
        return taken

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs behind the ack. What fails is logged and lost."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            known = isinstance(error, (*TROUBLE, Unsendable))
            log.error("lost behind an ack: %s", error_of(error), exc_info=None if known else error)

    async def idle(self) -> None:
        """Waits for what runs behind acks."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.idle()

    async def open_view(self, origin: Origin, view: Json, *, push: bool = False) -> None:
        """Opens a modal; where the trigger is too old by now, says so by response_url."""
        call = self.client.views_push if push else self.client.views_open
        try:
            await call(trigger_id=origin.trigger, view=view)
        except TROUBLE as e:
            log.info("a modal was not opened: %s", error_of(e))
            await self.tell(origin, "Slack did not open the form in time. Press again.")

    async def open_after(self, origin: Origin, making: Awaitable[Json], *, push: bool = False) -> None:
        """A modal that takes reads to make. Slack waits three seconds for it."""
        await self.open_view(origin, await making, push=push)

    async def tell(self, origin: Origin, text: str) -> None:
        await self.private.answer(origin.response_url, Shown(paragraphs(text), []))

    async def link(self, origin: Origin, number: int) -> None:
        """Where the run's card stands."""
        card = await self.world.store.read(lambda conn: messages.get(conn, f"R-{number}:card"))
        if card is None or not card.ts or not card.posted_channel:
            return
        url = said(await self._permalink(card.posted_channel, card.ts), 1000)
        await self.private.answer(origin.response_url, Shown(f"R-{number}: {url}", [section(f"<{url}|R-{number}>")]))

    async def _permalink(self, channel: str, ts: str) -> str:
        """Asked for once: it stays, and who repeats a command in an incident does not do it once."""
        known = self._permalinks.get((channel, ts))
        if known is None:
            found = await self.client.chat_getPermalink(channel=channel, message_ts=ts)
            known = self._permalinks[channel, ts] = str(found["permalink"])
            if len(self._permalinks) > PERMALINKS:
                del self._permalinks[next(iter(self._permalinks))]
        return known

    async def say_in_view(self, origin: Origin, title: str, text: str) -> None:
        await self.open_view(origin, notice(title, text))

    async def run(self, number: int) -> Run | None:
        return await self.world.store.read(lambda conn: runs.load(conn, number))

    async def exists(self, number: int) -> bool:
        """Is there such a run? Asked for once: it stays, and a press must not wait for what is known."""
        if number in self._seen:
            return True
        if not await self.world.store.read(lambda conn: runs.exists(conn, number)):
            return False
        self._seen[number] = None
        if len(self._seen) > SEEN:
            del self._seen[next(iter(self._seen))]
        return True

    async def scene(self, run: Run, *, ask: bool = True) -> Scene:
        """Everything a view of this run needs. Without ``ask`` Slack is not asked for names: what stands before an
        ack waits for nobody."""

        def read(conn: Connection) -> tuple[Any, list[dict[str, object]]]:
            return runs.load_plan(conn, run.id, run.plan_no), releases.left(conn, run=run.id)

        plan, left = await self.world.store.read(read)
        names = await self.names([run]) if ask else self.known_names([run])
        return Scene(run, plan, self.world.now(), names, tuple(left))

    async def names(self, these: Sequence[Run]) -> dict[str, str]:
        """The display names of everybody who stands in these runs."""
        people = {p for run in these for p in mentioned(run)}
        found = await asyncio.gather(*(self.people.name(p) for p in sorted(people)))
        return dict(zip(sorted(people), found, strict=True))

    def known_names(self, these: Sequence[Run]) -> dict[str, str]:
        """The names that are known already. The others are asked for behind, for the next time."""
        found = {p: self.people.known(p) for run in these for p in mentioned(run)}
        if any(name is None for name in found.values()):
            self.later(self._learn(these))
        return {person: name for person, name in found.items() if name}

    async def _learn(self, these: Sequence[Run]) -> None:
        await self.names(these)


def mentioned(run: Run) -> set[str]:
    """Whoever a view of this run may name."""
    named = {run.requester.id, run.decided_by, run.paused_by, run.looking, run.glass.person if run.glass else ""}
    named |= {n.person for n in run.nods} | {d.person for d in run.deeds}
    return {person for person in named if person and not person.startswith("schedule/")}
