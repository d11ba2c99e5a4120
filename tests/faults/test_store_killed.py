"""kill -9 while presses are taken: what was answered is there, and its answer stays the same."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from bot.store import migrate
from bot.store import tables as t
from bot.store.write import open_store
from tests.faults import take_program

ANSWERS = 150


def killed_after(answers: int, url: str) -> dict[str, tuple[int, int]]:
    """Everything that the program said before it was killed: key -> run and row."""
    words = [sys.executable, take_program.__file__, url]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as program:
        assert program.stdout
        lines = [program.stdout.readline() for _ in range(answers)]
        program.kill()
        lines += [line for line in program.stdout if line.endswith("\n")]
    said = [line.split() for line in lines]
    return {key: (int(run), int(row)) for key, run, row in said}


async def test_what_was_answered_survives_a_kill(database_url: str) -> None:
    """Every press whose answer got out is a row with that run; taken again it gets that answer; no row is doubled."""
    await asyncio.to_thread(migrate.migrate, database_url)
    said = await asyncio.to_thread(killed_after, ANSWERS, database_url)
    store = open_store(database_url)
    await store.start()
    rows = await store.read(lambda c: c.execute(sa.select(t.inbox.c.request_key, t.inbox.c.run, t.inbox.c.id)).all())
    again = await asyncio.gather(*(take_program.take(store, key) for key in said))
    ran = await store.read(lambda c: c.execute(sa.select(t.runs.c.id)).scalars().all())
    await store.stop()

    assert len(said) >= ANSWERS
    stored = {r.request_key: (r.run, r.id) for r in rows}
    assert {key: stored.get(key) for key in said} == said
    assert [(x.run, x.id, x.fresh) for x in again] == [(*said[key], False) for key in said]
    assert sorted(ran) == sorted(run for run, _ in stored.values())
