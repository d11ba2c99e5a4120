"""The bot's end of one fork server: start it, ask it for children, hear how they ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bot.core.target import Json
from bot.outside.wire import encode

_PATIENCE: Final = 2.0
"""Seconds that something killed may take to be gone."""

PASSED: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG"),
    }
)
"""The environment variables that a child sees: never the bot's own tokens or database."""
PASSED_PREFIXES: Final = ("LC_", "XDG_", "AWS_", "GOOGLE_", "AZURE_", "MLFLOW_", "FEAST_")

QUIET: Final = {
    # A process with a second thread must not fork; these libraries start none when told so (measured: 1 thread after
    # importing pyarrow, pandas, deltalake, grpc, mlflow and feast; 3 without these).
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "_RJEM_MALLOC_CONF": "background_thread:false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "FEAST_USAGE": "False",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Ending:
    """How a child ended: exit code (or minus the signal), why it was killed, and its peak memory in bytes."""

    code: int
    why: str
    peak: int = 0


@dataclass(eq=False)
class Fork:
    """One child, from the moment it is asked for. ``ended`` is set once it and all it started are gone."""

    id: int
    sock: socket.socket
    ended: asyncio.Future[Ending]
    pid: int | None = None


def environment(extra: Iterable[str]) -> dict[str, str]:
    """What a child may see of the bot's environment, and where it finds its code."""
    wanted = PASSED | frozenset(extra)
    kept = {k: v for k, v in os.environ.items() if k in wanted or k.startswith(PASSED_PREFIXES)}
    path = [str(Path(p).absolute()) for p in sys.path]
    return kept | QUIET | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}


@dataclass(eq=False)
class Handle:
    """One fork server, started when first needed and again after it died. Belongs to one event loop."""

    preload: list[str]
    memory_bytes: int
    log: Path | None
    pass_env: tuple[str, ...] = ()
    warmed: asyncio.Event = field(default_factory=asyncio.Event)
    _process: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = None
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _forks: dict[int, Fork] = field(default_factory=dict)
    _rest: bytes = b""
    _count: int = 0
    _started_at: float = float("-inf")

    @property
    def alive(self) -> bool:
        return self._control is not None

    @property
    def ready(self) -> bool:
        """It has imported what it should, and forks."""
        return self.warmed.is_set()

    @property
    def pid(self) -> int | None:
        """Of the fork server itself."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begin a process; returns while it is still importing."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-P", "-m", "bot.outside.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment(self.pass_env),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C in the terminal is for the bot, which ends its children in order
            )
        self._control, self._rest, self._gone = ours, b"", asyncio.Event()
        self._started_at = loop.time()
        settings = {"preload": self.preload, "memory": self.memory_bytes, "parent": os.getpid()}
        ours.send(encode(settings | {"log": str(self.log) if self.log else None}))
        loop.add_reader(ours, self._hear)

    def age(self) -> float:
        """Seconds since it was last started."""
        return asyncio.get_running_loop().time() - self._started_at

    def fork(self, seconds: float) -> Fork:
        """A child that lives at most ``seconds``. Raises OSError if the server can't be told."""
        if self._control is None:
            raise ConnectionError("the fork server is not running")
        ours, theirs = socket.socketpair()
        self._count += 1
        ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        fork = Fork(self._count, ours, ended)
        with theirs:
            try:
                message = encode({"fork": fork.id, "seconds": seconds})
                socket.send_fds(self._control, [message], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        self._forks[fork.id] = fork
        return fork

    async def kill(self, fork: Fork) -> None:
        """Kill the child and what it started; returns when they are gone (or can't be killed for 2 s)."""
        if fork.ended.done():
            return
        with suppress(OSError):
            if self._control is not None:
                self._control.send(encode({"kill": fork.id}))
        done, _ = await asyncio.wait([fork.ended], timeout=_PATIENCE / 2)
        if not done and fork.pid is not None:  # the fork server itself is stuck
            _kill_group(fork.pid)
            await asyncio.wait([fork.ended], timeout=_PATIENCE / 2)

    async def stop(self) -> None:
        """End the server and all its children."""
        if self._control is None or self._process is None:
            return
        if not self.ready:
            self._process.kill()  # it is importing and hears nothing; what it forked goes with it
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        try:
            await asyncio.wait_for(self._gone.wait(), _PATIENCE)
        except TimeoutError:
            self._process.kill()  # its children have asked the kernel to go with it
            await self._gone.wait()

    def _hear(self) -> None:
        if self._control is None:
            return
        try:
            data = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._learn(json.loads(line))
        if not data:
            self._lose()

    def _learn(self, message: Json) -> None:
        if "ready" in message:
            self.warmed.set()
        elif "forked" in message:
            self._forks[message["forked"]].pid = message["pid"]
        elif fork := self._forks.pop(message["ended"], None):
            _settle(fork, Ending(message["code"], message["why"], message["peak"]))

    def _lose(self) -> None:
        """The server is gone: so are its children, except what they started. Bury them all."""
        control, self._control = self._control, None
        self.warmed.clear()
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()
        code = self._process.wait() if self._process else 0
        for fork in self._forks.values():
            if fork.pid is not None:
                _kill_group(fork.pid)
            _settle(fork, Ending(code, "server"))
        self._forks.clear()
        self._gone.set()


def _settle(fork: Fork, ending: Ending) -> None:
    if not fork.ended.done():
        fork.ended.set_result(ending)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
