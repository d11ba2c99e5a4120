"""The process that the children are forked from: ``python -m bot.outside.forkserver FD``.

It has the heavy libraries imported already, starts no thread, and does nothing but fork, watch and bury. It ends
with the bot, and takes every child, and what a child started, along.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from bot.core.target import Json
from bot.outside import work
from bot.outside.wire import encode

TICK: Final = 0.05
"""Seconds between two looks at the children's memory."""
_LOG_LIMIT: Final = 10 * 1024 * 1024
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG: Final = 1
_ME: Final = "bot.outside.forkserver"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` is gone. Where there is no prctl the sockets' EOF does it."""
    _at_death_of_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _at_death_of_parent(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


@dataclass
class Child:
    """One living child, as the fork server sees it. ``why`` it was killed, if it was."""

    id: int
    pid: int
    ends: float
    why: str = ""
    peak: int = 0

    def kill(self, why: str) -> None:
        """Kill it and all that it started."""
        self.why = self.why or why
        for kill in (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                kill(self.pid, signal.SIGKILL)

    def rss(self) -> int:
        """Resident bytes; 0 where there is no /proc."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0


class ForkServer:
    """The loop: fork when told, watch memory and deadlines, say how each child ended."""

    def __init__(self, control: socket.socket, settings: Json) -> None:
        self.control = control
        self.memory = int(settings["memory"])
        self.log = Path(settings["log"]) if settings["log"] else None
        self.children: dict[int, Child] = {}
        self.fds: list[int] = []
        self.rest = b""
        self.wake, self.waker = socket.socketpair()
        for end in (self.wake, self.waker):
            end.setblocking(False)

    def run(self) -> None:
        """Until the bot is gone."""
        signal.set_wakeup_fd(self.waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        while True:
            ready = dict(poll.poll(TICK * 1000 if self.children else None))
            if self.wake.fileno() in ready:
                self.wake.recv(4096)
            self.bury()
            if self.control.fileno() in ready and not self.receive():
                return
            self.watch()

    def receive(self) -> bool:
        """Act on the bot's lines; False at its end."""
        data, fds, _, _ = socket.recv_fds(self.control, 65536, 16)
        self.fds += fds
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "fork" in message:
                self.fork(message["fork"], float(message["seconds"]))
            elif message["kill"] in self.children:
                self.children[message["kill"]].kill("stopped")
        return bool(data)

    def fork(self, number: int, seconds: float) -> None:
        """A child of its own process group that does the work that comes through its socket."""
        fd = self.fds.pop(0)
        self.rotate()
        ends = time.monotonic() + seconds
        try:
            pid = os.fork()
        except OSError as e:  # no process or no memory left: the bot hears it as a child that could not start
            os.close(fd)
            self.say({"ended": number, "code": 0, "why": f"could not start: {e.strerror}", "peak": 0})
            return
        if pid == 0:
            self.become_child(fd, ends)
        os.close(fd)
        with suppress(OSError):  # it did so itself, or is gone
            os.setpgid(pid, pid)
        self.children[number] = Child(number, pid, ends)
        self.say({"forked": number, "pid": pid})

    def become_child(self, fd: int, ends: float) -> NoReturn:
        """In the child: let go of all that is the fork server's."""
        try:
            server = os.getppid()
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            die_with_parent(server)
            for end in (self.control, self.wake, self.waker):
                end.close()
            work.serve(socket.socket(fileno=fd), ends)
        finally:
            os._exit(70)

    def bury(self) -> None:
        """Say how the dead ended, once what they started is dead as well."""
        for child in list(self.children.values()):
            if sys.platform == "linux":
                # WNOWAIT: the pid stays taken until the group is killed, so that no stranger can have it.
                if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    continue
                child.kill("")
            pid, status, _ = os.wait4(child.pid, os.WNOHANG)
            if pid:
                del self.children[child.id]
                code = os.waitstatus_to_exitcode(status)
                self.say({"ended": child.id, "code": code, "why": child.why, "peak": child.peak})

    def watch(self) -> None:
        """Kill what is over its memory or its time. Resident memory, because a limit on addresses (RLIMIT_AS) also
        counts what threads and allocators only reserve: measured 2.7 GB for a Feast call that uses 0.43 GB."""
        now = time.monotonic()
        for child in self.children.values():
            child.peak = max(child.peak, child.rss())
            if child.peak > self.memory:
                child.kill("memory")
            elif now > child.ends:
                child.kill("deadline")

    def rotate(self) -> None:
        """What libraries print goes to the log, of which one old copy is kept."""
        if self.log is None or os.fstat(1).st_size < _LOG_LIMIT:
            return
        self.log.replace(self.log.with_name(self.log.name + ".1"))
        print_to(self.log)

    def say(self, message: Json) -> None:
        with suppress(OSError):  # the bot is gone; the next receive() ends the loop
            self.control.sendall(encode(message))


def print_to(log: Path | None) -> None:
    """Standard output and error go to ``log``, or nowhere."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    fd = os.open(log or os.devnull, flags, 0o600)
    for standard in (1, 2):
        os.dup2(fd, standard)
    os.close(fd)


def threads() -> int:
    """How many threads this process has, those of C libraries included; 1 where nobody can say."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 1


def preload(modules: list[str], settings: Json, fd: int) -> None:
    """Import what is installed. A module that starts a thread makes forking unsafe: begin anew without it."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        except Exception as e:  # noqa: BLE001  a broken library must not take the others with it
            print(f"preload of {name} failed: {type(e).__name__}: {e}", file=sys.stderr)  # noqa: T201
        if threads() > 1:
            print(f"{name} starts a thread when it is imported; it is not preloaded", file=sys.stderr)  # noqa: T201
            again = settings | {"preload": [m for m in modules if m != name]}
            os.set_inheritable(fd, True)
            os.execv(sys.executable, [sys.executable, "-P", "-m", _ME, str(fd), json.dumps(again)])  # noqa: S606  ourselves
    gc.collect()
    gc.freeze()  # a child's garbage collection must not touch, and so copy, what it shares with its siblings


def first_line(control: socket.socket) -> Json:
    """The settings, which the bot sends before anything else; byte by byte, to leave the rest where it is."""
    line = b""
    while not line.endswith(b"\n"):
        byte = control.recv(1)
        if not byte:
            raise SystemExit(0)
        line += byte
    return json.loads(line)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    settings = json.loads(sys.argv[2]) if len(sys.argv) > 2 else first_line(control)
    die_with_parent(int(settings["parent"]))
    print_to(Path(settings["log"]) if settings["log"] else None)
    faulthandler.enable()
    preload(settings["preload"], settings, control.fileno())
    server = ForkServer(control, settings)
    # From here on the end of the socket tells: killed with the bot, nobody would kill what the children started.
    _at_death_of_parent(0)
    server.say({"ready": True})
    server.run()
    for child in server.children.values():
        child.kill("the bot ended")


if __name__ == "__main__":
    main()
