"""Calls into outside systems, one child process each: a call that hangs, dies or eats memory hurts no other.

Two fork servers: a light one that can fork at once, and a warm one that has the heavy libraries imported and takes
over as soon as it is ready.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from bot.core.errors import LostOwnership, TargetError
from bot.core.ports import Check, Progress
from bot.core.target import Connection, Json
from bot.outside.forkhandle import Ending, Fork, Handle
from bot.outside.wire import LONGEST, encode, error_from_json, error_to_json

MEMORY: Final = 4 * 1024**3
PRELOAD: Final = [
    *("pandas", "pyarrow.dataset", "pyarrow.parquet", "deltalake", "deltalake.fs"),
    # What feast and mlflow import at the first real call (measured: 0.24 s and 0.6 s of it per child).
    *("feast", "feast.infra.passthrough_provider", "feast.infra.registry.sql", "feast.infra.online_stores.sqlite"),
    *("feast.infra.online_stores.redis", "feast.infra.offline_stores.dask", "dask.dataframe"),
    *("feast.infra.compute_engines.local.compute", "feast.repo_operations", "sqlalchemy.dialects.sqlite.pysqlite"),
    *("mlflow", "mlflow.tracking", "mlflow.store.tracking.rest_store", "mlflow.store.tracking.sqlalchemy_store"),
    *("mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.db.utils"),
    # 0.2 s of each look at a flag; it brings grpc, of which only what is used starts a thread.
    "openfeature.contrib.provider.flagd",
    *("bot.targets.feast", "bot.targets.delta", "bot.targets.mlflow", "bot.targets.flagd", "bot.targets.command"),
]
"""What takes long to import; what is not installed is passed over."""
_HEAVY: Final = frozenset({"feast", "delta", "mlflow"})
_WARMING: Final = 30.0
"""Seconds, and at most half of its time, that a call of a heavy type waits for the warm server. Eight calls that each
import Feast themselves take 36 s of CPU (measured), the warm server's one import 5 s. The light ones, which stop the
harm, never wait."""
_REST: Final = 10.0
"""Seconds that a dead warm server is left alone before it is started again."""


@dataclass(frozen=True)
class Request:
    """One method of one target. ``target`` is ``module:Class``; ``args`` are the method's arguments behind ``call``.
    Connections hold secrets, so they are not in its repr."""

    type: str
    target: str
    params: Json
    method: str
    connection: Connection = field(repr=False)
    now: datetime
    args: list[Json] = field(default_factory=list)
    connections: dict[str, Connection] = field(default_factory=dict, repr=False)
    key: str = ""
    fence: int = 0
    context: Json = field(default_factory=dict)

    def line(self, blobs_url: str) -> bytes:
        """As it goes to the child."""
        plain = vars(self) | {
            "connection": self.connection.model_dump(mode="json"),
            "connections": {name: c.model_dump(mode="json") for name, c in self.connections.items()},
            "now": self.now.isoformat(),
            "blobs": blobs_url,
        }
        return encode(plain)


class Children:
    """At most ``slots`` calls at a time, and ``per_connection`` of them into one outside system, so that a dead
    system can't take every slot. ``memory_bytes`` of resident memory each. ``log`` takes what libraries print.
    ``pass_env`` names environment variables that children may see besides the usual ones."""

    def __init__(
        self,
        blobs_url: str,
        memory_bytes: int = MEMORY,
        preload: list[str] | None = None,
        log: Path | None = None,
        *,
        slots: int = 8,
        per_connection: int = 4,
        pass_env: tuple[str, ...] = (),
    ) -> None:
        self._blobs_url = blobs_url
        self._light = Handle([], memory_bytes, log, pass_env)
        self._warm = Handle(PRELOAD if preload is None else preload, memory_bytes, log, pass_env)
        self._log = log
        self._slots = asyncio.Semaphore(slots)
        self._per_connection = per_connection
        self._queues: dict[str, asyncio.Semaphore] = {}
        self._stopped = True

    async def start(self) -> None:
        """Begin both fork servers; returns at once. Raises OSError if the log can't be written."""
        self._stopped = False
        if self._log is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._log.touch(0o600)
        self._light.start()
        if self._warm.preload:
            self._warm.start()

    async def stop(self) -> None:
        """Kill every call and both fork servers; nothing is left when this returns."""
        self._stopped = True
        await asyncio.gather(self._light.stop(), self._warm.stop())

    def ready(self) -> bool:
        """The heavy libraries are imported: calls are as fast as they get."""
        return self._best.ready

    async def warmed(self) -> None:
        """Returns when ``ready()`` is true."""
        await self._best.warmed.wait()

    @property
    def _best(self) -> Handle:
        return self._warm if self._warm.preload else self._light

    async def run(
        self,
        request: Request,
        *,
        timeout: float,  # noqa: ASYNC109  it covers the child's life too, which asyncio.timeout can't end
        on_progress: Progress | None = None,
        check: Check | None = None,
        urgent: bool = False,
    ) -> Json:
        """The method's result as JSON.

        Raises what the target raised if it is one of our errors; TargetError if the child did not answer within
        ``timeout`` seconds (waiting for a free slot included, unless it is ``urgent``),
        died, or used too much memory; LostOwnership once
        ``check`` said no. The child is dead when this raises, also on cancellation.
        """
        call = _Conversation(request, on_progress, check)
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout
        try:
            async with asyncio.timeout_at(ends) as limit:
                line = request.line(self._blobs_url)
                await self._warmth(request.type, min(_WARMING, timeout / 2))
                async with self._slot(request.connection.name, urgent), self._fork(lambda: ends - loop.time()) as fork:
                    call.began = True
                    return await call.hold(fork, line, timeout)
        except TimeoutError as e:
            if not limit.expired():
                raise
            raise TargetError(call.too_late(timeout), retriable=True) from e

    @asynccontextmanager
    async def _slot(self, connection: str, urgent: bool) -> AsyncIterator[None]:
        if urgent:
            yield
            return
        queue = self._queues.setdefault(connection, asyncio.Semaphore(self._per_connection))
        async with queue, self._slots:
            yield

    @asynccontextmanager
    async def _fork(self, seconds: Callable[[], float]) -> AsyncIterator[Fork]:
        """A child that is dead behind the block unless the block ended well."""
        handle = self._pick()
        try:
            fork = handle.fork(seconds())
        except OSError as e:
            raise TargetError(f"no process could be started for the call: {e}", retriable=True) from e
        try:
            yield fork
        except BaseException:
            await handle.kill(fork)
            raise
        finally:
            fork.sock.close()

    async def _warmth(self, type_: str, seconds: float) -> None:
        """Before a slot is taken, so that nobody else waits. A warm server that dies is not waited for."""
        ends = asyncio.get_running_loop().time() + seconds
        while type_ in _HEAVY and self._warm.alive and not self._warm.ready:
            left = ends - asyncio.get_running_loop().time()
            if left <= 0:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._warm.warmed.wait(), min(0.5, left))

    def _pick(self) -> Handle:
        """The warm server if it is ready; a dead one is started again."""
        if self._stopped:
            raise TargetError("calls into outside systems have been stopped", retriable=True)
        if self._warm.preload and not self._warm.alive and self._warm.age() > _REST:
            self._warm.start()
        if self._warm.ready:
            return self._warm
        if not self._light.alive:
            self._light.start()
        return self._light


