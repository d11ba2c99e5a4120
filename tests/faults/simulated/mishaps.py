"""What goes wrong, and when: drawn from the seed before anything begins, as far as the order of things allows."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.faults.simulated.process import Process

CALM_AFTER: Final = 60.0
"""Virtual seconds after which nothing goes wrong any more, and everything must come to its end."""
JUMPS: Final = (timedelta(hours=-2), timedelta(days=30), timedelta(seconds=-90), timedelta(seconds=90))
CALLS: Final = ("refuses", "final", "lost", "slow", "hangs", "dies", "lies", "again", "late")


@dataclass
class Mishaps:
    """``deaths``, ``freezes`` and ``foreign`` (somebody else writes) by the number of the pass at which they strike;
    negative: of those around a write. ``said``: what happened, line by line,
    if somebody wants to read it."""

    seed: int
    calm: bool = False
    calls: float = 0.0
    lost: float = 0.0
    down: tuple[float, float] = (0.0, 0.0)
    deaths: set[int] = field(default_factory=set)
    freezes: dict[int, float] = field(default_factory=dict)
    jumps: dict[float, timedelta] = field(default_factory=dict)
    deploys: list[float] = field(default_factory=list)
    foreign: dict[int, str] = field(default_factory=dict)
    interfere: Callable[[str, int], None] = field(default=lambda _name, _n: None)
    said: list[str] | None = None
    count: int = 0
    writes: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed} on the way")
        self.written = asyncio.Event()

    async def next_write(self, most: float) -> None:
        """Until something is about to be written outside, or was just now; at most so many seconds."""
        self.written.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self.written.wait()

    def say(self, text: str) -> None:
        if self.said is not None:
            self.said.append(f"{asyncio.get_running_loop().time():9.3f} {text}")

    def short(self) -> float:
        return self.dice.random() * 0.02

    def unseen(self) -> float:
        """Seconds for which consumers don't see what was written."""
        return self.dice.choice([0.0, 0.0, 0.5, 4.0])

    def passed(self, process: Process, where: str) -> None:
        self.count += 1
        writes = "restore" in where or "child" in where
        self.writes += writes
        if writes:
            self.written.set()
        if self.calm or not process.alive or not process.mortal:
            return
        here = {self.count, -self.writes} if writes else {self.count}
        for n in here & self.foreign.keys():
            self.interfere(self.foreign[n], self.count)
        if here & self.deaths:
            self._soon(process.die, f"{process.name} dies where its {where}")
        elif found := [self.freezes[n] for n in here if n in self.freezes]:
            self._soon(partial(process.freeze, found[0]), f"{process.name} freezes for {found[0]} s where its {where}")

    def _soon(self, strike: Callable[[], None], words: str) -> None:
        """There, or a little behind: between two passes a child may be at work."""
        self.say(words)
        if self.dice.random() < 0.5:
            strike()
        else:
            asyncio.get_running_loop().call_later(self.dice.random() * 0.1, strike)

    def of_database(self, how: str) -> str:
        """Empty: it works. ``down``: nothing is stored. ``lost``: it is stored, and nobody hears of it."""
        if self.calm:
            return ""
        begin, end = self.down
        if begin <= asyncio.get_running_loop().time() < end:
            return "down"
        return "lost" if self.dice.random() < self.lost else ""

    def of_call(self) -> str:
        """What goes wrong in one call into an outside system; empty: nothing."""
        if self.calm or self.dice.random() >= self.calls:
            return ""
        return self.dice.choice(CALLS)


def drawn(seed: int) -> Mishaps:
    """From nothing at all to a very bad night."""
    dice = random.Random(f"{seed} mishaps")
    made = Mishaps(seed)
    made.calls = dice.choice([0.0, 0.0, 0.03, 0.1, 0.25])
    made.lost = dice.choice([0.0, 0.0, 0.01, 0.05])
    made.deaths = {_place(dice) for _ in range(dice.choice([0, 1, 2, 4]))}
    frozen = range(dice.choice([0, 0, 1, 2, 4]))
    made.freezes = {_place(dice): dice.choice([2.0, 13.0, 17.0, 19.0, 25.0]) for _ in frozen}
    made.jumps = {dice.uniform(1, 40): dice.choice(JUMPS) for _ in range(dice.choice([0, 0, 1, 2]))}
    made.deploys = sorted(dice.uniform(2, 40) for _ in range(dice.choice([0, 0, 1, 2])))
    names = ("flag", "pipeline", "dataset", "model")
    made.foreign = {_place(dice): dice.choice(names) for _ in range(dice.choice([0, 0, 1, 3]))}
    if dice.random() < 0.2:
        began = dice.uniform(1, 30)
        made.down = (began, began + dice.choice([0.5, 6.0, 20.0]))
    return made


def _place(dice: random.Random) -> int:
    """Anywhere, or around a write, where most is at stake."""
    return dice.randrange(20, 450) if dice.random() < 0.5 else -dice.randrange(1, 30)
