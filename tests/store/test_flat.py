"""What is asked all the time costs the same however long the log and the list of ended runs have grown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from bot.core.run import Status
from bot.store import events, health, inbox, leases, lineage, messages, migrate, releases, runs, waiting
from bot.store import tables as t
from bot.store.codec import iso
from bot.store.write import PostgresStore
from tests.store.deeds import NOW, a_step, happened, later, took, wish

ENDED = 20_000
Question = Callable[[sa.Connection], object]
POLLED: dict[str, Question] = {
    "inbox.waiting": inbox.waiting,
    "inbox.oldest_waiting": inbox.oldest_waiting,
    "runs.due": lambda c: runs.due(c, NOW),
    "runs.open_runs": runs.open_runs,
    "runs.open_runs of a channel": lambda c: runs.open_runs(c, channel="C1"),
    "waiting.for_people": waiting.for_people,
    "leases.void_leases": leases.void_leases,
    "lineage.stop_before_images": lambda c: lineage.stop_before_images(c, 1),
    "runs.newest": lambda c: runs.newest(c, feature="fares"),
    "messages.due": messages.due,
    "messages.again": lambda c: messages.again(c, 1, ("card",)),
    "releases.left": releases.left,
    "releases.due_reminders": lambda c: releases.due_reminders(c, NOW, NOW),
    "releases.runs_that_left": lambda c: releases.runs_that_left(c, "fares", NOW),
    "releases.hold": lambda c: releases.hold(c, "fares"),
    "releases.live_features": releases.live_features,
    "releases.sharing": lambda c: releases.sharing(c, "fares", {"flag": "flags/fares"}),
    "health.counts": health.counts,
    "inbox.take": took("another", wish(to="v9")),
    "events.append": lambda c: events.append(c, [happened()], NOW, feature="fares"),
}


def some_that_are_open(conn: sa.Connection) -> None:
    """What there is to find: a run that waits, with a card, and something it left."""
    taken = took("open")(conn)
    run = taken.run or 0
    fields = {"status": Status.waiting, "waiting_for": "time", "wake_at": NOW, "planned_at": NOW, "plan_no": 1}
    runs.change(conn, run, lambda r: (r.to(**fields, steps=[a_step()]), [happened()]), NOW)
    releases.goes_live(conn, "fares", "v1", NOW)
    releases.index_feature(conn, "fares", {"flag": "flags/fares"})


def a_long_history(conn: sa.Connection, length: int = ENDED) -> None:
    """Everything that is over: ended runs of other features, applied rows, sent messages, things put right."""

    def rows(table: sa.Table, make: Callable[[int], dict[str, Any]]) -> None:
        conn.execute(sa.insert(table), [make(n) for n in range(length)])

    at = [iso(later(-n)) for n in range(length)]
    done = {"status": "succeeded", "body": "{}", "channel": "C1", "fence": 1}
    rows(t.runs, lambda n: {**done, "feature": f"f{n}", "same_as": f"s{n}", "created_at": at[n], "ended_at": at[n]})
    applied = {"actor": "{}", "command": "{}", "answer": ""}
    rows(t.inbox, lambda n: {**applied, "request_key": f"old{n}", "created_at": at[n], "applied_at": at[n]})
    sent = {"purpose": "card", "channel": "C1", "wanted": 2, "sent": 2, "failures": 0}
    rows(t.messages, lambda n: {**sent, "key": f"old{n}", "run": n + 2, "created_at": at[n]})
    closed = {"what": "flag", "component": "flag", "say": ""}
    rows(t.left_behind, lambda n: {**closed, "run": n + 2, "feature": f"f{n}", "since": at[n], "closed_at": at[n]})
    rows(t.holds, lambda n: {"feature": f"f{n}", "reason": "", "since": at[n], "lifted_at": at[n]})
    over = {"version": "v0", "rolled_back": False}
    rows(t.stints, lambda n: {**over, "feature": f"f{n}", "since": at[n], "until": at[n]})
    rows(t.catalogue, lambda n: {"feature": f"f{n}", "component": "flag", "resource": f"flags/f{n}"})
    rows(t.moments, lambda n: {"feature": f"f{n}", "version": "v0", "at": at[n], "body": "{}"})


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    yield from _database(f"sqlite:///{tmp_path_factory.mktemp('young') / 'rollbot.db'}", old=False)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    yield from _database(f"sqlite:///{tmp_path_factory.mktemp('old') / 'rollbot.db'}", old=True)


def _database(url: str, *, old: bool) -> Iterator[sa.Engine]:
    migrate.migrate(url)
    engine = migrate.engine_for(url)
    with engine.begin() as conn:
        some_that_are_open(conn)
        if old:
            a_long_history(conn)
    yield engine
    engine.dispose()


def effort(engine: sa.Engine, ask: Question) -> int:
    """How many instructions SQLite's machine takes: the same in each run, unlike time."""
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    with engine.connect() as conn:
        ask(conn)  # once before, so that statements are known
        driver: Any = conn.connection.driver_connection
        driver.set_progress_handler(tick, 1)
        try:
            ask(conn)
        finally:
            driver.set_progress_handler(None, 0)
        conn.rollback()
    return ticks


