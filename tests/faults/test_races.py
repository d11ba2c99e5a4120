"""One press that arrives a hundred times at four replicas, and two that contradict each other."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.core.commands import Decide
from bot.core.run import Run, Status
from bot.store import migrate
from bot.store import tables as t
from bot.store.write import PostgresStore
from tests.faults import press_program
from tests.faults.simulated.people import BEN, ROLLBACK
from tests.faults.site import Site, site, waits

PROCESSES, COPIES = 4, 25


@pytest.fixture
async def replica(postgres_url: Callable[[], str]) -> AsyncIterator[Site]:
    """A worker on PostgreSQL."""
    url = await asyncio.to_thread(postgres_url)
    await asyncio.to_thread(migrate.migrate, url)
    store, engine = PostgresStore(url), migrate.engine_for(url)
    await store.start()
    async with site(store, engine, lease_s=15.0) as made:
        yield made
    await store.stop()
    engine.dispose()


def pressed_at_once(url: str, key: str, command: str) -> list[list[object]]:
    """By four processes of 25 copies each: what each copy was answered."""
    words = [sys.executable, "-W", "ignore", press_program.__file__, url, key, str(COPIES), command]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = subprocess.PIPE
    programs = [subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=env) for _ in range(PROCESSES)]
    for program in programs:
        assert program.stdout and program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin
        program.stdin.write("go\n")
        program.stdin.flush()
    said = [program.communicate()[0] for program in programs]
    assert [program.returncode for program in programs] == [0] * PROCESSES
    return [answer for text in said for answer in json.loads(text)]


async def test_a_hundred_copies_of_one_press_from_four_processes(replica: Site) -> None:
    """A yes that arrives a hundred times at once is one row, one approval and one run of each step; all hundred copies
    get the same answer."""
    number = (await replica.say(ROLLBACK)).run or 0
    run: Run = await replica.until(lambda c: waits(c, number))
    command = Decide(run=number, yes=True, digest=run.plan_digest or "").model_dump_json()
    assert isinstance(replica.store, PostgresStore)
    answers = await asyncio.to_thread(pressed_at_once, replica.store.url, "yes", command)
    run = await replica.ended(number)

    assert len(answers) == PROCESSES * COPIES
    assert len({tuple(a[:3]) for a in answers}) == 1
    assert [a[3] for a in answers].count(True) == 1
    assert run.status == Status.succeeded
    acts = replica.look(lambda c: list(c.execute(sa.select(t.events.c.act)).scalars()))
    assert (acts.count("run_approved"), acts.count("press_refused")) == (1, 0)
    replica.exact()


async def test_two_presses_at_once_are_one_decision(replica: Site) -> None:
    """Yes and no by the same person, under keys of their own, at the same time: one counts, the other hears so."""
    number = (await replica.say(ROLLBACK)).run or 0
    run: Run = await replica.until(lambda c: waits(c, number))
    yes, no = (Decide(run=number, yes=y, digest=run.plan_digest or "") for y in (True, False))
    await asyncio.gather(replica.say(yes, BEN), replica.say(no, BEN))
    run = await replica.ended(number)

    acts = replica.look(lambda c: list(c.execute(sa.select(t.events.c.act)).scalars()))
    assert acts.count("run_approved") + acts.count("run_rejected") == 1
    assert acts.count("press_refused") == 1
    assert run.status in (Status.succeeded, Status.rejected)
