"""Slow steps are said: not too early, not too often, louder with time, and not while somebody looks or it goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.core import stall
from bot.core.commands import Snooze
from bot.core.run import Run, RunStep, Status
from bot.core.target import Kind
from bot.flows import clockwork, liveness
from bot.flows.apply import Applier
from bot.flows.stalls import Stalls
from bot.store import messages, runs
from bot.store import tables as t
from tests.flows.house import BEN, House
from tests.flows.test_rollback import two_releases

PAGED: list[dict[str, object]] = []


async def page(url: str, body: dict[str, object]) -> None:
    PAGED.append(body)


@pytest.fixture
async def slow(house: House) -> Run:
    """A run whose restore has just begun. Of its four earlier times one took 100 s: history is thin."""
    PAGED.clear()
    await two_releases(house)
    run = await house.ask("v1")
    await history(house, run.id, [20, 21, 22, 100])
    return await under_way(house, run)


async def history(house: House, run: int, took: list[float]) -> None:
    """As if the step had been done so many times."""

    def rows(conn: sa.Connection) -> None:
        known = {
            "run": run,
            "feature": "fares",
            "verb": "restore",
            "component": "model",
            "status": "done",
            "body": "{}",
        }
        conn.execute(sa.insert(t.steps), [{**known, "plan": 100 + n, "n": 0, "seconds": s} for n, s in enumerate(took)])

    await house.store.write(rows)


async def under_way(house: House, run: Run, **more: Any) -> Run:
    known = {"n": 0, "group": 0, "verb": "restore", "component": "model", "kind": Kind.model, "resource": "m"}
    begun = {"status": "running", "started_at": house.clock.now(), "attempts": 1}
    step = RunStep.model_validate(known | begun | more)

    def begin(r: Run) -> Any:
        return r.to(steps=[step], status=Status.running, waiting_for=None, started_at=house.clock.now()), []

    return await house.store.write(lambda c: runs.change(c, run.id, begin, house.clock.now()))


async def said_after(house: House, stalls: Stalls, minutes: list[float]) -> list[int]:
    found = []
    for each in minutes:
        house.clock.advance(each * 60)
        found.append(await stalls.when_due())
    return found


async def alerts(house: House, run: Run) -> list[messages.Message]:
    return [m for m in await house.store.read(lambda c: messages.of_run(c, run.id, "stall")) if m.person is None]


async def test_thin_history_waits_two_minutes_and_repeats_five_times(house: House, slow: Run) -> None:
    """At 2, 4, 8, 16 and 32 minutes; then never again. Two replicas and a restart say nothing twice."""
    stalls, other = Stalls(house.world, page), Stalls(house.world, page)
    said = await said_after(house, stalls, [1.9, 0.2, 1, 1, 4, 8, 16, 100, 1000])
    assert said == [0, 1, 0, 1, 1, 1, 1, 0, 0]
    assert [await other.when_due(), await Stalls(house.world, page).when_due()] == [0, 0]
    assert len(await alerts(house, slow)) == 5


async def test_what_goes_on_again_is_said_once(house: House, slow: Run) -> None:
    """When the step is over its alerts are told anew, by one of two replicas, and never after that."""
    stalls, other = Stalls(house.world, page), Stalls(house.world, page)
    assert await said_after(house, stalls, [2, 2]) == [1, 1]
    await other.when_due()
    assert [m.wanted for m in await alerts(house, slow)] == [1, 1]
    await under_way(house, slow, status="done", ended_at=house.clock.now())
    for replica in (stalls, other, Stalls(house.world, page)):
        assert await replica.when_due() == 0
    await under_way(house, slow, status="done", n=1)
    assert await said_after(house, stalls, [1, 60]) == [0, 0]
    assert [m.wanted for m in await alerts(house, slow)] == [2, 2]


async def test_what_went_on_while_nobody_looked_is_said(house: House, slow: Run) -> None:
    """The worker that said it was started anew, and by the time of its first look the step is over; what was said more
    than a week ago is left as it is."""
    assert await said_after(house, Stalls(house.world, page), [2]) == [1]
    await under_way(house, slow, status="done", ended_at=house.clock.now())
    house.clock.advance(timedelta(days=8))
    assert await Stalls(house.world, page).when_due() == 0
    assert [m.wanted for m in await alerts(house, slow)] == [1]
    house.clock.advance(-timedelta(days=7))
    assert await Stalls(house.world, page).when_due() == 0
    assert [m.wanted for m in await alerts(house, slow)] == [2]


async def test_another_try_is_another_alert(house: House, slow: Run) -> None:
    """Retried before its alert was told anew, a step is not slow: the alert was of the try before, and stays over."""
    stalls = Stalls(house.world, page)
    assert await said_after(house, stalls, [2]) == [1]
    await under_way(house, slow, status="failed")
    await stalls.when_due()
    house.clock.advance(2)
    await under_way(house, slow)
    (first,) = await alerts(house, slow)
    assert stall.said_of(await house.run(slow.id), first.body) is None
    assert await said_after(house, stalls, [1.9, 0.2]) == [0, 1]
    run = await house.run(slow.id)
    assert [stall.said_of(run, m.body) is not None for m in await alerts(house, slow)] == [False, True]


async def test_its_own_history_says_what_is_long(house: House, slow: Run) -> None:
    """From the fifth time on the 95th percentile counts, and it is what the alert says."""
    await house.store.write(lambda c: c.execute(sa.delete(t.steps).where(t.steps.c.plan >= 100)))
    await history(house, slow.id, [200.0] * 3 + [40.0] * 60)
    stalls = Stalls(house.world, page)
    assert await said_after(house, stalls, [0.6, 0.1]) == [0, 1]
    assert [m.body["usual"] for m in await alerts(house, slow)] == [40.0]


async def test_stall_after_counts_while_history_is_thin(house: House, slow: Run) -> None:
    """What the playbook says comes before the default."""
    await under_way(house, slow, stall_after=600.0)
    assert await said_after(house, Stalls(house.world, page), [9, 1.1]) == [0, 1]


async def test_what_says_how_far_it_is_is_not_said_again(house: House, slow: Run) -> None:
    """Progress since keeps further alerts away; without it they go on."""
    stalls = Stalls(house.world, page)
    assert await said_after(house, stalls, [2.1]) == [1]
    began = slow.steps[0].started_at
    await under_way(house, slow, started_at=began, progress_at=house.clock.now() + timedelta(seconds=120))
    assert await said_after(house, stalls, [2.1, 30]) == [0, 1]


@pytest.mark.parametrize("rests", [{"status": Status.paused}, {"status": Status.waiting, "waiting_for": "person"}])
async def test_what_rests_because_people_want_it_so_is_not_stalled(
    house: House, slow: Run, rests: dict[str, Any]
) -> None:
    """A wait for consumers in a run that is paused, or that waits for a person, is looked at by nobody on purpose; a
    step that is still being done there can hang as ever."""
    for status, alerted in (("again", 0), ("running", 1)):
        await under_way(house, slow, verb="wait", timeout=60.0, status=status)
        await house.store.write(lambda c: runs.change(c, slow.id, lambda r: (r.to(**rests), []), house.clock.now()))
        assert await said_after(house, Stalls(house.world, page), [5]) == [alerted]


async def test_the_rests_of_a_ramp_are_not_counted(house: House, slow: Run) -> None:
    """A share that is being given is as old as its own turn, not as the first one; hanging, it is said, and so is the
    next one."""
    began, now = house.clock.now(), house.clock.now() + timedelta(minutes=20)
    ramp = {"verb": "enable", "ramp": [25, 50], "every": 600.0, "stage": 1, "staged_at": began + timedelta(minutes=10)}
    house.clock.advance(now - began)
    await under_way(house, slow, started_at=began, share_at=now, **ramp)
    assert await said_after(house, Stalls(house.world, page), [0.1, 2]) == [0, 1]
    ramp |= {"stage": 2, "staged_at": house.clock.now()}
    house.clock.advance(timedelta(minutes=10))
    await under_way(house, slow, started_at=began, share_at=house.clock.now(), **ramp)
    assert await said_after(house, Stalls(house.world, page), [0.1, 2]) == [0, 1]


async def test_who_looks_has_quiet(house: House, slow: Run) -> None:
    """For fifteen minutes by default; then it is said where it stands."""
    stalls = Stalls(house.world, page)
    assert await said_after(house, stalls, [2.1]) == [1]
    await house.say(Snooze(run=slow.id), BEN)
    await Applier(house.world).apply_all()
    assert [m.wanted for m in await alerts(house, slow)] == [2]  # it says who is looking
    assert await said_after(house, stalls, [14, 1.1]) == [0, 1]
    assert (await house.run(slow.id)).looking == BEN


async def test_the_second_alert_calls_the_lead_and_the_pager_once(house: House, slow: Run) -> None:
    """Directly, once each, however often it is said afterwards."""
    policy = house.folder / "playbooks/policy.yaml"
    lead = 'escalate: "@leads"\npage: "http://127.0.0.1:9/page"\n'
    policy.write_text(policy.read_text().replace("{ml-oncall:", "{leads: [T1/LEA], ml-oncall:") + lead)
    await said_after(house, Stalls(house.world, page), [2.1, 2, 4, 8, 16])
    found = await house.store.read(lambda c: messages.of_run(c, slow.id, "stall"))
    assert [(m.person, m.channel) for m in found if m.person] == [("T1/LEA", "LEA")]
    assert [{"run": slow.name, "feature": "fares", "stalled": "restore model"}] == PAGED


async def test_a_run_that_waits_for_help_is_said_again_and_the_lead_is_called(house: House) -> None:
    """As a card is, from when the step failed; and not while somebody looks."""
    policy = house.folder / "playbooks/policy.yaml"
    policy.write_text(
        policy.read_text().replace("{ml-oncall:", "{leads: [T1/LEA], ml-oncall:") + 'escalate: "@leads"\n'
    )
    await two_releases(house)
    run = await house.ask("v1")
    stuck = {"status": Status.waiting, "waiting_for": "person", "stuck_at": house.clock.now()}
    await house.store.write(lambda c: runs.change(c, run.id, lambda r: (r.to(**stuck), []), house.clock.now()))
    said = []
    for minutes in (1, 1, 2, 4, 8):
        house.clock.advance(minutes * 60)
        said.append(await clockwork.remind(house.world, page))
    assert said == [0, 1, 1, 1, 0]
    found = await house.store.read(lambda c: messages.of_run(c, run.id, "reminder"))
    assert [m.person for m in found if m.person] == ["T1/LEA"]


async def test_where_no_worker_is_alive_it_is_said(house: House) -> None:
    """None yet, one at work, one that has ended, one that is silent."""
    said = [await liveness.look(house.world)]
    await liveness.beat(house.world)
    said.append(await liveness.look(house.world))
    await liveness.farewell(house.world)
    said.append(await liveness.look(house.world))
    await liveness.beat(house.world)
    long_ago = sa.update(t.workers).values(seen=t.workers.c.seen - 50.0)
    await house.store.write(lambda c: c.execute(long_ago))
    said.append(await liveness.look(house.world))

    assert [bool(s) for s in said] == [True, False, True, True]
    assert said[3].startswith("no worker is running, the last one was seen 5")
