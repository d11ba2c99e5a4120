"""Runs as rows: one change is one transaction, only the owner of a lease writes, and what is due is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bot.core.policy import Nod
from bot.core.run import Happened, Run, Status
from bot.store import events, inbox, lineage, messages, migrate, runs, seen
from bot.store import tables as t
from bot.store.write import Store
from tests.store.deeds import ANA, NOW, a_run, a_step, count, ended, everything, later, moved, planned, wish


async def test_one_change_saves_run_steps_approvals_messages_and_events(store: Store) -> None:
    """After a change the run reads back as the transition made it, its card and thread are due, its events stand."""
    run = await a_run(store)
    new = await store.write(lambda c: runs.change(c, run, planned, NOW))
    read = await store.read(lambda c: runs.load(c, run))
    said = await store.read(lambda c: events.of_run(c, run))

    assert read == new
    assert read is not None
    assert [s.n for s in read.steps] == [0, 1]
    assert [(e["act"], e["run"], e["texts"]) for e in said] == [("run_planned", f"R-{run}", {"why": "because"})]
    due = await store.read(messages.due)
    assert [(m.key, m.parent) for m in due] == [(f"R-{run}:card", None), (f"R-{run}:live", f"R-{run}:card")]


async def test_a_transition_that_raises_changes_nothing(store: Store) -> None:
    """All or nothing, also if locks were taken on the way."""
    run = await a_run(store)
    before = await everything(store)

    def move(r: Run) -> tuple[Run, list[Happened]]:
        raise ValueError(r.name)

    def attempt(conn: sa.Connection) -> None:
        runs.lock(conn, run, ["b", "a"], NOW)
        runs.change(conn, run, move, NOW)

    with pytest.raises(ValueError, match=f"R-{run}"):
        await store.write(attempt)
    assert await everything(store) == before


async def test_an_event_that_cannot_be_stored_undoes_the_change(store: Store) -> None:
    """A run never moves without its event."""
    run = await a_run(store)
    before = await everything(store)
    bad = Happened(act="Not A Word")

    with pytest.raises(ValueError, match="word"):
        await store.write(lambda c: runs.change(c, run, lambda r: (planned(r)[0], [bad]), NOW))
    assert await everything(store) == before


async def test_no_such_run(store: Store) -> None:
    """A run that does not exist is a KeyError, or None to read."""
    with pytest.raises(KeyError):
        await store.write(lambda c: runs.change(c, 99, planned, NOW))
    assert await store.read(lambda c: runs.load(c, 99)) is None


async def test_only_steps_that_changed_are_written(store: Store) -> None:
    """A change of one step leaves the rows of the others alone; a new plan has rows of its own."""
    run = await a_run(store)
    await store.write(lambda c: runs.change(c, run, planned, NOW))

    def mark(conn: sa.Connection) -> None:
        conn.execute(sa.update(t.steps).values(feature="untouched"))
        step = a_step(1, status="done", started_at=NOW, ended_at=later(4))
        runs.change(conn, run, lambda r: (r.with_step(step), []), NOW)

    await store.write(mark)
    rows = await store.read(lambda c: [(r.n, r.feature, r.seconds) for r in c.execute(sa.select(t.steps))])
    assert sorted(rows) == [(0, "untouched", None), (1, "fares", 4.0)]
    again = await moved(store, run, plan_no=2, steps=[a_step(0)])
    assert await store.read(lambda c: runs.load(c, run)) == again
    assert await count(store, t.steps) == 3


async def test_approvals_are_kept_once_a_person_and_plan(store: Store) -> None:
    """One row for a person and a digest, the last word counts (when what moved has moved back, the same plan is decided
    anew); to another plan it is another row."""
    run = await a_run(store)
    first = Nod(person="T1/BEN", yes=True, digest="d1")
    for nods in ([first], [first, Nod(person="T1/BEN", yes=False, digest="d1", plan=2)]):
        await moved(store, run, nods=nods)
    await store.write(lambda c: runs.change(c, run, lambda r: (_nod(r, "d2"), []), NOW))
    read = await store.read(lambda c: runs.load(c, run))

    assert read is not None
    assert sorted((n.person, n.yes, n.digest) for n in read.nods) == [("T1/BEN", False, "d1"), ("T1/BEN", True, "d2")]


def _nod(run: Run, digest: str) -> Run:
    return run.to(nods=[*run.nods, Nod(person="T1/BEN", yes=True, digest=digest)])


async def test_lists_page_and_filter(store: Store) -> None:
    """Open runs by feature and channel, any runs newest first and page by page."""
    made = [await a_run(store, f"f{n % 2}", f"v{n}", channel=f"C{n % 2}") for n in range(6)]
    await ended(store, made[0])
    read = store.read

    assert [r.id for r in await read(runs.open_runs)] == made[:0:-1]
    assert [r.id for r in await read(lambda c: runs.open_runs(c, feature="f0"))] == [made[4], made[2]]
    assert [r.id for r in await read(lambda c: runs.open_runs(c, channel="C1", limit=2))] == [made[5], made[3]]
    assert [r.id for r in await read(lambda c: runs.newest(c, feature="f0"))] == [made[4], made[2], made[0]]
    assert [r.id for r in await read(lambda c: runs.newest(c, before=made[3], limit=2))] == [made[2], made[1]]


async def test_what_stop_the_harm_changed_is_known_to_the_run(store: Store) -> None:
    """The pre-images of the first stop on a run's card are found by component; unchanged steps and others are not."""
    run = await a_run(store)
    before = {"kind": "flag", "resource": "flags/fares", "pointer": "p1", "digest": "sha256:1", "taken_at": NOW}
    for n, pointer in enumerate(("p1", "p2")):
        stop = await a_run(store, "fares", "", purpose="stop", of_run=run, playbook=f"s{n}")
        done = a_step(0, status="done", changed=True, before={**before, "pointer": pointer})
        same = a_step(1, component="pipeline", status="done", changed=False, before=before)
        await moved(store, stop, steps=[done, same])
    found = await store.read(lambda c: lineage.stop_before_images(c, run))

    assert {name: s.before.pointer for name, s in found.items() if s.before} == {"flag": "p1"}


