"""The course of a night: mishaps and presses at random, then calm, in which everything must come to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from bot import worker
from bot.core.run import Run
from bot.drivers import sweep
from bot.store import runs
from tests.faults.simulated.database import Database
from tests.faults.simulated.loop import VirtualLoop, lapse
from tests.faults.simulated.mishaps import Mishaps, drawn
from tests.faults.simulated.night import BAD, Heard, Night, two_releases
from tests.faults.simulated.people import ANA, ROLLBACK, careful_press, random_press
from tests.faults.simulated.rules import rests
from tests.faults.simulated.systems import System

PATIENCE_S = 3000.0
"""Virtual seconds of calm in which every run must have come to its end."""
STUCK_S = 700.0
"""Virtual seconds of calm for which a run may rest in a state from which nothing wakes it."""


@dataclass
class Outcome:
    """What came of one seed. ``broken``: rules that did not hold; ``said``: the night, line by line."""

    seed: int
    broken: list[str]
    ends: list[str]
    seconds: float
    said: list[str] = field(default_factory=list)


def simulate(seed: int, *, verbose: bool = False) -> Outcome:
    """One night, the same each time for the same seed."""
    image = two_releases()
    dice = random.Random(f"{seed} course")
    mishaps = drawn(seed)
    mishaps.said = [] if verbose else None
    loop = VirtualLoop()
    night = Night(mishaps, loop, image, dict(BAD), alone=dice.random() < 0.3)
    with listening(night), slow_polls():
        try:
            loop.run_until_complete(_night(night, dice))
        except RuntimeError as e:
            night.rules.broke(f"the night did not end: {e!r}")
        finally:
            loop.run_until_complete(leave(night))
            loop.close()
    ends = [r.status.value for r in night.database.read(lambda c: runs.newest(c, limit=50))]
    return Outcome(seed, night.rules.broken, ends, loop.now, mishaps.said or [])


def bare(*, database: type[Database] = Database, system: type[System] = System, parts: int | None = None) -> Night:
    """A night of one worker in which nothing goes wrong by itself."""
    image, loop = two_releases(), VirtualLoop()
    known = {"database_class": database, "system_class": system, "parts": parts}
    return Night(Mishaps(0), loop, image, dict(BAD), alone=True, **known)  # type: ignore[arg-type]


@contextlib.contextmanager
def listening(night: Night) -> Iterator[None]:
    heard, logger = Heard(night.rules), logging.getLogger("bot")
    logger.addHandler(heard)
    was, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(heard)
        logger.propagate = was


@contextlib.contextmanager
def slow_polls() -> Iterator[None]:
    """Each poll costs real time; what is woken by a write is woken as ever."""
    were = worker.POLL_S, sweep.POLL_S
    worker.POLL_S = sweep.POLL_S = 4.0
    try:
        yield
    finally:
        worker.POLL_S, sweep.POLL_S = were


async def _night(night: Night, dice: random.Random) -> None:
    for _ in range(1 if night.alone else dice.choice([2, 2, 3])):
        night.begin()
    nature = [asyncio.create_task(_jumps(night)), asyncio.create_task(_deploys(night))]
    night.mishaps.interfere = lambda name, n: night.systems[name].foreign(f"somebody's {n}")
    await _presses(night, dice)
    await asyncio.gather(*nature)
    night.mishaps.calm = True
    night.mishaps.say("it is calm now")
    await _calm(night)
    worker.POLL_S = sweep.POLL_S = 60.0  # nothing is left to be found
    await night.rest()
    night.database.read(night.rules.at_the_end)
    for key, answers in night.answers.items():
        if len(answers) > 1:
            night.rules.broke(f"the press {key} was answered in {len(answers)} ways: {answers}")


async def _jumps(night: Night) -> None:
    for at, by in sorted(night.mishaps.jumps.items()):
        await lapse(max(0.0, at - night.loop.now))
        night.shift += by
        night.mishaps.say(f"the clock jumps by {by}")


async def _deploys(night: Night) -> None:
    for at in night.mishaps.deploys:
        await lapse(max(0.0, at - night.loop.now))
        night.mishaps.say("a deploy")
        await night.deploy()


async def _presses(night: Night, dice: random.Random) -> None:
    """Somebody asks, mostly somebody approves, and then people press this and that, often while a write is made."""
    first = (await night.say(ROLLBACK, ANA, "first")).run or 0
    if dice.random() < 0.85:
        await _approved(night, first)
    pressed = []
    for n in range(dice.choice([0, 1, 2, 4, 8])):
        if dice.random() < 0.6:
            await night.mishaps.next_write(8.0)
        else:
            await lapse(dice.choice([0.1, 0.4, 1.0, 3.0, 6.0]) * dice.uniform(0.5, 1.5))
        found = night.database.read(lambda c: runs.newest(c, limit=5))
        run = dice.choice(found) if found and dice.random() < 0.3 else next((r for r in found if r.open), None)
        command, who = random_press(dice, run, first)
        night.mishaps.say(f"{who} says {command!r}")
        copies = range(dice.choice([1, 1, 1, 2, 3]))
        pressed += [asyncio.create_task(night.say(command, who, f"press {n}")) for _ in copies]
    await asyncio.gather(*pressed)
    await _until_rest(night, dice.choice([5.0, 30.0, 60.0]))


async def _approved(night: Night, number: int) -> None:
    """By somebody who waits for the card, if it comes."""
    for _ in range(20):
        run = night.database.read(lambda c: runs.load(c, number))
        if run and run.waiting_for == "approval":
            await night.say(*careful_press(run, 0), "at once")  # type: ignore[misc]
            return
        await lapse(0.3)


async def _until_rest(night: Night, most: float) -> None:
    """Things go on going wrong while a run is at work."""
    until = night.loop.now + most
    while night.loop.now < until:
        found = night.database.read(lambda c: runs.open_runs(c, limit=5))
        if all(r.waiting_for in ("approval", "person") or r.status == "paused" for r in found):
            return
        await lapse(2)


async def _calm(night: Night) -> None:
    """Somebody sees every run to its end, as long as it takes no more than patience."""
    began, tried, resting, n = night.loop.now, dict[int, int](), dict[int, tuple[str, float]](), 0
    while night.loop.now - began < PATIENCE_S and not night.rules.broken:  # one broken rule is enough to read
        await lapse(6)
        if not night.workers and not night.alone:
            continue
        found = night.database.read(lambda c: runs.open_runs(c, limit=50))
        if not found and not night.database.read(_unapplied):
            return
        for run in found:
            _stuck(night, run, resting)
            press = careful_press(run, tried.get(run.id, 0))
            if press:
                tried[run.id] = tried.get(run.id, 0) + 1
                n += 1
                await night.say(*press, f"careful {n}")
    if not night.rules.broken:
        night.rules.broke(f"after {PATIENCE_S:.0f} s of calm there are open runs or presses: {[r.name for r in found]}")


def _unapplied(conn: object) -> bool:
    from bot.store import inbox

    return bool(inbox.waiting(conn))  # type: ignore[arg-type]


def _stuck(night: Night, run: Run, resting: dict[int, tuple[str, float]]) -> None:
    why = rests(run, night.now())
    if why is None:
        resting.pop(run.id, None)
        return
    first = resting.setdefault(run.id, (why, night.loop.now))[1]
    if night.loop.now - first > STUCK_S:
        night.rules.broke(f"{run.name} hangs: it {why}")
        resting[run.id] = (why, night.loop.now + 1e9)


async def leave(night: Night) -> None:
    """Everybody goes home; nothing is left waiting in the loop."""
    for process in night.processes.values():
        process.on_death = lambda: None
        process.die()
    mine = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in mine:
        task.cancel()
    await asyncio.gather(*mine, return_exceptions=True)
