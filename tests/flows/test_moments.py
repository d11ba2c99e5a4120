"""Moments of the live release: stored with their data, refused where they would lie, and not silent about doubts."""

from __future__ import annotations

from bot.core.commands import Abort, Purpose
from bot.core.release import Moment
from bot.core.run import Status
from bot.flows import clockwork
from bot.flows.moments import take_moment
from bot.store import messages, releases
from tests.flows.house import BEN, House, with_table, write_flag, write_table
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


async def good_and_bad(house: House) -> None:
    """v1 has the table's version 38; v2 a quarter of the keys and 39, and is live."""
    with_table(house)
    await capture(house, "v1")
    house.clock.advance(25 * 3600)
    write_flag(house.folder, share=25)
    write_table(house.folder, "39")
    await capture(house, "v2")


async def mixed(house: House) -> tuple[str, list[str]]:
    """What is live, and which of its data is not its own."""
    live = (await house.store.read(lambda c: releases.stints(c, "fares")))[-1]
    return live.version, live.mixed


async def kept(house: House, version: str) -> list[str]:
    return [m.captures["dataset"].pointer for m in await stored(house, version)]


async def test_data_that_a_rollback_left_out_becomes_nobody_elses_moment(house: House) -> None:
    """After a rollback without the dataset v2's data is not recorded as v1's, that is said, and ``to v1`` still brings
    v1's own; after that, moments are recorded again."""
    await good_and_bad(house)
    run = await house.approve(await house.ask("v1", without=["dataset"]))
    assert run.status == Status.succeeded, run.why
    assert await mixed(house) == ("v1", ["dataset"])
    await hour(house)
    assert await kept(house, "v1") == ["38"]
    assert "dataset holds another release's data since a rollback" in (await said(house))[-1]

    run = await house.approve(await house.ask("v1"))
    assert run.status == Status.succeeded, run.why
    assert await mixed(house) == ("v1", [])
    await hour(house)
    assert await kept(house, "v1") == ["38", "38"]


async def test_putting_back_or_capturing_again_makes_data_a_releases_own(house: House) -> None:
    """Put back, v2 has its data as before; captured again, what is live counts as v1's, with a doubt that stays."""
    await good_and_bad(house)
    run = await house.approve(await house.ask("v1", without=["dataset"]))
    back = await house.approve(await house.ask("v2", purpose=Purpose.put_back, of_run=run.id))
    assert back.status == Status.succeeded, back.why
    assert await mixed(house) == ("v2", [])
    await hour(house)
    assert await kept(house, "v2") == ["39", "39"]

    await house.approve(await house.ask("v1", without=["dataset"]))
    result = await capture(house, "v1")
    assert result and result["ok"] and "counts as v1's from here on" in str(result["warnings"])
    assert await mixed(house) == ("v1", [])
    assert await kept(house, "v1") == ["39", "38"]


async def test_a_run_that_is_not_over_or_ended_half_way_gives_no_moment(house: House) -> None:
    """While a rollback waits for a person, and after it was aborted, v1's data is not recorded as v2's; put back, it
    is v2's own again."""
    await good_and_bad(house)
    write_table(house.folder, "39", wrong=True)
    run = await house.approve(await house.ask("v1"))
    assert run.waiting_for == "person", run.why
    assert await take_moment(house.world, "fares", clockwork.TICKER) == {"ok": False, "why": "R-1 is changing fares"}

    await house.say(Abort(run=run.id, reason="enough"), BEN)
    await house.settle()
    assert await mixed(house) == ("v2", ["dataset"])
    await hour(house)
    assert await kept(house, "v2") == ["39"]

    write_table(house.folder, "38")
    back = await house.approve(await house.ask("v2", purpose=Purpose.put_back, of_run=run.id))
    assert back.status == Status.succeeded, back.why
    assert await mixed(house) == ("v2", [])
