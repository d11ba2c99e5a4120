"""The command line: ``rollbot`` and ``python -m bot`` are the same. A command is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import bot

COMMANDS = {
    "init": ("bot.cli.init", "init", "Write a commented playbooks/ folder to start from. Never overwrites a file."),
    "demo": ("bot.cli.demo", "demo", "Practise a rollback: a local Slack, a small real ML platform and the real bot."),
    "check": ("bot.cli.check", "check", "Check playbooks, policy, connections and their versions, and Slack."),
    "serve": ("bot.cli.serve", "serve", "Serve Slack, hooks and the CI answer, and run rollbacks."),
    "migrate": ("bot.cli.serve", "migrate", "Bring the database to this version's schema. Safe to run again."),
    "release": ("bot.cli.release", "app", "Capture what is live, import what systems still hold, see what there is."),
    "plan": ("bot.cli.plan", "plan", "What a rollback would do now. Changes nothing. Exit 3 if it cannot be restored."),
    "gate": ("bot.cli.gate", "gate", "For CI: may this feature be deployed now? Exit 4 while it is held."),
    "run": ("bot.cli.run", "app", "Ask for a rollback, decide, watch, put back."),
    "drill": (
        "bot.cli.drill",
        "drill",
        "Practise a rollback with its approvals, in sandboxes: production is not touched.",
    ),
    "audit": ("bot.cli.audit", "app", "The tamper-evident log: export it, and verify an export anywhere."),
}
"""Name: module, attribute, and the line of help that is shown without importing either."""


class Late(TyperGroup):
    """Shows every command, and imports only the one that was named: Slack, SQL and aiohttp take most of a second."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else loaded(name), rest


def loaded(name: str) -> Any:
    """The real command behind a name."""
    module, attribute, _ = COMMANDS[name]
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)


def _shown() -> None:
    """Stands for a command in the list of help."""


EXIT_CODES = (
    "Exit codes: 0 fine, 1 a fault said in one line, 2 wrong usage, 3 not restorable, 4 refused by policy or hold."
)
FIRST_STEPS = (
    "First steps: 'rollbot init' writes a sample folder, 'rollbot check' says what is wrong with it, "
    "'rollbot release capture FEATURE v1' records what is live, 'rollbot plan FEATURE v1' shows what going back would "
    "do, 'rollbot serve' starts the bot."
)
SETTINGS = (
    "Settings come from the environment: ROLLBOT_DATABASE_URL (sqlite:///rollbot.db), ROLLBOT_PLAYBOOKS (playbooks), "
    "ROLLBOT_ARTIFACTS (artifacts), ROLLBOT_DRIVER (embedded, or dbos), ROLLBOT_HOST and PORT (127.0.0.1:3000), "
    "ROLLBOT_KEY (who you are at the terminal), SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET, SLACK_APP_TOKEN, "
    "ROLLBOT_WORKSPACES."
)

app = typer.Typer(
    name="rollbot",
    cls=Late,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=f"Takes a feature of an ML platform back to a known-good release, and proves it.\n\n{FIRST_STEPS}",
    epilog=f"{EXIT_CODES}\n\n{SETTINGS}",
)
for _name, (_, _, _help) in COMMANDS.items():
    app.command(_name, help=_help)(_shown)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rollbot {bot.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Shown by the application's own help."""


def main() -> None:
    """The console script."""
    try:
        app()
    except Exception as e:  # noqa: BLE001  e.g. a module that can't be imported; a traceback helps nobody
        from bot.cli.output import explained, note

        said, code = explained(e)
        note(said)
        sys.exit(code)


if __name__ == "__main__":
    main()
