"""The audit log in the database: gapless under concurrency, append-only, erasable, and exported in a stream."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from bot.core import checkpoint
from bot.core.auditor import Report, verify_export
from bot.core.commands import Actor
from bot.core.run import Happened
from bot.store import events, migrate, runs
from bot.store import tables as t
from bot.store.write import PostgresStore, SqliteStore, Store
from tests.store.deeds import ANA, BEN, NOW, a_run, count, happened, moved

LOG = "acme/audit"


async def log(store: Store) -> list[str]:
    return await store.read(lambda c: list(events.exported(c, LOG)))


async def checked(store: Store) -> Report:
    """What an auditor says of the export as it is now."""
    report = verify_export(await log(store))
    assert report.ok, report.fault
    return report


async def test_appends_from_everywhere_make_one_gapless_chain(store: Store) -> None:
    """Events of many tasks, several at a time, by old and new people, stand in one order that an auditor accepts."""

    def some(n: int) -> list[Happened]:
        who = [Actor(kind="person", id=f"T1/U{n % 7}", via="slack"), Actor(kind="person", id=f"T1/V{n % 5}", via="cli")]
        return [happened("a", who[n % 2], texts={"reason": f"é {n}"}), happened("b", who[1 - n % 2]), Happened(act="c")]

    await asyncio.gather(*(store.write(lambda c, n=n: events.append(c, some(n), NOW)) for n in range(40)))
    report = await checked(store)
    seqs = await store.read(lambda c: [r.seq for r in c.execute(sa.select(t.events.c.seq).order_by(t.events.c.seq))])

    assert seqs == list(range(120))
    assert (report.size, report.withheld) == (120, 0)
    assert await count(store, t.people) == 12


async def test_two_replicas_append_to_one_chain(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """Two processes that begin an empty log at the same time, with the same people in other orders, get through."""
    who = [Actor(kind="person", id=f"T1/U{n}", via="slack") for n in range(6)]

    def some(n: int) -> list[Happened]:
        return [happened("a", actor) for actor in (who if n % 2 else who[::-1])]

    work = [replicas[n % 2].write(lambda c, n=n: events.append(c, some(n), NOW)) for n in range(30)]
    await asyncio.gather(*work)

    assert (await checked(replicas[0])).size == 180


async def test_what_is_undone_leaves_no_gap(store: Store) -> None:
    """A transaction that fails after its events were appended takes their places back."""

    def fail(conn: sa.Connection) -> None:
        events.append(conn, [happened(texts={"reason": "x"})], NOW)
        raise ValueError("no")

    await store.write(lambda c: events.append(c, [happened()], NOW))
    with pytest.raises(ValueError, match="no"):
        await store.write(fail)
    await store.write(lambda c: events.append(c, [happened()], NOW))

    assert (await checked(store)).size == 2


async def test_an_event_says_which_run_it_is_about(store: Store) -> None:
    """Run, feature and plan of a change stand in the event; names and texts stand apart, as commitments in the body."""
    run = await a_run(store)
    await moved(store, run, plan_digest="d")

    def approve(conn: sa.Connection) -> None:
        said = happened("run_approved", BEN, facts={"n": 1}, texts={"reason": "fine", "empty": ""}, before="v2")
        runs.change(conn, run, lambda r: (r, [said]), NOW)

    await store.write(approve)
    body: Any = (await store.read(lambda c: events.of_run(c, run)))[0]

    assert (body["run"], body["feature"], body["plan_digest"], body["before"]) == (f"R-{run}", "fares", "d", "v2")
    assert (body["facts"], body["texts"], body["via"]) == ({"n": 1}, {"reason": "fine"}, "slack")
    assert body["actor"]["id"].startswith("sha256:")
    rows = await store.read(lambda c: c.execute(sa.select(t.events.c.body)).scalars().all())
    assert "BEN" not in rows[0]
    assert "fine" not in rows[0]


async def test_times_are_utc(store: Store) -> None:
    """A time in another zone is stored as UTC; one without a zone is refused, and nothing is stored."""
    await store.write(lambda c: events.append(c, [happened()], NOW.astimezone(timezone(timedelta(hours=5)))))
    with pytest.raises(ValueError, match="zone"):
        await store.write(lambda c: events.append(c, [happened()], datetime(2026, 1, 1)))  # noqa: DTZ001  that is it

    assert '"at":"2026-11-22T03:02:00.000000Z"' in str(await log(store)).replace('\\\\"', '"').replace('\\"', '"')
    assert (await checked(store)).size == 1
    assert NOW.tzinfo is UTC


async def test_the_log_holds_what_people_write(store: Store) -> None:
    """NUL, lone surrogates, separators and 4,000 characters are stored, exported and verified."""
    texts = {"reason": "a\x00b \ud800 \u2028 <!channel> " + "x" * 4000}
    who = Actor(kind="person", id="T1/\x00\ud83d", via="slack")
    await store.write(lambda c: events.append(c, [happened("said", who, texts=texts)], NOW, feature="f\x00"))

    assert (await checked(store)).opened == 2


ATTACKS = ["UPDATE events SET act = 'x'", "DELETE FROM events", "UPDATE events SET body = body WHERE seq = 0"]
ON_SQLITE = ["REPLACE INTO events (seq, act, body) VALUES (0, 'x', '{}')"]
ON_POSTGRES = ["TRUNCATE events CASCADE", "TRUNCATE event_texts, events"]
UPSERT = "INSERT INTO events (seq, act, body) VALUES (0, 'x', '{}') ON CONFLICT (seq) DO UPDATE SET body = '{}'"


async def test_the_log_refuses_to_be_changed(store: Store) -> None:
    """Every way to change or remove an event fails in the database itself."""
    await store.write(lambda c: events.append(c, [happened()], NOW))
    before = await log(store)
    own = ON_SQLITE if store.dialect == "sqlite" else ON_POSTGRES
    for attack in [*ATTACKS, *own, UPSERT]:
        with pytest.raises(DBAPIError, match="append-only"):
            await store.write(lambda c, attack=attack: c.exec_driver_sql(attack))

    assert await log(store) == before


async def test_erased_people_and_texts_leave_a_log_that_verifies(store: Store) -> None:
    """Deleting a person's row or an event's text leaves an export that a checkpoint from before still vouches for."""
    for who in (ANA, BEN, ANA):
        await store.write(lambda c, who=who: events.append(c, [happened("x", who, texts={"reason": who.id})], NOW))
    key = checkpoint.new_key(LOG, b"k" * 32)
    at = await store.read(events.head)
    note = checkpoint.sign(at.size, at.root, key)

    def erase(conn: sa.Connection) -> None:
        conn.execute(sa.delete(t.people).where(t.people.c.person == ANA.id))
        conn.execute(sa.delete(t.event_texts).where(t.event_texts.c.seq == 1))

    await store.write(erase)
    lines = await log(store)
    report = verify_export(lines, [note], str(checkpoint.public_key(key)))

    assert report.ok, report.fault
    assert (report.covered, report.opened, report.withheld) == (3, 3, 1)
    assert '"text":"T1/ANA"' not in "".join(line for line in lines if '"people"' in line).replace("reason", "")


async def test_an_erased_person_is_somebody_else_from_then_on(store: Store) -> None:
    """After an erasure the same id gets a new commitment: nobody can link the old events to the new ones."""

    def commitment(conn: sa.Connection) -> str:
        return events.commitment(conn, ANA.id)

    first, again = await store.write(commitment), await store.write(commitment)
    await store.write(lambda c: c.execute(sa.delete(t.people)))

    assert first == again
    assert await store.write(commitment) != first


async def test_a_tampered_database_is_found_out(sqlite: SqliteStore) -> None:
    """Whoever gets round the triggers and rewrites an event or a text is named with its line."""
    for n in range(5):
        await sqlite.write(lambda c, n=n: events.append(c, [happened(texts={"reason": str(n)})], NOW))

    def tamper(conn: sa.Connection) -> None:
        conn.exec_driver_sql("DROP TRIGGER events_no_update")
        conn.exec_driver_sql("UPDATE events SET body = replace(body, 'step_done', 'step_fine') WHERE seq = 2")

    await sqlite.write(tamper)
    report = verify_export(await log(sqlite))
    assert (report.ok, report.line) == (False, 4)


async def test_checkpoints_are_kept_once(store: Store) -> None:
    """The same size twice is one note, the first; the newest is the one with the largest size."""
    assert await store.read(events.last_signed) is None
    for hours, (size, note) in enumerate(((3, "three"), (10, "ten"), (3, "other"))):
        at = NOW + timedelta(hours=hours)
        await store.write(lambda c, size=size, note=note, at=at: events.add_checkpoint(c, size, note, at))

    assert await store.read(events.last_signed) == (10, NOW + timedelta(hours=1))
    assert await count(store, t.checkpoints) == 2


async def test_a_long_log_is_exported_in_a_stream(sqlite: SqliteStore) -> None:
    """20,000 events are exported page by page, as they are read by whoever takes the lines, and verified."""
    some = [happened(texts={"reason": "why"}, facts={"step": n}) for n in range(2000)]
    for _ in range(10):
        await sqlite.write(lambda c: events.append(c, some, NOW))
    pages = 0

    def count_pages(_conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        nonlocal pages
        pages += "FROM events" in statement

    def export(conn: sa.Connection) -> Report:
        sa.event.listen(conn, "before_cursor_execute", count_pages)
        lines = events.exported(conn, LOG)
        first = [next(lines) for _ in range(1501)]
        assert pages == 2
        return verify_export(itertools.chain(first, lines))

    report = await sqlite.read(export)
    assert report.ok, report.fault
    assert (report.size, pages) == (20_000, 20)


@pytest.fixture
def half_way(postgres_url: Any) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    url = postgres_url()
    migrate.migrate(url)
    engines = migrate.engine_for(url), migrate.engine_for(url)
    yield engines
    for engine in engines:
        engine.dispose()


def test_an_export_is_of_one_moment(half_way: tuple[sa.Engine, sa.Engine]) -> None:
    """Events that are appended while an export runs are not in it, and it still verifies."""
    ours, theirs = half_way
    with theirs.begin() as conn:
        events.append(conn, [happened()], NOW)
    with ours.connect() as conn:
        lines = events.exported(conn, LOG)
        said = [next(lines)]
        with theirs.begin() as other:
            events.append(other, [happened()], NOW)
        said += lines

    assert verify_export(said).size == 1
    assert verify_export(said).ok
