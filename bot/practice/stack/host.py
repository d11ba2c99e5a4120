"""One process that has Feast, Delta and MLflow imported, and forks the practice stack's processes from itself.

Importing them takes seconds of CPU per process; a fork takes milliseconds. Every stack made in one process shares
one host. It ends when the process that started it does, and takes all its children along.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NoReturn

import bot
from bot.outside.forkhandle import QUIET
from bot.outside.forkserver import die_with_parent

PROGRAMS: Final = {name: f"bot.practice.stack.{name}" for name in ("work", "pipeline", "serving")}
_START: Final = 120.0
"""Seconds that the imports may take on a busy machine."""
_PATIENCE: Final = 5.0
"""Seconds that a child may take to end by itself."""
_GONE: Final = "the practice stack's host process has ended"


class Ended(RuntimeError):
    """The process has ended; says where its last words are."""


class Child:
    """One forked process that prints JSON lines, as seen from the process that asked for it."""

    def __init__(self, pid: int, program: str, log: Path, stdin: int, stdout: int) -> None:
        self.pid, self.program, self.log = pid, program, log
        self._stdin = os.fdopen(stdin, "w", encoding="utf-8")
        self._stdout = os.fdopen(stdout, encoding="utf-8")
        # A pipe that nobody empties would stop the process when it is full; old lines are dropped instead.
        self._lines: deque[dict[str, Any]] = deque(maxlen=1000)
        self._change = threading.Condition()
        self._open = True
        threading.Thread(target=self._drain, name=f"{program}-{pid}", daemon=True).start()

    def _drain(self) -> None:
        with self._stdout:
            for line in self._stdout:
                with self._change:
                    self._lines.append(json.loads(line))
                    self._change.notify_all()
        with self._change:
            self._open = False
            self._change.notify_all()

    @property
    def alive(self) -> bool:
        return self._open

    def send(self, value: dict[str, Any]) -> None:
        """One line to the process. Raises Ended."""
        try:
            self._stdin.write(json.dumps(value) + "\n")
            self._stdin.flush()
        except OSError:
            raise Ended(f"the {self.program} process has ended: see {self.log}") from None

    def next(self, timeout: float = 60.0) -> dict[str, Any]:
        """The oldest line not yet taken. Raises Ended, or TimeoutError after ``timeout`` seconds."""
        with self._change:
            self._change.wait_for(lambda: self._lines or not self._open, timeout)
            if self._lines:
                return self._lines.popleft()
            if self._open:
                raise TimeoutError(f"the {self.program} process said nothing for {timeout:.0f} s")
        raise Ended(f"the {self.program} process has ended: see {self.log}")

    def forget(self) -> None:
        """Drop the lines that nobody has taken."""
        with self._change:
            self._lines.clear()

    def wait(self, timeout: float = 10.0) -> bool:
        """Until it has ended; False if it has not after ``timeout`` seconds."""
        with self._change:
            return self._change.wait_for(lambda: not self._open, timeout)

    def close(self) -> None:
        """Let go of its input (what reads requests ends then)."""
        with suppress(OSError):
            self._stdin.close()


class Host:
    """The handle on a host process. ``tmp``: a folder for what its libraries leave lying about, else the system's."""

    def __init__(self, tmp: Path | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(bot.__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
                [sys.executable, "-P", "-m", "bot.practice.stack.host", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    **QUIET,
                    "PYTHONPATH": os.pathsep.join(paths),
                    **({"TMPDIR": str(tmp)} if tmp else {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C in the terminal is for the caller, which then closes us
            )
        self._control = ours
        self._control.settimeout(_START)
        self._lock = threading.Lock()

    @cached_property
    def scratch(self) -> Path:
        """A folder for what the host's stacks share; gone with the host. Waits for the imports. Raises Ended."""
        with self._lock:
            return Path(self._hear()["scratch"])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def spawn(self, program: str, words: list[str], log: Path) -> Child:
        """Fork one of PROGRAMS with arguments; its errors go to ``log``. Raises Ended."""
        log.parent.mkdir(parents=True, exist_ok=True)
        stdin, to_child = os.pipe()
        from_child, stdout = os.pipe()
        stderr = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            answer = self._ask({"spawn": PROGRAMS[program], "words": words}, [stdin, stdout, stderr])
        finally:
            for fd in (stdin, stdout, stderr):
                os.close(fd)
        return Child(answer["pid"], program, log, to_child, from_child)

    def kill(self, child: Child, number: int = signal.SIGTERM) -> None:
        """Signal a child and bury it. Returns when it is gone."""
        if child.alive:
            self._ask({"kill": child.pid, "signal": int(number)}, [])
            child.wait()
        child.close()

    def _ask(self, message: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        _ = self.scratch  # its first message, which must be read first
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(message).encode()], fds)
            except OSError:
                raise Ended(_GONE) from None
            return self._hear()

    def _hear(self) -> dict[str, Any]:
        try:
            answer = self._control.recv(65536)
        except OSError:
            answer = b""
        if not answer:
            raise Ended(_GONE)
        got: dict[str, Any] = json.loads(answer)
        return got

    def close(self) -> None:
        """End the host and all its children. Whoever waits for them gets Ended."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # close alone does not wake a thread that reads
        self._control.close()
        if "scratch" not in vars(self):
            self._process.kill()  # still importing: it hears nothing, and has nothing to clean up
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10.0)
        self._process.kill()
        self._process.wait()


@cache
def shared_host() -> Host:
    """The host of this process; started at the first call, closed at exit."""
    host = Host()
    atexit.register(host.close)
    return host


def _become(control: socket.socket, program: str, words: list[str], fds: list[int], host: int) -> NoReturn:
    """In the child: own standard streams, then the program."""
    code = 1
    try:
        die_with_parent(host)
        control.close()
        for standard, fd in enumerate(fds):
            os.dup2(fd, standard)
            os.close(fd)
        code = importlib.import_module(program).main(words)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 (a fork must never run on into the host's own loop)
        traceback.print_exc()
    finally:
        os._exit(code)


def _bury(pid: int, number: int) -> dict[str, Any]:
    """Signal a child and wait for its end; after some patience it is killed."""
    deadline = time.monotonic() + _PATIENCE
    with suppress(ProcessLookupError, ChildProcessError):  # buried before
        os.kill(pid, number)
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
    return {"buried": pid}


def _answer(control: socket.socket, message: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    if "kill" in message:
        return _bury(message["kill"], message["signal"])
    host = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(control, message["spawn"], message["words"], fds, host)
    return {"pid": pid}


def main(words: list[str]) -> int:
    """Import, then fork and bury on request until the other end is closed."""
    control = socket.socket(fileno=int(words[0]))
    control.set_inheritable(False)
    for program in PROGRAMS.values():
        importlib.import_module(program)
    with TemporaryDirectory(prefix="rollbot-practice-") as scratch, suppress(BrokenPipeError, ConnectionResetError):
        control.send(json.dumps({"scratch": scratch}).encode())
        while True:
            data, fds, _, _ = socket.recv_fds(control, 65536, 3)
            if not data:
                break
            control.send(json.dumps(_answer(control, json.loads(data), fds)).encode())
            for fd in fds:
                os.close(fd)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
