"""What a command will do, said before it is done: a person at the terminal confirms it, a script is not asked."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from bot.cli.output import err
from bot.core.errors import RollbotError
from bot.core.run import Run

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask whether to go on.")]
NOT_DONE = "not confirmed, so nothing was done"


async def sure(what: str, *, yes: bool) -> None:
    """Says ``what`` and waits for a yes, where a person types at standard input and has not said ``yes`` already.
    Raises RollbotError for any other answer."""
    if yes or not sys.stdin.isatty():
        return
    err.print(what, markup=False)
    err.print("Go on? [y/N] ", end="", markup=False)
    typed = await _typed()
    if not typed.endswith("\n"):
        err.print()
    if typed.strip().lower() not in ("y", "yes"):
        raise RollbotError(NOT_DONE)


def of(run: Run, what: str) -> str:
    """Which run it is about, where the sentence itself doesn't say so."""
    return what if what.startswith(f"{run.name} ") else f"{run.name}: {what}"


async def _typed() -> str:
    """One line; nothing at the end of input or at Ctrl-C, which a plain read would sleep through."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, there.set)
    try:
        await there.wait()
        return sys.stdin.readline()
    except asyncio.CancelledError:
        return ""
    finally:
        loop.remove_reader(sys.stdin)
