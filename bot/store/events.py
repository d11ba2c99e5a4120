"""The audit log: append, read, export. The head row is locked last (any other order deadlocks on PostgreSQL)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime

import sqlalchemy as sa

from bot.core import audit
from bot.core.merkle import Frontier
from bot.core.run import Happened, Run
from bot.core.target import canonical
from bot.store import tables as t
from bot.store.codec import iso, when
from bot.store.engines import upsert
from bot.store.quick import Quick

SALT = audit.SALT_BYTES
_HEAD = sa.select(t.event_head.c.frontier).where(t.event_head.c.id == 1)
_LOCKED_HEAD = _HEAD.with_for_update()
_NEW_HEAD = Quick(lambda _: sa.update(t.event_head).where(t.event_head.c.id == 1).values(frontier=sa.bindparam("new")))
_EVENT = Quick(lambda _: sa.insert(t.events), ("seq", "run", "feature", "act", "body"))
_SALT_OF = sa.select(t.people.c.salt).where(t.people.c.person == sa.bindparam("of"))


def head(conn: sa.Connection, *, lock: bool = False) -> Frontier:
    """What the log is now. ``lock``: for the rest of this transaction nobody else appends."""
    found = conn.execute(_LOCKED_HEAD if lock else _HEAD).scalar()
    return Frontier.from_json(json.loads(found)) if found else Frontier()


def append(
    conn: sa.Connection,
    happened: Iterable[Happened],
    now: datetime,
    *,
    run: Run | None = None,
    feature: str | None = None,
) -> None:
    """Gives each event its place in the log. Call it last in a transaction: it locks the log's head."""
    events = list(happened)
    if not events:
        return
    actors = _actors(conn, events)
    at = _locked_head(conn)
    made: list[tuple[audit.EventRow, audit.Event]] = []
    for happening, actor in zip(events, actors, strict=True):
        event = audit.Event(
            act=happening.act,
            actor=actor,
            via=audit.Via(happening.actor.via),
            run=run.name if run else None,
            feature=run.feature if run else feature,
            before=happening.before,
            after=happening.after,
            plan_digest=run.plan_digest if run else None,
            facts=happening.facts,
            texts={k: v for k, v in happening.texts.items() if v},
        )
        row, at = audit.make_event(at, event, now, lambda: secrets.token_bytes(SALT))
        made.append((row, event))
    _insert(conn, made, at, run)


def _locked_head(conn: sa.Connection) -> Frontier:
    at = head(conn, lock=True)
    if at.size:
        return at
    first = upsert(conn, t.event_head).values(id=1, frontier=canonical(at.to_json()))
    conn.execute(first.on_conflict_do_nothing(index_elements=["id"]))
    return head(conn, lock=True)


def _insert(
    conn: sa.Connection, made: list[tuple[audit.EventRow, audit.Event]], head: Frontier, run: Run | None
) -> None:
    rows = [
        {
            "seq": row.seq,
            "run": run.id if run else None,
            "feature": audit.storable(event.feature) if event.feature else None,
            "act": event.act,
            "body": row.body,
        }
        for row, event in made
    ]
    _NEW_HEAD.with_rows(conn, {"new": canonical(head.to_json())}, [(_EVENT, row) for row in rows])
    texts = [
        {"seq": row.seq, "name": name, "salt": opening.salt.hex(), "text": opening.text}
        for row, _ in made
        for name, opening in row.texts.items()
    ]
    if texts:
        conn.execute(sa.insert(t.event_texts), texts)


def _actors(conn: sa.Connection, events: list[Happened]) -> list[audit.Actor]:
    """People as commitments. New ones are stored in order of their names, or two appends deadlock."""
    people = {h.actor.id for h in events if h.actor.kind in ("person", "terminal")}
    known = {person: commitment(conn, person) for person in sorted(people)}
    return [audit.Actor(audit.ActorKind(h.actor.kind), known.get(h.actor.id, h.actor.id)) for h in events]


def commitment(conn: sa.Connection, person: str) -> str:
    """The one name of a person in the log; made at first need. Deleting the row makes them anonymous."""
    person = audit.storable(person)
    while (salt := conn.execute(_SALT_OF, {"of": person}).scalar()) is None:
        fresh = upsert(conn, t.people).values(person=person, salt=secrets.token_bytes(SALT).hex())
        conn.execute(fresh.on_conflict_do_nothing(index_elements=["person"]))
    return audit.commit_text(person, bytes.fromhex(salt))


def of_run(conn: sa.Connection, run: int) -> list[dict[str, object]]:
    """The bodies of one run's events, with the texts that are still there, in order."""
    mine = sa.select(t.events.c.seq, t.events.c.body).where(t.events.c.run == run)
    rows = conn.execute(mine.order_by(t.events.c.seq))
    return [{**json.loads(row.body), "texts": _texts(conn, row.seq)} for row in rows]


def _texts(conn: sa.Connection, seq: int) -> dict[str, str]:
    rows = conn.execute(sa.select(t.event_texts).where(t.event_texts.c.seq == seq))
    return {row.name: row.text for row in rows}


def exported(conn: sa.Connection, log: str) -> Iterator[str]:
    """The lines of an export. Streams; one page of events in memory at a time."""
    openings = {
        audit.commit_text(row.person, bytes.fromhex(row.salt)): audit.Opening(bytes.fromhex(row.salt), row.person)
        for row in conn.execute(sa.select(t.people))
    }
    at = head(conn)
    yield from audit.export(log, at, _pages(conn, at.size, openings))


def _pages(conn: sa.Connection, size: int, openings: dict[str, audit.Opening]) -> Iterator[audit.Exported]:
    for start in range(0, size, 1000):
        within = sa.and_(t.events.c.seq >= start, t.events.c.seq < min(start + 1000, size))
        rows = conn.execute(sa.select(t.events.c.seq, t.events.c.body).where(within).order_by(t.events.c.seq)).all()
        inside = sa.and_(t.event_texts.c.seq >= start, t.event_texts.c.seq < start + 1000)
        texts: dict[int, dict[str, audit.Opening]] = {}
        for x in conn.execute(sa.select(t.event_texts).where(inside)):
            texts.setdefault(x.seq, {})[x.name] = audit.Opening(bytes.fromhex(x.salt), x.text)
        for row in rows:
            actor = str(json.loads(row.body)["actor"]["id"])
            people = [openings[actor]] if actor in openings else []
            yield audit.Exported(row.body, texts.get(row.seq, {}), people)


def add_checkpoint(conn: sa.Connection, size: int, note: str, now: datetime) -> None:
    """Keeps a signed checkpoint; the same size twice is one."""
    row = upsert(conn, t.checkpoints).values(size=size, note=note, at=iso(now))
    conn.execute(row.on_conflict_do_nothing(index_elements=["size"]))


def last_signed(conn: sa.Connection) -> tuple[int, datetime] | None:
    """How many events the last checkpoint covers, and when it was signed."""
    newest = sa.select(t.checkpoints.c.size, t.checkpoints.c.at).order_by(t.checkpoints.c.size.desc()).limit(1)
    row = conn.execute(newest).first()
    return (row.size, when(row.at)) if row else None


def ended_since(conn: sa.Connection, seq: int) -> bool:
    """Has the log, from event ``seq`` on, one of a run that has ended?"""
    over = sa.select(t.runs.c.id).where(t.runs.c.id == t.events.c.run, t.runs.c.ended_at.is_not(None))
    found = sa.select(t.events.c.seq).where(t.events.c.seq >= seq, over.exists()).limit(1)
    return conn.execute(found).first() is not None
