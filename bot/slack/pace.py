"""How fast Slack may be spoken to: a message a second per channel, an update of one message every three seconds."""

from __future__ import annotations

from datetime import datetime, timedelta

POST_S = 1.0
UPDATE_S = 3.0
LONGEST_S = 60.0
"""Seconds between two tries at the most, however often it failed."""
UPDATES = "chat.update"
KEPT = 20_000


class Pace:
    """When what may be sent next. Kept in memory: after a restart Slack itself says if it was too soon."""

    def __init__(self) -> None:
        self._free: dict[str, datetime] = {}

    def free(self, what: str, now: datetime) -> bool:
        """``what``: a channel, a message's key, or UPDATES for all updates together."""
        return self._free.get(what, now) <= now

    def hold(self, what: str, seconds: float, now: datetime) -> None:
        """Not before then; an earlier, longer hold stays."""
        if len(self._free) > KEPT:
            self._free = {name: until for name, until in self._free.items() if until > now}
        until = now + timedelta(seconds=seconds)
        self._free[what] = max(until, self._free.get(what, until))

    def failed(self, key: str, failures: int, now: datetime) -> None:
        """Longer each time: 1, 2, 4, ... seconds."""
        self.hold(key, min(LONGEST_S, 2.0 ** min(failures, 10)), now)
