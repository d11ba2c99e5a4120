"""The inbox: what people, hooks and clocks said, durable before the ack. INSERT only; the worker applies it."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from bot.core.audit import storable
from bot.core.commands import Actor, Command, Request, parse
from bot.core.run import Run
from bot.core.target import Json, Value, canonical, digest_of
from bot.store import tables as t
from bot.store.codec import iso, when
from bot.store.engines import upsert_on
from bot.store.jobs import StoreDown

V = TypeVar("V", bound=Value)


@dataclass(frozen=True)
class Item:
    """One row that the worker has yet to apply. ``command`` None: this build does not know it."""

    id: int
    actor: Actor
    command: Command | None
    run: int | None
    raw: str
    at: datetime
    """When it was stored."""


@dataclass(frozen=True)
class Taken:
    """What the sender is told. ``fresh`` False: the same bytes or trigger came before, and this is the first answer."""

    answer: str
    run: int | None
    fresh: bool
    id: int = 0


def take(conn: sa.Connection, request_key: str, actor: Actor, command: Command, answer: str, now: datetime) -> Taken:
    """Stores one command under its request key, and for a request its run in ``planning``.

    ``answer`` may contain ``{run}``. The same key again gets the first answer again. A request for what an open
    run already does gets that run. Characters that no database holds (NUL, lone surrogates) become U+FFFD."""
    request_key, actor, command = storable(request_key), _storable(actor), _storable(command)
    if old := _first_answer(conn, request_key):
        return old
    run, new = getattr(command, "run", None), False
    if isinstance(command, Request):
        run, new = _run_for(conn, command, actor, now)
        answer = answer if new else "{run} is already doing exactly this"
    said = storable(answer.replace("{run}", f"R-{run}"))
    values = {
        "request_key": request_key,
        "actor": actor.model_dump_json(),
        "command": command.model_dump_json(),
        "run": run,
        "answer": said,
        "created_at": iso(now),
    }
    row = conn.execute(_insert_row(conn.dialect.name), values).first()
    if row is not None:
        return Taken(said, run, fresh=True, id=row.id)
    if new:  # another process took the same key between our look and our insert, and its run has ended already
        conn.execute(sa.delete(t.runs).where(t.runs.c.id == run))
    first = _first_answer(conn, request_key)
    if first is None:
        raise StoreDown("the inbox changed while this was stored: nothing was stored")
    return first


def _first_answer(conn: sa.Connection, request_key: str) -> Taken | None:
    row = conn.execute(_FIRST, {"key": request_key}).first()
    return Taken(row.answer, row.run, fresh=False, id=row.id) if row else None


def _storable(value: V) -> V:
    """Unchanged, but for what JSON can carry and a database can't hold."""
    try:
        if "\\u0000" not in value.model_dump_json():
            return value
    except ValueError:  # a lone surrogate
        pass
    return type(value).model_validate(_cleaned(value.model_dump()))


def _cleaned(value: Json) -> Json:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_cleaned(k): _cleaned(v) for k, v in value.items()}
    return [_cleaned(v) for v in value] if isinstance(value, list) else value


def _run_for(conn: sa.Connection, command: Request, actor: Actor, now: datetime) -> tuple[int, bool]:
    same_as = digest_of(command.same_as())
    values = {
        "feature": command.feature,
        "status": "planning",
        "same_as": same_as,
        "body": _new_run(command, actor, now),
        "of_run": command.of_run,
        "channel": command.channel,
        "fence": 0,
        "created_at": iso(now),
    }
    while True:
        row = conn.execute(_insert_run(conn.dialect.name), values).first()
        if row is not None:
            return int(row.id), True
        found = conn.execute(_OPEN_ONE, {"same": same_as}).scalar()
        if found is not None:  # else it ended between our insert and our look
            return int(found), False


_FIRST = sa.select(t.inbox).where(t.inbox.c.request_key == sa.bindparam("key"))
_OPEN_ONE = sa.select(t.runs.c.id).where(t.runs.c.same_as == sa.bindparam("same"), t.runs.c.ended_at.is_(None))


