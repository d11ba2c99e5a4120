"""Runs as rows. All that changes one goes through ``change``: locked, moved by a pure function, saved with events."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from bot.core.errors import LostOwnership
from bot.core.plan import Plan
from bot.core.policy import Nod
from bot.core.run import Happened, Run, RunStep, Status
from bot.core.target import canonical
from bot.store import events, leases, locks, messages, seen
from bot.store import tables as t
from bot.store.codec import iso, maybe_iso
from bot.store.engines import lease_clock, upsert_on
from bot.store.leases import Lease
from bot.store.quick import Quick, Row, Values

Transition = Callable[[Run], tuple[Run, list[Happened]]]
lock, free = locks.lock, locks.free

# Built once: building a statement takes four times as long as having SQLite run it (measured: 0.2 ms and 0.05).
_BODY = sa.select(t.runs.c.body).where(t.runs.c.id == sa.bindparam("run"))
_LOCKED = Quick(lambda _dialect: _BODY.with_for_update())
_STEPS = sa.select(t.steps.c.body).order_by(t.steps.c.n)
_STEPS = _STEPS.where(t.steps.c.run == sa.bindparam("run"), t.steps.c.plan == sa.bindparam("plan"))
_NODS = sa.select(t.approvals.c.body).where(t.approvals.c.run == sa.bindparam("run"))
_NODS = _NODS.order_by(t.approvals.c.at, t.approvals.c.person, t.approvals.c.digest)
_COLUMNS = ("status", "waiting_for", "body", "wake_at", "expires_at", "ended_at")
_BY_PERSON = sa.update(t.runs).where(t.runs.c.id == sa.bindparam("run"))
_BY_PERSON = _BY_PERSON.values({name: sa.bindparam(f"new_{name}") for name in _COLUMNS})
_SAVE = Quick(lambda _dialect: _BY_PERSON)
_PLAN = sa.select(t.plans.c.body).where(t.plans.c.run == sa.bindparam("run"), t.plans.c.no == sa.bindparam("no"))


def load(conn: sa.Connection, run: int) -> Run | None:
    """The run as it stands, with the steps of its present plan."""
    row = conn.execute(_BODY, {"run": run}).first()
    return _whole(conn, run, row.body) if row and row.body else None


def exists(conn: sa.Connection, run: int) -> bool:
    """There is such a run. What is there stays."""
    return bool(conn.execute(_BODY, {"run": run}).scalar())


def _whole(conn: sa.Connection, run: int, body: str) -> Run:
    return seen.seen(run, body) or _by_rows(conn, run, body)


def _by_rows(conn: sa.Connection, run: int, body: str) -> Run:
    """Of one moment: where the transaction does not see to that, somebody may save the run between two statements."""
    before = ""
    while before != body:
        before, doc = body, seen.parsed(run, body)
        doc["steps"] = [_step(r.body) for r in conn.execute(_STEPS, {"run": run, "plan": doc.get("plan_no", 0)})]
        doc["nods"] = [json.loads(r.body) for r in conn.execute(_NODS, {"run": run})]
        body = str(conn.execute(_BODY, {"run": run}).scalar())
    return seen.whole(doc, body)


@functools.lru_cache(maxsize=1024)
def _step(body: str) -> RunStep:
    """Values are immutable, and each change of a run reads all of its steps, of which one is new."""
    return RunStep.model_validate_json(body)


@functools.lru_cache(maxsize=64)
def _plan(body: str) -> Plan:
    return Plan.model_validate_json(body)


def change(
    conn: sa.Connection,
    run: int,
    move: Transition,
    now: datetime,
    *,
    lease: Lease | None = None,
    tell: bool = True,
    also: Callable[[Run], None] | None = None,
) -> Run:
    """Locks the run, applies a pure transition, saves run, events and messages in this transaction.

    With a ``lease`` nothing is written unless it still holds. ``also`` writes what else follows from the run as it is
    now, before the log's head is locked: rows that are locked after it deadlock with whoever appends (stints, holds).
    What has ended stays ended, and what is paused is paused for the engine: a move to another status, judged on what
    stood before somebody ended or paused the run, is refused like a lost lease; results of what was under way are
    kept. Raises LostOwnership; KeyError for no run."""
    row = _LOCKED.first(conn, {"run": run})
    if row is None:
        raise KeyError(run)
    old = _whole(conn, run, row["body"])
    new, happened = move(old)
    if not old.open and new.status != old.status:
        raise LostOwnership(f"{old.name} has ended: it is {old.status}")
    if lease and old.status == Status.paused != new.status:
        raise LostOwnership(f"{old.name} is paused")
    if new is not old:
        _save(conn, old, new, now, lease, messages.told_of(new, now) if tell else [])
    elif lease:
        leases.confirm(conn, lease)
    if also:
        also(new)
    events.append(conn, happened, now, run=new)
    return new


def _save(conn: sa.Connection, old: Run, new: Run, now: datetime, lease: Lease | None, told: list[Row]) -> None:
    values: dict[str, object] = {
        "status": new.status.value,
        "waiting_for": new.waiting_for,
        "body": seen.marked(old, new),
        "wake_at": maybe_iso(new.wake_at),
        "expires_at": maybe_iso(new.expires_at),
        "ended_at": maybe_iso(new.ended_at),
    }
    rows = [*((_STEP_ROW, _step_values(new, step)) for step in _changed_steps(old, new)), *told]
    if lease:
        leases.save(conn, lease, values, rows)
    else:
        _SAVE.with_rows(conn, {"run": new.id, **{f"new_{name}": value for name, value in values.items()}}, rows)
    for nod in new.nods[len(old.nods) :]:
        _save_nod(conn, new.id, nod, now)
    if (old.looking, old.quiet_until) != (new.looking, new.quiet_until):
        messages.again(conn, new.id, ("stall",))
    # Ended by a person, a run may have a step that still writes: whoever drives it frees them as that is over.
    if not new.open and ((lease and old.open) or not locks.driven(conn, new.id)):
        free(conn, new.id)


def _changed_steps(old: Run, new: Run) -> list[RunStep]:
    if old.plan_no != new.plan_no:
        return new.steps
    known = {s.n: s for s in old.steps}
    return [s for s in new.steps if known.get(s.n) is not s]


def _step_values(run: Run, step: RunStep) -> Values:
    took = (step.ended_at - step.started_at).total_seconds() if step.ended_at and step.started_at else None
    return {
        "run": run.id,
        "plan": run.plan_no,
        "n": step.n,
        "feature": run.feature,
        "verb": step.verb,
        "component": step.component,
        "status": step.status,
        "seconds": took if step.status == "done" and not step.ramp else None,  # a ramp rests most of its time
        "body": canonical(step.model_dump(mode="json")),
    }


def _step_row(dialect: str) -> sa.Executable:
    row = upsert_on(dialect, t.steps)
    new = {c: row.excluded[c] for c in ("feature", "verb", "component", "status", "seconds", "body")}
    statement: sa.Executable = row.on_conflict_do_update(index_elements=["run", "plan", "n"], set_=new)
    return statement


_STEP_ROW = Quick(_step_row, ("run", "plan", "n", "feature", "verb", "component", "status", "seconds", "body"))


def _save_nod(conn: sa.Connection, run: int, nod: Nod, now: datetime) -> None:
    row = upsert_on(conn.dialect.name, t.approvals).values(
        run=run,
        digest=nod.digest,
        person=nod.person,
        yes=nod.yes,
        body=canonical(
            nod.model_copy(update={"groups": frozenset()}).model_dump(mode="json") | {"groups": sorted(nod.groups)}
        ),
        at=iso(now),
    )
    anew = {"yes": row.excluded.yes, "body": row.excluded.body, "at": row.excluded.at}  # the same digest, another plan
    conn.execute(row.on_conflict_do_update(index_elements=["run", "digest", "person"], set_=anew))


def save_plan(conn: sa.Connection, run: int, plan: Plan) -> None:
    """Keeps a plan; the same number again replaces what was only observed."""
    # The foreign key locks the run weakly; two who then both want to change it would deadlock.
    conn.execute(sa.select(t.runs.c.id).where(t.runs.c.id == run).with_for_update())
    values = {"digest": plan.digest, "body": plan.model_dump_json()}
    row = upsert_on(conn.dialect.name, t.plans).values(run=run, no=plan.no, **values)
    conn.execute(row.on_conflict_do_update(index_elements=["run", "no"], set_=values))


def load_plan(conn: sa.Connection, run: int, no: int) -> Plan | None:
    body = conn.execute(_PLAN, {"run": run, "no": no}).scalar()
    return _plan(body) if body else None


def due(conn: sa.Connection, now: datetime, limit: int = 200) -> list[int]:
    """Runs that somebody should drive now: running, parked until a time that has come, with a card that nobody
    decided in time, or planning (once it was judged that the person may ask)."""
    return [d.run for d in dues(conn, now, limit)]


@dataclass(frozen=True)
class Due:
    """``fence``: of whoever had it last. ``orphaned``: that one let its lease lapse."""

    run: int
    fence: int
    orphaned: bool


def dues(conn: sa.Connection, now: datetime, limit: int = 200) -> list[Due]:
    """The same, and what became of whoever had each before."""
    rows = conn.execute(_due(conn.dialect.name), {"now": iso(now), "most": limit})
    return [Due(r.id, r.fence, r.owner is not None) for r in rows]


@functools.cache
def _due(dialect: str) -> sa.Executable:
    clock, now = lease_clock(dialect), sa.bindparam("now", type_=sa.Text)
    undecided = sa.and_(t.runs.c.waiting_for == "approval", t.runs.c.expires_at <= now)
    awake = sa.or_(
        t.runs.c.status == "running",
        sa.and_(t.runs.c.status == "planning", t.runs.c.wake_at.is_not(None)),  # any: the clock may have gone back
        sa.and_(t.runs.c.status == "waiting", sa.or_(t.runs.c.wake_at <= now, undecided)),
    )
    unowned = sa.or_(t.runs.c.lease_until.is_(None), t.runs.c.lease_until <= clock)
    query = sa.select(t.runs.c.id, t.runs.c.fence, t.runs.c.owner).where(
        t.runs.c.ended_at.is_(None), awake, unowned, t.runs.c.body != ""
    )
    return query.order_by(t.runs.c.id).limit(sa.bindparam("most", type_=sa.Integer))


def asleep(conn: sa.Connection, until: datetime, limit: int = 200) -> list[Run]:
    """Waiting runs that nothing wakes before ``until``."""
    late = sa.and_(t.runs.c.ended_at.is_(None), t.runs.c.status == "waiting", t.runs.c.wake_at > iso(until))
    return [r for i in conn.execute(sa.select(t.runs.c.id).where(late).limit(limit)) if (r := load(conn, i.id))]


def stops_among(conn: sa.Connection, some: list[int]) -> list[int]:
    """Which of these only stop harm."""
    rows = conn.execute(sa.select(t.runs.c.id, t.runs.c.body).where(t.runs.c.id.in_(some)).order_by(t.runs.c.id))
    return [r.id for r in rows if r.body and json.loads(r.body).get("purpose") == "stop"]


def open_runs(
    conn: sa.Connection, *, feature: str | None = None, channel: str | None = None, limit: int = 20
) -> list[Run]:
    """Open runs, newest first."""
    query = sa.select(t.runs.c.id).where(t.runs.c.ended_at.is_(None), t.runs.c.body != "")
    query = query.where(t.runs.c.feature == feature) if feature else query
    query = query.where(t.runs.c.channel == channel) if channel else query
    return [r for i in conn.execute(query.order_by(t.runs.c.id.desc()).limit(limit)) if (r := load(conn, i.id))]


def open_drills(conn: sa.Connection, *, before: datetime) -> list[int]:
    """Drills that were asked for before this time and have not ended."""
    old = sa.select(t.runs.c.id, t.runs.c.body).where(t.runs.c.ended_at.is_(None), t.runs.c.created_at <= iso(before))
    return [r.id for r in conn.execute(old.order_by(t.runs.c.id)) if r.body and json.loads(r.body)["mode"] == "drill"]


def at_work(conn: sa.Connection, feature: str) -> list[str]:
    """Names of the runs that change this feature now, however many cards wait beside: CI must keep its hands off."""
    mine = sa.select(t.runs.c.id, t.runs.c.body).where(t.runs.c.ended_at.is_(None), t.runs.c.feature == feature)
    rows = conn.execute(mine.where(t.runs.c.body != "").order_by(t.runs.c.id.desc()))
    began = (r.id for r in rows if (doc := json.loads(r.body)).get("started_at") and doc["mode"] == "live")
    return [f"R-{number}" for number in began]


def newest(conn: sa.Connection, *, feature: str | None = None, before: int | None = None, limit: int = 20) -> list[Run]:
    """Any runs, newest first; ``before`` pages."""
    query = sa.select(t.runs.c.id).where(t.runs.c.body != "")
    query = query.where(t.runs.c.feature == feature) if feature else query
    query = query.where(t.runs.c.id < before) if before else query
    return [r for i in conn.execute(query.order_by(t.runs.c.id.desc()).limit(limit)) if (r := load(conn, i.id))]


def rivals(conn: sa.Connection, run: Run, limit: int = 20) -> list[Run]:
    """Other open runs that change what this one does: of its feature, or of one that stands on the same things."""
    mine = sa.select(t.catalogue.c.resource).where(t.catalogue.c.feature == run.feature)
    sharing = sa.select(t.catalogue.c.feature).where(t.catalogue.c.resource.in_(mine))
    near = sa.or_(t.runs.c.feature == run.feature, t.runs.c.feature.in_(sharing))
    query = sa.select(t.runs.c.id).where(t.runs.c.ended_at.is_(None), t.runs.c.id != run.id, near)
    found = [r for i in conn.execute(query.order_by(t.runs.c.id).limit(limit)) if (r := load(conn, i.id))]
    return [r for r in found if r.mode == "live"]
