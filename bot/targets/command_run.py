"""Runs one program without a shell: a JSON document in, a JSON object out, within a time and a size.

Programs stay in the caller's process group, so that they end with the child process they were started for.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bot.core.errors import TargetError
from bot.core.target import Json, canonical

LARGEST = 1 << 20
"""Bytes that a program may say on stdout, and again on stderr."""
TEMPORARY = 75
"""EX_TEMPFAIL: the same call may work later."""
TICK = 0.05
PATIENCE = 1.0
"""Seconds to wait for the end of the output of a program that has ended, but left something running that holds it."""


@dataclass(frozen=True)
class Finished:
    """How a program ended."""

    code: int
    out: bytes
    err: bytes


@dataclass
class _Ear:
    """Listens to one stream of a program in a thread of its own; too much ends the program."""

    process: subprocess.Popen[bytes]
    stream: IO[bytes]
    heard: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        with suppress(OSError, ValueError):  # closed by the other thread
            while chunk := os.read(self.stream.fileno(), 65536):
                self.heard += chunk
                if self.too_much:
                    self.process.kill()
                    return

    @property
    def too_much(self) -> bool:
        return len(self.heard) > LARGEST


def run_json(
    argv: Sequence[str], document: Json, *, timeout: float, cwd: str | None = None, env: Mapping[str, str] | None = None
) -> dict[str, Json]:
    """What ``argv`` answers to ``document``. ``timeout`` in seconds; ``env`` is added to PATH and LANG, and nothing
    else of this process's environment is passed on. No output means an empty object.

    Raises TargetError: retriable when out of time or with exit code 75; with the last line of stderr on any other
    exit code but 0; when the program is not there, says too much, or says no JSON object."""
    done = run(argv, canonical(document).encode(), timeout=timeout, cwd=cwd, env=env)
    if done.code:
        lines = done.err.decode("utf-8", "replace").strip().splitlines()
        last = " ".join(lines[-1].split())[:300] if lines else "and said nothing on stderr"
        raise TargetError(f"{argv[0]} ended with {done.code}: {last}", retriable=done.code == TEMPORARY)
    try:
        answer = json.loads(done.out or b"{}", parse_constant=_refuse)
    except ValueError as error:
        raise TargetError(f"{argv[0]} did not answer in JSON: {error}") from error
    if not isinstance(answer, dict):
        raise TargetError(f"{argv[0]} did not answer with a JSON object, but with {type(answer).__name__}")
    return answer


def run(
    argv: Sequence[str], stdin: bytes, *, timeout: float, cwd: str | None = None, env: Mapping[str, str] | None = None
) -> Finished:
    """Run a program to its end. Raises TargetError if it can't be started, takes too long or says too much."""
    pipe = subprocess.PIPE
    clean = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **(env or {})}
    try:
        # argv comes from the team's own files, and no shell reads it. Unbuffered: closing a buffered stream waits
        # for the thread that is writing to it.
        process = subprocess.Popen(  # noqa: S603
            list(argv), bufsize=0, cwd=cwd, env=clean, stdin=pipe, stdout=pipe, stderr=pipe
        )
    except (OSError, ValueError) as error:
        looked = f" in {Path(cwd or '').absolute()}" if cwd or argv[0].startswith(".") else ""
        raise TargetError(f"{argv[0]} can't be started{looked}: {getattr(error, 'strerror', None) or error}") from error
    with process:
        try:
            return _talk(process, argv[0], stdin, timeout)
        finally:
            process.kill()


def _talk(process: subprocess.Popen[bytes], name: str, stdin: bytes, timeout: float) -> Finished:
    if not (process.stdin and process.stdout and process.stderr):
        raise TypeError("a program is talked to through pipes")
    out, err = _Ear(process, process.stdout), _Ear(process, process.stderr)
    threading.Thread(target=_say, args=(process.stdin, stdin), daemon=True).start()
    try:
        _wait(process, out, timeout)
    except subprocess.TimeoutExpired:
        raise TargetError(f"{name} was not done after {timeout:.1f} s", retriable=True) from None
    for ear in (out, err):
        ear.thread.join(PATIENCE)
    if out.too_much or err.too_much:
        raise TargetError(f"{name} said more than {LARGEST:,} bytes")
    return Finished(process.returncode, bytes(out.heard), bytes(err.heard))


def _wait(process: subprocess.Popen[bytes], ear: _Ear, timeout: float) -> None:
    """Until the program has ended. The end of its output says so at once; a program that leaves something running
    which holds its output is looked at now and then. Raises TimeoutExpired."""
    deadline = time.monotonic() + timeout
    while ear.thread.is_alive() and process.poll() is None and time.monotonic() < deadline:
        ear.thread.join(TICK)
    process.wait(max(deadline - time.monotonic(), 0))


def _say(stream: IO[bytes], content: bytes) -> None:
    with suppress(OSError, ValueError):  # it does not listen, or has ended
        rest = memoryview(content)
        while rest:
            rest = rest[stream.write(rest) :]
        stream.close()


def _refuse(word: str) -> Json:
    raise ValueError(f"{word} is no JSON")
