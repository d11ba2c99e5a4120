"""PostgreSQL goes away in the middle of a run: the run ends exact, and nothing outside was done twice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import pytest
from dbos._dbos import _get_dbos_instance

from bot.core.run import Status
from bot.drivers import Driver, dbos
from bot.drivers.embedded import Embedded
from bot.flows.world import World
from bot.store import engines, migrate
from bot.store.write import PostgresStore
from tests.faults.proxy import FaultProxy
from tests.faults.site import Site, site
from tests.services import Postgres

LONG = os.environ.get("ROLLBOT_FAULTS") == "all"
AWAY_S = 1.5
"""Seconds for which it is away."""


@dataclass
class Link:
    site: Site
    proxy: FaultProxy
    server: Postgres


@pytest.fixture(params=["embedded", "dbos"])
async def link(
    server: Postgres, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Link]:
    """A worker that reaches its database through a proxy; with dbos, so does that."""
    monkeypatch.setattr(engines, "COMMAND_S", 0.5)
    monkeypatch.setattr(engines, "CONNECT_S", 0.5)
    async with contextlib.AsyncExitStack() as opened:
        url = await asyncio.to_thread(server.new_database)
        await asyncio.to_thread(migrate.migrate, url)
        proxy = FaultProxy(server.port)
        await proxy.start()
        opened.push_async_callback(proxy.stop)
        through = url.replace(f":{server.port}/", f":{proxy.port}/")
        store = PostgresStore(through)
        await store.start()
        opened.push_async_callback(store.stop)
        engine = migrate.engine_for(url)
        opened.callback(engine.dispose)
        driver: Callable[[World], Driver] = Embedded
        if request.param == "dbos":
            await asyncio.to_thread(dbos.migrate, url)
            driver = partial(dbos.Dbos, url=through)
        made = await opened.enter_async_context(site(store, engine, driver=driver))
        yield Link(made, proxy, server)
        proxy.flow()
        if request.param == "dbos":  # else a thread of its own asks for ever for a database that will be gone
            _get_dbos_instance()._sys_db._retry_connection_errors = False


def reset(link: Link) -> None:
    link.proxy.cut_all()


def refused(link: Link) -> None:
    """Nobody gets in for a while."""
    link.proxy.refusing = True
    link.proxy.cut_all()
    asyncio.get_running_loop().call_later(AWAY_S, lambda: setattr(link.proxy, "refusing", False))


def stalled(link: Link) -> None:
    link.proxy.stall()
    asyncio.get_running_loop().call_later(AWAY_S, link.proxy.flow)


def lost(link: Link) -> None:
    """The next commit is done, and nobody hears of it."""
    link.proxy.cut_reply_to = b"COMMIT"


def killed(link: Link) -> None:
    link.server.end(signal.SIGKILL)
    link.server.start()  # in this thread: the server ends with the thread that started it


STRIKES: dict[str, Callable[[Link], None]] = {f.__name__: f for f in (reset, refused, stalled, lost, killed)}


@pytest.mark.parametrize("component", ["pipeline", "flag", "dataset", "model"] if LONG else ["dataset"])
@pytest.mark.parametrize("how", sorted(STRIKES))
async def test_a_database_that_goes_away_in_the_middle_of_a_run(link: Link, how: str, component: str) -> None:
    """What was written outside is known after all, what was not is written then; each once."""
    struck: list[str] = []
    link.site.once(component, lambda: (struck.append(how), STRIKES[how](link)))
    run = await link.site.ended(await link.site.approved())

    assert struck == [how]
    assert run.status == Status.succeeded, run.why
    link.site.exact()


async def test_an_outage_is_said_in_a_few_lines(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    """While the database is away the worker tries all the time; its log says what does not work once, without
    tracebacks, and that it works again."""
    link.site.once("dataset", lambda: refused(link))
    run = await link.site.ended(await link.site.approved())
    assert run.status == Status.succeeded, run.why
    ours = [r for r in caplog.records if r.name.startswith(("bot.", "dbos")) and r.levelno >= logging.WARNING]
    said = [r.getMessage() for r in ours]
    assert any("the sweep works again" in text for text in said), said
    assert len(said) < 30, said
    assert not [r.getMessage() for r in ours if r.name.startswith("bot.") and r.exc_info]


async def test_every_reply_to_a_commit_may_be_lost(link: Link) -> None:
    """The answers to a dozen commits of one run are lost, one after the other."""
    wrote, cuts = link.site.store.on_write, 0

    def cut_the_next() -> None:
        nonlocal cuts
        if link.proxy.cut_reply_to is None and cuts < 12:
            cuts += 1
            lost(link)
        wrote()

    number = await link.site.approved()
    link.site.store.on_write = cut_the_next
    run = await link.site.ended(number)

    assert link.proxy.cuts >= 6
    assert run.status == Status.succeeded, run.why
    link.site.exact()
