"""Where a message can go: channel names as ids, and the feature's own channel for what can't be shown elsewhere."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from typing import Any

from bot.core.errors import RollbotError
from bot.flows.world import World
from bot.slack.client import TROUBLE, SlackClient
from bot.slack.refusals import error_of

log = logging.getLogger(__name__)
_ID = re.compile(r"[CDGUW][A-Z0-9]{2,}")
FRESH = timedelta(minutes=10)
PAGE = 999
MOST_PAGES = 50


class Places:
    """Names are asked for once and kept for ten minutes; in a large workspace that is a call per 999 channels."""

    def __init__(self, world: World, client: SlackClient) -> None:
        self._world, self._client = world, client
        self._ids: dict[str, str] = {}
        self._good_until: datetime | None = None

    async def of_feature(self, feature: str) -> str:
        """The id of the channel that the feature's file names; empty if it names none or the file is faulty."""
        try:
            channel = self._world.books.feature(feature).channel
        except RollbotError:
            return ""
        return await self.id_of(channel) if channel else ""

    async def id_of(self, channel: str) -> str:
        """``#ml-platform`` as an id; an id as it is; a name that Slack doesn't list as it is, without its ``#``."""
        if _ID.fullmatch(channel):
            return channel
        name = channel.lstrip("#").lower()
        if name not in self._ids or self._good_until is None or self._good_until <= self._world.now():
            await self._ask()
        return self._ids.get(name, name)

    async def _ask(self) -> None:
        found: dict[str, str] = {}
        cursor = ""
        try:
            for _ in range(MOST_PAGES):
                answer: Any = await self._client.conversations_list(
                    types="public_channel,private_channel", exclude_archived=True, limit=PAGE, cursor=cursor
                )
                found |= {str(c["name"]).lower(): str(c["id"]) for c in answer.get("channels") or []}
                cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
                if not cursor:
                    break
        except TROUBLE as e:
            log.warning("Slack did not list its channels: %s", error_of(e))
            return
        self._ids, self._good_until = found, self._world.now() + FRESH
