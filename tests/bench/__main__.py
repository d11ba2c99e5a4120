"""``make bench``: runs ``numbers()`` of every bench_*.py (or of those named as arguments) and prints one table."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import Number


def chosen() -> list[str]:
    """Module names; arguments are parts of names."""
    modules = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    return [module for module in modules if not sys.argv[1:] or any(word in module for word in sys.argv[1:])]


def row(number: Number) -> tuple[str, str, str, str]:
    promised = "" if number.promised is None else f"{number.promised:,g} {number.unit}"
    verdict = "" if number.promised is None else "kept" if number.value <= number.promised else "MISSED"
    return number.what, f"{number.value:,.3g} {number.unit}", promised, verdict


def main() -> None:
    table = Table("what", "measured", "promised", "", title=f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for module in chosen():
        for number in importlib.import_module(f"tests.bench.{module}").numbers():
            table.add_row(*row(number))
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
