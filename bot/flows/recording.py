"""Captures and moments that were ordered: beside everything else, one at a time for each feature, and never late."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bot.core import policy as rules
from bot.core.commands import CaptureRelease, TakeMoment
from bot.core.errors import Refused, RollbotError, Usage
from bot.core.release import EXPECTED
from bot.core.text import count, hhmm, span
from bot.flows.capture import capture_release
from bot.flows.moments import take_moment
from bot.flows.standing import standing
from bot.flows.world import World
from bot.store import inbox
from bot.store.inbox import Item

log = logging.getLogger(__name__)
LATE_S = 120.0
"""Seconds after which an order to record what is live *now* is not carried out any more: something else may be live."""
Done = Callable[[Item, dict[str, object], str], Awaitable[None]]


class Recorder:
    """``done`` stores what came of an order. ``under_way`` by inbox row."""

    def __init__(self, world: World, done: Done) -> None:
        self._world, self._done = world, done
        self._turns: dict[str, asyncio.Lock] = {}
        self.under_way: dict[int, asyncio.Task[None]] = {}

    def begin(self, item: Item) -> None:
        task = asyncio.create_task(self._record(item))
        self.under_way[item.id] = task
        task.add_done_callback(lambda _: self.under_way.pop(item.id, None))

    async def idle(self) -> None:
        while self.under_way:
            await asyncio.wait(list(self.under_way.values()))

    async def stop(self) -> None:
        for task in self.under_way.values():
            task.cancel()
        await self.idle()

    async def _record(self, item: Item) -> None:
        feature = item.command.feature if isinstance(item.command, CaptureRelease | TakeMoment) else ""
        try:
            await self._in_time(item, feature)
            async with self._turns.setdefault(feature, asyncio.Lock()):
                result, say = await self._recorded(item)
        except* RollbotError as group:
            error = _first(group)
            result = {"ok": False, "error": error.message, "code": error.code}
            result |= {"rule": error.rule} if isinstance(error, Refused) and error.rule else {}
            say = f"Not captured: {error.message}"
        except* Exception as group:
            log.exception("the order %s failed", item.id)
            error_text = f"a fault of Rollbot's own: {group.exceptions[0]!r}"[:300]
            result, say = {"ok": False, "error": error_text}, f"Not captured: {error_text}"
        with contextlib.suppress(RollbotError):
            await self._done(item, result, say)

    async def _in_time(self, item: Item, feature: str) -> None:
        """Raises Usage for an order that has lain too long, or that a later one for the same feature follows."""
        order, now = item.command, self._world.now()
        if isinstance(order, CaptureRelease) and order.pointers:
            return
        if now - item.at > timedelta(seconds=LATE_S):
            late = span((now - item.at).total_seconds())
            raise Usage(
                f"this was asked for at {hhmm(item.at)} UTC, {late} ago, and something else may be live now: ask again"
            )
        behind = [i for i in await self._world.store.read(inbox.waiting) if i.id > item.id]
        later = [c.version for i in behind if isinstance(c := i.command, CaptureRelease) and c.feature == feature]
        if isinstance(order, CaptureRelease) and any(v != order.version for v in later):
            others = f"{count(len(later), 'capture')} of {feature} came after this one ({later[-1]})"
            raise Usage(f"{others}, so what is live now may not be {order.version}: ask again when it is live")

    async def _recorded(self, item: Item) -> tuple[dict[str, object], str]:
        if isinstance(item.command, CaptureRelease):
            result = await self._may_capture(item, item.command)
            return result, captured_words(result)
        name = item.command.feature if isinstance(item.command, TakeMoment) else ""
        return await take_moment(self._world, name, item.actor), ""

    async def _may_capture(self, item: Item, command: CaptureRelease) -> dict[str, object]:
        """Whoever may request may capture; a hold is lifted only by who may control, or by CI with its token."""
        policy = self._world.books.policy()
        lifts = True
        if item.actor.kind == "person":
            who = await standing(self._world, policy, item.actor.id)
            verdict = rules.may_request(policy, who)
            if isinstance(verdict, rules.Refused):
                raise Refused(verdict.why, rule=verdict.rule)
            lifts = isinstance(rules.may_control(policy, who, ""), rules.Allowed)
        return await capture_release(self._world, command, item.actor, lifts=lifts)


def _first(group: BaseExceptionGroup[RollbotError]) -> RollbotError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, RollbotError) else RollbotError(str(error))


def captured_words(result: dict[str, object]) -> str:
    """What a capture says for itself."""
    parts = result.get("components")
    listed = ", ".join(f"{k} {v}" for k, v in parts.items()) if isinstance(parts, dict) else ""
    warnings = result.get("warnings")
    said = "".join(f"\nDoubt: {w}" for w in warnings) if isinstance(warnings, list) else ""
    new, expected, at = result.get("new"), result.get("expected"), result.get("data_at")
    what = "Another moment of" if not new else "Imported" if expected else "Captured"
    computed = f", {EXPECTED}" if expected else ""
    said = f" Data as of {_minute(str(at))} UTC.{said}" if expected and at else said
    return f"{what} {result.get('feature')} {result.get('version')}{computed}: {listed}.{said}"


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")
