"""Scheduled drills are announced, begun and missed exactly once, on any number of replicas."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot.core.run import Status
from bot.flows import drills
from bot.store import messages, occurrences, runs
from bot.store.write import open_store
from tests.flows.company import Company
from tests.flows.company import two_releases as company_releases
from tests.flows.house import House
from tests.flows.test_drills import acts
from tests.flows.test_rollback import two_releases

WEEKLY = """
drill: weekly
feature: fares
release: v1
schedule: "{schedule}"
zone: {zone}
participants: ["@ml-oncall"]
"""


def schedule(house: House, text: str = "0 10 * * *", zone: str = "UTC", **more: str) -> None:
    folder = house.folder / "playbooks/drills"
    folder.mkdir(exist_ok=True)
    lines = "".join(f"{key}: {value}\n" for key, value in more.items())
    (folder / "weekly.yaml").write_text(WEEKLY.format(schedule=text, zone=zone) + lines)


async def notices(house: House) -> list[str]:
    due = await house.store.read(lambda c: messages.due(c, limit=500))
    return [str(m.body["text"]) for m in due if m.purpose == "notice" and "DRILL" in str(m.body["text"])]


async def test_announced_begun_and_once_each(house: House) -> None:
    """A day and an hour before and when it begins, by two replicas at once each time; then the run stands."""
    await two_releases(house)
    schedule(house, f"{house.clock.now():%M %H} * * {house.clock.now() + timedelta(days=1):%a}")
    said = []
    for hours in (0, 0.5, 22.5, 0.5, 0.5, 0.1):
        house.clock.advance(timedelta(hours=hours))
        said.append(sum(await asyncio.gather(*(drills.call(house.world) for _ in range(2)))))
    assert said == [1, 0, 1, 0, 1, 0], said
    texts = await notices(house)
    assert len(texts) == 3 and all("production is not touched" in t.lower() for t in texts)
    assert all("@ml-oncall" in t for t in texts)
    await house.settle()
    (run,) = await house.store.read(runs.open_runs)
    assert (run.mode, run.requester.kind, run.requester.id, run.channel) == (
        "drill",
        "schedule",
        "schedule/weekly",
        "#ml",
    )
    assert (run.status, run.waiting_for) == (Status.waiting, "approval"), run.why
    assert (await house.approve(run)).status == Status.succeeded


async def test_missed_after_26_hours_of_downtime(house: House) -> None:
    """Reported once in the channel and in the log; it does not run, and the next one is announced."""
    await two_releases(house)
    schedule(house, f"{house.clock.now() + timedelta(hours=20):%M %H} * * *")
    await drills.call(house.world)
    house.clock.advance(timedelta(hours=27))
    for _ in range(2):
        await asyncio.gather(*(drills.call(house.world) for _ in range(2)))

    texts = await notices(house)
    assert len([t for t in texts if "was missed" in t]) == 1, texts
    assert (await acts(house)).count("drill_missed") == 1
    assert await house.store.read(runs.open_runs) == []
    assert [t.split(":")[0] for t in texts if "was missed" not in t] == ["DRILL weekly in a day or less"] * 2


async def test_the_claim_and_what_it_says_are_one_transaction(company: Company) -> None:
    """The log refuses the event, so neither claim nor run nor message is there; the next tick has all of them."""
    house = company.house
    await company_releases(company)
    schedule(house, f"{house.clock.now():%M %H} * * *")
    await drills.call(house.world)
    house.clock.advance(timedelta(hours=24))
    full = (
        "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.act = 'drill_begun' BEGIN SELECT RAISE(ABORT, 'x'); END"
    )
    await house.store.write(lambda c: c.exec_driver_sql(full))
    said = await notices(house)
    for _ in range(2):
        with pytest.raises(sa.exc.IntegrityError):
            await drills.call(house.world)
    assert await house.store.read(runs.open_runs) == [] and await notices(house) == said
    await house.store.write(lambda c: c.exec_driver_sql("DROP TRIGGER full"))
    await drills.call(house.world)
    assert len(await house.store.read(runs.open_runs)) == 1 and len(await notices(house)) == len(said) + 2


async def test_replicas_race_for_every_occurrence(house: House, database_url: str) -> None:
    """Three processes' stores on one database, at the same moment, thirty times: each announcement, run and report is
    there once."""
    if house.store.dialect == "sqlite":
        pytest.skip("a second process on SQLite is refused at its start")
    others = [open_store(database_url) for _ in range(2)]
    for store in others:
        await store.start()
    worlds = [house.world, *(replace(house.world, store=store) for store in others)]
    schedule(house, "0 * * * *")
    house.clock.advance(timedelta(minutes=(60 - house.clock.now().minute) % 60 + 1))
    counts = []
    for n in range(30):
        counts.append(sum(await asyncio.gather(*(drills.call(world) for world in worlds))))
        house.clock.advance(timedelta(minutes=20 if n < 25 else 180))
    for store in others:
        await store.stop()
    texts = [t.split(" (")[0] for t in await notices(house)]
    said = await house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM occurrences").scalar())

    assert sum(counts) == said
    assert len(texts) == len(set(await notices(house)))
    assert (await acts(house)).count("drill_begun") == 1
    assert len(await house.store.read(runs.open_runs)) == 1


async def test_a_drill_whose_last_one_is_not_over_is_missed(house: House) -> None:
    """The same card still waits: no second one beside it."""
    policy = house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + "approvals_live: 7d\n")
    await two_releases(house)
    schedule(house, f"{house.clock.now():%M %H} * * *")
    await drills.call(house.world)
    for _ in range(2):
        house.clock.advance(timedelta(hours=24))
        await drills.call(house.world)
        await house.settle()
    assert (await acts(house)).count("drill_missed") == 1
    assert [t for t in await notices(house) if "is at the same still" in t]
    assert len(await house.store.read(runs.open_runs)) == 1


async def test_a_faulty_file_disables_that_drill_only(house: House) -> None:
    """It is said with file and line, the other one is announced, and one that is not enabled says nothing."""
    await two_releases(house)
    schedule(house, f"{house.clock.now():%M %H} * * *")
    folder = house.folder / "playbooks/drills"
    (folder / "bad.yaml").write_text("drill: bad\nfeature: fares\nschedule: 0 25 * * *\n")
    (folder / "odd.yaml").write_text('drill: odd\nfeature: fraes\nschedule: "* * * * *"\n')
    (folder / "off.yaml").write_text('drill: off\nfeature: gone\nschedule: "* * * * *"\nenabled: false\n')

    assert await drills.call(house.world) == 1
    faults = house.world.books.known_faults()
    assert len(faults) == 2
    assert any("bad.yaml:3: " in f and "'25'" in f for f in faults)
    assert any("odd.yaml:2: " in f and "fares" in f for f in faults)
    assert [name for name, _ in drills.next_times(house.world)] == ["bad", "odd", "off", "weekly"]


async def test_the_memory_is_written_only_when_it_changes(house: House) -> None:
    """A tick with nothing to say writes nothing."""
    schedule(house)
    await drills.call(house.world)
    known = await house.store.read(lambda c: occurrences.get_json(c, drills.MEMORY))
    wrote: list[int] = []
    house.store.on_write = lambda: wrote.append(1)
    house.clock.advance(15)
    await drills.call(house.world)

    assert wrote == [] and list(known) == ["weekly"]
