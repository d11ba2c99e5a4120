"""Personal keys, group memberships, occurrences and facts about the database: one row for one thing."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from bot.core.ports import Membership
from bot.store import health, keys, memberships, occurrences
from bot.store import tables as t
from bot.store.write import Store
from tests.store.deeds import NOW, count, later, took


async def test_a_key_is_known_and_stands_nowhere(store: Store) -> None:
    """A key names its person; the table holds its hash only; nobody's key is nobody's."""
    ana, ben = [await store.write(lambda c, p=p: keys.make(c, p, NOW)) for p in ("T1/ANA", "T1/BEN")]
    rows = await store.read(lambda c: repr(c.execute(sa.select(t.keys)).all()))

    assert await store.read(lambda c: keys.person_of(c, ana)) == "T1/ANA"
    assert await store.read(lambda c: keys.person_of(c, ben)) == "T1/BEN"
    assert ana not in rows
    assert ana.removeprefix("rb_") not in rows
    assert keys.hashed(ana) in rows
    for wrong in ("", ana[:-1], keys.hashed(ana), ana.upper()):
        assert await store.read(lambda c, wrong=wrong: keys.person_of(c, wrong)) is None


async def test_a_new_key_ends_the_old_one(store: Store) -> None:
    """A person has one key: of any number that were made, the last; another person's is untouched."""
    made = [await store.write(lambda c: keys.make(c, "T1/ANA", NOW)) for _ in range(3)]
    other = await store.write(lambda c: keys.make(c, "T1/BEN", NOW))
    known = [await store.read(lambda c, k=k: keys.person_of(c, k)) for k in (*made, other)]

    assert known == [None, None, "T1/ANA", "T1/BEN"]
    assert len(set(made)) == 3
    at_once = await asyncio.gather(*(store.write(lambda c: keys.make(c, "T1/ANA", NOW)) for _ in range(8)))
    still = [await store.read(lambda c, k=k: keys.person_of(c, k)) for k in at_once]
    assert still.count("T1/ANA") == 1
    assert await count(store, t.keys) == 2


async def test_an_occurrence_is_claimed_once(store: Store) -> None:
    """Of all who claim one occurrence, now or later, one gets it."""
    won = await asyncio.gather(*(store.write(lambda c: occurrences.claim(c, "drill:1", NOW)) for _ in range(10)))

    assert won.count(True) == 1
    assert not await store.write(lambda c: occurrences.claim(c, "drill:1", later(9)))
    assert await store.write(lambda c: occurrences.claim(c, "drill:2", NOW))


async def test_facts_about_the_database(store: Store) -> None:
    """The first value of a fact stays; an empty one is a fact."""
    for key in ("one", ""):
        for value in (key, "another"):
            assert await store.write(lambda c, key=key, value=value: occurrences.first_meta(c, f"k{key}", value)) == key


async def test_the_last_known_members_of_a_group(store: Store) -> None:
    """The newest answer replaces the one before, comes back marked as old, and not if it is too old."""
    for n, who in enumerate((["T1/ANA"], ["T1/CLEO", "T1/BEN"])):
        found = Membership(members=frozenset(who), as_of=later(n))
        await store.write(lambda c, found=found: memberships.keep(c, "ml-oncall", found))
    last = await store.read(lambda c: memberships.last(c, "ml-oncall", later(1)))

    assert last == Membership(members=frozenset({"T1/BEN", "T1/CLEO"}), as_of=later(1), stale=True)
    assert await store.read(lambda c: memberships.last(c, "ml-oncall", later(2))) is None
    assert await store.read(lambda c: memberships.last(c, "other", NOW)) is None


async def test_health_counts_what_is_open(store: Store) -> None:
    """A write proves that writing works and says how old the inbox is; counts are of what is open and waits."""
    assert await store.write(lambda c: health.writable(c, NOW)) is None
    await store.intake(took("k"))

    assert await store.write(lambda c: health.writable(c, later(5))) == NOW
    assert await store.read(health.counts) == health.Counts(
        runs={"planning": 1}, inbox_waiting=1, oldest_waiting=NOW, messages_due=0, held=0
    )
