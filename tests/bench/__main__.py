"""``make bench``: runs ``numbers()`` of every bench_*.py (or of those named as arguments) and prints one table.

It is for orientation: a number that is over its promise is marked and the exit code stays 0. Only a benchmark that
can't run at all makes it 1.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import Number


def chosen() -> list[str]:
    """Module names; arguments are parts of names."""
    modules = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    return [module for module in modules if not sys.argv[1:] or any(word in module for word in sys.argv[1:])]


def row(number: Number) -> tuple[str, str, str, str, str]:
    bound = "at least " if number.at_least else ""
    promised = "" if number.promised is None else f"{bound}{number.promised:,g} {number.unit}"
    verdict = "" if number.promised is None else "[bold red]OVER[/]" if number.over else "ok"
    return number.what, f"{number.value:,.4g} {number.unit}", promised, verdict, number.note


def load() -> str:
    return " ".join(f"{of:.1f}" for of in os.getloadavg())


def main() -> int:
    table = Table("what", "measured", "promised", "", "note")
    began, before, failed, said = time.monotonic(), load(), [], Console(stderr=True)
    for module in chosen():
        said.print(f"{module} (load {load()}) ...", highlight=False)
        try:
            for number in importlib.import_module(f"tests.bench.{module}").numbers():
                table.add_row(*row(number))
        except Exception as error:  # noqa: BLE001  the others can still be measured
            traceback.print_exc()
            failed.append(module)
            table.add_row(module, "could not run", "", "", f"{type(error).__name__}: {error}")
        table.add_section()
    table.title = (
        f"{os.cpu_count()} cores, load {before} before, {load()} after, {time.monotonic() - began:.0f} s in all"
    )
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
