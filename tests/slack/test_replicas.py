"""Two processes that post, on one PostgreSQL: each message stands once, and the second takes over from the first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from bot.slack.app import SlackApp
from bot.store import tables as t
from tests.fresh import emptied
from tests.services import FakeClock
from tests.slack.office import BEN, INC, Office, key_of, open_office


async def test_of_two_workers_one_posts(tmp_path: Path, clock: FakeClock, kept_database: str) -> None:
    """A whole rollback while both try all the time: one posts everything, in order, once; silent, the other goes on."""
    async with open_office(tmp_path, clock, "http", emptied(kept_database)) as office:
        await office.waiting()
        other = SlackApp(replace(office.house.world, owner="w2"), office.app.config)
        await other.start(listen=False)
        try:
            await _approve(office)
            sent = [await _both(office, other) for _ in range(30)]
            assert sum(mine for mine, _ in sent) > 0 and sum(theirs for _, theirs in sent) == 0
            assert _keys(office) == ["R-1:card", "R-1:live", "R-1:outcome"]

            await office.typed("fares to v2 because again", "U0ANA")
            await office.house.settle()
            silence = sa.update(t.duties).values(until=t.duties.c.until - 16.0)
            await office.house.store.write(lambda c: c.execute(silence))
            office.app.publisher.duty._asked_until = 1e12  # as one that froze and thaws: it thinks that it still posts
            assert await other.publisher.publish_due() > 0
            assert [await office.app.publisher.publish_due() for _ in range(2)] == [0, 0]
            assert _keys(office).count("R-2:card") == 1
        finally:
            await other.stop()


async def _approve(office: Office) -> None:
    card = office.card()
    assert (await office.slack.click(card.channel, card.ts, "approve", BEN)).ok
    await office.house.settle()


async def _both(office: Office, other: SlackApp) -> tuple[int, int]:
    office.clock.advance(2)
    one, two = await asyncio.gather(office.app.publisher.publish_due(), other.publisher.publish_due())
    return one, two


def _keys(office: Office) -> list[str]:
    card = office.card(run=1)
    found = {m.ts: key_of(m) for m in [*office.slack.channel(INC), *office.slack.thread(INC, card.ts)] if key_of(m)}
    return [found[ts] for ts in sorted(found)]
