"""Whose data is live: what a rollback left out, or had restored when it ended half-way, is another release's."""

from __future__ import annotations

import logging

from bot.core.commands import Purpose
from bot.core.feature import Feature
from bot.core.playbook import Verb
from bot.core.release import live_stint
from bot.core.run import Run
from bot.core.target import DATA_SIDE
from bot.store import releases, runs
from bot.store.write import Connection

log = logging.getLogger(__name__)


def mixed_after(conn: Connection, run: Run) -> list[str]:
    """The data components that hold another release's data once this run has made its release live."""
    stints = releases.stints(conn, run.feature)
    live = live_stint(stints)
    unread = {s.component for s in run.steps if s.verb == Verb.verify and s.status != "done"}
    back = {s.component for s in run.steps if s.verb == Verb.restore and s.status == "done"} - unread
    if live and live.version == run.to_version:
        return _said(run, [name for name in live.mixed if name not in back])
    if run.purpose == Purpose.put_back:  # as it was before the run that is put back
        earlier = [s for s in stints if s.version == run.to_version]
        return _said(run, earlier[-1].mixed if earlier else [])
    return _said(run, [name for name in _data_side(conn, run) if name not in back])


def _data_side(conn: Connection, run: Run) -> list[str]:
    plan = runs.load_plan(conn, run.id, run.plan_no)
    parts = Feature.model_validate(plan.feature_doc).parts() if plan else []
    return [p.name for p in parts if p.kind in DATA_SIDE]


def half_way(conn: Connection, run: Run) -> None:
    """A run has ended without making its release live: what it wrote is not the live release's, unless it was to bring
    back that one's own data of another time."""
    live = live_stint(releases.stints(conn, run.feature))
    wrote = {
        s.component
        for s in run.steps
        if s.verb == Verb.restore and s.kind in DATA_SIDE and s.attempts and s.changed is not False
    }
    if live and wrote and live.version != run.to_version:
        releases.mix(conn, run.feature, _said(run, sorted({*live.mixed, *wrote})))


def _said(run: Run, mixed: list[str]) -> list[str]:
    if mixed:
        log.warning("%s: %s of %s holds another release's data now", run.name, " and ".join(mixed), run.feature)
    return mixed
