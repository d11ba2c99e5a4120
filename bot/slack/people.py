"""Groups and names, asked from Slack. Membership of a user group is at most a minute old, or says that it is older."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.core.errors import RollbotError
from bot.core.ports import Clock, Membership
from bot.slack.client import TROUBLE, SlackClient
from bot.slack.refusals import error_of
from bot.store import memberships
from bot.store.write import Store

log = logging.getLogger(__name__)
FRESH_S = 60.0
STALE_S = 24 * 3600.0
AGAIN_S = 5.0
"""Seconds before Slack is asked again after it did not answer; each try may take ``PATIENCE_S``."""
PATIENCE_S = 3.0
NAME_S = 3600.0
NAMES_KEPT = 5000


@dataclass(frozen=True)
class _Asked:
    """One answer for all groups; ``members`` None: Slack did not answer."""

    at: datetime
    members: dict[str, frozenset[str]] | None
    ids: dict[str, str] = field(default_factory=dict)


class SlackPeople:
    """``core.ports.People``. Person ids are ``HOME/user``, where HOME is the organisation on Enterprise Grid (user ids
    are unique there, and one person acts in several workspaces) and the workspace elsewhere."""

    def __init__(self, client: SlackClient, store: Store, clock: Clock) -> None:
        self._client, self._store, self._clock = client, store, clock
        self._asked: _Asked | None = None
        self._asking = asyncio.Lock()
        self._names: dict[str, tuple[datetime, str]] = {}
        self._kept: dict[str, datetime] = {}
        self.home = ""
        """Where the bot is installed; known once Slack has answered a first time."""

    async def group(self, handle: str) -> Membership | None:
        """Members of a user group. An unknown handle has none. Where Slack can't answer, those last seen within
        24 h, marked stale; None past that."""
        asked = await self._groups()
        if asked.members is None:
            since = self._clock.now() - timedelta(seconds=STALE_S)
            return await self._store.read(lambda conn: memberships.last(conn, handle, since))
        found = Membership(members=asked.members.get(handle, frozenset()), as_of=asked.at)
        await self._remember(handle, found)
        return found

    async def group_id(self, handle: str) -> str:
        """As Slack calls it; empty where it knows no such group, or did not answer."""
        return (await self._groups()).ids.get(handle, "")

    async def _groups(self) -> _Asked:
        """One call answers for all groups; those who come meanwhile wait for the same answer."""
        async with self._asking:
            now = self._clock.now()
            last = self._asked
            if last is None or (now - last.at).total_seconds() >= (AGAIN_S if last.members is None else FRESH_S):
                self._asked = last = await self._ask(now)
            return last

    async def _ask(self, now: datetime) -> _Asked:
        try:
            async with asyncio.timeout(PATIENCE_S):
                if not self.home:
                    found = await self._client.auth_test()
                    self.home = str(found.get("enterprise_id") or found.get("team_id") or "")
                answer = await self._client.usergroups_list(include_users=True)
        except TROUBLE as e:
            log.warning("Slack did not say who is in which group: %s", error_of(e))
            return _Asked(now, None)
        groups: list[dict[str, Any]] = answer.get("usergroups") or []
        members = {str(g["handle"]): frozenset(f"{self.home}/{u}" for u in g.get("users") or []) for g in groups}
        return _Asked(now, members, {str(g["handle"]): str(g.get("id") or "") for g in groups})

    async def _remember(self, handle: str, found: Membership) -> None:
        """For the day when Slack doesn't answer. A failing database is no reason to say no."""
        kept = self._kept.get(handle)
        if kept == found.as_of:
            return
        self._kept[handle] = found.as_of
        try:
            await self._store.write(lambda conn: memberships.keep(conn, handle, found))
        except RollbotError as e:
            log.warning("membership of %s was not kept: %s", handle, e.message)

    async def name(self, person: str) -> str:
        """The display name, as of at most an hour ago; the id where Slack doesn't say."""
        home, _, user = person.rpartition("/")
        if not home or not user:
            return person
        now = self._clock.now()
        known = self._names.get(person)
        if known and known[0] > now:
            return known[1]
        name, good_for = await self._ask_name(user)
        if len(self._names) >= NAMES_KEPT:
            self._names.clear()
        self._names[person] = (now + timedelta(seconds=good_for), name)
        return name

    def known(self, person: str) -> str | None:
        """The name if Slack has said it within the hour; asks nobody."""
        found = self._names.get(person)
        return found[1] if found and found[0] > self._clock.now() else None

    async def _ask_name(self, user: str) -> tuple[str, float]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._client.users_info(user=user)
        except TROUBLE as e:
            log.info("Slack did not say who %s is: %s", user, error_of(e))
            return user, FRESH_S
        found: dict[str, Any] = answer.get("user") or {}
        profile: dict[str, Any] = found.get("profile") or {}
        return str(profile.get("display_name") or found.get("name") or found.get("real_name") or user), NAME_S
