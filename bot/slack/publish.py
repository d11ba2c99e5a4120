"""Sends what should stand in the chat and does not: paced, once, found again after a crash between post and commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.core.errors import RollbotError
from bot.core.target import digest_of
from bot.slack import lost
from bot.slack.client import TROUBLE, Unsendable
from bot.slack.desk import Desk
from bot.slack.duty import Duty
from bot.slack.notify import Notices
from bot.slack.pace import POST_S, UPDATE_S, UPDATES, Pace
from bot.slack.places import Places
from bot.slack.refusals import ELSEWHERE, HOPELESS, error_of, in_full, retry_after
from bot.slack.render import Scenes, render
from bot.slack.views.words import Scene, Shown
from bot.store import messages
from bot.store.messages import Message
from bot.store.write import Connection

log = logging.getLogger(__name__)
MOST_DUE = 1000
TOGETHER = 8
"""Channels that are served at a time."""
PRIVATE_TRIES = 6
BROADCAST = ("outcome", "reminder", "drift", "stall")
"""Said in the channel, too."""
RECENT = timedelta(hours=1)
"""How long after a run's end its card is still worth another place."""


@dataclass(frozen=True)
class _Place:
    """Where a message goes. ``thread``: the ts of the message it answers."""

    channel: str
    thread: str | None = None


