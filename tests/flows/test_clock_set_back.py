"""The clock on the wall is set back while runs sleep: the ticker wakes them, on both databases."""

from __future__ import annotations

from bot.core import progress
from bot.core.commands import Request
from bot.flows.clockwork import wake_overslept
from bot.store import runs
from tests.flows.house import House


async def test_what_sleeps_is_woken(house: House) -> None:
    """A run that lay down for ten minutes is due ten minutes after the clock was set back; one that sleeps as it should
    is left alone."""
    taken = await house.say(Request(feature="fares", to="v1"))
    number, now = taken.run or 0, house.clock.now()
    parked = progress.parked(await house.run(number), "8 of 9 see it", 600.0, now)
    await house.store.write(lambda c: runs.change(c, number, lambda r: (parked, []), now))
    assert await wake_overslept(house.world) == 0

    house.clock.advance(-7200)
    assert await house.store.read(lambda c: runs.due(c, house.clock.now())) == []
    assert await wake_overslept(house.world) == 1
    house.clock.advance(600)
    assert await house.store.read(lambda c: runs.due(c, house.clock.now())) == [number]
    assert await wake_overslept(house.world) == 0
