"""Is it alive, can it work, and how much waits."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from aiohttp import web

from bot.flows.world import World
from bot.store import health
from bot.store.write import Connection

log = logging.getLogger(__name__)
BEAT_S = 30.0
"""Seconds without a look at the inbox after which the worker counts as stuck."""
INBOX_S = 60.0
"""Age of the oldest unapplied row after which nobody seems to apply them."""
PATIENCE_S = 3.0


class Linked(Protocol):
    """The chat system's end."""

    @property
    def connected(self) -> bool: ...


class Health:
    """``beat``: when this process' worker last looked, on the event loop's clock; 0: there is no worker here."""

    def __init__(self, world: World, slack: Linked | None, beat: Callable[[], float]) -> None:
        self._world, self._slack, self._beat = world, slack, beat

    async def alive(self, _request: web.Request) -> web.Response:
        """The event loop answers; nothing else is asked, or a full disk would restart the process for ever."""
        return web.Response(text="ok\n")

    async def ready(self, _request: web.Request) -> web.Response:
        """503 with the reasons where something keeps this process from its work."""
        faults = await self._faults()
        body = {"ready": not faults, "faults": faults}
        return web.Response(
            status=503 if faults else 200, text=json.dumps(body) + "\n", content_type="application/json"
        )

    async def _faults(self) -> list[str]:
        faults: list[str] = []
        now = self._world.now()
        try:
            async with asyncio.timeout(PATIENCE_S):
                oldest = await self._world.store.write(lambda conn: health.writable(conn, now))
        except Exception as e:  # noqa: BLE001  whatever it is, this process can't take anything in
            log.warning("not ready: %s", e)
            return ["the database can't take writes, or does not answer: the log of this process says why"]
        if oldest is not None and (age := (now - oldest).total_seconds()) > INBOX_S:
            faults.append(f"the oldest unapplied row of the inbox is {age:.0f} s old: is a worker running?")
        beat = self._beat()
        if beat and (silent := asyncio.get_running_loop().time() - beat) > BEAT_S:
            faults.append(f"the worker has not looked at the inbox for {silent:.0f} s")
        if self._world.unworked:
            faults.append(self._world.unworked)
        if self._slack is not None and not self._slack.connected:
            faults.append("not connected to Slack")
        return faults

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text format."""
        found = await self._world.store.read(lambda conn: self._counted(conn, self._world.now()))
        return web.Response(text="\n".join(found) + "\n", content_type="text/plain", charset="utf-8")

    def _counted(self, conn: Connection, now: datetime) -> list[str]:
        counted = health.counts(conn)
        age = (now - counted.oldest_waiting).total_seconds() if counted.oldest_waiting else 0.0
        lines = _metric("rollbot_runs", "gauge", "Open runs by status.")
        lines += [f'rollbot_runs{{status="{status}"}} {n}' for status, n in sorted(counted.runs.items())]
        lines += [*_metric("rollbot_inbox_waiting", "gauge", "Unapplied rows of the inbox.")]
        lines += [f"rollbot_inbox_waiting {counted.inbox_waiting}"]
        lines += [*_metric("rollbot_inbox_oldest_seconds", "gauge", "Age of the oldest unapplied row.")]
        lines += [f"rollbot_inbox_oldest_seconds {age:.3f}"]
        lines += [*_metric("rollbot_messages_due", "gauge", "Messages that do not stand as they should.")]
        lines += [f"rollbot_messages_due {counted.messages_due}"]
        lines += [*_metric("rollbot_features_held", "gauge", "Features that are held.")]
        lines += [f"rollbot_features_held {counted.held}"]
        if self._slack is not None:
            lines += [*_metric("rollbot_slack_connected", "gauge", "1 if Slack can reach this process.")]
            lines += [f"rollbot_slack_connected {int(self._slack.connected)}"]
        return lines


def _metric(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
