"""PostgreSQL goes away in the middle of things: everybody who waits hears of it, and no press is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from bot.core.commands import Actor, Request
from bot.store import engines, inbox, migrate
from bot.store import tables as t
from bot.store.inbox import Taken
from bot.store.write import Fn, PostgresStore, StoreDown
from tests.faults.proxy import FaultProxy
from tests.services import Postgres

NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)


@dataclass
class Link:
    """A store that reaches its database through a proxy, and a way round it."""

    store: PostgresStore
    proxy: FaultProxy
    engine: sa.Engine

    def rows(self) -> list[tuple[str, int]]:
        with self.engine.connect() as conn:
            found = conn.execute(sa.select(t.inbox.c.request_key, t.inbox.c.run).order_by(t.inbox.c.id))
            return [(r.request_key, r.run) for r in found]


@pytest.fixture
async def link(server: Postgres) -> AsyncIterator[Link]:
    url = await asyncio.to_thread(server.new_database)
    await asyncio.to_thread(migrate.migrate, url)
    proxy = FaultProxy(server.port)
    await proxy.start()
    store = PostgresStore(url.replace(f":{server.port}/", f":{proxy.port}/"))
    await store.start()
    engine = migrate.engine_for(url)
    yield Link(store, proxy, engine)
    proxy.flow()
    await store.stop()
    await proxy.stop()
    engine.dispose()


def press(key: str, feature: str = "fares") -> Fn[Taken]:
    actor = Actor(kind="person", id="T1/ANA", via="slack", channel="C1")
    return lambda conn: inbox.take(conn, key, actor, Request(feature=feature, to="v1"), "{run} begins", NOW)


async def test_a_lost_reply_to_a_press_is_answered(link: Link) -> None:
    """The commit is done and its answer lost: the press is taken again by its key, and is one row with one answer."""
    await link.store.intake(press("before", "rides"))
    link.proxy.cut_reply_to = b"COMMIT"
    taken = await link.store.intake(press("k"))

    assert link.proxy.cuts == 1
    assert (taken.answer, taken.fresh) == (f"R-{taken.run} begins", False)
    assert [key for key, _ in link.rows()] == ["before", "k"]


async def test_a_lost_reply_to_a_write_is_said_to_be_unknown(link: Link) -> None:
    """Whoever writes hears that nobody knows; the same key afterwards is the first row."""
    link.proxy.cut_reply_to = b"COMMIT"
    with pytest.raises(StoreDown, match="unknown"):
        await link.store.write(press("k"))
    rows = link.rows()
    taken = await link.store.intake(press("k"))

    assert rows == link.rows() == [("k", taken.run)]
    assert not taken.fresh


@pytest.mark.parametrize("way", ["write", "intake"])
async def test_a_commit_that_is_not_answered_in_time_is_said_to_be_unknown(
    link: Link, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stands, and the database says nothing: it may have stored the row, so nobody says that it has
    not."""
    monkeypatch.setattr(engines, "COMMAND_S", 0.5)
    link.proxy.stall_reply_to = b"COMMIT"
    with pytest.raises(StoreDown, match="unknown"):
        await getattr(link.store, way)(press("k"))
    link.proxy.flow()
    assert [key for key, _ in link.rows()] == ["k"]


async def test_idle_connections_are_kept_alive(link: Link) -> None:
    """The server asks at least every minute whether we are there, or a firewall forgets the connection at night."""
    ask = sa.text("SELECT current_setting('tcp_keepalives_idle')::int")
    idle = [await way(lambda c: c.execute(ask).scalar()) for way in (link.store.write, link.store.intake)]
    assert all(0 < seconds <= 60 for seconds in idle), idle


async def test_a_connection_that_breaks_before_the_commit_is_tried_once_more(link: Link) -> None:
    """What was done on it is undone, so the write is made again, and stands once. If the second one breaks as well, it
    is said that nothing was stored, and nothing was."""
    link.proxy.cut_reply_to = b"INSERT INTO inbox"
    taken = await link.store.write(press("k"))
    assert [key for key, _ in link.rows()] == ["k"]
    assert (link.proxy.cuts, taken.fresh) == (1, True)

    again = press("l")

    def cut_each_time(conn: sa.Connection) -> object:
        link.proxy.cut_all()
        return again(conn)

    with pytest.raises(StoreDown, match="nothing was stored"):
        await link.store.write(cut_each_time)
    assert [key for key, _ in link.rows()] == ["k"]


