"""Which runs belong together: one that took over from another, and *Stop the harm* on their cards; what was there
before the first of them changed anything; and which one has the last word on a feature."""

from __future__ import annotations

import json

import sqlalchemy as sa

from bot.core.run import Run, RunStep
from bot.core.target import Capture
from bot.store import tables as t
from bot.store.runs import load

MOST = 20
"""Take-overs that are followed: a chain that is longer is no chain of one incident."""
PAGE = 50

_ON_CARD = sa.select(t.runs.c.id).where(t.runs.c.of_run == sa.bindparam("card")).order_by(t.runs.c.id)


def last_back(conn: sa.Connection, feature: str) -> Run | None:
    """The newest of a feature's runs that began to take something back, however many others came after it."""
    query = sa.select(t.runs.c.id, t.runs.c.body).where(t.runs.c.feature == feature, t.runs.c.body != "")
    query = query.order_by(t.runs.c.id.desc()).limit(PAGE)
    page = conn.execute(query).all()
    while page:
        for row in page:
            doc = json.loads(row.body)
            if doc.get("started_at") and doc["mode"] == "live" and doc["purpose"] in ("rollback", "put_back"):
                return load(conn, row.id)
        page = conn.execute(query.where(t.runs.c.id < page[-1].id)).all()
    return None


def line(conn: sa.Connection, run: Run) -> list[Run]:
    """This run and those that it took over from, oldest first."""
    found = [run]
    while len(found) < MOST and (earlier := found[0].instead_of) and (before := load(conn, earlier)):
        found.insert(0, before)
    return found


def origins(conn: sa.Connection, run: Run) -> dict[str, Capture]:
    """What was there before this run, or one that it took over from, first changed each component: *put back* restores
    it."""
    found: dict[str, Capture] = {}
    for each in line(conn, run):
        for step in each.steps:
            if step.origin is None:
                continue
            earlier = step.before is not None and step.origin.digest != step.before.digest  # by *Stop the harm*
            if step.touched or earlier or step.component in found:
                found.setdefault(step.component, step.origin)
    return found


def origin_of(conn: sa.Connection, run: Run, component: str) -> Capture | None:
    """What was there before a run of this line, or *Stop the harm* on its card, first changed this component."""
    for each in line(conn, run):
        if (found := stop_before_images(conn, each.id).get(component)) and found.before:
            return found.before
        if each.id != run.id and (known := origins(conn, each).get(component)):
            return known
    return None


def stop_before_images(conn: sa.Connection, run: int) -> dict[str, RunStep]:
    """What *Stop the harm* on this run's card changed, by component: their pre-images are the ones to put back."""
    found: dict[str, RunStep] = {}
    for row in conn.execute(_ON_CARD, {"card": run}):
        stop = load(conn, row.id)
        for step in stop.steps if stop and stop.purpose == "stop" else []:
            if step.status == "done" and step.changed and step.before:
                found.setdefault(step.component, step)
    return found