async def test_what_follows_from_a_change_is_in_its_transaction(store: Store) -> None:
    """``also`` sees the run as it is now, and what it writes goes with the change, or not at all."""
    run = await a_run(store)

    def hold(r: Run) -> None:
        raise ValueError(f"{r.name} is {r.status}")

    before = await everything(store)
    with pytest.raises(ValueError, match="running"):
        await store.write(lambda c: runs.change(c, run, planned, NOW, also=hold))
    assert await everything(store) == before


def test_a_run_that_is_saved_while_it_is_read_is_read_anew(
    postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no snapshot holds, what is found is of one save, and what is remembered of it is what that save was."""
    engine = migrate.engine_for(postgres_url())
    with engine.begin() as conn:
        inbox.take(conn, "k", ANA, wish(), "{run} begins", NOW)
        runs.change(conn, 1, lambda r: (r.to(plan_no=1, steps=[a_step(note="one")], why="first"), []), NOW)
    saves = iter(["two"])

    def save(_conn: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if "FROM steps" in statement and (note := next(saves, "")):
            with engine.begin() as other:  # another process
                runs.change(other, 1, lambda r: (r.to(why=note).with_step(a_step(note=note)), []), NOW)

    monkeypatch.setattr(seen, "_seen", {})  # this process has just started
    with engine.begin() as conn:
        sa.event.listen(engine, "before_cursor_execute", save)
        read = runs.load(conn, 1)
        sa.event.remove(engine, "before_cursor_execute", save)
        assert read and (read.why, read.steps[0].note) == ("two", "two")
        assert runs.load(conn, 1) == read
    engine.dispose()


async def test_what_is_at_work_and_has_the_last_word_is_found_behind_any_number_of_cards(store: Store) -> None:
    """Anybody may ask for dry runs, and for what will be refused, as often as they like."""
    first = await a_run(store)
    await moved(store, first, status=Status.running, started_at=NOW)
    for n in range(120):
        await a_run(store, to=f"v{n}", at=f"2026-01-01T00:00:{n % 60:02}Z", mode="dry_run" if n % 2 else "live")
    assert await store.read(lambda c: runs.at_work(c, "fares")) == [f"R-{first}"]
    last = await store.read(lambda c: lineage.last_back(c, "fares"))
    assert last and last.id == first
    assert await store.read(lambda c: (runs.at_work(c, "eta"), lineage.last_back(c, "eta"))) == ([], None)
