"""The inbox: one row and one answer for one press, however often and from wherever it comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from bot.core.commands import Abort, Actor, CaptureRelease, Decide
from bot.core.run import Status
from bot.store import inbox, migrate, runs
from bot.store import tables as t
from bot.store.write import PostgresStore, Store
from tests.store.deeds import ANA, BEN, NOW, a_run, count, ended, took, wish


async def test_a_row_is_durable_before_take_returns(store: Store, database_url: str) -> None:
    """When the answer is known, another connection sees the inbox row and the run in planning."""
    taken = await store.intake(took("k"))

    engine = migrate.engine_for(database_url)
    with engine.connect() as conn:
        row = conn.execute(sa.select(t.inbox)).one()
        run = runs.load(conn, taken.run or 0)
    engine.dispose()
    assert (row.request_key, row.answer, row.run, row.applied_at) == ("k", f"R-{taken.run} begins", taken.run, None)
    assert run is not None
    assert (run.status, run.requester, run.feature, run.to_version) == (Status.planning, ANA, "fares", "v1")


async def test_the_same_key_again_gets_the_first_answer(store: Store) -> None:
    """A replay is answered as the first time, whoever sends it and whatever it says, and stores nothing."""
    first = await store.intake(took("k"))
    again = await store.intake(took("k", Abort(run=99), BEN))

    assert (again.answer, again.run, again.id) == (first.answer, first.run, first.id)
    assert (first.fresh, again.fresh) == (True, False)
    assert (await count(store, t.inbox), await count(store, t.runs)) == (1, 1)


async def test_a_hundred_copies_of_a_press_are_one_row(store: Store) -> None:
    """Copies of one press that arrive together make one row and one run, and all get the same answer."""
    answers = await asyncio.gather(*(store.intake(took("k")) for _ in range(100)))

    assert {(a.answer, a.run, a.id) for a in answers} == {(answers[0].answer, answers[0].run, answers[0].id)}
    assert [a.fresh for a in answers].count(True) == 1
    assert (await count(store, t.inbox), await count(store, t.runs)) == (1, 1)


async def test_copies_at_two_replicas_are_one_row(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """Copies of one press that two processes take at the same time make one row, and all get the same answer."""
    answers = await asyncio.gather(*(replicas[n % 2].intake(took("k")) for n in range(100)))

    assert len({(a.answer, a.run, a.id) for a in answers}) == 1
    assert [a.fresh for a in answers].count(True) == 1
    assert (await count(replicas[0], t.inbox), await count(replicas[0], t.runs)) == (1, 1)


async def test_presses_in_another_order_at_each_replica_are_all_answered(
    replicas: tuple[PostgresStore, PostgresStore],
) -> None:
    """Two processes that take the same presses in opposite orders (which deadlocks) answer every one alike."""
    wishes = [(f"k{n}", wish(f"f{n}")) for n in range(60)]
    ordered = asyncio.gather(*(replicas[0].intake(took(*w)) for w in wishes))
    backwards = asyncio.gather(*(replicas[1].intake(took(*w)) for w in reversed(wishes)))
    one, other = await ordered, await backwards

    assert [(a.answer, a.id) for a in one] == [(a.answer, a.id) for a in reversed(other)]
    assert (await count(replicas[0], t.inbox), await count(replicas[0], t.runs)) == (60, 60)


async def test_a_request_for_what_an_open_run_does_gets_that_run(store: Store) -> None:
    """The same wish under another key, by anybody, for another reason, is the open run; its row is stored."""
    first = await store.intake(took("k1"))
    second = await store.intake(took("k2", wish(reason="me too", incident="INC-1"), BEN))

    assert (second.run, second.fresh) == (first.run, True)
    assert second.answer == f"R-{first.run} is already doing exactly this"
    assert (await count(store, t.inbox), await count(store, t.runs)) == (2, 1)


async def test_wishes_that_differ_are_runs_of_their_own(store: Store) -> None:
    """Another version, time, mode, set of components or playbook is another run."""
    wishes = [wish(), wish(to="v2"), wish(at="01:00"), wish(mode="dry_run"), wish(without=["flag"]), wish(playbook="p")]
    taken = [await store.intake(took(f"k{n}", w)) for n, w in enumerate(wishes)]

    assert len({x.run for x in taken}) == len(wishes)


async def test_after_the_end_the_same_wish_is_a_new_run(store: Store) -> None:
    """A run that has ended does not stand in the way of the next one."""
    first = await a_run(store)
    await ended(store, first)
    second = await store.intake(took("again"))

    assert second.fresh
    assert second.run != first


async def test_taking_never_touches_the_log(store: Store) -> None:
    """Whatever is taken, events, their head and the people of the log stay as they are."""
    await store.intake(took("k1"))
    await store.intake(took("k2", Decide(run=1, yes=True, digest="d")))
    await store.intake(took("k3", CaptureRelease(feature="fares", version="v1")))

    assert [await count(store, table) for table in (t.events, t.event_head, t.event_texts, t.people)] == [0, 0, 0, 0]


async def test_what_no_database_can_hold_is_stored_all_the_same(store: Store) -> None:
    """NUL and lone surrogates, which JSON can carry, become U+FFFD instead of losing the press."""
    who = Actor(kind="person", id="T1/A\x00NA", via="slack", channel="C\ud800")
    taken = await store.intake(took("k\x00", wish("fa\x00res", reason="\ud83d broken"), who))
    item = (await store.read(inbox.waiting))[0]

    assert (item.actor.id, item.actor.channel) == ("T1/A\ufffdNA", "C\ufffd")
    assert getattr(item.command, "feature", "") == "fa\ufffdres"
    assert getattr(item.command, "reason", "") == "\ufffd broken"
    assert (await store.intake(took("k\x00"))).id == taken.id


async def test_a_row_from_another_build_does_not_block_the_others(store: Store) -> None:
    """A command or a sender that this build can't read is handed out as unknown, and what follows it as usual."""

    def foreign(conn: sa.Connection) -> None:
        rows = [('{"kind":"oracle","id":"x"}', '{"act":"abort","run":1}'), (ANA.model_dump_json(), '{"act":"dance"}')]
        for n, (actor, command) in enumerate(rows):
            values = {"actor": actor, "command": command, "answer": "", "created_at": "2026-11-22T03:00:00.000000Z"}
            conn.execute(sa.insert(t.inbox).values(request_key=f"foreign{n}", **values))

    await store.write(foreign)
    await store.intake(took("k", Abort(run=1)))
    items = await store.read(inbox.waiting)

    assert sorted(type(i.command).__name__ for i in items) == ["Abort", "NoneType", "NoneType"]


