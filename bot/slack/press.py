"""One press of a button: what it carries, and the run whose message it stood in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bot.core.errors import RollbotError
from bot.core.run import Run
from bot.slack.desk import Desk
from bot.slack.origin import Origin
from bot.slack.views.words import Json


class Stale(RollbotError):
    """This button belongs to a message that this Rollbot did not write, or no longer understands."""


@dataclass(frozen=True)
class Press:
    """One press. ``in_view``: the button stood in a modal."""

    desk: Desk
    origin: Origin
    action: str
    value: dict[str, Any]
    in_view: bool = False

    async def run(self) -> Run:
        """The run whose message it stood in. Raises Stale."""
        found = await self.desk.run(self._named())
        if found is None:
            raise Stale
        return found

    async def number(self) -> int:
        """As ``run``, for a command that needs no more than its number. Raises Stale."""
        number = self._named()
        if not await self.desk.exists(number):
            raise Stale
        return number

    def _named(self) -> int:
        """Raises Stale."""
        number = self.value.get("run")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**62:
            raise Stale
        return number

    @property
    def digest(self) -> str:
        return str(self.value.get("digest") or "")


def value_of(action: Json) -> dict[str, Any]:
    """What the button carries. Raises Stale."""
    try:
        found = json.loads(action.get("value") or "{}")
    except (TypeError, ValueError) as e:
        raise Stale from e
    if not isinstance(found, dict):
        raise Stale
    return found
