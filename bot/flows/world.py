"""Everything a verb needs, built once by wiring and handed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bot.core.drill import Drill, Walls
from bot.core.feature import Feature
from bot.core.playbook import Playbook
from bot.core.policy import Policy
from bot.core.ports import Clock, People, Targets
from bot.store.write import Store


class Books(Protocol):
    """What a team edits. Files are read when asked for; a faulty one raises Fault and disables only itself."""

    def feature_names(self) -> list[str]: ...

    def feature(self, name: str) -> Feature:
        """Raises Fault (file:line), or Unknown with near misses."""
        ...

    def known_faults(self) -> list[str]:
        """What is wrong with features' files, as far as they were read; each call reads a few more."""
        ...

    def playbook(self, name: str) -> Playbook: ...

    def playbook_names(self) -> list[str]: ...

    def drill_names(self) -> list[str]: ...

    def drill(self, name: str) -> Drill:
        """Raises as ``feature``."""
        ...

    def walls(self, drill: Drill) -> Walls:
        """When its schedule says so, on the wall clock."""
        ...

    def policy(self) -> Policy:
        """The present policy, else the last good one, else the one of last resort."""
        ...

    def policy_fault(self) -> str | None:
        """What is wrong with the policy file now; None if nothing is."""
        ...

    def page_fault(self) -> str | None:
        """Why nobody can be paged, though the policy is good; None if somebody can, or nobody shall."""
        ...


@dataclass
class World:
    """``owner`` names this process in leases."""

    store: Store
    targets: Targets
    people: People
    books: Books
    clock: Clock
    owner: str
    lease_s: float = 15.0
    plan_s: float = 10.0
    seen: set[tuple[str, str]] = field(default_factory=set)
    """Releases that were seen to exist, by feature and version. None ever ceases to: an ack need not look again."""
    unworked: str = ""
    """Why nothing of what is said is done now; empty while a worker is at work."""

    def now(self) -> datetime:
        return self.clock.now()
