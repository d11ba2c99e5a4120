"""Steps: how long they took, and which are under way."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from bot.store import tables as t
from bot.store.codec import iso

OVER = ":over"
"""With the key of an alert: what it speaks of is over."""


def usual_seconds(conn: sa.Connection, feature: str) -> dict[tuple[str, str], float]:
    """How long each (verb, component) took the last times (mean of up to 200 newest done steps)."""
    recent = (
        sa.select(t.steps.c.verb, t.steps.c.component, t.steps.c.seconds)
        .where(t.steps.c.feature == feature, t.steps.c.seconds.is_not(None))
        .order_by(t.steps.c.run.desc())
        .limit(200)
        .subquery()
    )
    query = sa.select(recent.c.verb, recent.c.component, sa.func.avg(recent.c.seconds).label("s"))
    rows = conn.execute(query.group_by(recent.c.verb, recent.c.component))
    return {(r.verb, r.component): float(r.s) for r in rows}


def history(conn: sa.Connection, feature: str, most: int = 100) -> dict[tuple[str, str], list[float]]:
    """How many seconds each (verb, component) took, newest first; the last times, drills too."""
    done = sa.select(t.steps.c.verb, t.steps.c.component, t.steps.c.seconds)
    done = done.where(t.steps.c.feature == feature, t.steps.c.seconds.is_not(None))
    found: dict[tuple[str, str], list[float]] = {}
    for row in conn.execute(done.order_by(t.steps.c.run.desc()).limit(20 * most)):
        took = found.setdefault((row.verb, row.component), [])
        if len(took) < most:
            took.append(float(row.seconds))
    return found


def steps_under_way(conn: sa.Connection, limit: int = 2000) -> dict[int, str]:
    """Open runs with steps that have begun and are not over, by id: how the run stands, and which steps how."""
    mine = sa.and_(t.steps.c.run == t.runs.c.id, t.steps.c.status.in_(("running", "again")))
    rests = t.runs.c.status + " " + sa.func.coalesce(t.runs.c.waiting_for, "")
    query = sa.select(t.runs.c.id, t.steps.c.n, t.steps.c.status, rests.label("rests")).join(t.steps, mine)
    query = query.where(t.runs.c.ended_at.is_(None), t.runs.c.status.in_(("running", "waiting", "paused")))
    found: dict[int, str] = {}
    for row in conn.execute(query.order_by(t.runs.c.id, t.steps.c.n).limit(limit)):
        found[row.id] = found.get(row.id, row.rests) + f" {row.n} {row.status}"
    return found


def alerted(conn: sa.Connection, since: datetime) -> list[int]:
    """Runs of which an alert has said since then that a step is slow, and nobody has noticed yet that it is over."""
    over = sa.exists().where(t.occurrences.c.key == t.messages.c.key + OVER)
    query = sa.select(t.messages.c.run).where(t.messages.c.purpose == "stall", t.messages.c.run.is_not(None), ~over)
    query = query.where(t.messages.c.created_at >= iso(since))
    return [row.run for row in conn.execute(query.distinct())]
