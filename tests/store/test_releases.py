"""Releases, moments, stints, holds and what is left behind: one live release, one hold, nothing said twice."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from sqlalchemy.exc import IntegrityError

from bot.core.release import Moment, Release, Stint
from bot.core.run import Left, Run
from bot.store import releases, runs
from bot.store import tables as t
from bot.store.write import PostgresStore, Store
from tests.store.deeds import NOW, a_run, count, later


def release(version: str, at: datetime = NOW, digest: str = "d") -> Release:
    return Release(feature="fares", version=version, digest=digest, created_at=at, changelog="für ETAs")


async def spans(store: Store, feature: str = "fares") -> list[tuple[str, datetime, datetime | None, bool]]:
    found = await store.read(lambda c: releases.stints(c, feature))
    return [(s.version, s.since, s.until, s.rolled_back) for s in found]


async def test_a_release_is_added_once(store: Store) -> None:
    """The first one stays as it was; the second is refused and changes nothing; names come newest first."""
    for n in range(3):
        assert await store.write(lambda c, n=n: releases.add(c, release(f"v{n}", later(n))))
    assert not await store.write(lambda c: releases.add(c, release("v1", later(99), "other")))

    assert await store.read(lambda c: releases.get(c, "fares", "v1")) == release("v1", later(1))
    assert await store.read(lambda c: releases.get(c, "fares", "v9")) is None
    assert await store.read(lambda c: releases.versions(c, "fares")) == ["v2", "v1", "v0"]
    assert [r.version for r in await store.read(lambda c: releases.newest(c, "fares", limit=2))] == ["v2", "v1"]


async def test_one_of_many_captures_makes_the_release(store: Store) -> None:
    """Of captures of one version at the same time, exactly one is new."""
    made = await asyncio.gather(*(store.write(lambda c: releases.add(c, release("v1"))) for _ in range(10)))

    assert made.count(True) == 1


async def test_moments_come_newest_first_and_not_after(store: Store) -> None:
    """A page of moments, those at the very time included, later ones and other releases' not."""
    for version, at in (("v1", 10), ("v1", 30), ("v1", 20), ("v2", 25), ("v1", 20)):
        moment = Moment(feature="fares", version=version, at=later(at))
        await store.write(lambda c, moment=moment: releases.add_moment(c, moment))

    async def times(**more: object) -> list[tuple[int, int]]:
        found = await store.read(lambda c: releases.moments(c, "fares", "v1", **more))  # type: ignore[arg-type]
        return [(m.id, round((m.at - NOW).total_seconds())) for m in found]

    assert await times() == [(2, 30), (5, 20), (3, 20), (1, 10)]
    assert await times(limit=2) == [(2, 30), (5, 20)]
    assert await times(not_after=later(20)) == [(5, 20), (3, 20), (1, 10)]
    assert await times(not_after=later(19)) == [(1, 10)]
    assert await times(not_after=later(9)) == []


async def test_one_release_is_live(store: Store) -> None:
    """Going live ends what was live before, by a rollback or not; going live again is a no-op."""
    for n, (version, rolled_back) in enumerate([("v1", False), ("v2", False), ("v2", True), ("v1", True)]):
        at = later(n)
        await store.write(
            lambda c, v=version, at=at, r=rolled_back: releases.goes_live(c, "fares", v, at, rolled_back=r)
        )

    assert await spans(store) == [
        ("v1", later(0), later(1), False),
        ("v2", later(1), later(3), True),
        ("v1", later(3), None, False),
    ]


async def test_two_live_releases_are_refused_by_the_database(store: Store) -> None:
    """An imported time without an end is refused while a release is live, and welcome in the past or elsewhere."""
    await store.write(lambda c: releases.goes_live(c, "fares", "v2", NOW))
    with pytest.raises(IntegrityError):
        await store.write(lambda c: releases.add_stint(c, "fares", Stint(version="v1", since=later(-9))))
    past = Stint(version="v1", since=later(-9), until=later(-5))
    await store.write(lambda c: releases.add_stint(c, "fares", past))
    await store.write(lambda c: releases.goes_live(c, "rides", "v1", NOW))

    assert [s[0] for s in await spans(store)] == ["v1", "v2"]


async def test_live_releases_are_listed_with_their_newest_moment(store: Store) -> None:
    """Each live release of each feature, and when its newest moment was taken (None: never)."""
    for feature, version in (("fares", "v1"), ("fares", "v2"), ("rides", "v1")):
        await store.write(lambda c, f=feature, v=version: releases.goes_live(c, f, v, NOW))
    for version, at in (("v2", 5), ("v2", 7), ("v1", 9)):
        moment = Moment(feature="fares", version=version, at=later(at))
        await store.write(lambda c, moment=moment: releases.add_moment(c, moment))

    assert sorted(await store.read(releases.live_features)) == [("fares", "v2", later(7)), ("rides", "v1", None)]


async def test_a_feature_is_held_once(store: Store) -> None:
    """The first reason stays until it is lifted; lifting says whether there was one; then it can be held again."""
    held = await asyncio.gather(
        *(store.write(lambda c, n=n: releases.place_hold(c, "fares", n, f"reason {n}", NOW)) for n in range(1, 6))
    )
    first = await store.read(lambda c: releases.hold(c, "fares"))
    lifted = await asyncio.gather(*(store.write(lambda c: releases.lift_hold(c, "fares", later(1))) for _ in range(5)))

    assert held == [None] * 5
    assert first is not None
    assert first["reason"] == f"reason {str(first['run'])[2:]}"
    assert lifted.count(True) == 1
    assert await store.read(lambda c: releases.hold(c, "fares")) is None
    await store.write(lambda c: releases.place_hold(c, "fares", None, "by hand", later(2)))
    by_hand = {"run": None, "reason": "by hand", "since": "2026-11-22T03:02:02.000000Z"}
    assert await store.read(lambda c: releases.hold(c, "fares")) == by_hand
    assert await count(store, t.holds) == 2


