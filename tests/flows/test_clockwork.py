"""What time brings: moments, reminders, pages, what was left behind, and signed checkpoints; each exactly once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from bot.core import checkpoint as notes
from bot.core.auditor import verify_export
from bot.core.commands import Abort, Purpose
from bot.core.run import Run, Status
from bot.flows import clockwork
from bot.store import events, leases, messages, releases, runs, waiting
from bot.store import tables as t
from tests.flows.house import House
from tests.flows.test_rollback import capture, two_releases

PAGED: list[tuple[str, dict[str, object]]] = []


async def page(url: str, body: dict[str, object]) -> None:
    PAGED.append((url, body))


async def purposes(house: House) -> list[str]:
    return [m.purpose for m in await house.store.read(messages.due)]


async def test_moments_are_asked_for_once_a_period(house: House) -> None:
    """A live release whose newest moment is older than its feature wants gets one more, once, also by two tickers."""
    await capture(house, "v1")
    house.clock.advance(2 * 3600)
    asked = [await clockwork.take_moments(house.world) for _ in range(3)]

    assert asked == [1, 0, 0]
    await house.settle()
    house.clock.advance(2 * 3600)
    assert await clockwork.take_moments(house.world) == 1


async def test_waiting_cards_are_said_again_and_paged_once_each(house: House) -> None:
    """Reminders at 2, 4 and 8 minutes, a page at once and after 5 minutes, each exactly once."""
    policy = house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + 'page: "http://127.0.0.1:9/page"\n')
    PAGED.clear()
    await two_releases(house)
    run = await house.ask("v1")
    said = []
    for minutes in (0, 1, 1, 1, 2, 3, 1):
        house.clock.advance(minutes * 60)
        said.append(await clockwork.remind(house.world, page))
        said[-1] += await clockwork.remind(house.world, page)

    assert said == [0, 0, 1, 0, 1, 1, 0]
    assert [body["run"] for _, body in PAGED] == [run.name, run.name]
    assert (await purposes(house)).count("reminder") == 3


async def looks(house: House, known: clockwork.Waiting, minutes: list[float]) -> list[tuple[int, int]]:
    """After so many minutes each: runs that had to be read, and what was said."""
    found = []
    for each in minutes:
        house.clock.advance(each * 60)
        those, policy = await house.store.read(waiting.for_people), house.world.books.policy()
        read = known.due(those, policy, house.clock.now())
        found.append((len(read), await clockwork.remind(house.world, page, known)))
    return found


async def test_a_waiting_run_is_read_only_when_something_may_be_due(house: House) -> None:
    """What a worker keeps in mind changes nothing of when things are said. A run that waits anew is said anew."""
    await two_releases(house)
    run = await house.ask("v1")
    known = clockwork.Waiting()
    assert await looks(house, known, [0, 1, 1, 1, 1, 4, 1]) == [(1, 0), (0, 0), (1, 1), (0, 0), (1, 1), (1, 1), (0, 0)]

    def stuck(r: Run) -> tuple[Run, list[object]]:
        return r.to(waiting_for="person", stuck_at=house.clock.now(), expires_at=None), []

    lease = await house.store.write(lambda c: leases.claim(c, run.id, "w1", 60))
    await house.store.write(lambda c: runs.change(c, run.id, stuck, house.clock.now(), lease=lease))  # type: ignore[arg-type]
    assert await looks(house, known, [0, 1, 1, 2]) == [(1, 0), (0, 0), (1, 1), (1, 1)]
    policy = house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + "reminders: [1m, 2m, 4m, 5m]\n")
    assert await looks(house, known, [1]) == [(1, 2)]


async def test_of_many_that_wait_each_is_said(house: House) -> None:
    """Also of more than a hundred: whoever waits behind them waits for somebody who was never told."""
    await two_releases(house)
    run = await house.ask("v1")

    def copies(conn: sa.Connection) -> None:
        row = dict(conn.execute(sa.select(t.runs).where(t.runs.c.id == run.id)).mappings().one())
        conn.execute(t.runs.insert(), [{**row, "id": 1000 + n, "same_as": f"copy {n}"} for n in range(150)])

    await house.store.write(copies)
    house.clock.advance(121)
    assert await clockwork.remind(house.world, page) == 151


@pytest.mark.parametrize(("more", "pages"), [("tier: 2", 0), ("environment: staging", 2)])
async def test_only_tier_1_is_paged_in_whatever_environment(house: House, more: str, pages: int) -> None:
    """A feature of tier 2 in production pages nobody, one of tier 1 in staging does; and the tier is the one that
    the card was made for."""
    policy, feature = house.folder / "playbooks/policy.yaml", house.folder / "playbooks/features/fares.yaml"
    policy.write_text(policy.read_text() + "page: http://127.0.0.1:9/page\n")
    written = feature.read_text()
    feature.write_text(f"{written}{more}\n")
    PAGED.clear()
    await two_releases(house)
    await house.ask("v1")
    feature.write_text(f"{written}tier: {3 if pages else 1}\n")
    for _ in range(2):
        await clockwork.remind(house.world, page)
        house.clock.advance(300)
    await clockwork.remind(house.world, page)

    assert len(PAGED) == pages


async def test_the_pagers_address_may_stand_in_the_environment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """``${PAGER_URL}`` is read there. Where it is not set or is no address, the rest of the policy holds, nobody is
    paged, and the fault names file, line and variable, never the value."""
    policy = house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + 'page: "${PAGER_URL}"\n')
    line = len(policy.read_text().splitlines())
    books = house.world.books
    monkeypatch.setenv("PAGER_URL", "https://pager.example/hush")
    assert (books.policy().page, books.page_fault()) == ("https://pager.example/hush", None)

    monkeypatch.setenv("PAGER_URL", "hush")
    said = [books.page_fault()]
    assert books.policy().page == ""
    monkeypatch.delenv("PAGER_URL")
    said.append(books.page_fault())
    assert (books.policy().page, len(books.policy().rules)) == ("", 1)
    assert all(f"policy.yaml:{line}: " in str(words) and "hush" not in str(words) for words in said)
    assert "PAGER_URL is not set" in str(said[1])


async def test_what_was_left_behind_is_repeated_until_it_is_gone(house: House) -> None:
    """Every four hours while the flag is off; lifted and enabled, it is said no more."""
    await two_releases(house)
    stopped = await house.stop()
    assert stopped.status == Status.succeeded
    for _ in range(2):
        house.clock.advance(4 * 3600 + 1)
        assert await clockwork.remind(house.world, page) == 1
        assert await clockwork.remind(house.world, page) == 0
    assert (await purposes(house)).count("left") == 2

    taken = await house.say(_enable(stopped.id), "T1/SAM")
    await house.settle()
    assert (await house.run(taken.run)).status == Status.refused  # neither on call nor the one who stopped it
    await house.say(_enable(stopped.id), "T1/BEN")
    await house.settle()
    assert not await house.store.read(lambda c: releases.left(c, feature="fares"))
    house.clock.advance(9 * 3600)
    assert await clockwork.remind(house.world, page) == 0


def _enable(of: int) -> object:
    from bot.core.commands import Request

    return Request(feature="fares", purpose=Purpose.enable, of_run=of, channel="C1")


async def test_checkpoints_vouch_for_the_log_outside_the_database(house: House) -> None:
    """A signed note is kept when the log has grown, verifies the export, and finds a rewritten log."""
    private = notes.new_key("rollbot", b"k" * 32)
    kept: list[str] = []

    check = clockwork.Checkpoints(house.world, lambda n, root: notes.sign(n, root, private), kept.append).now

    assert await check() is None
    await two_releases(house)
    assert await check() is not None
    assert await check() is None
    public = str(notes.public_key(private))
    lines = await house.store.read(lambda c: list(events.exported(c, "rollbot")))
    assert verify_export(lines, kept, public).ok
    await house.ask("v1")
    longer = await house.store.read(lambda c: list(events.exported(c, "rollbot")))
    assert verify_export(longer, kept, public).covered == len(lines) - 1

    forged = [longer[0], *longer[2:]]
    assert not verify_export(forged, kept, public).ok


async def test_a_checkpoint_is_due_when_a_run_has_ended_or_after_a_day(house: House) -> None:
    """Not whenever the log grows: the first at once, then at a run's end, and 24 hours after the last one if there is
    anything new; each is wanted in the audit channel, and a restart changes none of it."""
    policy = house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + 'audit_channel: "#audit"\n')
    checkpoints = clockwork.Checkpoints(house.world, lambda n, _: f"note\n{n}\n", _drop)
    await capture(house, "v1")
    signed = [await checkpoints.when_due()]
    await capture(house, "v2")
    run = await house.ask("v1")
    grown = [await checkpoints.when_due() for _ in range(2)]
    again = clockwork.Checkpoints(house.world, lambda n, _: f"note\n{n}\n", _drop)
    grown.append(await again.when_due())
    await house.say(Abort(run=run.id))
    await house.settle()
    signed.append(await checkpoints.when_due())
    grown.append(await again.when_due())

    await house.ask("v1")
    house.clock.advance(24 * 3600 - 1)
    grown.append(await checkpoints.when_due())
    house.clock.advance(1)
    signed.append(await checkpoints.when_due())
    house.clock.advance(24 * 3600)
    grown.append(await checkpoints.when_due())

    assert grown == [None] * 6
    assert None not in signed
    wanted = [m for m in await house.store.read(messages.due) if m.purpose == "checkpoint"]
    assert [(m.channel, m.body["note"]) for m in wanted] == [("#audit", note) for note in signed]


def _drop(_: str) -> None:
    """Kept nowhere."""


async def test_erasing_a_text_keeps_the_log_whole(house: House) -> None:
    """A reason may be deleted: what is left still verifies."""
    await two_releases(house)
    await house.ask("v1", reason="Bob's fault")
    await house.store.write(lambda c: c.execute(sa.delete(t.event_texts)))
    lines = await house.store.read(lambda c: list(events.exported(c, "rollbot")))

    assert not any("Bob" in line for line in lines)
    assert verify_export(lines).ok