async def test_captures_do_not_hold_up_presses(store: Store) -> None:
    """A press is among the rows to apply however many captures and moments wait before it."""
    for n in range(60):
        await store.intake(took(f"c{n}", CaptureRelease(feature="fares", version=f"v{n}")))
    await store.intake(took("press", Abort(run=1)))

    first = (await store.read(inbox.waiting))[0]
    assert isinstance(first.command, Abort)


async def test_an_item_is_applied_by_one_worker(store: Store) -> None:
    """Of workers that claim one row at the same time, one gets it; the result is kept and the row waits no more."""
    taken = await store.intake(took("k"))

    def apply(conn: sa.Connection) -> bool:
        if not inbox.claim(conn, taken.id):
            return False
        inbox.applied(conn, taken.id, {"ok": True}, NOW)
        return True

    won = await asyncio.gather(*(store.write(apply) for _ in range(8)))

    assert won.count(True) == 1
    assert await store.read(inbox.waiting) == []
    assert await store.read(lambda c: inbox.result_of(c, taken.id)) == {"ok": True}


async def test_a_freed_key_is_a_new_row_once(store: Store) -> None:
    """What was applied and gave its key back is not found under it any more; its result stays."""
    first = await store.intake(took("k"))
    await store.write(lambda c: inbox.applied(c, first.id, {"ok": False}, NOW, free_key=True))
    second, third = await store.intake(took("k")), await store.intake(took("k"))

    assert (second.fresh, third.fresh, third.id) == (True, False, second.id)
    assert await store.read(lambda c: inbox.result_of(c, first.id)) == {"ok": False}


class Meanwhile:
    """Does something on another connection just before the first statement that begins with some words."""

    def __init__(self, engine: sa.Engine, before: str, deed: Any) -> None:
        self.before, self.deed, self.done = before, deed, False
        sa.event.listen(engine, "before_cursor_execute", self.look)

    def look(self, _conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not self.done and statement.startswith(self.before):
            self.done = True
            self.deed()


@pytest.fixture
def racing(postgres_url: Any) -> Any:
    """Two plain engines on one PostgreSQL database: one takes a press, the other gets in between."""
    url = postgres_url()
    migrate.migrate(url)
    engines = migrate.engine_for(url), migrate.engine_for(url)
    yield engines
    for engine in engines:
        engine.dispose()


def _end(engine: sa.Engine) -> None:
    with engine.begin() as conn:
        conn.execute(sa.update(t.runs).values(ended_at="2026-11-22T03:02:00.000000Z", status="refused"))


def test_a_copy_whose_run_has_ended_meanwhile_leaves_no_orphan(racing: tuple[sa.Engine, sa.Engine]) -> None:
    """A copy that another process took, and whose run ended, between our look and our insert makes no second run."""
    ours, theirs = racing

    def first() -> None:
        with theirs.begin() as conn:
            took("k")(conn)
        _end(theirs)

    race = Meanwhile(ours, "INSERT INTO runs", first)
    with ours.begin() as conn:
        taken = took("k")(conn)

    assert race.done
    assert (taken.run, taken.fresh) == (1, False)
    with ours.connect() as conn:
        assert [r.id for r in conn.execute(sa.select(t.runs.c.id))] == [1]


def test_a_run_that_ends_while_it_is_asked_for_again_is_followed_by_a_new_one(
    racing: tuple[sa.Engine, sa.Engine],
) -> None:
    """The open run may end between the refused insert and the look for it: then the wish is a new run."""
    ours, theirs = racing
    with theirs.begin() as conn:
        took("k1")(conn)
    race = Meanwhile(ours, "SELECT runs.id", lambda: _end(theirs))
    with ours.begin() as conn:
        taken = took("k2")(conn)

    assert race.done
    assert taken.run not in (None, 1)
    assert taken.answer == f"R-{taken.run} begins"
