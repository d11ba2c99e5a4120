"""Bugs as they are made, put into the product by hand, to see that the simulation finds each of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot.core import progress
from bot.core.ports import Errand
from bot.core.run import Moved, Run, RunStep, Status
from bot.drivers.embedded import Embedded
from bot.flows import drive, steps
from bot.flows.work import Work
from bot.store import leases, locks, runs
from bot.store import tables as t
from bot.store.write import Connection

Patch = Callable[[Any], None]
"""Takes pytest's monkeypatch."""


def no_fence(patch: Any) -> None:
    """A worker that has lost its lease goes on writing the run."""

    def mine(_dialect: str) -> sa.ColumnElement[bool]:
        return t.runs.c.id == sa.bindparam("of")

    patch.setattr(leases, "_mine", mine)
    patch.setattr(leases, "_saving", functools.cache(leases._saving.__wrapped__))  # it remembers statements


def never_asks(patch: Any) -> None:
    """A child writes without asking whether the run is still its worker's."""
    real = Work.errand

    def errand(self: Work, *args: Any, **more: Any) -> Errand:
        return replace(real(self, *args, **more), check=None)

    patch.setattr(Work, "errand", errand)


def begins_after_the_end(patch: Any) -> None:
    """A step begins although somebody has aborted or paused the run meanwhile."""
    real = progress.intended

    def intended(run: Run, *args: Any, **more: Any) -> Moved:
        moved, events = real(run.to(status=Status.running), *args, **more)
        return moved.to(status=run.status), events

    patch.setattr(progress, "intended", intended)


def acts_before_it_says_so(patch: Any) -> None:
    """The intent is not stored before the act."""

    def intended(conn: Connection, work: Work, run: Run, n: int, before: Any, to: Any) -> Run:
        return progress.intended(run, n, before, steps._origin(conn, run, run.step(n)), to, work.world.now())[0]

    patch.setattr(steps, "_intended", intended)


def looks_no_more(patch: Any) -> None:
    """What was read back once is taken for granted until the end."""

    async def gone_back(_work: Work, _run: Run) -> bool:
        return False

    patch.setattr(drive, "gone_back", gone_back)
    patch.setattr(steps, "gone_back", gone_back)


def sleeps_for_ever(patch: Any) -> None:
    """A parked run is not told when to wake."""

    def parked(run: Run, why: str, _seconds: float, now: datetime) -> Run:
        return run.to(status=Status.waiting, waiting_for="time", why=why, wake_at=None, parked_at=now)

    patch.setattr(progress, "parked", parked)


def keeps_its_locks(patch: Any) -> None:
    """An end frees nothing."""

    def free(_conn: sa.Connection, _run: int) -> None:
        return None

    patch.setattr(runs, "free", free)
    patch.setattr(leases, "free", free)


def takes_no_locks(patch: Any) -> None:
    """Two runs work on one thing."""

    def lock(_conn: sa.Connection, _run: int, _resources: Any, _now: datetime) -> None:
        return None

    patch.setattr(runs, "lock", lock)
    patch.setattr(locks, "lock", lock)


def ends_are_no_ends(patch: Any) -> None:
    """What a worker has planned or parked is saved, also if somebody has ended the run meanwhile."""
    real = runs._whole

    def whole(conn: sa.Connection, number: int, body: str) -> Run:
        run = real(conn, number, body)
        return run if run.open else run.to(status=Status.running, ended_at=None)

    def change(conn: sa.Connection, run: int, move: Any, now: datetime, **more: Any) -> Run:
        patch.setattr(runs, "_whole", whole)
        try:
            return changed(conn, run, move, now, **more)
        finally:
            patch.setattr(runs, "_whole", real)

    changed = runs.change
    patch.setattr(runs, "change", change)


def takes_it_all(patch: Any) -> None:
    """A worker that starts believes to be the only one, and takes the leases of the others away."""
    real = Embedded.start

    async def start(self: Embedded) -> None:
        await self.world.store.write(leases.void_leases)
        await real(self)

    patch.setattr(Embedded, "start", start)


def says_it_is_exact(patch: Any) -> None:
    """A read-back that does not match passes all the same."""
    patch.setattr(progress, "passed", lambda _accuracy, _slo: True)


def forgets_the_key(patch: Any) -> None:
    """A repetition looks like another step to the outside system."""
    patch.setattr(RunStep, "key_part", property(lambda self: f"{self.n}.{self.attempts}"))


QUICK: dict[str, Patch] = {
    "acts before it says so": acts_before_it_says_so,
    "begins after the end": begins_after_the_end,
    "ends are no ends": ends_are_no_ends,
    "forgets the key": forgets_the_key,
    "keeps its locks": keeps_its_locks,
    "looks no more": looks_no_more,
    "sleeps for ever": sleeps_for_ever,
}
"""Show within a few dozen seeds."""
RARE: dict[str, Patch] = {
    "a child never asks": never_asks,
    "no fence": no_fence,
    "says it is exact": says_it_is_exact,
    "takes it all": takes_it_all,
    "takes no locks": takes_no_locks,
}
"""Need two things to go wrong at once, and hundreds of seeds."""
BUGS = {**QUICK, **RARE}
