"""The store on SQLite: a press beside a busy writer, and an append to a long log."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

import sqlalchemy as sa

from bot.core.run import Happened
from bot.store import events, migrate
from bot.store.write import Store, open_store
from tests.bench import Number, median, quantile
from tests.store.deeds import ANA, NOW, took, wish

PRESSES = 1000
LONG = 100_000
STEP = [Happened(act="step_done", actor=ANA, texts={"reason": "why"})]


def numbers() -> Iterator[Number]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'rollbot.db'}"
        migrate.migrate(url)
        yield from asyncio.run(_presses(url))
        yield _growth(url)


async def _presses(url: str) -> list[Number]:
    """20 at a time, while another task writes events as fast as it can."""
    store = open_store(url)
    await store.start()
    busy = asyncio.create_task(_busy(store))
    todo, took_s = iter(range(PRESSES)), []

    async def sender() -> None:
        for n in todo:
            began = perf_counter()
            await store.intake(took(f"k{n}", wish(f"f{n}")))
            took_s.append(perf_counter() - began)

    await asyncio.gather(*(sender() for _ in range(20)))
    busy.cancel()
    await asyncio.wait([busy])
    await store.stop()
    what = "a request taken, durable, 20 at once, busy writer"
    return [
        Number(f"{what}: p50", median(took_s) * 1e3, "ms"),
        Number(f"{what}: p99", quantile(took_s, 0.99) * 1e3, "ms"),
    ]


async def _busy(store: Store) -> None:
    while True:
        await store.write(lambda c: events.append(c, STEP, NOW))


def _growth(url: str) -> Number:
    """The same appends to a log of a hundred events and to one of a hundred thousand."""
    engine = migrate.engine_for(url)
    with engine.begin() as conn:
        conn.execute(sa.text("DROP TRIGGER events_no_delete"))
        conn.execute(sa.text("DELETE FROM event_texts"))
        conn.execute(sa.text("DELETE FROM events"))
        conn.execute(sa.text("DELETE FROM event_head"))
        events.append(conn, STEP * 100, NOW)
    short = _appends(engine)
    with engine.begin() as conn:
        for _ in range(LONG // 1000):
            events.append(conn, STEP * 1000, NOW)
    long = _appends(engine)
    engine.dispose()
    return Number(f"an append to {LONG:,} events, beside one to 100", long / short, "times", promised=1.2)


def _appends(engine: sa.Engine) -> float:
    """In seconds of the processor: the commit only waits for the disk."""
    with engine.connect() as conn:
        began = process_time()
        for _ in range(1000):
            events.append(conn, STEP, NOW)
        took = process_time() - began
        conn.rollback()
    return took
