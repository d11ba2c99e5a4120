"""Can a release still be restored? Asked in one way, whoever asks: every component with the others beside it."""

from __future__ import annotations

from bot.core.feature import Feature
from bot.core.release import Moment, Release
from bot.core.target import Readiness
from bot.flows.look import context, look
from bot.flows.world import World
from bot.store import releases
from bot.store.write import Connection


async def readiness(world: World, feature: Feature, version: str) -> dict[str, Readiness]:
    """By component, of the release's code side and its newest moment; what was not captured is not in it. Reads from
    the outside systems, writes nothing."""
    name = feature.feature

    def read(conn: Connection) -> tuple[Release | None, list[Moment]]:
        return releases.get(conn, name, version), releases.moments(conn, name, version, limit=1)

    release, moments = await world.store.read(read)
    captures = {**(release.captures if release else {}), **(moments[0].captures if moments else {})}
    found = await look(world, feature, captures, context(name, None, version, captures), diffs=False)
    return found.readiness
