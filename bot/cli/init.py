"""rollbot init: a commented folder for a new user."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import fail, line


def samples() -> Path:
    """The sample playbooks: inside the package in a wheel, beside it in a checkout."""
    shipped = Path(str(resources.files("bot"))) / "_shipped" / "playbooks"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "playbooks"


def init(folder: Annotated[Path, typer.Argument(help="Where to write playbooks/.")] = Path()) -> None:
    """Write a commented playbooks/ folder to start from. Never overwrites a file."""
    target = folder / "playbooks"
    if target.exists() and any(target.iterdir()):
        fail(f"{target} is not empty; nothing was written. Give another folder: rollbot init FOLDER")
    shutil.copytree(samples(), target, dirs_exist_ok=True)
    for file in sorted(p for p in target.rglob("*") if p.is_file()):
        line(f"wrote {file}")
    line(f"Next: edit {target / 'targets.yaml'} and {target / 'features'}, then run 'rollbot check'.")
