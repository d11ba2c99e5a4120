"""Restores in child processes that are really killed, forked from a process that has the libraries loaded."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from bot.core.target import Call, Capture, Receipt, Target

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    """What became of a restore in a child process: killed, or done with a receipt, or an error's text."""

    killed: bool
    receipt: Receipt | None = None
    error: str = ""
    asked: int = 0


@dataclass
class KillAt:
    """A ``Call.check`` that kills its own process, for real, at the nth question (0: never)."""

    nth: int
    asked: int = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Nursery:
    """A process that has libraries preloaded and has never used them, and forks a child per restore.

    Forking the test process itself would not do: Rust and C++ runtimes with threads (deltalake's refuses
    outright) do not survive a fork after their first use.
    """

    modules: tuple[str, ...]
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        code = f"from tests.targets.nursery import nursery; nursery({list(self.modules)!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def restore(self, target: Target, call: Call, c: Capture, before: Capture, nth: int) -> Outcome:
        """Restore in a fresh child; killed when ``Call.check`` is asked for the nth time."""
        assert self.process.stdin and self.process.stdout
        pickle.dump((target, call, c, before, nth), self.process.stdin)
        self.process.stdin.flush()
        outcome = pickle.load(self.process.stdout)
        assert isinstance(outcome, Outcome)
        return outcome

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def nursery(modules: list[str]) -> None:
    """The nursery's own main: one request after the other from stdin, until it is closed."""
    import importlib

    for name in modules:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_in_child(request), answers)
        answers.flush()


def _in_child(request: tuple[Any, ...]) -> Outcome:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            os.close(reading)
            with os.fdopen(writing, "wb") as answer:
                pickle.dump(_restore(*request), answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        content = answer.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Outcome(killed=True)
    outcome = pickle.loads(content) if content else Outcome(killed=False, error=f"child ended with status {status}")
    assert isinstance(outcome, Outcome)
    return outcome


def _restore(target: Target, call: Call, c: Capture, before: Capture, nth: int) -> Outcome:
    kill = KillAt(nth)
    try:
        receipt = target.restore(replace(call, check=kill), c, before)
    except Exception as error:  # noqa: BLE001 - the test judges it
        return Outcome(killed=False, error=f"{type(error).__name__}: {error}", asked=kill.asked)
    return Outcome(killed=False, receipt=receipt, asked=kill.asked)


@cache
def nursery_with(modules: tuple[str, ...]) -> Nursery:
    """One nursery per set of modules and test process; ``close_nurseries`` (conftest) ends them."""
    made = Nursery(modules)
    NURSERIES.append(made)
    return made


NURSERIES: list[Nursery] = []
