"""The schema, the same on SQLite and PostgreSQL. Migrations must end at exactly this (tests compare catalogues)."""

from __future__ import annotations

import sqlalchemy as sa

naming = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=naming)
T = sa.Text
WHEN = sa.Text
"""Times are ISO 8601 UTC text with microseconds: sorts as time, equal on both databases, from one injected clock."""
BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", BIG, primary_key=True, autoincrement=True)


meta = sa.Table("meta", metadata, sa.Column("key", T, primary_key=True), sa.Column("value", T, nullable=False))

inbox = sa.Table(
    "inbox",
    metadata,
    _id(),
    sa.Column("request_key", T, nullable=False, unique=True),
    sa.Column("actor", T, nullable=False),
    sa.Column("command", T, nullable=False),
    sa.Column("run", BIG, nullable=True),
    sa.Column("answer", T, nullable=False),
    sa.Column("result", T, nullable=True),
    sa.Column("created_at", WHEN, nullable=False),
    sa.Column("applied_at", WHEN, nullable=True),
)
sa.Index(
    "ix_inbox_waiting",
    inbox.c.id,
    sqlite_where=inbox.c.applied_at.is_(None),
    postgresql_where=inbox.c.applied_at.is_(None),
)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    sa.Column("feature", T, nullable=False),
    sa.Column("status", T, nullable=False),
    sa.Column("waiting_for", T, nullable=True),
    sa.Column("same_as", T, nullable=False),
    sa.Column("body", T, nullable=False),
    sa.Column("of_run", BIG, nullable=True),
    sa.Column("channel", T, nullable=False),
    sa.Column("owner", T, nullable=True),
    sa.Column("fence", BIG, nullable=False),
    sa.Column("lease_until", sa.Float(53), nullable=True),
    sa.Column("wake_at", WHEN, nullable=True),
    sa.Column("expires_at", WHEN, nullable=True),
    sa.Column("created_at", WHEN, nullable=False),
    sa.Column("ended_at", WHEN, nullable=True),
    sa.CheckConstraint(
        "status IN ('planning','running','paused','waiting','succeeded','degraded','failed','aborted',"
        "'rejected','expired','refused')",
        name="status",
    ),
)
_OPEN = runs.c.ended_at.is_(None)
sa.Index("uq_runs_same_as", runs.c.same_as, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
# By id, or SQLite reads all runs that ever were to find the open ones in order.
sa.Index("ix_runs_open", runs.c.id, sqlite_where=_OPEN, postgresql_where=_OPEN)
_CHILD = runs.c.of_run.is_not(None)
sa.Index("ix_runs_of", runs.c.of_run, sqlite_where=_CHILD, postgresql_where=_CHILD)
sa.Index("ix_runs_feature", runs.c.feature, runs.c.id)
sa.Index("ix_runs_channel_open", runs.c.channel, sqlite_where=_OPEN, postgresql_where=_OPEN)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("run", BIG, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("plan", sa.Integer, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("feature", T, nullable=False),
    sa.Column("verb", T, nullable=False),
    sa.Column("component", T, nullable=False),
    sa.Column("status", T, nullable=False),
    sa.Column("seconds", sa.Float(53), nullable=True),
    sa.Column("body", T, nullable=False),
)
_DONE = steps.c.seconds.is_not(None)
sa.Index(
    "ix_steps_history",
    steps.c.feature,
    steps.c.verb,
    steps.c.component,
    steps.c.run,
    sqlite_where=_DONE,
    postgresql_where=_DONE,
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("run", BIG, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("no", sa.Integer, primary_key=True),
    sa.Column("digest", T, nullable=False),
    sa.Column("body", T, nullable=False),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("run", BIG, sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("digest", T, primary_key=True),
    sa.Column("person", T, primary_key=True),
    sa.Column("yes", sa.Boolean(name="yes"), nullable=False),
    sa.Column("body", T, nullable=False),
    sa.Column("at", WHEN, nullable=False),
)

resource_locks = sa.Table(
    "resource_locks",
    metadata,
    sa.Column("resource", T, primary_key=True),
    sa.Column("run", BIG, sa.ForeignKey("runs.id"), nullable=False, index=True),
    sa.Column("taken_at", WHEN, nullable=False),
)

holds = sa.Table(
    "holds",
    metadata,
    _id(),
    sa.Column("feature", T, nullable=False),
    sa.Column("run", BIG, nullable=True),
    sa.Column("reason", T, nullable=False),
    sa.Column("since", WHEN, nullable=False),
    sa.Column("lifted_at", WHEN, nullable=True),
)
_HELD = holds.c.lifted_at.is_(None)
sa.Index("uq_holds_feature_held", holds.c.feature, unique=True, sqlite_where=_HELD, postgresql_where=_HELD)

left_behind = sa.Table(
    "left_behind",
    metadata,
    _id(),
    sa.Column("run", BIG, sa.ForeignKey("runs.id"), nullable=False, index=True),
    sa.Column("feature", T, nullable=False),
    sa.Column("what", T, nullable=False),
    sa.Column("component", T, nullable=False),
    sa.Column("say", T, nullable=False),
    sa.Column("since", WHEN, nullable=False),
    sa.Column("remind_at", WHEN, nullable=True),
    sa.Column("closed_at", WHEN, nullable=True),
)
_STILL = left_behind.c.closed_at.is_(None)
sa.Index("ix_left_behind_open", left_behind.c.feature, sqlite_where=_STILL, postgresql_where=_STILL)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("feature", T, primary_key=True),
    sa.Column("version", T, primary_key=True),
    sa.Column("digest", T, nullable=False),
    sa.Column("body", T, nullable=False),
    sa.Column("created_at", WHEN, nullable=False),
)
sa.Index("ix_releases_newest", releases.c.feature, releases.c.created_at)

moments = sa.Table(
    "moments",
    metadata,
    _id(),
    sa.Column("feature", T, nullable=False),
    sa.Column("version", T, nullable=False),
    sa.Column("at", WHEN, nullable=False),
    sa.Column("body", T, nullable=False),
)
sa.Index("ix_moments_of", moments.c.feature, moments.c.version, moments.c.at)

stints = sa.Table(
    "stints",
    metadata,
    _id(),
    sa.Column("feature", T, nullable=False),
    sa.Column("version", T, nullable=False),
    sa.Column("since", WHEN, nullable=False),
    sa.Column("until", WHEN, nullable=True),
    sa.Column("rolled_back", sa.Boolean(name="rolled_back"), nullable=False),
    sa.Column("mixed", T, nullable=True),
)
_LIVE = stints.c.until.is_(None)
sa.Index("uq_stints_live", stints.c.feature, unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE)
sa.Index("ix_stints_of", stints.c.feature, stints.c.since)

catalogue = sa.Table(
    "catalogue",
    metadata,
    sa.Column("feature", T, primary_key=True),
    sa.Column("component", T, primary_key=True),
    sa.Column("resource", T, nullable=False, index=True),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("key", T, primary_key=True),
    sa.Column("run", BIG, nullable=True, index=True),
    sa.Column("purpose", T, nullable=False),
    sa.Column("channel", T, nullable=False),
    sa.Column("person", T, nullable=True),
    sa.Column("parent", T, nullable=True),
    sa.Column("body", T, nullable=True),
    sa.Column("ts", T, nullable=True),
    sa.Column("posted_channel", T, nullable=True),
    sa.Column("attempted_at", WHEN, nullable=True),
    sa.Column("sent_digest", T, nullable=True),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("sent", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("trouble", T, nullable=True),
    sa.Column("created_at", WHEN, nullable=False),
)
_DUE = messages.c.wanted > messages.c.sent
sa.Index("ix_messages_due", messages.c.created_at, sqlite_where=_DUE, postgresql_where=_DUE)

people = sa.Table("people", metadata, sa.Column("person", T, primary_key=True), sa.Column("salt", T, nullable=False))
memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("group", T, primary_key=True),
    sa.Column("members", T, nullable=False),
    sa.Column("as_of", WHEN, nullable=False),
)
keys = sa.Table(
    "keys",
    metadata,
    sa.Column("person", T, primary_key=True),
    sa.Column("hashed", T, nullable=False, unique=True),
    sa.Column("made_at", WHEN, nullable=False),
)

occurrences = sa.Table(
    "occurrences", metadata, sa.Column("key", T, primary_key=True), sa.Column("at", WHEN, nullable=False)
)

workers = sa.Table(
    "workers", metadata, sa.Column("owner", T, primary_key=True), sa.Column("seen", sa.Float(53), nullable=False)
)
duties = sa.Table(
    "duties",
    metadata,
    sa.Column("duty", T, primary_key=True),
    sa.Column("owner", T, nullable=False),
    sa.Column("until", sa.Float(53), nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", BIG, primary_key=True, autoincrement=False),
    sa.Column("run", BIG, nullable=True),
    sa.Column("feature", T, nullable=True),
    sa.Column("act", T, nullable=False),
    sa.Column("body", T, nullable=False),
)
sa.Index("ix_events_run", events.c.run, events.c.seq)
event_texts = sa.Table(
    "event_texts",
    metadata,
    sa.Column("seq", BIG, sa.ForeignKey("events.seq"), primary_key=True),
    sa.Column("name", T, primary_key=True),
    sa.Column("salt", T, nullable=False),
    sa.Column("text", T, nullable=False),
)
event_head = sa.Table(
    "event_head", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("frontier", T, nullable=False)
)
checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", BIG, primary_key=True, autoincrement=False),
    sa.Column("note", T, nullable=False),
    sa.Column("at", WHEN, nullable=False),
)
