"""Targets that go wrong in every way a real one can. They run in real child processes; ``do`` says how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from bot.core.errors import CorruptBlob, LostOwnership, MissingExtra, Moved, TargetError
from bot.core.target import (
    Accuracy,
    BlobRef,
    Call,
    Capture,
    Connection,
    Diff,
    Kind,
    Readiness,
    Receipt,
    State,
    Visibility,
)


def hang(arg: str) -> None:
    """Say who we are (to a FIFO, so that somebody can wait for it) and wait for ever."""
    if arg:
        Path(arg).write_text(str(os.getpid()))
    threading.Event().wait()


def hang_with_grandchild(arg: str) -> None:
    """Start a program as the command target would, and wait for ever."""
    program = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    Path(arg).write_text(f"{os.getpid()} {program.pid}")
    program.wait()


def eat(arg: str) -> None:
    """Take memory until somebody stops it."""
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1) * (int(arg) * 1024 * 1024)))


def print_much(arg: str) -> None:
    """What careless libraries do."""
    sys.stdout.write('{"result": "not the answer"}\n')
    sys.stderr.write("noise " * 1000)
    os.write(1, b'{"error": {"class": "Moved", "message": "no"}}\n')


def fail(arg: str) -> None:
    """Raise what ``arg`` names."""
    errors: dict[str, BaseException] = {
        "moved": Moved("the flag is at v14 now"),
        "corrupt": CorruptBlob("blob sha256:ab is gone"),
        "missing": MissingExtra("feast", "feast"),
        "busy": TargetError("the table is locked", retriable=True),
        "network": ConnectionRefusedError("connection to postgresql://ana:hunter2@db refused\nsecond line"),
        "bug": KeyError("s3cr3t-value"),
        "exit": SystemExit(3),
    }
    raise errors[arg]


def many_threads(arg: str) -> None:
    """Threads of a library that never end must not keep the child alive."""
    for _ in range(4):
        threading.Thread(target=threading.Event().wait).start()


def ignore_term(arg: str) -> None:
    """A child that ignores polite signals and its own alarm."""
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    hang(arg)


ACTS = {
    "": lambda arg: None,
    "hang": hang,
    "grandchild": hang_with_grandchild,
    "eat": eat,
    "print": print_much,
    "fail": fail,
    "exit": lambda arg: os._exit(int(arg)),
    "kill": lambda arg: os.kill(os.getpid(), int(arg)),
    "threads": many_threads,
    "stubborn": ignore_term,
}


class Thing(BaseModel):
    """A dataset that does what ``do`` says at every inspect."""

    model_config = ConfigDict(extra="forbid")
    kind: ClassVar[Kind] = Kind.dataset
    do: str = ""
    arg: str = ""
    size: int = 0
    serving: list[str] = []

    def resource(self, connection: Connection) -> str:
        return f"thing:{connection.name}/{self.arg}"

    def inspect(self, call: Call) -> State:
        ACTS[self.do](self.arg)
        facts: dict[str, Any] = {
            "pid": os.getpid(),
            "group": os.getpgid(0),
            "context": call.context,
            "key": call.key,
            "fence": call.fence,
            "now": call.now.isoformat(),
            "deadline": call.deadline,
            "env": dict(os.environ),
            "settings": call.connection.settings,
            "others": sorted(call.connections),
            "big": "x" * self.size,
            "modules": sorted(m for m in sys.modules if "." not in m),
        }
        return State(kind=self.kind, resource="r", pointer="p", digest="d", facts=facts)

    def capture(self, call: Call, at: str | None = None) -> Capture:
        ref = call.blobs.put(b"bytes of the dataset", "data")
        return Capture(
            kind=self.kind, resource="r", pointer=at or "live", digest="d", blobs={"data": ref}, taken_at=call.now
        )

    def readiness(self, call: Call, c: Capture) -> Readiness:
        call.blobs.get(c.blobs["data"])
        return Readiness(status="ready")

    def diff(self, call: Call, c: Capture) -> Diff:
        return Diff(same=False, summary=c.pointer, counts={"rows_added": 1})

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        for n in range(3):
            call.check()
            with Path(self.arg).open("a") as file:
                file.write(f"{n}\n")
            call.progress(n + 1, 3, f"row {n}")
        return Receipt(changed=True, pointer=f"{before.pointer}->{c.pointer}")

    def visible(self, call: Call, c: Capture) -> Visibility:
        return Visibility(visible=True, seen=2, total=2)

    def verify(self, call: Call, c: Capture) -> Accuracy:
        return Accuracy(matched=9, expected=10)

    def sandbox(self, call: Call) -> Self:
        return self.model_copy(update={"arg": f"{self.arg}-sandbox"})

    def discard(self, call: Call) -> None:
        Path(self.arg).write_text("discarded")


class Swallower(Thing):
    """A target that hides the no it got."""

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        for _ in range(2):
            with suppress(LostOwnership):
                call.check()
                Path(self.arg).write_text("written all the same")
        return Receipt(changed=True)


class Switch(Thing):
    """A flag, which can be switched."""

    kind: ClassVar[Kind] = Kind.flag

    def disabled(self, now: Capture) -> Capture:
        return now.model_copy(update={"pointer": "off"})

    def at(self, now: Capture, percent: int) -> Capture:
        return now.model_copy(update={"pointer": f"{percent} %"})


class Job(Thing):
    """A pipeline, which can be held."""

    kind: ClassVar[Kind] = Kind.pipeline

    def held(self, now: Capture) -> Capture:
        return now.model_copy(update={"pointer": "held"})

    def lifted(self, now: Capture) -> Capture:
        return now.model_copy(update={"pointer": "running"})


class Half(BaseModel):
    """A target that somebody has only begun to write."""

    kind: ClassVar[Kind] = Kind.dataset

    def resource(self, connection: Connection) -> str:
        return "half"

    def inspect(self, call: Call) -> State:
        raise NotImplementedError

    def capture(self, call: Call, at: str | None = None) -> Capture:
        raise NotImplementedError


class Broken:
    """No target at all."""


def capture_of(pointer: str = "v1", **blobs: BlobRef) -> Capture:
    """A capture as a store would hand it in."""
    return Capture(
        kind=Kind.dataset,
        resource="r",
        pointer=pointer,
        digest="d",
        blobs=blobs,
        taken_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


TARGETS = (Thing, Switch, Job)
