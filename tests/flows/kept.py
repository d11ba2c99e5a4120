"""Fork servers that outlive a test. What they import is a third of each test's time where every test starts its own."""

from __future__ import annotations

import asyncio

from bot.outside.child import Children
from bot.outside.forkhandle import Handle

PRELOAD = ["bot.targets.flagd", "bot.targets.command", "openfeature.contrib.provider.flagd"]
"""What this house's systems import."""


class KeptChildren(Children):
    """The real children of real fork servers; each test's loop hears of them anew, and none of them outlives it."""

    async def start(self) -> None:
        self._stopped = False
        for handle in (self._light, self._warm):
            if handle.alive:
                _heard_here(handle)
            else:
                handle.start()

    async def stop(self) -> None:
        self._stopped = True
        for handle in (self._light, self._warm):
            for fork in [*handle._forks.values()]:
                await handle.kill(fork)
            if handle._control:
                asyncio.get_running_loop().remove_reader(handle._control)


_servers: list[tuple[Handle, Handle]] = []


def kept_children(blobs_url: str) -> KeptChildren:
    """With places and queues of its own."""
    made = KeptChildren(blobs_url, preload=PRELOAD)
    if _servers:
        made._light, made._warm = _servers[0]
    else:
        _servers.append((made._light, made._warm))
    return made


def end_servers() -> None:
    """At the end of all tests."""
    for handle in (h for pair in _servers for h in pair):
        if handle._control and handle._process:
            handle._control.close()
            handle._process.kill()
            handle._process.wait()
    _servers.clear()


def _heard_here(handle: Handle) -> None:
    ready, handle.warmed, handle._gone = handle.ready, asyncio.Event(), asyncio.Event()
    if ready:
        handle.warmed.set()
    asyncio.get_running_loop().add_reader(handle._control, handle._hear)
