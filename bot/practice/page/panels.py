"""What the incident panel and the tour have to offer, so that the page can show and work them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from bot.practice.slack_server import CannotDo

Json = dict[str, Any]
Announce = Callable[[], None]
"""Says that a panel's ``state()`` is another one now. May be called from any thread, and as often as one likes."""


class Panel(Protocol):
    """Made with the place and an Announce. ``do`` raises CannotDo or a RollbotError in words for the person."""

    def state(self) -> Json:
        """What the page shows; asked on the event loop, so it must be quick."""
        ...

    async def do(self, name: str, args: Json) -> None:
        """Does what a button says. ``args`` is the rest of the body."""
        ...

    async def close(self) -> None:
        """Ends everything that it started. Called once, before the place is closed."""
        ...


class NoPanel:
    """There is none: an empty state, and nothing to do."""

    def state(self) -> Json:
        return {}

    async def do(self, name: str, _args: Json) -> None:
        raise CannotDo(f"there is nothing here that does {name!r}")

    async def close(self) -> None:
        return None
