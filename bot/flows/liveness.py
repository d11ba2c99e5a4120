"""Is any worker at work? Where none is, whoever types something hears that it is kept, and that nobody does it yet."""

from __future__ import annotations

from bot.core.text import span
from bot.flows.world import World
from bot.store import workers

BEAT_S = 10.0
"""Seconds between two signs of life, and between two looks for one."""
SILENT_S = 45.0
"""Without a sign for so long there is no worker: two may be lost, and a busy machine may be late."""


async def beat(world: World) -> None:
    """A worker's sign of life."""
    await world.store.write(lambda c: workers.beat(c, world.owner))


async def farewell(world: World) -> None:
    """This worker ends by itself: no need to wait until it is missed."""
    await world.store.write(lambda c: workers.gone(c, world.owner))


async def look(world: World) -> str:
    """What ``world.unworked`` says from now on: nothing, or that no worker is at work."""
    silent = await world.store.read(workers.silent_for)
    if silent is None:
        world.unworked = "no worker is running: start one, 'rollbot serve --role worker'"
    elif silent > SILENT_S:
        world.unworked = (
            f"no worker is running, the last one was seen {span(silent)} ago: 'rollbot serve --role worker'"
        )
    else:
        world.unworked = ""
    return world.unworked
