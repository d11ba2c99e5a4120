"""Statements that go to the driver itself are the same statements, with the same errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.store import tables as t
from bot.store.quick import TOGETHER, Quick
from bot.store.write import Connection, Store, StoreDown
from tests.store.conftest import opened
from tests.store.deeds import took

HERE = Quick(lambda _dialect: sa.select(t.meta.c.value).where(t.meta.c.key == sa.bindparam("key")))
PUT = Quick(lambda _dialect: sa.insert(t.meta).returning(t.meta.c.key), ("key", "value"))
NOTES = [Quick(lambda _dialect: sa.insert(t.meta), ("key", "value")) for _ in range(2)]
CHANGE = Quick(
    lambda _: (
        sa.update(t.meta)
        .where(t.meta.c.key == sa.bindparam("of"))
        .values(value=sa.bindparam("new"))
        .returning(t.meta.c.key)
    )
)
TWICE = Quick(lambda _dialect: sa.select(sa.func.no_such_function(sa.bindparam("key"))))


def put(key: str, value: str) -> Callable[[Connection], object]:
    return lambda conn: PUT.first(conn, {"key": key, "value": value})


@pytest.mark.parametrize("value", ["plain", 'it\'s "quoted"', "100 % :key ?1 $1", "ü 🚂\n", ""])
async def test_what_goes_in_comes_out(store: Store, value: str) -> None:
    """Any text is a value, never a part of the statement, and an absent row is None."""
    assert await store.intake(put("k", value)) == {"key": "k"}
    assert await store.read(lambda conn: HERE.first(conn, {"key": "k"})) == {"value": value}
    assert await store.read(lambda conn: HERE.first(conn, {"key": "nobody's"})) is None


async def test_errors_are_sqlalchemys(store: Store) -> None:
    """A broken rule is an IntegrityError and says nothing of the database; what it does not know is no lost disk."""
    await store.write(put("k", "1"))
    with pytest.raises(sa.exc.IntegrityError):
        await store.write(put("k", "2"))
    with pytest.raises((sa.exc.DBAPIError, StoreDown)):
        await store.write(lambda conn: TWICE.first(conn, {"key": "k"}))
    assert await store.write(put("still", "there")) == {"key": "still"}


@pytest.mark.parametrize("rows", [0, 1, 3, TOGETHER, TOGETHER + 3])
async def test_rows_go_in_with_a_statement(store: Store, rows: int) -> None:
    """However many, in their order of kinds; and with the transaction they are undone, all of them."""
    await store.write(put("k", "old"))
    notes = [(NOTES[n % 3 // 2], {"key": f"n{n}", "value": str(n)}) for n in range(rows)]
    changed = {"of": "k", "new": "new"}
    with pytest.raises(ZeroDivisionError):
        await store.write(lambda conn: (CHANGE.with_rows(conn, changed, notes), 1 / 0))
    assert await everything(store) == {"k": "old"}
    assert await store.write(lambda conn: CHANGE.with_rows(conn, changed, notes)) == {"key": "k"}
    assert await everything(store) == {"k": "new", **{f"n{n}": str(n) for n in range(rows)}}
    assert await store.write(lambda conn: CHANGE.with_rows(conn, {"of": "nobody's", "new": ""}, [])) is None


async def everything(store: Store) -> dict[str, str]:
    rows = await store.read(lambda conn: conn.execute(sa.select(t.meta.c.key, t.meta.c.value)).all())
    return {row.key: row.value for row in rows if row.key[0] in "kn"}


async def test_a_replay_takes_no_number(store: Store) -> None:
    """The same request again, also when its run is over, makes no gap in the runs' numbers."""
    first = await store.intake(took("one"))
    again = [await store.intake(took("one")) for _ in range(3)]
    await store.write(lambda conn: conn.execute(sa.update(t.runs).values(ended_at="2026-01-01T00:00:00.000000Z")))
    late = await store.intake(took("one"))
    new = await store.intake(took("two"))

    assert {a.run for a in (*again, late)} == {first.run}
    assert not any(a.fresh for a in (*again, late))
    assert (first.run, new.run) == (1, 2)


async def test_a_file_that_was_moved_away_takes_nothing(tmp_path: Path) -> None:
    """Nothing is acked that would be gone at the next start; put back, the file is the one again."""
    file, away = tmp_path / "rollbot.db", tmp_path / "moved.db"
    store = await opened(f"sqlite:///{file}")
    first = await store.intake(took("one"))
    file.rename(away)
    with pytest.raises(StoreDown, match="moved or deleted"):
        await store.intake(took("two"))
    with pytest.raises(StoreDown, match="moved or deleted"):
        await store.intake(took("two"))
    assert not file.exists(), "an empty database was made in its place"
    file.write_bytes(b"")
    with pytest.raises(StoreDown, match="moved or deleted"):
        await store.intake(took("two"))
    file.unlink()
    away.rename(file)
    again, second = await store.intake(took("one")), await store.intake(took("two"))
    await store.stop()

    assert (again.run, again.fresh) == (first.run, False)
    assert (second.run, second.fresh) == (1, True)