@dataclass
class _Conversation:
    """One request, and what the child says until it has answered."""

    request: Request
    on_progress: Progress | None
    check: Check | None
    began: bool = False
    lost: LostOwnership | None = None

    @property
    def what(self) -> str:
        return f"the {self.request.type} call ({self.request.method})"

    def too_late(self, seconds: float) -> str:
        if self.began:
            return f"{self.what} did not answer within {seconds:g} s and was stopped"
        return f"{self.what} found no free slot within {seconds:g} s: other calls are still waiting for their answers"

    async def hold(self, fork: Fork, line: bytes, timeout: float) -> Json:  # noqa: ASYNC109  only for the words
        """Send the request, answer the child's questions, return its result or raise its error."""
        reader, writer = await asyncio.open_unix_connection(sock=fork.sock, limit=LONGEST)
        try:
            writer.write(line)
            while (message := await self._next(reader)) is not None:
                answer = await self._react(message)
                if answer is not None:
                    writer.write(encode(answer))
                elif "result" in message:
                    return message["result"]
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        raise self._death(await fork.ended, timeout)

    async def _next(self, reader: asyncio.StreamReader) -> Json | None:
        """The child's next line; None once it is gone."""
        try:
            line = await reader.readline()
        except ValueError as e:
            raise TargetError(f"{self.what} answered more than {LONGEST // 1024**2} MiB at once") from e
        except ConnectionError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    async def _react(self, message: Json) -> Json | None:
        """The answer to a question; None for what needs none."""
        if "check" in message:
            return await self._still_ours()
        if self.lost is not None:
            raise self.lost
        if "error" in message:
            raise error_from_json(message["error"])
        if "progress" in message and self.on_progress is not None:
            done, total, note = message["progress"]
            self.on_progress(done, total, note)
        return None

    async def _still_ours(self) -> Json:
        try:
            if self.check is not None:
                await self.check()
        except LostOwnership as e:
            self.lost = e
            return {"error": error_to_json(e, self.what)}
        return {"error": None}

    def _death(self, ending: Ending, timeout: float) -> TargetError | LostOwnership:
        if self.lost is not None:
            return self.lost
        if ending.why == "memory":
            return TargetError(f"{self.what} used more than {ending.peak / 1024**3:.1f} GiB of memory and was stopped")
        if ending.why == "deadline" or ending.code == -signal.SIGALRM:
            return TargetError(self.too_late(timeout), retriable=True)
        return TargetError(f"{self.what} {_last_words(ending)}", retriable=True)


def _last_words(ending: Ending) -> str:
    if ending.why == "server":
        return "was lost: the process that it was forked from has ended"
    if ending.why.startswith("could not start"):
        return ending.why
    if ending.code < 0:
        return f"was ended by {signal.Signals(-ending.code).name} before it answered"
    return f"ended without an answer (exit code {ending.code})"
