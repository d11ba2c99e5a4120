"""How commands speak: JSON for scripts, tables for people, one line for faults, and the exit codes."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from bot.core.errors import RollbotError

P = ParamSpec("P")
R = TypeVar("R")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def say_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(columns: list[str], rows: Iterable[Iterable[object]], *, empty: str) -> None:
    """A table, or one line where there is nothing to show."""
    listed = [[str(cell) for cell in row] for row in rows]
    if not listed:
        out.print(empty, markup=False)
        return
    view = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        view.add_column(column, overflow="fold")
    for row in listed:
        view.add_row(*row)
    out.print(view)


def line(text: str) -> None:
    out.print(text, markup=False)


def fail(message: str, code: int = 1) -> NoReturn:
    """One line on stderr, and the exit code."""
    err.print(f"rollbot: {message}", markup=False)
    raise typer.Exit(code)


def command(fn: Callable[P, Awaitable[R]]) -> Callable[P, R]:
    """An async command: faults become one line and their exit code, never a traceback."""

    @functools.wraps(fn)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        async def main() -> R:
            return await fn(*args, **kwargs)

        try:
            return asyncio.run(main())
        except (RollbotError, BaseExceptionGroup) as e:
            error = first_fault(e)
            if error is None:
                raise
            fail(error.message, error.code)

    return run


def first_fault(error: BaseException) -> RollbotError | None:
    """The fault inside an exception or a group of them; None if it is a bug."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, RollbotError) else None