@functools.cache
def _insert_row(dialect: str) -> Any:
    unless = upsert_on(dialect, t.inbox).on_conflict_do_nothing(index_elements=["request_key"])
    return unless.returning(t.inbox.c.id)


@functools.cache
def _insert_run(dialect: str) -> Any:
    is_open = t.runs.c.ended_at.is_(None)
    unless = upsert_on(dialect, t.runs).on_conflict_do_nothing(index_elements=["same_as"], index_where=is_open)
    return unless.returning(t.runs.c.id)


def _new_run(command: Request, actor: Actor, now: datetime) -> str:
    """As a document. Its number is not known yet: whoever loads a run takes it from the row."""
    return canonical(
        Run(
            id=0,
            feature=command.feature,
            purpose=command.purpose,
            mode=command.mode,
            requester=actor,
            request=command.model_dump(mode="json"),
            channel=command.channel,
            of_run=command.of_run,
            reason=command.reason,
            incident=command.incident,
            to_version=command.to or None,
            created_at=now,
        ).model_dump(mode="json")
    )


def waiting(conn: sa.Connection, limit: int = 50) -> list[Item]:
    """The rows to apply, oldest first: up to ``limit`` about runs, then as many others. Captures and moments take
    long and come in thousands; a press must not stand in line behind them."""
    unapplied = sa.select(t.inbox).where(t.inbox.c.applied_at.is_(None)).order_by(t.inbox.c.id).limit(limit)
    about_runs = conn.execute(unapplied.where(t.inbox.c.run.is_not(None))).all()
    others = conn.execute(unapplied.where(t.inbox.c.run.is_(None))).all()
    return [_item(r) for r in (*about_runs, *others)]


def _item(r: sa.Row[Any]) -> Item:
    try:
        actor, command = Actor.model_validate_json(r.actor), parse.validate_json(r.command)
        return Item(r.id, actor, command, r.run, r.command, when(r.created_at))
    except ValueError:  # from another build, and no reason to keep the rows behind it waiting
        return Item(r.id, _sender(r.actor), None, r.run, r.command, when(r.created_at))


def _sender(text: str) -> Actor:
    try:
        return Actor.model_validate_json(text)
    except ValueError:
        return Actor()


def claim(conn: sa.Connection, item: int) -> bool:
    """Locks one row for the rest of this transaction; False if another worker has applied it."""
    row = sa.select(t.inbox.c.id).where(t.inbox.c.id == item, t.inbox.c.applied_at.is_(None)).with_for_update()
    return conn.execute(row).first() is not None


def applied(
    conn: sa.Connection, item: int, result: dict[str, object], now: datetime, *, free_key: bool = False
) -> None:
    """Marks a row as applied, with what came of it. ``free_key``: the same key again is a new row from now on."""
    values: dict[str, object] = {"applied_at": iso(now), "result": json.dumps(result)}
    if free_key:  # no key from outside has a space, so nobody else can have this one
        values["request_key"] = t.inbox.c.request_key + f" {item}"
    conn.execute(sa.update(t.inbox).where(t.inbox.c.id == item).values(values))


def item(conn: sa.Connection, number: int) -> Item | None:
    """One row, applied or not."""
    row = conn.execute(sa.select(t.inbox).where(t.inbox.c.id == number)).first()
    return _item(row) if row else None


def result_of(conn: sa.Connection, item: int) -> dict[str, object] | None:
    """What came of one row; None while it waits."""
    found = conn.execute(sa.select(t.inbox.c.result).where(t.inbox.c.id == item)).scalar()
    if not found:
        return None
    result: dict[str, object] = json.loads(found)
    return result


def oldest_waiting(conn: sa.Connection) -> str | None:
    """When the oldest unapplied row was stored (ISO text)."""
    found = conn.execute(sa.select(sa.func.min(t.inbox.c.created_at)).where(t.inbox.c.applied_at.is_(None))).scalar()
    return str(found) if found else None
