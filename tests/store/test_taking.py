"""Presses that share a commit and, on PostgreSQL, a statement: to whoever sent one nothing of that shows."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from bot.core.commands import Abort, Decide
from bot.store import tables as t
from bot.store.inbox import Taken
from bot.store.write import PostgresStore, Store
from tests.store.deeds import BEN, a_run, count, took, wish
from tests.store.test_group_commit import breaking


def yes(run: int, digest: str = "d") -> Decide:
    return Decide(run=run, yes=True, digest=digest)


async def rows(store: Store) -> list[tuple[int, str, int | None]]:
    """Id, key and run, as they were stored."""
    query = sa.select(t.inbox.c.id, t.inbox.c.request_key, t.inbox.c.run).order_by(t.inbox.c.id)
    return [(r.id, r.request_key, r.run) for r in await store.read(lambda c: c.execute(query).all())]


async def test_presses_of_one_group_are_stored_in_their_order(store: Store) -> None:
    """Each with its own answer, and in the order in which they came."""
    run = await a_run(store)
    said = await asyncio.gather(*(store.intake(took(f"k{n}", yes(run))) for n in range(50)))

    assert [(s.id, f"k{n}", s.run) for n, s in enumerate(said)] == (await rows(store))[1:]
    assert {(s.answer, s.fresh) for s in said} == {(f"R-{run} begins", True)}


async def test_copies_in_a_group_and_from_before_get_the_first_answer(store: Store) -> None:
    """The same key twice in one statement, and once long before: one row each, and one of the copies is fresh."""
    run = await a_run(store)
    first = await store.intake(took("old", yes(run)))
    keys = ["a", "old", "b", "a", "b", "b"]
    said = await asyncio.gather(*(store.intake(took(k, Abort(run=run), BEN)) for k in keys))

    assert [s.fresh for s in said] == [True, False, True, False, False, False]
    assert said[1] == Taken(first.answer, run, fresh=False, id=first.id)
    assert said[0].id == said[3].id and said[2].id == said[4].id == said[5].id
    assert await count(store, t.inbox) == 4


async def test_requests_and_failures_among_them_change_nothing_for_the_others(store: Store) -> None:
    """A request makes its run, what breaks breaks alone, and what no database holds is replaced in any of them."""
    run = await a_run(store)
    work = [
        took("a", yes(run)),
        took("b", yes(run, "x\x00y")),
        breaking("c"),
        took("d", wish("tips")),
        took("e", yes(run)),
    ]
    said = await asyncio.gather(*(store.intake(fn) for fn in work), return_exceptions=True)

    assert isinstance(said[2], ValueError)
    assert [s.fresh for s in said if isinstance(s, Taken)] == [True] * 4
    assert [key for _, key, _ in (await rows(store))[1:]] == ["a", "b", "d", "e"]
    assert isinstance(said[3], Taken) and said[3].run not in (None, run)
    stored = sa.select(t.inbox.c.command).where(t.inbox.c.request_key == "b")
    assert "x\ufffdy" in str(await store.read(lambda c: c.execute(stored).scalar()))


async def test_a_group_is_one_trip(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """Fifty presses are two statements or so, not fifty: the first may have gone alone."""
    store = replicas[0]
    run, said = await a_run(store), []
    engine = store._inbox.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *a: said.append(a[2]))
    await asyncio.gather(*(store.intake(took(f"k{n}", yes(run))) for n in range(50)))

    assert 1 <= len([text for text in said if "INSERT INTO inbox" in text]) <= 2