class Publisher:
    """Whoever calls ``publish_due`` again and again has everything sent that can be. Of several processes one posts at
    a time, so that a channel has its order and its pace; another takes over when that one is silent."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._world, self._client = desk, desk.world, desk.client
        self._places = Places(desk.world, desk.client)
        self._notices = Notices(desk)
        self._pace = Pace()
        self._one_pass = asyncio.Lock()
        self.duty = Duty(desk.world)

    async def publish_due(self) -> int:
        """One pass over what is due; how many messages were posted or changed. Raises nothing but StoreDown: a message
        that can't be sent now waits, one that never can be is given up with its trouble."""
        async with self._one_pass:
            if not await self.duty.held():
                return 0
            due = await self._world.store.read(lambda conn: messages.due(conn, MOST_DUE))
            scenes, few = Scenes(self._desk), asyncio.Semaphore(TOGETHER)
            channels: dict[str, list[Message]] = {}
            for message in due:
                channels.setdefault(message.channel, []).append(message)
            sent = await asyncio.gather(*(self._channel(mine, scenes, few) for mine in channels.values()))
            return sum(sent)

    async def rest(self) -> None:
        """Another process may post at once."""
        await self.duty.give_back()

    async def _channel(self, mine: Iterable[Message], scenes: Scenes, few: asyncio.Semaphore) -> int:
        """In order: a card before what answers it, and what answers it as it happened. Where one of a run can't be
        posted now, what comes after it waits, too."""
        sent, waits = 0, set[int | None]()
        async with few:
            for message in mine:
                new = message.ts is None and message.purpose != "private"
                if new and message.run in waits:
                    continue
                done = await self._guarded(message, scenes) if self._free(message) else 0
                if new and message.run and not done and not self._free(message):
                    waits.add(message.run)
                sent += done
        return sent

    def _free(self, message: Message) -> bool:
        return self._pace.free(message.key, self._world.now())

    async def _guarded(self, message: Message, scenes: Scenes) -> int:
        try:
            return int(await self._one(message, scenes))
        except TROUBLE as e:
            await self._trouble(message, e)
        except Unsendable as e:
            log.warning("%s can't be sent: %s", message.key, e)
            await self._give_up(message, str(e))
        except RollbotError as e:
            log.warning("%s waits: %s", message.key, e.message)
            self._pace.failed(message.key, message.failures + 1, self._world.now())
        except Exception:
            log.exception("%s waits: a fault of ours", message.key)
            self._pace.failed(message.key, message.failures + 5, self._world.now())
        return 0

    async def _one(self, message: Message, scenes: Scenes) -> bool:
        if message.purpose == "private":
            return await self._private(message)
        scene = await scenes.of(message.run) if message.run else None
        if message.purpose == "card" and scene is not None:
            await self._notices.follow(scene)
        shown = render(message, scene)
        if shown is None:
            await self._store(lambda conn: messages.settle(conn, message.key, wanted=message.wanted))
            return False
        if message.ts:
            return await self._update(message, shown, scene)
        return await self._post(message, shown, scene)

    async def _store(self, fn: Any) -> None:
        await self._world.store.write(fn)

    async def _private(self, message: Message) -> bool:
        body = message.body
        try:
            await self._desk.private.tell(
                str(message.person), message.channel, str(body.get("text", "")), str(body.get("response_url") or "")
            )
        except TROUBLE as e:
            if message.failures >= PRIVATE_TRIES and retry_after(e) is None:
                await self._give_up(message, error_of(e))
                return False
            raise
        await self._sent(message, _Place(message.channel), "-", "")
        return True

    async def _sent(self, message: Message, place: _Place, ts: str, digest: str, *, stale: bool = False) -> None:
        """``stale``: it stands, but what it says is not known, so it stays due."""
        wanted = message.wanted - 1 if stale else message.wanted
        await self._store(
            lambda conn: messages.sent(conn, message.key, wanted=wanted, ts=ts, channel=place.channel, digest=digest)
        )

    async def _post(self, message: Message, shown: Shown, scene: Scene | None) -> bool:
        place = await self._place(message)
        now = self._world.now()
        if place is None or not self._pace.free(place.channel, now):
            return False
        if message.attempted_at is not None and (ts := await self._lost(message, place)):
            await self._sent(message, place, ts, "", stale=True)
            return True
        await self._store(lambda conn: self._attempt(conn, message.key, now))
        self._pace.hold(place.channel, POST_S, now)
        try:
            answer = await self._client.chat_postMessage(
                channel=place.channel,
                text=shown.text,
                blocks=shown.blocks,
                thread_ts=place.thread,
                reply_broadcast=True if message.purpose in BROADCAST and place.thread else None,
                metadata={"event_type": lost.EVENT, "event_payload": {"key": message.key}},
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackApiError as e:
            await self._not_posted(message, e, place, scene)
            return False
        self._pace.hold(message.key, UPDATE_S, now)
        channel = str(answer["channel"])
        await self._sent(message, _Place(channel), str(answer["ts"]), _digest(shown))
        return True

    def _attempt(self, conn: Connection, key: str, now: datetime) -> None:
        self.duty.confirm(conn)
        messages.attempt(conn, key, now)

    async def _place(self, message: Message) -> _Place | None:
        """None: what it answers does not stand yet, or never will."""
        if message.parent is None:
            return _Place(await self._places.id_of(message.channel))
        parent = await self._world.store.read(lambda conn: messages.get(conn, str(message.parent)))
        if parent is not None and parent.ts and parent.posted_channel:
            return _Place(parent.posted_channel, parent.ts)
        if parent is None or parent.settled:
            await self._give_up(message, f"what it answers, {message.parent}, does not stand")
        return None

    async def _lost(self, message: Message, place: _Place) -> str | None:
        since = message.attempted_at or self._world.now()
        return await lost.found(self._client, message.key, place.channel, place.thread, since)

    async def _not_posted(self, message: Message, e: SlackApiError, place: _Place, scene: Scene | None) -> None:
        """Slack has refused it, so nothing stands; unless it broke down in the middle (no answer that can be read)."""
        error = error_of(e)
        if getattr(e.response, "status_code", 0) < 500:
            await self._store(lambda conn: messages.not_posted(conn, message.key))
        if error in ELSEWHERE and scene is not None and (card := await self._card_of(message)):
            if not await self._elsewhere(card, error, place, scene) and card.key != message.key:
                await self._give_up(message, in_full(e, error))
            return
        if (wait := retry_after(e)) is not None:
            self._pace.hold(place.channel, wait, self._world.now())
            return
        await self._trouble(message, e)

    async def _card_of(self, message: Message) -> Message | None:
        """The card that this message is, or answers; None for one that has no other place."""
        if message.purpose == "card" or message.parent is None:
            return message if message.purpose == "card" else None
        return await self._world.store.read(lambda conn: messages.get(conn, str(message.parent)))

    async def _elsewhere(self, message: Message, error: str, place: _Place, scene: Scene) -> bool:
        """To the feature's channel, else to the requester directly; the requester is told. False: there is no place."""
        run = scene.run
        home, direct = await self._places.of_feature(run.feature), run.requester.id.rpartition("/")[2]
        person = run.requester.kind == "person" and run.requester.via == "slack"
        if home and place.channel not in (home, direct):
            to, where = home, self._world.books.feature(run.feature).channel
        elif person and place.channel != direct:
            to, where = direct, "our direct messages"
        else:
            await self._give_up(message, f"{error}, and there is no other place for it")
            return False
        await self._store(lambda conn: messages.redirect(conn, message.key, to))
        await self._notices.moved(run, error, where)
        return True

    async def _update(self, message: Message, shown: Shown, scene: Scene | None) -> bool:
        """In place; not called for where it says the same already."""
        place, ts, digest = _Place(message.posted_channel or message.channel), str(message.ts), _digest(shown)
        now = self._world.now()
        if digest == message.sent_digest:
            await self._sent(message, place, ts, digest)
            return False
        if not self._pace.free(UPDATES, now):
            return False
        self._pace.hold(message.key, UPDATE_S, now)
        try:
            await self._client.chat_update(channel=place.channel, ts=ts, text=shown.text, blocks=shown.blocks)
        except SlackApiError as e:
            if (wait := retry_after(e)) is not None:
                self._pace.hold(UPDATES, wait, now)
                return False
            if error_of(e) not in ELSEWHERE:
                raise
            if message.purpose == "card" and scene is not None and _recent(scene):  # removed from the channel meanwhile
                await self._elsewhere(message, error_of(e), place, scene)
            else:
                await self._give_up(message, f"can't be brought up to date: {error_of(e)}")
            return False
        await self._sent(message, place, ts, digest)
        return True

    async def _trouble(self, message: Message, e: BaseException) -> None:
        """It waits, longer each time; or never can be sent."""
        error = error_of(e)
        if error in HOPELESS or (error in ELSEWHERE and message.purpose != "card"):
            await self._give_up(message, in_full(e, error))
            return
        log.warning("%s waits: %s", message.key, error)
        now = self._world.now()
        self._pace.failed(message.key, message.failures + 1, now)
        if (wait := retry_after(e)) is not None:
            self._pace.hold(message.key, wait, now)
        await self._store(lambda conn: messages.trouble(conn, message.key, error, give_up=False))

    async def _give_up(self, message: Message, error: str) -> None:
        log.error("%s is not sent: %s", message.key, error)

        def store(conn: Connection) -> None:
            messages.trouble(conn, message.key, error, give_up=True)

        await self._store(store)


def _recent(scene: Scene) -> bool:
    """Open, or over so lately that people wait for its end."""
    return scene.run.ended_at is None or scene.now - scene.run.ended_at < RECENT


def _digest(shown: Shown) -> str:
    return digest_of([shown.text, shown.blocks])
