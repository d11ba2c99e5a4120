"""rollbot audit: export, and verify without database or network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, fail, line, say_json
from bot.cli.session import session
from bot.core.auditor import verify_export
from bot.core.errors import Fault
from bot.store import events
from bot.store.write import Connection

app = typer.Typer(no_args_is_help=True, help="The tamper-evident log.")


@app.command("export")
@command
async def export(file: Annotated[Path, typer.Argument(help="Where to write the export (JSON Lines).")]) -> None:
    """Write the whole log to a file."""
    async with session() as s:
        log = s.parts.settings.audit_log

        def write(conn: Connection) -> int:
            fresh = file.with_suffix(file.suffix + ".new")
            with fresh.open("w") as out:
                n = sum(bool(out.write(each)) for each in events.exported(conn, log))
            fresh.replace(file)
            return n - 1

        written = await s.parts.store.read(write)
    line(f"{written:,} events written to {file}")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="An export.")],
    checkpoint: Annotated[list[Path] | None, typer.Option("--checkpoint", help="A signed checkpoint kept elsewhere.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The log's public key.")] = None,
    as_json: AsJson = False,
) -> None:
    """Is this the log as it was written? Needs no database and no network; names the first bad line."""
    try:
        notes = [c.read_text() for c in checkpoint or []]
        public = key.read_text() if key else None
        with file.open() as lines:
            report = verify_export(lines, notes, public)
    except (OSError, UnicodeDecodeError) as e:
        fail(f"{e}")
    except Fault as e:
        fail(e.message)
    if as_json:
        say_json({"ok": report.ok, "trust": report.trust, **dataclasses.asdict(report)})
    else:
        line(f"{report.size:,} events, root {report.root}")
        line(f"Trust: {report.trust}")
    if report.fault:
        fail(f"{file}:{report.line}: {report.fault}")
