"""How far the set-up is, until all is ready; told from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]


class Setup:
    """``parts`` gives each bar of the set-up its share of the whole, in their order; ``changed`` is called on the event
    loop when ``state()`` is another. Over from the beginning, unless ``begin`` is called."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parts: Mapping[str, float] = {}
        self._state: Json | None = None

    @property
    def over(self) -> bool:
        return self._state is None

    def state(self) -> Json | None:
        """None when there is nothing to wait for."""
        return self._state

    def begin(self, parts: Mapping[str, float]) -> None:
        """On the event loop."""
        self._loop, self._parts = asyncio.get_running_loop(), parts
        self._state = {"done": 0, "total": sum(parts.values()), "note": "starting"}

    def tell(self, part: str, share: float, note: str) -> None:
        """``share`` of one of the parts is done. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told, part, share, note)

    def _told(self, part: str, share: float, note: str) -> None:
        if self._state is None or part not in self._parts:
            return
        names = list(self._parts)
        before = sum(self._parts[name] for name in names[: names.index(part)])
        done = round(before + self._parts[part] * min(1.0, max(0.0, share)), 1)
        told = {**self._state, "done": max(done, self._state["done"]), "note": note or part}
        if told != self._state:
            self._state = told
            self._changed()

    def finish(self) -> None:
        """All is ready."""
        self._state = None
        self._changed()

    def fail(self, why: str) -> None:
        """It will not be ready; the page says why."""
        if self._state is not None:
            self._state = {**self._state, "error": why}
            self._changed()
