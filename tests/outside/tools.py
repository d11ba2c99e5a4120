"""What the tests of this folder share: waiting for a process to go, and for a child to report through a FIFO."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.core.target import Connection, State
from bot.outside.child import Request

NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)


def gone(pid: int, seconds: float = 15.0) -> bool:
    """Wait until the process has ended; False if it lives on."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(fd)


def fifo(folder: Path) -> Path:
    """A place through which a child can say something, and that a test can wait on."""
    path = folder / "said"
    os.mkfifo(path)
    return path


async def heard(path: Path) -> list[int]:
    """The numbers that a child writes into the FIFO."""
    text = await asyncio.to_thread(path.read_text)
    return [int(word) for word in text.split()]


def request(method: str = "inspect", args: list[Any] | None = None, **params: Any) -> Request:
    """A call of the fake target ``Thing``."""
    connection = Connection(name="shelf", type="thing", settings={"password": "hunter2", "host": "h"})
    return Request(
        type="thing",
        target="tests.outside.fakes:Thing",
        params=params,
        method=method,
        args=args or [],
        connection=connection,
        now=NOW,
        key="R-1:3",
        fence=7,
    )


def facts(result: Any) -> dict[str, Any]:
    return State.model_validate(result).facts


def said(note: list[Any]) -> Callable[[float, float, str], None]:
    """A progress function that keeps what it hears."""
    return lambda done, total, text: note.append((done, total, text))
