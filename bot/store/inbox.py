"""The inbox: what people, hooks and clocks said, durable before the ack. INSERT only; the worker applies it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from bot.core.audit import storable
from bot.core.commands import Actor, Command, Request, parse
from bot.core.run import Run
from bot.core.target import Json, Value, digest_of
from bot.store import tables as t
from bot.store.codec import iso, when
from bot.store.engines import upsert_on
from bot.store.jobs import StoreDown
from bot.store.quick import Quick

V = TypeVar("V", bound=Value)
Values = dict[str, Any]
ALREADY = "is already doing exactly this"
"""How the answer to a request ends for which an open run was found."""


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
    if not isinstance(command, Request):
        row = plain_row(request_key, actor, command, answer, now)
        made = _ROW.first(conn, row)
        return taken_as(conn, row, made["id"] if made else None)
    request_key = storable(request_key)
    (actor, who), (wish, what) = _storable(actor), _storable(command)
    found = _run_for(conn, request_key, wish, actor, now)
    if isinstance(found, Taken):
        return found
    run, new = found
    said = storable((answer if new else f"{{run}} {ALREADY}").replace("{run}", f"R-{run}"))
    row = _values(request_key, who, what, run, said, now)
    made = _ROW.first(conn, row)
    if made is None and new:  # another process took the same key meanwhile, and its run has ended already
        conn.execute(sa.delete(t.runs).where(t.runs.c.id == run))
    return taken_as(conn, row, made["id"] if made else None)


def plain_row(request_key: str, actor: Actor, command: Command, answer: str, now: datetime) -> Values:
    """What ``take`` stores of a command that asks for no run."""
    (_, who), (command, what) = _storable(actor), _storable(command)
    run = getattr(command, "run", None)
    return _values(storable(request_key), who, what, run, storable(answer.replace("{run}", f"R-{run}")), now)


def _values(request_key: str, who: str, what: str, run: int | None, said: str, now: datetime) -> Values:
    row = {"request_key": request_key, "actor": who, "command": what}
    return {**row, "run": run, "answer": said, "created_at": iso(now)}


def taken_as(conn: sa.Connection, row: Values, number: int | None) -> Taken:
    """``number``: under which the row was stored; None: its key was there before, so the first answer is the answer."""
    if number is not None:
        return Taken(row["answer"], row["run"], fresh=True, id=number)
    first = _first_answer(conn, row["request_key"])
    if first is None:
        raise StoreDown("the inbox changed while this was stored: nothing was stored")
    return first


def _first_answer(conn: sa.Connection, request_key: str) -> Taken | None:
    row = _FIRST.first(conn, {"key": request_key})
    return Taken(row["answer"], row["run"], fresh=False, id=row["id"]) if row else None


def _storable(value: V) -> tuple[V, str]:
    """Unchanged, but for what JSON can carry and a database can't hold; and as JSON."""
    try:
        if "\\u0000" not in (text := value.model_dump_json()):
            return value, text
    except ValueError:  # a lone surrogate
        pass
    clean = type(value).model_validate(_cleaned(value.model_dump()))
    return clean, clean.model_dump_json()


def _cleaned(value: Json) -> Json:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_cleaned(k): _cleaned(v) for k, v in value.items()}
    return [_cleaned(v) for v in value] if isinstance(value, list) else value


def _run_for(
    conn: sa.Connection, request_key: str, command: Request, actor: Actor, now: datetime
) -> tuple[int, bool] | Taken:
    """A new run (True), or the open one that does the same; the first answer, if this key came before."""
    same_as = digest_of(command.same_as())
    values = {
        "feature": command.feature,
        "same_as": same_as,
        "body": _new_run(command, actor, now),
        "of_run": command.of_run,
        "channel": command.channel,
        "created_at": iso(now),
        "key": request_key,
    }
    while True:
        row = _RUN.first(conn, values)
        if row is not None:
            return int(row["id"]), True
        if old := _first_answer(conn, request_key):
            return old
        found = _OPEN_ONE.first(conn, {"same": same_as})
        if found is not None:  # else it ended between our insert and our look
            return int(found["id"]), False


def _insert_row(dialect: str) -> Any:
    unless = upsert_on(dialect, t.inbox).on_conflict_do_nothing(index_elements=["request_key"])
    return unless.returning(t.inbox.c.id)


