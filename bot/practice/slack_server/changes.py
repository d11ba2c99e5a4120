"""Tells those who wait that something changed, so that neither a test nor the page has to poll."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Notice = dict[str, Any]


class Changes:
    """A condition with a memory of the last few notices. Lives on one event loop."""

    def __init__(self) -> None:
        self._queues: list[asyncio.Queue[Notice]] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self._recent: deque[Notice] = deque(maxlen=8)

    def tell(self, kind: str, **what: Any) -> None:
        """Wakes everybody who waits, and puts ``{"kind": kind, ...}`` on every subscriber's queue."""
        notice = {"kind": kind, **what}
        self._recent.append(notice)
        for queue in self._queues:
            queue.put_nowait(notice)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def subscribe(self) -> asyncio.Queue[Notice]:
        """A queue of all notices from now on, unbounded until ``unsubscribe``."""
        queue: asyncio.Queue[Notice] = asyncio.Queue()
        self._queues.append(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Notice]) -> None:
        self._queues.remove(queue)

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:  # noqa: ASYNC109
        """The first truthy answer of ``predicate``, asked now and after each change. Raises TimeoutError, which
        names the last changes seen, after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not (answer := predicate()):
                    await self._next()
                return answer
        except TimeoutError:
            raise TimeoutError(f"not within {timeout} s; last changes: {list(self._recent)}") from None

    async def _next(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