def test_what_is_polled_costs_the_same_in_an_old_database(young: sa.Engine, old: sa.Engine) -> None:
    """With 20,000 ended runs no question takes more than a fifth more of SQLite's instructions than without."""
    costs = {name: (effort(young, ask), effort(old, ask)) for name, ask in POLLED.items()}

    assert {name: both for name, both in costs.items() if both[1] > 1.2 * both[0] + 20} == {}


@pytest.mark.parametrize("name", ["inbox.waiting", "runs.due", "messages.due"])
def test_polls_use_their_partial_index(old: sa.Engine, name: str) -> None:
    """SQLite walks the index that holds only what is open."""
    index = {"inbox.waiting": "ix_inbox_waiting", "runs.due": "ix_runs_open", "messages.due": "ix_messages_due"}[name]
    plans: list[str] = []

    def explain(conn: sa.Connection, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        raw: Any = conn.connection.driver_connection
        plans.extend(row[-1] for row in raw.execute("EXPLAIN QUERY PLAN " + statement, parameters))

    sa.event.listen(old, "before_cursor_execute", explain)
    with old.connect() as conn:
        POLLED[name](conn)
    sa.event.remove(old, "before_cursor_execute", explain)

    assert any(index in plan for plan in plans)
    assert [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan] == []


async def test_polls_use_an_index_on_postgresql(replicas: tuple[PostgresStore, PostgresStore]) -> None:
    """With thousands of ended rows in each table none of the questions reads a whole table."""
    store = replicas[0]
    await store.write(some_that_are_open)
    engine = migrate.engine_for(store.url)
    scanned: dict[str, list[str]] = {}

    def ask_all() -> None:
        with engine.begin() as conn:
            a_long_history(conn, 4000)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("ANALYZE")
        big = {x.name for x in (t.runs, t.inbox, t.messages, t.left_behind, t.holds, t.stints, t.catalogue, t.moments)}
        for name, ask in POLLED.items():
            with engine.connect() as conn:
                sa.event.listen(conn, "before_cursor_execute", look)
                at.append(name)
                ask(conn)
                conn.rollback()
        for name in [name for name, tables in scanned.items() if not big & set(tables)]:
            del scanned[name]

    at: list[str] = []

    def look(conn: sa.Connection, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            raw: Any = conn.connection.driver_connection
            for (line,) in raw.execute("EXPLAIN " + statement, parameters).fetchall():
                if "Seq Scan on " in line:
                    scanned.setdefault(at[-1], []).append(line.split("Seq Scan on ")[1].split()[0])

    await asyncio.to_thread(ask_all)
    engine.dispose()
    assert scanned == {}
    assert at == list(POLLED)
