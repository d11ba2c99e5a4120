"""What a person is told privately: in the answer to what they did, by response_url, in the channel, or directly."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from bot.slack.client import TROUBLE, SlackClient, checked
from bot.slack.origin import answerable
from bot.slack.refusals import NOT_HERE, error_of
from bot.slack.views.words import Json, Shown, paragraphs

log = logging.getLogger(__name__)
SOON = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True)
class Reply:
    """What is said in the ack. ``text`` is not escaped yet; ``shown`` replaces it by a whole view. ``then`` runs behind
    the ack and may be lost: nothing that must happen stands there."""

    text: str = ""
    shown: Shown | None = None
    then: Callable[[], Awaitable[None]] | None = None

    def body(self) -> Json:
        """The body of the ack: seen by this person only."""
        shown = self.shown or Shown(paragraphs(self.text), [])
        body: Json = {"response_type": "ephemeral", "text": shown.text}
        body |= {"blocks": shown.blocks} if shown.blocks else {}
        return body


class Private:
    """Tells one person something."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client

    async def answer(self, response_url: str, shown: Shown, *, replace: bool = False) -> bool:
        """By response_url, which also works where the bot is no member. False if it did not arrive."""
        if not response_url or not answerable(response_url, self._client.base_url) or self._client.session is None:
            return False
        body: Json = {"text": shown.text, "replace_original": replace}
        body |= {"response_type": "ephemeral"} if not replace else {}
        body |= {"blocks": shown.blocks} if shown.blocks else {}
        checked("chat.postEphemeral", body)
        try:
            async with self._client.session.post(
                response_url, json=body, allow_redirects=False, timeout=SOON
            ) as answer:
                return answer.status == 200
        except TROUBLE as e:
            log.info("an answer by response_url was lost: %s", error_of(e))
            return False

    async def tell(self, person: str, channel: str, text: str, response_url: str = "") -> None:
        """In the channel for this person's eyes, else by response_url, else directly. Raises what is in TROUBLE if
        none of it arrived."""
        user, shown = person.rpartition("/")[2], Shown(paragraphs(text), [])
        if channel and await self._in_channel(user, channel, shown):
            return
        if await self.answer(response_url, shown):
            return
        await self._client.chat_postMessage(channel=user, text=shown.text, unfurl_links=False, unfurl_media=False)

    async def _in_channel(self, user: str, channel: str, shown: Shown) -> bool:
        try:
            await self._client.chat_postEphemeral(channel=channel, user=user, text=shown.text)
        except TROUBLE as e:
            if error_of(e) not in NOT_HERE:
                raise
            return False
        return True
