"""rollbot audit: export, and verify without database or network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import AsJson, command, fail, line, one_line, say_json
from bot.core.auditor import Report, verify_export
from bot.core.errors import Fault

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The tamper-evident log: export it, and verify an export anywhere."
)


@app.command("export")
@command
async def export(file: Annotated[Path, typer.Argument(help="Where to write the export (JSON Lines).")]) -> None:
    """Write the whole log to a file. An older file of that name is replaced once the new one is complete."""
    from bot.cli.session import session
    from bot.store import events
    from bot.store.write import Connection

    async with session(books=False) as s:
        log = s.parts.settings.audit_log

        def write(conn: Connection) -> int:
            fresh = file.with_suffix(file.suffix + ".new")
            try:
                with fresh.open("w", encoding="utf-8", newline="\n") as out:
                    lines = sum(bool(out.write(each)) for each in events.exported(conn, log))
                fresh.replace(file)
            finally:
                fresh.unlink(missing_ok=True)
            return lines - 1

        written = await s.parts.store.read(write)
    line(f"{written:,} events written to {file}")


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="An export.")],
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A signed checkpoint that was kept elsewhere; any number of times."),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The log's public key (rollbot-audit.key.pub).")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Is this the log as it was written? Needs no database and no network. Exit 1 naming the first bad line.

    Without a checkpoint only this can be said: the lines fit one another. Whoever can write the database could have
    rewritten all of them. A checkpoint from another place (the audit channel, a file) and the public key prove more.
    """
    with one_line():
        notes = [_text(c) for c in checkpoint or []]
        public = _text(key) if key else None
        with file.open("rb") as lines:  # text mode would hide changed line ends
            report = verify_export(lines, notes, public)
        _say(report, as_json=as_json)
        if report.fault:
            fail(f"{file}: {report.fault}")


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError:
        raise Fault("this is no text in UTF-8", file=str(file)) from None


def _say(report: Report, *, as_json: bool) -> None:
    if as_json:
        say_json({"ok": report.ok, "trust": report.trust, **dataclasses.asdict(report)})
        return
    line(f"{report.size:,} events, root {report.root}")
    line(f"Trust: {report.trust}")
