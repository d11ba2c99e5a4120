"""From SQLite to PostgreSQL: nothing is lost, nothing is doubled, the log is the same, and runs go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.core.auditor import verify_export
from bot.core.errors import Fault
from bot.core.run import Status
from bot.store import events, inbox, leases, migrate, releases, runs
from bot.store import tables as t
from bot.store.move import move, not_moved
from bot.store.write import open_store
from tests.store.deeds import NOW, a_step, happened, took, wish


def quiet(table: str, rows: int) -> None:
    """Nobody is told here."""


def lived_in(url: str) -> None:
    """A run that waits, one that has ended, a hold, an applied row, a lease, and a log."""
    migrate.migrate(url)
    engine = migrate.engine_for(url)
    with engine.begin() as conn:
        for number, status in ((1, Status.waiting), (2, Status.succeeded)):
            taken = took(f"k{number}", wish(f"f{number}"))(conn)
            ended = NOW if status == Status.succeeded else None
            fields = {"status": status, "waiting_for": None if ended else "approval", "ended_at": ended, "plan_no": 1}
            runs.change(conn, taken.run or 0, lambda r, f=fields: (r.to(**f, steps=[a_step()]), [happened()]), NOW)
        releases.place_hold(conn, "f1", 1, "rolled back", NOW)
        assert leases.claim(conn, 1, "w1", 60.0)
    engine.dispose()


@pytest.fixture
def source(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    lived_in(url)
    return url


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    url: Callable[[], str] = request.getfixturevalue("postgres").new_database
    return url()


async def test_everything_is_there_and_goes_on(source: str, target: str) -> None:
    """Every table has as many rows, the export verifies to the same root, numbers go on, and no lease hinders."""
    said: dict[str, int] = {}
    assert move(source, target, said.__setitem__) == sum(said.values()) > 8
    old, new = migrate.engine_for(source), migrate.engine_for(target)
    with old.begin() as here, new.begin() as there:
        exports = [list(events.exported(conn, "rollbot")) for conn in (here, there)]
        assert exports[0] == exports[1] and verify_export(exports[1]).ok
        assert runs.load(here, 1) == runs.load(there, 1)
        assert [r.name for r in runs.open_runs(there)] == ["R-1"]
        assert leases.claim(there, 1, "w2", 60.0)
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), there.begin_nested():
            there.execute(sa.delete(t.events))
    old.dispose()
    new.dispose()
    store = open_store(target)
    await store.start()
    assert (await store.intake(took("k3", wish("f3")))).run == 3
    assert not (await store.intake(took("k1", wish("f1")))).fresh
    assert len(await store.read(inbox.waiting)) == 3
    await store.stop()


def test_the_old_one_is_not_worked_on_any_more(source: str, target: str) -> None:
    """Its place is taken: the same approval there would roll production back a second time, with a log of its own. The
    new one bears no such mark, and a move that fails leaves none."""
    old, new = migrate.engine_for(source), migrate.engine_for(target)
    with old.begin() as conn:
        not_moved(conn)
    move(source, target, quiet)
    with old.begin() as conn, pytest.raises(Fault, match=r"was moved to test_\S+ on PostgreSQL.*ROLLBOT_DATABASE_URL"):
        not_moved(conn)
    with new.begin() as conn:
        not_moved(conn)
    old.dispose()
    new.dispose()


def test_only_into_an_empty_database(source: str, target: str) -> None:
    """A second move is refused and changes nothing."""
    move(source, target, quiet)
    with pytest.raises(Fault, match="is not empty"):
        move(source, target, quiet)


def test_a_move_that_fails_leaves_nothing(source: str, target: str) -> None:
    """A source whose log was changed behind the bot's back: the new database stays empty."""
    old = migrate.engine_for(source)
    with old.begin() as conn:
        conn.exec_driver_sql("UPDATE event_head SET frontier = '[1, []]'")
    old.dispose()
    with pytest.raises(Exception):  # noqa: B017,PT011  whatever the head is, it is not the same
        move(source, target, quiet)
    new = migrate.engine_for(target)
    with new.begin() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(t.runs)).scalar_one() == 0
    new.dispose()