def _insert_run(dialect: str) -> Any:
    """Only for a key that has not been here: a look before it would be one more statement before each ack."""
    here = sa.select(t.inbox.c.id).where(t.inbox.c.request_key == sa.bindparam("key")).exists()
    columns = [t.runs.c[name] for name in ("feature", "same_as", "body", "of_run", "channel", "created_at")]
    said = [sa.cast(sa.bindparam(column.name, type_=column.type), column.type) for column in columns]
    row = sa.select(*said, sa.literal_column("'planning'"), sa.literal_column("0")).where(~here)
    into = upsert_on(dialect, t.runs).from_select([*columns, t.runs.c.status, t.runs.c.fence], row)
    unless = into.on_conflict_do_nothing(index_elements=["same_as"], index_where=t.runs.c.ended_at.is_(None))
    return unless.returning(t.runs.c.id)


def _first(_dialect: str) -> Any:
    wanted = (t.inbox.c.id, t.inbox.c.answer, t.inbox.c.run)
    return sa.select(*wanted).where(t.inbox.c.request_key == sa.bindparam("key"))


def _open_one(_dialect: str) -> Any:
    return sa.select(t.runs.c.id).where(t.runs.c.same_as == sa.bindparam("same"), t.runs.c.ended_at.is_(None))


_ROW = Quick(_insert_row, ("request_key", "actor", "command", "run", "answer", "created_at"))
_RUN, _FIRST, _OPEN_ONE = Quick(_insert_run), Quick(_first), Quick(_open_one)


def _new_run(command: Request, actor: Actor, now: datetime) -> str:
    """As a document. Its number is not known yet: whoever loads a run takes it from the row."""
    run = Run(
        id=0,
        feature=command.feature,
        purpose=command.purpose,
        mode=command.mode,
        requester=actor,
        request=command.model_dump(mode="json"),
        channel=command.channel,
        of_run=command.of_run,
        instead_of=command.instead_of,
        reason=command.reason,
        incident=command.incident,
        to_version=command.to or None,
        created_at=now,
    )
    return run.model_dump_json(exclude_unset=True)  # twice as fast; the rest is as for any new run


_UNAPPLIED = sa.select(t.inbox).where(t.inbox.c.applied_at.is_(None)).order_by(t.inbox.c.id)
_UNAPPLIED = _UNAPPLIED.limit(sa.bindparam("most", type_=sa.Integer))
_ABOUT_RUNS, _OTHERS = _UNAPPLIED.where(t.inbox.c.run.is_not(None)), _UNAPPLIED.where(t.inbox.c.run.is_(None))
_CLAIM = sa.select(t.inbox.c.id).where(t.inbox.c.id == sa.bindparam("item"), t.inbox.c.applied_at.is_(None))
_CLAIM = _CLAIM.with_for_update()
_APPLIED = sa.update(t.inbox).where(t.inbox.c.id == sa.bindparam("item"))
_APPLIED = _APPLIED.values(applied_at=sa.bindparam("at"), result=sa.bindparam("came"))


def waiting(conn: sa.Connection, limit: int = 50) -> list[Item]:
    """The rows to apply, oldest first: up to ``limit`` about runs, then as many others. Captures and moments take
    long and come in thousands; a press must not stand in line behind them."""
    about_runs, others = (conn.execute(query, {"most": limit}).all() for query in (_ABOUT_RUNS, _OTHERS))
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
    return conn.execute(_CLAIM, {"item": item}).first() is not None


def applied(
    conn: sa.Connection, item: int, result: dict[str, object], now: datetime, *, free_key: bool = False
) -> None:
    """Marks a row as applied, with what came of it. ``free_key``: the same key again is a new row from now on."""
    conn.execute(_APPLIED, {"item": item, "at": iso(now), "came": json.dumps(result)})
    if free_key:  # no key from outside has a space, so nobody else can have this one
        freed = {"request_key": t.inbox.c.request_key + f" {item}"}
        conn.execute(sa.update(t.inbox).where(t.inbox.c.id == item).values(freed))


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


def unjudged(conn: sa.Connection, run: int, before: datetime) -> bool:
    """Somebody has said something about this run before that time, and it is not applied yet."""
    said = sa.select(t.inbox.c.id).where(t.inbox.c.applied_at.is_(None), t.inbox.c.run == run)
    return conn.execute(said.where(t.inbox.c.created_at < iso(before)).limit(1)).first() is not None


def oldest_waiting(conn: sa.Connection) -> str | None:
    """When the oldest unapplied row was stored (ISO text)."""
    found = conn.execute(sa.select(sa.func.min(t.inbox.c.created_at)).where(t.inbox.c.applied_at.is_(None))).scalar()
    return str(found) if found else None
