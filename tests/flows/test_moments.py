"""Moments of the live release: stored with their data, refused where they would lie, and not silent about doubts."""

from __future__ import annotations

from bot.core.release import Moment
from bot.flows import clockwork
from bot.store import messages, releases
from tests.flows.house import House, with_table, write_flag, write_table
from tests.flows.test_rollback import capture


async def hour(house: House) -> None:
    """An hour passes, and the ticker's moment is taken or refused."""
    house.clock.advance(3601)
    assert await clockwork.take_moments(house.world) == 1
    await house.settle()


async def stored(house: House, version: str) -> list[Moment]:
    return await house.store.read(lambda c: releases.moments(c, "fares", version))


async def said(house: House) -> list[str]:
    """What the feature's channel is told, oldest first."""
    due = [m for m in await house.store.read(messages.due) if m.purpose == "notice"]
    assert {m.channel for m in due} <= {"#ml"}
    return [str(m.body["text"]) for m in due]


async def test_the_ticker_stores_the_data_side_of_its_time(house: House) -> None:
    """An hour after the capture the table has moved on; the moment holds what was live then, and can be restored."""
    with_table(house)
    await capture(house, "v1")
    write_table(house.folder, "39")
    await hour(house)
    newest, first = await stored(house, "v1")

    assert (newest.captures["dataset"].pointer, first.captures["dataset"].pointer) == ("39", "38")
    assert newest.at == house.clock.now()
    assert await said(house) == []


async def test_other_doubts_than_before_are_said_once(house: House) -> None:
    """Not those that the capture said itself, not the same ones with other numbers; and that they are gone is said."""
    with_table(house)
    write_table(house.folder, "38", warnings=["restorable until 30 Nov"])
    await capture(house, "v1")
    for odd in ("restorable until 31 Nov", "51 of 300 rows disagree", "52 of 300 rows disagree", ""):
        write_table(house.folder, "38", warnings=[odd] if odd else [])
        await hour(house)

    assert [text.split(" UTC")[-1] for text in await said(house)] == [
        ": dataset: 51 of 300 rows disagree",
        " was recorded without a doubt again",
    ]
    assert len(await stored(house, "v1")) == 5


async def test_a_moment_that_is_not_recorded_is_said_once(house: House) -> None:
    """Another code side than the release's, or a system that does not answer: no moment, one line and event each."""
    with_table(house)
    await capture(house, "v1")
    write_flag(house.folder, share=25)
    await hour(house)
    await hour(house)
    write_flag(house.folder)
    write_table(house.folder, "38", broken="the lake is dry")
    await hour(house)

    differs, dry = await said(house)
    assert "no moment was recorded" in differs and "what is live is not v1: its code side differs (flag)" in differs
    assert "the lake is dry" in dry
    assert len(await stored(house, "v1")) == 1
    acts = await house.store.read(lambda c: c.exec_driver_sql("SELECT act FROM events").scalars().all())
    assert acts == ["release_captured", "moment_refused", "moment_refused"]
