"""What makes Slack hard to use: its pacing, and faults that a test or a trainer injects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.practice.slack_server.contract import Json, SlackError


@dataclass
class Fault:
    """The next ``times`` calls of ``method`` ("*": any) go wrong. With ``error``, or a ``status`` other than 200, the
    call has no effect; ``delay`` (seconds) holds it first; with ``drop_reply`` it has its effect and the answer is
    lost."""

    method: str
    times: int = 1
    error: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop_reply: bool = False

    @property
    def refuses(self) -> bool:
        return self.error is not None or self.status != 200

    @property
    def refusal(self) -> SlackError:
        return SlackError(self.error or "internal_error", status=self.status, headers=self.headers)


class Faults:
    """Injected faults, used up in the order in which they were asked for."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def take(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.method in (method, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None


@dataclass
class Bucket:
    """Tokens that come back at ``rate`` per second, up to ``burst``."""

    rate: float
    burst: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Pace:
    """Slack's limits on posting: one message a second per channel with short bursts, and 50 updates a minute in all
    (tier 3). A call over the limit has no effect."""

    LIMITS = {"chat.postMessage": (1.0, 3.0), "chat.update": (50 / 60, 50.0)}  # noqa: RUF012

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self.on = True

    def check(self, method: str, args: Json) -> None:
        """Raises the 429 with ``Retry-After`` in whole seconds."""
        if not self.on or method not in self.LIMITS:
            return
        key = (method, str(args.get("channel")) if method == "chat.postMessage" else "")
        rate, burst = self.LIMITS[method]
        bucket = self._buckets.setdefault(key, Bucket(rate, burst, burst, self._clock()))
        if not bucket.take(self._clock()):
            wait = max(1, round((1 - bucket.tokens) / rate))
            raise SlackError("ratelimited", status=429, headers={"Retry-After": str(wait)})

    def clear(self) -> None:
        self._buckets.clear()
