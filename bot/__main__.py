"""The command line: ``rollbot`` and ``python -m bot`` are the same."""

from __future__ import annotations

from typing import Annotated

import typer

import bot
from bot.cli import audit, check, demo, init, release, run, serve

app = typer.Typer(
    name="rollbot",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Takes a feature of an ML platform back to a known-good release, and proves it.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rollbot {bot.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Exit codes: 0 fine, 1 a fault said in one line, 2 wrong usage, 3 not restorable, 4 refused by policy or hold."""


app.command("init")(init.init)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("migrate")(serve.migrate)
app.command("check")(check.check)
app.add_typer(release.app, name="release")
app.command("plan")(run.plan)
app.command("gate")(run.gate)
app.add_typer(run.app, name="run")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
