"""What is done again and again, and fails while the database or a disk is away: said once, and when it works again."""

from __future__ import annotations

import logging
import time

from bot.core.errors import RollbotError

MOST = 20
"""Different failures of one outage that are told."""


class Repeated:
    """Logs the first failure of each kind since ``name`` last worked, and that it works again. What is known (a
    RollbotError) is one line; anything else comes with its traceback."""

    def __init__(self, name: str, log: logging.Logger) -> None:
        self._name, self._log = name, log
        self._told: set[str] = set()
        self._since = 0.0

    def failed(self, error: Exception) -> None:
        """It will be tried again. Of several at once the first one is told."""
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        said = f"{type(error).__name__}: {error}"
        self._since = self._since if self._told else time.monotonic()
        if said in self._told or len(self._told) >= MOST:
            return
        self._told.add(said)
        known = isinstance(error, RollbotError)
        self._log.error("%s does not work now: %s", self._name, error, exc_info=None if known else error)

    def worked(self) -> None:
        if self._told:
            self._told.clear()
            self._log.warning("%s works again, after %.0f s", self._name, time.monotonic() - self._since)
