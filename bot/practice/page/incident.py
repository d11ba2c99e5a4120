"""The incident panel: things that go wrong on the real practice platform at the press of a button, and what is measured
beside."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.core.errors import Fault
from bot.practice.page.effects import EFFECTS, Effect, Work, held, running
from bot.practice.page.told import Told
from bot.practice.page.traffic import Point, Series, Traffic
from bot.practice.place import Place, in_thread
from bot.practice.slack_server import CannotDo
from bot.practice.stack.host import Ended
from bot.practice.stack.stack import Broken

Json = dict[str, Any]
Announce = Callable[[], None]
MOST_MARKS = 120
EVERY = 2.0


@dataclass
class Button:
    """An effect, and how far it is. ``state``: available, running, done or undone."""

    effect: Effect
    state: str = "available"
    says: str = ""
    error: str = ""
    at: float = 0.0

    def shown(self) -> Json:
        e = self.effect
        fixed = {"name": e.name, "title": e.title, "says": e.says, "undo": e.undo, "back": e.back}
        return {**fixed, "state": self.state, "result": self.says, "error": self.error, "at": self.at}


class IncidentPanel:
    """Measures from the moment that it is made, on the event loop, until ``close``."""

    def __init__(self, place: Place, announce: Announce, every: float = EVERY) -> None:
        self._place, self._announce = place, announce
        self._buttons = {effect.name: Button(effect) for effect in EFFECTS}
        self._series, self._told = Series(), Told()
        self._marks: deque[Json] = deque(maxlen=MOST_MARKS)
        self._live: Json = {}
        self._look = asyncio.Event()
        self._traffic = Traffic(place.stack, self._measured, every)
        self._news = place.slack.subscribe()
        self._doing: set[asyncio.Task[None]] = set()
        self._tasks = [asyncio.create_task(work) for work in (self._traffic.run(), self._listen(), self._look_again())]
        self._look.set()

    def state(self) -> Json:
        """See docs/decisions/0013-the-practice-page.md."""
        return {
            "acts": [button.shown() for button in self._buttons.values()],
            "live": self._live,
            "series": self._series.points(),
            "every": self._traffic.every,
            "marks": list(self._marks),
        }

    async def do(self, name: str, args: Json) -> None:
        """An effect by its name, or ``undo`` with the effect's name as ``act``. Raises CannotDo or Fault."""
        undo = name == "undo"
        button = self._buttons.get(str(args.get("act", "")) if undo else name)
        if button is None:
            raise CannotDo(f"there is nothing here that does {name!r}")
        work = button.effect.undone if undo else button.effect.work
        if work is None:
            raise CannotDo(f"{button.effect.title}: {button.effect.back}")
        if button.state == "running":
            raise CannotDo(f"{button.effect.title}: still at work")
        before, button.state, button.error = button.state, "running", ""  # now, or a second press would pass as well
        task = asyncio.create_task(self._do(button, work, before, undo=undo))
        self._doing.add(task)  # goes on when whoever asked has left
        task.add_done_callback(self._doing.discard)
        await asyncio.shield(task)

    async def _do(self, button: Button, work: Work, before: str, *, undo: bool) -> None:
        self._announce()
        try:
            button.says = await in_thread(work, self._place.stack)
            button.state = "undone" if undo else "done"
            self._mark("panel", (button.effect.undo if undo else button.effect.title) + f" ({button.says})")
        except CannotDo as refused:
            button.state, button.error = before, str(refused)
            raise
        except (Broken, Ended, OSError) as failed:  # TimeoutError is an OSError
            button.state, button.error = before, str(failed)
            raise Fault(f"{button.effect.title}: {failed}") from failed
        finally:
            button.at = time.time()
            self._look.set()
            self._announce()

    def _measured(self, point: Point) -> None:
        self._series.add(point)
        stack = self._place.stack
        pipeline = "stopped" if not running(stack) else "held" if held(stack) else "running"
        self._live |= {"serves": point.serves, "flag": "on" if point.on else "off", "pipeline": pipeline}
        self._announce()

    def _mark(self, kind: str, text: str) -> None:
        self._marks.append({"t": round(time.time(), 1), "kind": kind, "text": text})

    async def _listen(self) -> None:
        """What the bot says of its runs becomes marks."""
        while True:
            notice = await self._news.get()
            if notice["kind"] == "reset":
                self._told = Told()
            if notice["kind"] != "message" or notice["what"] == "deleted":
                continue
            message = self._place.slack.workspace.message(notice["channel"], notice["ts"])
            news = self._told.hear(message) if message is not None else []
            for text in news:
                self._mark("run", text)
            if news:
                self._look.set()
                self._announce()

    async def _look_again(self) -> None:
        """Which definition and model are live, after whatever may have changed them."""
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                self._live |= await in_thread(self._place.stack.ask, "live")
            except Broken:
                self._live |= {"definition": None, "model": None}
            except (Ended, OSError):
                self._live |= {"definition": None, "model": None}
                return
            finally:
                self._announce()

    async def close(self) -> None:
        """Nothing is measured or done any more."""
        self._place.slack.unsubscribe(self._news)
        for task in (*self._tasks, *self._doing):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._doing, return_exceptions=True)
