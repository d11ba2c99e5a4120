"""rollbot init: a commented folder for a new user."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import fail, line, one_line


def samples() -> Path:
    """The sample playbooks: inside the package in a wheel, beside it in a checkout."""
    shipped = Path(str(resources.files("bot"))) / "_shipped" / "playbooks"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "playbooks"


def init(folder: Annotated[Path, typer.Argument(help="Where to write playbooks/.")] = Path()) -> None:
    """Write a commented playbooks/ folder to start from. Never overwrites a file.

    The sample feature has one flag in a file beside it, so it works as it is; copy it and name your own systems.
    """
    with one_line():
        target = folder / "playbooks"
        if target.exists() and any(target.iterdir()):
            fail(f"{target} is not empty; nothing was written. Give another folder: rollbot init FOLDER")
        shutil.copytree(samples(), target, dirs_exist_ok=True)
        for file in sorted(p for p in target.rglob("*") if p.is_file()):
            line(f"wrote {file}")
        first = "" if folder == Path() else f"cd {folder}, "
        line(
            f"Next: {first}run 'rollbot check', then edit targets.yaml and features/ in {target} for your own systems."
        )
