"""What only one worker may do at a time."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from bot.core.errors import LostOwnership
from bot.store import duties
from bot.store import tables as t
from bot.store.write import Store


async def test_a_duty_has_one_owner_until_it_is_silent(store: Store) -> None:
    """The second gets it when the first gives it back or has been silent; the first notices in its next write."""
    take = lambda who: store.write(lambda c: duties.take(c, "posting", who, 60.0))  # noqa: E731
    assert [await take("a"), await take("b"), await take("a")] == [True, False, True]
    assert [await store.read(lambda c, who=who: duties.free(c, "posting", who)) for who in "ab"] == [True, False]
    await store.write(lambda c: duties.confirm(c, "posting", "a"))
    await store.write(lambda c: c.execute(sa.update(t.duties).values(until=t.duties.c.until - 61.0)))
    with pytest.raises(LostOwnership):
        await store.write(lambda c: duties.confirm(c, "posting", "a"))
    assert [await take("b"), await take("a")] == [True, False]
    await store.write(lambda c: duties.give_back(c, "posting", "a"))
    assert not await take("a")
    await store.write(lambda c: duties.give_back(c, "posting", "b"))
    assert await take("a")
