"""A log in memory, as the tests of the audit log and of its verification need it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from bot.core import audit, checkpoint
from bot.core.audit import Actor, ActorKind, Event, Exported, Head, Opening, Via
from bot.core.auditor import Report, verify_export
from bot.core.target import canonical

LOG = "acme/audit"
KEY = checkpoint.new_key(LOG, b"k" * 32)
PUBLIC = str(checkpoint.public_key(KEY))
START = datetime(2026, 11, 22, 3, 2, 11, 123456, tzinfo=UTC)


@dataclass
class Log:
    """A log in memory, with a checkpoint after each event, and one known person."""

    head: Head = field(default_factory=Head)
    events: list[Exported] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    ana: Opening = field(default_factory=lambda: Opening(b"a" * 16, "T1/UANA"))

    def __post_init__(self) -> None:
        numbers = count()
        self.salt: Callable[[], bytes] = lambda: next(numbers).to_bytes(16, "big")

    def add(self, act: str = "run_requested", version: str = "v12") -> None:
        n = self.head.size
        event = Event(
            act=act,
            actor=Actor(ActorKind.person, self.ana.commitment),
            via=Via.slack,
            run=f"R-{n}",
            feature="driver_stats",
            before={"version": "v13"},
            after={"version": version},
            facts={"attempt": n, "share": 0.25, "über": ["—"]},
            texts={"reason": f"ETAs 40 % too long \u2028 {n}"},
        )
        row, self.head = audit.make_event(self.head, event, START + timedelta(seconds=n), self.salt)
        self.events.append(Exported(row.body, row.texts, [self.ana]))
        self.checkpoints.append(checkpoint.sign(self.head.size, self.head.root, KEY))

    def lines(self) -> list[str]:
        return list(audit.export(LOG, self.head, self.events))


def log_of(size: int, rewritten_from: int | None = None) -> Log:
    """``size`` events; from one on they tell another story, chained as well as the true one."""
    log = Log()
    for n in range(size):
        log.add(version="v12" if rewritten_from is None or n < rewritten_from else "v6")
    return log


def verify(log: Log, lines: list[str] | None = None, size: int | None = None) -> Report:
    """Against the checkpoint at ``size``, by default the one after the last event."""
    return verify_export(
        log.lines() if lines is None else lines, [log.checkpoints[(size or log.head.size) - 1]], PUBLIC
    )


def edited(line: str, **fields: object) -> str:
    """The line with other values in its event's body, written as a true log would write it."""
    value = json.loads(line)
    return canonical({**value, "body": canonical({**json.loads(value["body"]), **fields})}) + "\n"