async def left_by(store: Store, run: int, *what: str) -> None:
    left = [Left(what=w, component="" if w == "hold" else "flag", say=w) for w in what]  # type: ignore[arg-type]

    def leave(conn: object) -> None:
        whole = runs.load(conn, run)  # type: ignore[arg-type]
        assert isinstance(whole, Run)
        releases.leave(conn, whole, left, NOW, later(60))  # type: ignore[arg-type]

    await store.write(leave)


async def test_what_two_runs_left_is_said_by_the_later_one(store: Store) -> None:
    """The same flag is off once, however many runs left it so; a review is each run's own."""
    one, two = await a_run(store), await a_run(store, to="v2")
    await left_by(store, one, "flag", "review")
    await left_by(store, two, "flag", "review")
    left = await store.read(lambda c: releases.left(c, feature="fares"))
    assert [(r["run"], r["what"]) for r in left] == [(one, "review"), (two, "flag"), (two, "review")]


async def test_what_is_left_behind_is_listed_until_it_is_put_right(store: Store) -> None:
    """Closing a thing closes it for all runs of the feature that left it, and for no other feature or thing."""
    one, two, other = await a_run(store), await a_run(store, to="v2"), await a_run(store, "rides")
    await left_by(store, one, "flag", "hold")
    await left_by(store, two, "flag")
    await left_by(store, other, "flag")
    await store.write(lambda c: releases.close_left(c, "fares", "flag", "flag", NOW))
    await store.write(lambda c: releases.close_left(c, "fares", "flag", "flag", NOW))

    def said(rows: list[dict[str, object]]) -> list[tuple[object, object]]:
        return [(r["run"], r["what"]) for r in rows]

    assert said(await store.read(releases.left)) == [(one, "hold"), (other, "flag")]
    assert said(await store.read(lambda c: releases.left(c, feature="fares"))) == [(one, "hold")]
    assert said(await store.read(lambda c: releases.left(c, run=two))) == []
    assert await store.read(lambda c: releases.runs_that_left(c, "fares", NOW)) == [two, one]
    assert await store.read(lambda c: releases.runs_that_left(c, "fares", NOW, limit=1)) == [two]
    assert await store.read(lambda c: releases.runs_that_left(c, "fares", later(1))) == [one]


async def test_a_reminder_is_handed_out_once_a_period(store: Store) -> None:
    """Whoever asks first gets the runs to remind of; the next one only after the period; what is closed never."""
    one, two = await a_run(store), await a_run(store, to="v2")
    await left_by(store, one, "flag", "hold")
    await left_by(store, two, "pipeline")
    await store.write(lambda c: releases.close_left(c, "fares", "pipeline", "flag", NOW))
    ask = [store.write(lambda c: releases.due_reminders(c, later(60), later(120))) for _ in range(6)]

    assert await store.write(lambda c: releases.due_reminders(c, later(59), later(120))) == []
    assert sorted(await asyncio.gather(*ask)) == [[], [], [], [], [], [one]]
    assert await store.write(lambda c: releases.due_reminders(c, later(119), later(180))) == []
    assert await store.write(lambda c: releases.due_reminders(c, later(120), later(180))) == [one]


async def test_features_that_share_a_thing_are_known(store: Store) -> None:
    """Others on the same resource are named with what is shared; a feature that moved away no longer is."""
    mine = {"dataset": "lake/drivers", "flag": "flags/fares"}
    await store.write(lambda c: releases.index_feature(c, "fares", mine))
    await store.write(lambda c: releases.index_feature(c, "riders", {"rows": "lake/drivers", "flag": "flags/riders"}))
    await store.write(lambda c: releases.index_feature(c, "trips", {"rows": "lake/trips"}))

    async def sharing() -> list[str]:
        return await store.read(lambda c: releases.sharing(c, "fares", mine))

    assert await sharing() == ["riders (same dataset)"]
    await store.write(lambda c: releases.index_feature(c, "trips", {"switch": "flags/fares", "rows": "lake/drivers"}))
    assert await sharing() == ["riders (same dataset)", "trips (same dataset)", "trips (same flag)"]
    await store.write(lambda c: releases.index_feature(c, "riders", {"flag": "flags/riders"}))
    await store.write(lambda c: releases.index_feature(c, "trips", {}))
    assert await sharing() == []
    assert await store.read(lambda c: releases.sharing(c, "fares", {})) == []
    assert await count(store, t.catalogue) == 3


async def test_one_feature_is_indexed_by_many(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """Two processes that plan runs of one feature at the same time both get through, whatever its components were."""
    ways = [{n: f"r/{n}" for n in names} for names in ("abc", "cb", "d", "ba", "")]
    work = [ways[n % 5] for n in range(60)]
    await asyncio.gather(
        *(replicas[n % 2].write(lambda c, w=w: releases.index_feature(c, "fares", w)) for n, w in enumerate(work))
    )
    await replicas[0].write(lambda c: releases.index_feature(c, "fares", ways[0]))

    assert await count(replicas[0], t.catalogue) == 3
