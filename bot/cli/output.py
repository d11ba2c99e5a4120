"""How commands speak: JSON for scripts, tables for people, one line for faults, and the exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.core.errors import RollbotError

P = ParamSpec("P")
R = TypeVar("R")
PIPED = 200
"""Columns where nobody looks: a table that folds its cells is of no use to grep."""


def _console(*, stderr: bool) -> Console:
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=PIPED if piped else None)


out = _console(stderr=False)
err = _console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def say_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(columns: list[str], rows: Iterable[Iterable[object]], *, empty: str) -> None:
    """A table, or one line where there is nothing to show."""
    listed = [[str(cell) for cell in row] for row in rows]
    if not listed:
        line(empty)
        return
    view = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        view.add_column(column, overflow="fold")
    for row in listed:
        view.add_row(*(Text(cell) for cell in row))
    out.print(view)


def line(text: str) -> None:
    """One line on stdout, at once also where that is a pipe."""
    out.print(text, markup=False)


def note(text: str) -> None:
    """One line on stderr, beside what scripts read."""
    err.print(f"rollbot: {' '.join(text.split())}", markup=False)


def fail(message: str, code: int = 1) -> NoReturn:
    """One line on stderr, and the exit code."""
    note(message)
    raise typer.Exit(code)


def command(fn: Callable[P, Awaitable[R]]) -> Callable[P, R]:
    """An async command: faults become one line and their exit code, never a traceback."""

    @functools.wraps(fn)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        async def main() -> R:
            return await fn(*args, **kwargs)

        with one_line():
            return asyncio.run(main())

    return run


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Whatever goes wrong inside ends the command with one line and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        fail("stopped")
    except Exception as e:  # noqa: BLE001  a person in an incident can do nothing with a traceback
        fail(*explained(e))


def explained(error: BaseException) -> tuple[str, int]:
    """What went wrong in words, and the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, RollbotError):
        return error.message, error.code
    if isinstance(error, OSError):
        return (f"{error.filename}: {error.strerror}" if error.filename else str(error)), 1
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"this is a fault in rollbot itself: {type(error).__name__}: {error}{where}", 1


class OneLine(logging.Formatter):
    """What is logged while a command runs, without tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            said = f"{said}: {explained(record.exc_info[1])[0]}"
        return f"rollbot: {' '.join(said.split())}"


def log_in_lines() -> None:
    """For commands that do something and end; a server logs in full."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