async def test_connections_that_broke_while_idle_are_replaced(link: Link) -> None:
    """After all connections were cut, presses, writes and reads go through at the first try."""
    await asyncio.gather(*(link.store.write(press(f"w{n}", f"f{n}")) for n in range(5)), link.store.intake(press("i")))
    link.proxy.cut_all()
    await link.store.intake(press("after"))
    await link.store.write(press("after too", "rides"))
    link.proxy.cut_all()

    assert len(await link.store.read(inbox.waiting)) == 8


async def test_no_way_to_the_database(link: Link) -> None:
    """Refused connections are told to all three kinds of caller at once, in words; then it works again."""
    await link.store.intake(press("before"))
    link.proxy.refusing = True
    link.proxy.cut_all()
    work = [link.store.intake(press("a")), link.store.write(press("b")), link.store.read(inbox.waiting)]
    said = await asyncio.gather(*work, return_exceptions=True)

    assert [type(e) for e in said] == [StoreDown] * 3
    link.proxy.refusing = False
    assert (await link.store.intake(press("a"))).run
    assert [key for key, _ in link.rows()] == ["before", "a"]


async def test_a_stalled_database_is_given_up(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line on which nothing comes back any more does not hold a caller longer than a statement may take."""
    monkeypatch.setattr(engines, "COMMAND_S", 0.3)
    monkeypatch.setattr(engines, "CONNECT_S", 0.3)
    await link.store.intake(press("before"))
    await link.store.write(press("before too", "rides"))
    link.proxy.stall()
    began = asyncio.get_running_loop().time()
    work = [link.store.intake(press("a")), link.store.write(press("b")), link.store.read(inbox.waiting)]
    said = await asyncio.gather(*work, return_exceptions=True)

    assert [type(e) for e in said] == [StoreDown] * 3, said
    assert asyncio.get_running_loop().time() - began < 30
    link.proxy.flow()
    assert (await link.store.intake(press("c"))).run


async def test_a_database_killed_in_the_middle_of_a_group(link: Link, server: Postgres) -> None:
    """kill -9 while presses wait for their commit: all hear of it, none is stored; after a restart all are, once."""
    store = PostgresStore(server.url(link.engine.url.database or ""))
    await store.start()
    blocker = await asyncio.to_thread(link.engine.connect)
    await asyncio.to_thread(press("k3", "other"), blocker)  # not committed: who wants k3 waits
    presses = {f"k{n}": press(f"k{n}", f"f{n}") for n in range(8)}
    waiting = [asyncio.create_task(store.intake(fn)) for fn in presses.values()]
    writing = asyncio.create_task(store.write(presses["k3"]))
    while (
        await store.read(lambda c: c.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar()) < 2
    ):
        pass
    server.end(signal.SIGKILL)
    said = await asyncio.gather(*waiting, writing, return_exceptions=True)
    await asyncio.to_thread(blocker.invalidate)
    blocker.close()

    assert [type(e) for e in said] == [StoreDown] * 9, said
    with pytest.raises(StoreDown):
        await store.intake(presses["k0"])
    server.start()  # in this thread: the server ends with the thread that started it
    taken = await asyncio.gather(*(store.intake(fn) for fn in presses.values()))
    again = await asyncio.gather(*(store.intake(fn) for fn in presses.values()))
    await store.stop()

    assert link.rows() == [(key, x.run) for key, x in zip(presses, taken, strict=True)]
    assert [(x.answer, x.run) for x in again] == [(x.answer, x.run) for x in taken]


async def test_a_database_that_is_full_says_so(link: Link) -> None:
    """What PostgreSQL says of its disk is told to everybody in the group, and nothing of it is stored."""

    def full(conn: sa.Connection) -> None:
        press("full", "rides")(conn)
        conn.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$")

    said = await asyncio.gather(
        link.store.intake(press("a")), link.store.intake(full), link.store.intake(press("b")), return_exceptions=True
    )

    assert [type(e) for e in said] == [StoreDown] * 3
    assert all("could not extend file" in str(e) and "nothing was stored" in str(e) for e in said)
    assert link.rows() == []
