"""rollbot demo: the practice incident."""

from __future__ import annotations

import importlib.util
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import command, out
from bot.core.errors import MissingExtra, Usage

NEEDED = ("feast", "deltalake", "mlflow", "openfeature", "uvicorn", "fastapi")


class Transport(StrEnum):
    """How the practice Slack reaches the bot."""

    http = "http"
    socket = "socket"


class Lost(StrEnum):
    """What is gone before the rollback is asked for."""

    model = "model"
    delta = "delta"


@command
async def demo(
    port: Annotated[int, typer.Option(help="Port of the practice page and its Slack on 127.0.0.1.")] = 3000,
    script: Annotated[bool, typer.Option("--script", help="Play the incident here; exit 0 only if verified.")] = False,
    drivers: Annotated[int, typer.Option(min=20, help="How many drivers the practice platform knows.")] = 50_000,
    transport: Annotated[Transport, typer.Option(help="Signed HTTP, or Socket Mode.")] = Transport.http,
    folder: Annotated[Path | None, typer.Option(help="Make it in this new folder, and keep it.")] = None,
    lost: Annotated[Lost | None, typer.Option("--break", hidden=True)] = None,
) -> None:
    """Practise a rollback: a local Slack, a small real ML platform and the real bot, all on this machine."""
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtra("practice", module)
    if lost and not script:
        raise Usage("--break needs --script")
    from bot.practice import demo as practice
    from bot.practice.left_running import stay
    from bot.practice.narrator import Narrator

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a log may know ASCII only
    options = practice.Options(
        drivers=drivers,
        transport=transport.value,
        port=0 if script else port,
        folder=folder,
        lost=practice.Lost(lost) if lost else None,
    )
    work = practice.play(options, Narrator(out)) if script else stay(options, Narrator(out))
    await practice.interruptible(work)
