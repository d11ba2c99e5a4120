"""The clock on the wall jumps in the middle of a run and while a card waits: nothing expires twice, nothing hangs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.core.commands import Decide, Retry
from bot.core.run import Run, Status
from bot.store import runs
from bot.store import tables as t
from tests.faults.simulated.course import bare, leave, listening, slow_polls
from tests.faults.simulated.night import BAD, GOOD, Night
from tests.faults.simulated.people import ANA, BEN, ROLLBACK

BACK, AHEAD = timedelta(hours=-2), timedelta(days=30)


def played(course: Callable[[Night], Awaitable[None]]) -> Night:
    """A night with one worker, to its end."""
    night = bare()
    with listening(night), slow_polls():
        try:
            night.loop.run_until_complete(course(night))
        finally:
            night.loop.run_until_complete(leave(night))
            night.loop.close()
    assert night.rules.broken == []
    return night


async def rests(night: Night, number: int, within: float = 120.0) -> Run:
    """The run once it has ended or waits for people; it may take two minutes, whatever the clock says."""
    until = night.loop.now + within
    while night.loop.now < until:
        await night.lapse(0.5)
        run = night.database.read(lambda c: runs.load(c, number))
        if run and (not run.open or run.waiting_for in ("approval", "person")):
            return run
    raise AssertionError(f"it hangs: {run.status if run else ''} {run.waiting_for if run else ''}")


async def asked(night: Night) -> Run:
    night.begin()
    taken = await night.say(ROLLBACK, ANA, "ask")
    return await rests(night, taken.run or 0)


def acts(night: Night) -> list[str]:
    return list(night.database.read(lambda c: c.execute(sa.select(t.events.c.act)).scalars().all()))


def served(night: Night) -> dict[str, str]:
    return {n: s.value for n, s in night.systems.items()}


@pytest.mark.parametrize("component", ["pipeline", "flag", "dataset", "model"])
@pytest.mark.parametrize("by", [BACK, AHEAD], ids=["back", "ahead"])
def test_the_clock_jumps_in_the_middle_of_a_run(by: timedelta, component: str) -> None:
    """The run comes to its end within minutes. What had waited for consumers for 30 days, as it seems, waits for a
    person, and *Retry* goes on."""

    async def course(night: Night) -> None:
        run = await asked(night)

        def after(effect: object) -> None:
            if getattr(effect, "component", "") == component:
                night.systems[component].ledger.after = lambda _: None
                night.systems["model"].seen_from = night.loop.now + 20
                night.shift += by

        night.systems[component].ledger.after = after
        night.mishaps.unseen = lambda: 8.0  # type: ignore[method-assign]
        await night.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN, "yes")
        run = await rests(night, run.id)
        if run.waiting_for == "person":
            assert by == AHEAD and "still not visible" in run.why
            await night.say(Retry(run=run.id), BEN, "again")
            run = await rests(night, run.id)
        assert run.status == Status.succeeded, run.why

    night = played(course)
    assert served(night) == {**GOOD, "pipeline": "held"}
    assert acts(night).count("run_started") == acts(night).count("run_ended") == 1
    assert list(night.workers) == ["w1"]  # its lease followed another clock


def test_the_clock_is_set_back_while_a_card_waits() -> None:
    """The card stands, and an approval counts."""

    async def course(night: Night) -> None:
        run = await asked(night)
        night.shift += BACK
        await night.lapse(60)
        await night.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN, "yes")
        assert (await rests(night, run.id)).status == Status.succeeded

    assert served(played(course)) == {**GOOD, "pipeline": "held"}


@pytest.mark.parametrize("then", [timedelta(), -AHEAD, BACK])
def test_the_clock_runs_ahead_while_a_card_waits(then: timedelta) -> None:
    """The card expires once, and stays expired when the clock is set right again; a late yes is refused."""

    async def course(night: Night) -> None:
        run = await asked(night)
        night.shift += AHEAD
        await night.lapse(30)
        night.shift += then
        await night.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN, "late")
        await night.lapse(200)
        assert (await rests(night, run.id)).status == Status.expired

    night = played(course)
    assert acts(night).count("run_expired") == 1
    assert served(night) == BAD


def _jumps_after(n: int) -> tuple[int, Night]:
    """A rollback during which the clock is set back after the ``n``-th write of the worker; how many there were."""
    wrote = 0

    async def course(night: Night) -> None:
        watched = night.database.after

        def after(conn: sa.Connection, writer: str) -> None:
            nonlocal wrote
            watched(conn, writer)
            wrote += writer != "web"
            if wrote == n:
                night.shift += BACK

        night.database.after = after
        night.mishaps.unseen = lambda: 3.0  # type: ignore[method-assign]
        run = await asked(night)
        assert run.waiting_for == "approval"
        await night.say(Decide(run=run.id, yes=True, digest=run.plan_digest or ""), BEN, "yes")
        assert (await rests(night, run.id)).status == Status.succeeded

    night = played(course)
    return wrote, night


def test_the_clock_is_set_back_after_any_write() -> None:
    """After each write of a rollback in turn, so also between the moment in which a step says when it wants to be asked
    again and the one in which the run lies down: it never sleeps for two hours."""
    n, most = 0, 1
    while n < most:
        n += 1
        most, night = _jumps_after(n)
        assert served(night) == {**GOOD, "pipeline": "held"}
    assert most > 30
