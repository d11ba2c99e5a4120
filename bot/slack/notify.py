"""Who hears of a run beside its channel: approvers directly, those whom break-glass skipped, and a requester whose
channel is closed to the bot."""

from __future__ import annotations

import logging
from datetime import datetime

from bot.core import policy as rules
from bot.core.commands import Purpose
from bot.core.run import Run
from bot.flows.standing import members
from bot.slack.desk import Desk
from bot.slack.render import waits
from bot.slack.views.words import Scene
from bot.store import messages, releases
from bot.store.write import Connection

MOST = 25
"""People who get the card directly; more are reached through its channel. Whom *Run without approval* skipped is told
whoever they are: nobody else would tell them."""
log = logging.getLogger(__name__)
_State = tuple[object, ...]


class Notices:
    """Wants messages, never sends any. Called with every card; does something only when the run has moved."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: dict[int, _State] = {}
        self._untold: set[int] = set()

    async def follow(self, scene: Scene) -> None:
        run = scene.run
        begun, glass = run.started_at is not None, run.glass is not None
        state: _State = (run.status, run.waiting_for, run.plan_digest, len(run.nods), begun, glass)
        moved = self._seen.get(run.id) != state
        if not moved and run.id not in self._untold:
            return
        people, unknown = await self._approvers(run) if waits(run) or run.glass else ([], [])
        await self._desk.world.store.write(lambda conn: self._want(conn, run, people, moved=moved))
        if len(self._seen) > 5000:
            self._seen.clear()
        self._seen[run.id] = state
        self._untold.discard(run.id)
        if run.glass and unknown:  # asked again with the next look at the card
            log.warning("%s: nobody can say who is in %s, so they were not told yet", run.name, ", ".join(unknown))
            self._untold.add(run.id)

    def _want(self, conn: Connection, run: Run, people: list[str], *, moved: bool) -> None:
        now = self._desk.world.now()
        told = {m.person for m in messages.of_run(conn, run.id, "dm")}
        messages.again(conn, run.id, ("dm",))
        for person in people[:MOST] if waits(run) else []:
            if person not in told:
                _direct(conn, run, person, "dm", now)
        skipped = {m.person for m in messages.of_run(conn, run.id, "glass")}
        for person in people if run.glass else []:
            if person not in skipped and run.glass and person != run.glass.person:
                _direct(conn, run, person, "glass", now)
        if moved and not run.open and run.mode == "live" and run.purpose != Purpose.stop:
            for number in releases.runs_that_left(conn, run.feature, run.created_at):
                if number != run.id:
                    messages.again(conn, number, ("card", "outcome", "left", "drift"))

    async def _approvers(self, run: Run) -> tuple[list[str], list[str]]:
        """Those whose yes would count: not the requester, under no account; and groups that nobody knows."""
        world = self._desk.world
        policy = world.books.policy()
        need = run.requirement or rules.Requirement()
        home = run.requester.id.rpartition("/")[0] or self._desk.people.home
        found: set[str] = set()
        unknown: list[str] = []
        for group in sorted({rules.bare(a.group) for a in need.alternatives if a.group != rules.EVERYONE}):
            who, _ = await members(world, policy, group, home)
            found |= who or set()
            unknown += [rules.shown(group)] if who is None else []
        asker = rules.same(policy, run.requester.id)
        return sorted(person for person in found if rules.same(policy, person) != asker), unknown

    async def moved(self, run: Run, error: str, where: str) -> None:
        """The card could not be posted where the run was asked for: the requester is told where it is."""
        if run.requester.kind != "person" or run.requester.via != "slack":
            return
        text = f"I can't post in that channel ({error}), so {run.name} stands in {where}. Next time invite me first."
        body: dict[str, object] = {"text": text, "response_url": run.requester.response_url}
        now = self._desk.world.now()
        await self._desk.world.store.write(
            lambda conn: messages.want(
                conn,
                f"{run.name}:moved",
                purpose="private",
                channel=run.channel,
                run=run.id,
                person=run.requester.id,
                body=body,
                now=now,
            )
        )


def _direct(conn: Connection, run: Run, person: str, purpose: str, now: datetime) -> None:
    """To a person's direct messages: there a channel is their user id."""
    key, user = f"{run.name}:{purpose}:{person}", person.rpartition("/")[2]
    messages.want(conn, key, purpose=purpose, channel=user, run=run.id, person=person, now=now)
