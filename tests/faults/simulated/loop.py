"""An event loop in virtual time: while there is something to do time stands still, then it jumps to the next timer."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any, Protocol


class Owner(Protocol):
    """Whose task it is. One that disappears takes its tasks along."""

    tasks: dict[asyncio.Task[Any], None]


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


class _NoSockets:
    """Takes the selector's place: nothing ever comes from outside, so a wait for it is a jump in time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: everybody waits and no timer runs")
        self._loop.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """``now`` in seconds. Each task is entered in the ``tasks`` of the owner that began it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._clock_resolution = 1e-6
        self._selector = _NoSockets(self)
        self.set_task_factory(_entered)

    def time(self) -> float:
        return self.now

    def _process_events(self, event_list: list[Any]) -> None:
        return None

    def _write_to_self(self) -> None:
        """Nobody sleeps that would have to be woken: there is one thread."""


def _entered(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **more)
    owner = OWNER.get()
    if owner is not None:
        owner.tasks[task] = None
        task.add_done_callback(lambda done: owner.tasks.pop(done, None))
    return task


async def lapse(seconds: float) -> None:
    """Virtual time passes, which costs nobody any."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, lambda: done.done() or done.set_result(None))
    try:
        await done
    finally:
        timer.cancel()
