"""Worker replicas as processes of their own: started, listened to, killed, frozen; and what is left of them counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.replica_program import descendants

PROGRAM = Path(__file__).parent / "replica_program.py"
MARK = "ROLLBOT_TEST_MARK"
Heard = Callable[[int, str], None]


@dataclass
class Replica:
    """One process. ``heard`` is called with each run that has come to rest, and how."""

    process: Process
    listening: asyncio.Task[None]
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    armed: asyncio.Event = field(default_factory=asyncio.Event)
    freezing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def kill(self) -> float:
        """kill -9; when that was (the machine's clock)."""
        self.process.kill()
        at = time.time()
        await self.over()
        return at

    async def end(self) -> int:
        """SIGTERM, as a deploy does; its exit code."""
        self.process.terminate()
        return await self.over()

    async def arm(self, point: str) -> None:
        """From now on it freezes there; empty: nowhere."""
        assert self.process.stdin
        self.armed.clear()
        self.freezing.clear()
        self.process.stdin.write(f"{point}\n".encode())
        await self.armed.wait()

    async def stopped(self) -> list[int]:
        """Waits until it has frozen; what is frozen below it."""
        await asyncio.to_thread(os.waitid, os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)
        return descendants(self.pid)

    async def over(self) -> int:
        await self.listening
        return await self.process.wait()


@dataclass
class Replicas:
    """``environment``: the bot's settings. All that is started here, and whatever that starts, carries a mark."""

    environment: dict[str, str]
    lease_s: float
    heard: Heard = lambda _run, _state: None
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    started: list[Replica] = field(default_factory=list)

    async def start(self, program: Path = PROGRAM, **more: str) -> Replica:
        """Begins to start one; await ``ready``."""
        env = {**os.environ, **self.environment, **more, MARK: self.mark, "PYTHONPATH": str(PROGRAM.parents[2])}
        words = [sys.executable, "-W", "ignore", str(program), str(self.lease_s)]
        process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, env=env)
        replica = Replica(process, asyncio.create_task(asyncio.sleep(0)))
        replica.listening = asyncio.create_task(self._listen(replica))
        self.started.append(replica)
        return replica

    async def _listen(self, replica: Replica) -> None:
        assert replica.process.stdout
        while line := await replica.process.stdout.readline():
            if word := {b"ready\n": replica.ready, b"armed\n": replica.armed, b"freezing\n": replica.freezing}.get(
                line
            ):
                word.set()
            elif line.endswith(b"\n"):  # else it died in the middle of a word
                said = json.loads(line)
                self.heard(said["run"], said["state"])
        replica.ready.set()  # nobody waits for the dead

    async def kill_all(self) -> None:
        for replica in self.started:
            if replica.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    await replica.kill()

    def left(self) -> list[str]:
        """Processes that carry the mark and live."""
        mark = f"{MARK}={self.mark}".encode()
        return [f"{pid} {command}" for pid, command, env in _processes() if mark in env]


def _processes() -> list[tuple[int, str, bytes]]:
    found: list[tuple[int, str, bytes]] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(folder.name), command, (folder / "environ").read_bytes()))
    return found
