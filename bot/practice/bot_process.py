"""The bot as its users run it: ``rollbot serve`` in a process of its own, which a practice may kill and start again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import bot
from bot.core.errors import RollbotError

START_S = 120.0
"""Seconds until it has to be ready; a busy machine needs more than the promised three."""
STOP_S = 20.0
COMMAND_S = 300.0
_READY = re.compile(rb"rollbot is ready on (\S+)")


class BotEnded(RollbotError):
    """The bot's process has ended; carries its last words."""


@dataclass(frozen=True)
class Finished:
    """What a command of the terminal said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """Its last line, which is where a fault is said."""
        lines = [line for line in (self.err or self.out).splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit code {self.code}"


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what a person has set for a real bot: a practice must never reach a real workspace."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROLLBOT_", "SLACK_")) and k != "PORT"}
    path = [str(Path(bot.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(path), **own}


@dataclass
class BotProcess:
    """``folder``: where it runs and its log ``rollbot.log`` lies. ``env``: its settings. ``url`` after start."""

    folder: Path
    env: Mapping[str, str]
    url: str = ""
    _process: asyncio.subprocess.Process | None = None
    _rest: asyncio.Task[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Until it says that it is ready. Raises BotEnded with its last line."""
        with (self.folder / "rollbot.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_words("serve"),
                cwd=self.folder,
                env=environment(self.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is for us, who then end it
            )
        self.url = await self._ready(self._process)

    async def _ready(self, process: asyncio.subprocess.Process) -> str:
        if process.stdout is None:
            raise BotEnded("the bot's output is not ours to read")
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while line := await process.stdout.readline():
                    if found := _READY.search(line):
                        self._rest = asyncio.create_task(process.stdout.read())
                        return found[1].decode()
                await process.wait()
        raise BotEnded(f"rollbot serve did not become ready: {self.last_words()}")

    def last_words(self) -> str:
        """The last line of its log."""
        with suppress(OSError):
            lines = (self.folder / "rollbot.log").read_text(errors="replace").splitlines()
            return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return "it left no log"

    async def ended(self) -> None:
        """Returns when the process has ended, however that came."""
        if self._process is not None:
            await self._process.wait()

    def kill(self) -> None:
        """As a machine does that loses power. ``start`` again goes on from the database."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> int:
        """Asked to end; killed if it does not. Its exit code: 0 if it ended by itself. Safe to call twice."""
        if self._process is None:
            return 0
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        if self._rest is not None:
            await asyncio.wait([self._rest])
        return self._process.returncode or 0

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def command(self, *words: str) -> Finished:
        """Another ``rollbot`` command on the same database, as somebody at a terminal runs it."""
        process = await asyncio.create_subprocess_exec(
            *_words(*words),
            cwd=self.folder,
            env=environment(self.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(COMMAND_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return Finished(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


def _words(*words: str) -> list[str]:
    leash = [sys.executable, "-P", "-m", "bot.practice.leash", str(os.getpid())]
    return [*leash, "-P", "-m", "bot", *words]
