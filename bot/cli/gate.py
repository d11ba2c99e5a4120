"""rollbot gate: the answer for CI."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.output import AsJson, command, line, note, say_json
from bot.cli.session import session
from bot.core.errors import Refused, RollbotError, Unknown
from bot.store import releases, runs
from bot.store.write import Connection


@command
async def gate(feature: Annotated[str, typer.Argument(help="The feature's name.")], *, as_json: AsJson = False) -> None:
    """For CI: may this feature be deployed now? Exit 4 while it is held.

    A feature is held while a rollback of it runs and after one, until a fixed release is captured or somebody lifts
    the hold. Exit 1 if nobody can say, e.g. for a feature that is not there: let CI stop then, too.
    """

    def read(conn: Connection) -> tuple[dict[str, object] | None, list[str]]:
        return releases.hold(conn, feature), runs.at_work(conn, feature)

    async with session() as s:
        held, busy = await s.parts.store.read(read)
        try:
            s.parts.books.feature(feature)
        except Unknown:
            if not (held or busy):
                raise
        except RollbotError as e:  # a faulty file neither holds a feature nor lifts a hold
            note(e.message)
    if as_json:
        say_json({"feature": feature, "held": bool(held or busy), "hold": held, "runs": busy})
    if busy:
        raise Refused(f"{feature} is being rolled back right now ({', '.join(busy)})")
    if held:
        raise Refused(f"{feature} is held since {held['since']}: {held['reason']}")
    if not as_json:
        line(f"{feature} is free")
