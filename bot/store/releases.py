"""Releases, moments, stints, holds and what was left behind."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa

from bot.core.release import Moment, Release, Stint
from bot.core.run import Left, Run
from bot.store import tables as t
from bot.store.codec import iso, maybe_iso, maybe_when, when
from bot.store.engines import upsert


def get(conn: sa.Connection, feature: str, version: str) -> Release | None:
    query = sa.select(t.releases.c.body).where(t.releases.c.feature == feature, t.releases.c.version == version)
    body = conn.execute(query).scalar()
    return Release.model_validate_json(body) if body else None


def newest(conn: sa.Connection, feature: str, *, limit: int = 50) -> list[Release]:
    """The newest releases, newest first."""
    query = sa.select(t.releases.c.body).where(t.releases.c.feature == feature)
    rows = conn.execute(query.order_by(t.releases.c.created_at.desc()).limit(limit))
    return [Release.model_validate_json(r.body) for r in rows]


def metrics_of(conn: sa.Connection, feature: str, version: str | None) -> dict[str, float]:
    """Those recorded with a release; none where there is no such release."""
    found = get(conn, feature, version) if version else None
    return found.metrics if found else {}


def versions(conn: sa.Connection, feature: str) -> list[str]:
    """All names, newest first."""
    query = sa.select(t.releases.c.version).where(t.releases.c.feature == feature)
    return [r.version for r in conn.execute(query.order_by(t.releases.c.created_at.desc()))]


def add(conn: sa.Connection, release: Release) -> bool:
    """False if this version exists already (it is immutable; nothing is changed)."""
    row = upsert(conn, t.releases).values(
        feature=release.feature,
        version=release.version,
        digest=release.digest,
        body=release.model_dump_json(),
        created_at=iso(release.created_at),
    )
    row = row.on_conflict_do_nothing(index_elements=["feature", "version"])
    return conn.execute(row.returning(t.releases.c.version)).first() is not None


def add_moment(conn: sa.Connection, moment: Moment) -> int:
    row = sa.insert(t.moments).values(
        feature=moment.feature, version=moment.version, at=iso(moment.at), body=moment.model_dump_json()
    )
    return int(conn.execute(row.returning(t.moments.c.id)).scalar_one())


def moments(
    conn: sa.Connection, feature: str, version: str, *, not_after: datetime | None = None, limit: int = 20
) -> list[Moment]:
    """The newest moments of one release, newest first."""
    query = sa.select(t.moments).where(t.moments.c.feature == feature, t.moments.c.version == version)
    query = query.where(t.moments.c.at <= iso(not_after)) if not_after else query
    rows = conn.execute(query.order_by(t.moments.c.at.desc(), t.moments.c.id.desc()).limit(limit))
    return [Moment.model_validate_json(r.body).model_copy(update={"id": r.id}) for r in rows]


def stints(conn: sa.Connection, feature: str) -> list[Stint]:
    rows = conn.execute(
        sa.select(t.stints).where(t.stints.c.feature == feature).order_by(t.stints.c.since, t.stints.c.id)
    )
    return [
        Stint(
            version=r.version,
            since=when(r.since),
            until=maybe_when(r.until),
            rolled_back=bool(r.rolled_back),
            mixed=json.loads(r.mixed or "[]"),
        )
        for r in rows
    ]


def mix(conn: sa.Connection, feature: str, mixed: list[str]) -> None:
    """These data components hold another release's data than the live one's; none: all are its own."""
    live = sa.update(t.stints).where(t.stints.c.feature == feature, t.stints.c.until.is_(None))
    conn.execute(live.values(mixed=json.dumps(mixed) if mixed else None))


def goes_live(conn: sa.Connection, feature: str, version: str, now: datetime, *, rolled_back: bool = False) -> None:
    """``version`` is live from now; what was live before ends, by a rollback or not. No-op if it is live already."""
    open_one = t.stints.c.until.is_(None)
    present = sa.select(t.stints).where(t.stints.c.feature == feature, open_one).with_for_update()
    begin = upsert(conn, t.stints).values(
        feature=feature, version=version, since=iso(now), until=None, rolled_back=False
    )
    begin = begin.on_conflict_do_nothing(index_elements=["feature"], index_where=open_one).returning(t.stints.c.id)
    while True:
        live = conn.execute(present).first()
        if live and live.version == version:
            return
        if live:
            end = sa.update(t.stints).where(t.stints.c.id == live.id)
            conn.execute(end.values(until=iso(now), rolled_back=rolled_back))
        if conn.execute(begin).first() is not None:  # else another one went live between our look and our insert
            return


def add_stint(conn: sa.Connection, feature: str, stint: Stint) -> None:
    """A time in the past, said by a person at import."""
    conn.execute(
        sa.insert(t.stints).values(
            feature=feature,
            version=stint.version,
            since=iso(stint.since),
            until=maybe_iso(stint.until),
            rolled_back=stint.rolled_back,
        )
    )


def live_features(conn: sa.Connection) -> list[tuple[str, str, datetime | None]]:
    """Each live release and when its newest moment was taken."""
    last = sa.select(sa.func.max(t.moments.c.at)).where(
        t.moments.c.feature == t.stints.c.feature, t.moments.c.version == t.stints.c.version
    )
    rows = conn.execute(
        sa.select(t.stints.c.feature, t.stints.c.version, last.scalar_subquery().label("at")).where(
            t.stints.c.until.is_(None)
        )
    )
    return [(r.feature, r.version, maybe_when(r.at)) for r in rows]


def place_hold(conn: sa.Connection, feature: str, run: int | None, reason: str, now: datetime) -> None:
    """Keeps a feature from being changed; one hold at a time, the first reason stays."""
    row = upsert(conn, t.holds).values(feature=feature, run=run, reason=reason, since=iso(now))
    held = t.holds.c.lifted_at.is_(None)
    conn.execute(row.on_conflict_do_nothing(index_elements=["feature"], index_where=held))


def lift_hold(conn: sa.Connection, feature: str, now: datetime) -> bool:
    """True if there was one."""
    query = sa.update(t.holds).where(t.holds.c.feature == feature, t.holds.c.lifted_at.is_(None))
    return conn.execute(query.values(lifted_at=iso(now)).returning(t.holds.c.id)).first() is not None


def hold(conn: sa.Connection, feature: str) -> dict[str, object] | None:
    """The hold on a feature: ``{run, reason, since}``; None if it is free."""
    row = conn.execute(sa.select(t.holds).where(t.holds.c.feature == feature, t.holds.c.lifted_at.is_(None))).first()
    return {"run": f"R-{row.run}" if row.run else None, "reason": row.reason, "since": row.since} if row else None


def held(conn: sa.Connection) -> list[tuple[str, int]]:
    """Features that are held because of a run, with its number."""
    query = sa.select(t.holds.c.feature, t.holds.c.run).where(t.holds.c.lifted_at.is_(None), t.holds.c.run.is_not(None))
    return [(r.feature, int(r.run)) for r in conn.execute(query.order_by(t.holds.c.feature))]


def leave(conn: sa.Connection, run: Run, left: list[Left], now: datetime, remind_at: datetime) -> None:
    """Lists what a run left behind; what an earlier run left of the same is said by this one from now on."""
    for item in left:
        if item.what != "review":
            close_left(conn, run.feature, item.what, item.component, now)
        conn.execute(
            sa.insert(t.left_behind).values(
                run=run.id,
                feature=run.feature,
                what=item.what,
                component=item.component,
                say=item.say,
                since=iso(now),
                remind_at=iso(remind_at),
            )
        )


def close_left(conn: sa.Connection, feature: str, what: str, component: str, now: datetime) -> None:
    """A thing is no longer off or paused, whichever run left it so."""
    query = sa.update(t.left_behind).where(
        t.left_behind.c.feature == feature,
        t.left_behind.c.what == what,
        t.left_behind.c.component == component,
        t.left_behind.c.closed_at.is_(None),
    )
    conn.execute(query.values(closed_at=iso(now)))


def left(conn: sa.Connection, *, feature: str | None = None, run: int | None = None) -> list[dict[str, object]]:
    """What is still off or paused."""
    query = sa.select(t.left_behind).where(t.left_behind.c.closed_at.is_(None))
    query = query.where(t.left_behind.c.feature == feature) if feature else query
    query = query.where(t.left_behind.c.run == run) if run else query
    # By id itself SQLite would read everything that was ever left, to have it in order.
    rows = conn.execute(query.order_by(t.left_behind.c.id + 0).limit(100))
    return [
        {
            "id": r.id,
            "run": r.run,
            "feature": r.feature,
            "what": r.what,
            "component": r.component,
            "say": r.say,
            "since": r.since,
        }
        for r in rows
    ]


def due_reminders(conn: sa.Connection, now: datetime, again_at: datetime) -> list[int]:
    """Runs whose left-behind list must be said again; each is handed out once per period."""
    query = sa.update(t.left_behind).where(t.left_behind.c.closed_at.is_(None), t.left_behind.c.remind_at <= iso(now))
    rows = conn.execute(query.values(remind_at=iso(again_at)).returning(t.left_behind.c.run))
    return sorted({int(r.run) for r in rows})


def index_feature(conn: sa.Connection, feature: str, resources: dict[str, str]) -> None:
    """Which outside things a feature stands on; rewritten only where it changed."""
    mine = t.catalogue.c.feature == feature
    known = {r.component: r.resource for r in conn.execute(sa.select(t.catalogue).where(mine))}
    if known == resources:
        return
    # In order, or two runs of one feature that are planned at the same time deadlock.
    for component in sorted(known.keys() | resources.keys()):
        resource = resources.get(component)
        if resource is None:
            conn.execute(sa.delete(t.catalogue).where(mine, t.catalogue.c.component == component))
            continue
        row = upsert(conn, t.catalogue).values(feature=feature, component=component, resource=resource)
        conn.execute(row.on_conflict_do_update(index_elements=["feature", "component"], set_={"resource": resource}))


def sharing(conn: sa.Connection, feature: str, resources: dict[str, str]) -> list[str]:
    """Other features that stand on the same things: ``rider_stats (dataset)``."""
    if not resources:
        return []
    query = sa.select(t.catalogue).where(
        t.catalogue.c.resource.in_(sorted(set(resources.values()))), t.catalogue.c.feature != feature
    )
    by_resource = {resource: name for name, resource in resources.items()}
    rows = conn.execute(query.order_by(t.catalogue.c.feature).limit(100))
    return sorted({f"{r.feature} (same {by_resource[r.resource]})" for r in rows})


def runs_that_left(conn: sa.Connection, feature: str, since: datetime, limit: int = 20) -> list[int]:
    """The newest runs that left something behind which still is, or still was at ``since``."""
    lately = sa.or_(t.left_behind.c.closed_at.is_(None), t.left_behind.c.closed_at >= iso(since))
    left_some = sa.exists().where(t.left_behind.c.run == t.runs.c.id, lately)
    query = sa.select(t.runs.c.id).where(t.runs.c.feature == feature, left_some)
    return [int(r.id) for r in conn.execute(query.order_by(t.runs.c.id.desc()).limit(limit))]
