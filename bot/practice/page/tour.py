"""The guided tour of the first rollback: a task is ticked only when it was really done, as Slack and the bot show."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.practice.page.lesson import TASKS, Facts, Task
from bot.practice.place import ANA, INCIDENT, Place, in_thread
from bot.practice.slack_server import CannotDo
from bot.practice.slack_server.deliver import Delivered
from bot.practice.stack.host import Ended
from bot.practice.stack.stack import Broken

Json = dict[str, Any]


@dataclass
class Progress:
    """One task of this tour. ``state``: open, done or skipped."""

    task: Task
    state: str = "open"
    took: float | None = None

    def shown(self, card: str) -> Json:
        t, where = self.task, self.task.where.replace("{card}", card)
        fixed = {"id": t.id, "title": t.title, "says": t.says, "hint": t.hint, "why": t.why}
        more = {"where": where, "user": t.user, "channel": INCIDENT, "ask": t.ask, "leave": t.may_leave}
        return {**fixed, **more, "state": self.state, "took": self.took}


class Tour:
    """Watches from the moment that it is made, on the event loop, until ``close``."""

    def __init__(self, place: Place, announce: Callable[[], None]) -> None:
        self._place, self._slack, self._announce = place, place.slack, announce
        self._facts = Facts(self._slack)
        self._last: deque[Delivered] = deque(maxlen=1)
        for channel in self._slack.workspace.messages.values():
            for message in channel:
                self._facts.told.hear(message)
        self._news = self._slack.subscribe()
        self._begin()
        self._watching = asyncio.create_task(self._watch())

    def _begin(self) -> None:
        told = self._facts.told
        self._facts = Facts(self._slack, told, frozenset(told.runs))
        self._facts.heard_before = len(self._slack.ephemerals(ANA, INCIDENT))
        self._last.extend(self._slack.deliveries[-1:])
        self._tasks = [Progress(task) for task in TASKS]
        self._began = self._since = time.monotonic()
        self._open = True

    def state(self) -> Json:
        """See docs/decisions/0013-the-practice-page.md."""
        now = self._now()
        over = now is None
        took = round(sum(p.took or 0.0 for p in self._tasks), 1)
        run = self._facts.run
        tasks = [p.shown(run.card if run else "") for p in self._tasks]
        return {"on": self._open, "over": over, "now": now and now.task.id, "took": took, "tasks": tasks}

    def _now(self) -> Progress | None:
        return next((p for p in self._tasks if p.state == "open"), None)

    async def do(self, name: str, args: Json) -> None:
        """``skip`` the tour, ``restart`` it, ``next`` without the present task, or ``answer`` it with ``text``."""
        now = self._now()
        if name == "skip":
            self._open = False
        elif name == "restart":
            self._begin()
        elif now is not None and name == "next":
            self._pass(now)
        elif now is not None and name == "answer":
            await self._answer(now, str(args.get("text", "")))
        else:
            raise CannotDo(f"the tour has nothing that does {name!r} now")
        self._judge()
        self._announce()

    def _pass(self, now: Progress) -> None:
        if now.task.may_leave:
            self._facts.answers[now.task.id] = now.task.may_leave
        else:
            now.state, self._since = "skipped", time.monotonic()

    async def _answer(self, now: Progress, text: str) -> None:
        if not now.task.ask:
            raise CannotDo(f"{now.task.title}: this is done in Slack, not answered")
        self._facts.bias = await self._measured()
        self._facts.answers[now.task.id] = text[:100]
        if not now.task.done(self._facts):
            raise CannotDo("That is not what is there. Look again.")

    async def _measured(self) -> float | None:
        """How many per cent too long ETAs are at this moment, asked for apart from the chart."""
        try:
            bias = (await in_thread(self._place.stack.eta_error)).bias
        except (Broken, Ended, OSError):
            return None
        return None if bias is None else bias * 100

    def _judge(self) -> bool:
        """Ticks what is done by now; True if anything was."""
        ticked = [p for p in self._tasks if p.state == "open" and p.task.done(self._facts)]
        for progress in ticked:
            at = time.monotonic()
            progress.state, progress.took, self._since = "done", round(at - self._since, 1), at
        return bool(ticked)

    async def _watch(self) -> None:
        while True:
            notice = await self._news.get()
            if notice["kind"] == "message" and notice["what"] != "deleted":
                message = self._slack.workspace.message(notice["channel"], notice["ts"])
                if message is not None:
                    self._facts.told.hear(message)
            elif notice["kind"] == "delivery":
                self._hear_deliveries()
            elif notice["kind"] == "reset":
                self._facts.told.runs.clear()
                self._begin()
            if self._judge():
                self._announce()

    def _hear_deliveries(self) -> None:
        """Those since the last one heard; the log is cut at its beginning now and then."""
        new: list[Delivered] = []
        for delivered in reversed(self._slack.deliveries):
            if self._last and delivered is self._last[0]:
                break
            new.append(delivered)
        for delivered in reversed(new):
            self._facts.hear(delivered)
            self._last.append(delivered)

    async def close(self) -> None:
        """Nothing is watched any more."""
        self._slack.unsubscribe(self._news)
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
