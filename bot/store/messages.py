"""What should stand in the chat, one row a message, inserted in the event's transaction and rendered when sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from bot.core.run import Run
from bot.core.target import canonical
from bot.store import tables as t
from bot.store.codec import iso, maybe_when
from bot.store.engines import upsert_on
from bot.store.quick import Quick, Row


@dataclass(frozen=True)
class Message:
    """One row. ``body``: what the renderer needs beside the run; ``ts`` None: not posted yet; ``attempted_at``
    without ``ts``: a crash between post and commit, so look before posting again."""

    key: str
    run: int | None
    purpose: str
    channel: str
    person: str | None
    parent: str | None
    body: dict[str, object]
    ts: str | None
    posted_channel: str | None
    attempted_at: datetime | None
    sent_digest: str | None
    wanted: int
    failures: int
    sent: int = 0

    @property
    def settled(self) -> bool:
        """It stands as it should, or was given up."""
        return self.sent >= self.wanted


def want(
    conn: sa.Connection,
    key: str,
    *,
    purpose: str,
    channel: str,
    now: datetime,
    run: int | None = None,
    person: str | None = None,
    parent: str | None = None,
    body: dict[str, object] | None = None,
) -> None:
    """This message should stand, or be brought up to date. The same key is the same message for ever."""
    row = _row(key, purpose, channel, now) | {"run": run, "person": person, "parent": parent}
    _WANTED.run(conn, row | {"body": canonical(body) if body is not None else None})


def _row(key: str, purpose: str, channel: str, now: datetime) -> dict[str, object]:
    return dict.fromkeys(_GIVEN) | {
        "key": key,
        "purpose": purpose,
        "channel": channel,
        "wanted": 1,
        "sent": 0,
        "failures": 0,
        "created_at": iso(now),
    }


def _wanted(dialect: str) -> sa.Executable:
    row = upsert_on(dialect, t.messages)
    anew = {"wanted": t.messages.c.wanted + 1, "body": row.excluded.body}
    statement: sa.Executable = row.on_conflict_do_update(index_elements=["key"], set_=anew)
    return statement


_GIVEN = ("key", "run", "purpose", "channel", "person", "parent", "body", "wanted", "sent", "failures", "created_at")
_WANTED = Quick(_wanted, _GIVEN)


def want_run(conn: sa.Connection, run: Run, now: datetime) -> None:
    """The card and the thread of a run follow its state."""
    _WANTED.all(conn, [row for _, row in told_of(run, now)])


def told_of(run: Run, now: datetime) -> list[Row]:
    """The rows by which they do."""
    if not run.channel:
        return []
    card, begun, over = f"{run.name}:card", run.started_at is not None, not run.open
    told = {"card": run.planned_at is not None or over, "live": begun, "outcome": begun and over}
    rows = [_row(f"{run.name}:{purpose}", purpose, run.channel, now) for purpose, stands in told.items() if stands]
    return [(_WANTED, row | {"run": run.id, "parent": None if row["key"] == card else card}) for row in rows]


_DUE = sa.select(t.messages).where(t.messages.c.wanted > t.messages.c.sent)
_DUE = _DUE.order_by(t.messages.c.created_at, t.messages.c.key).limit(sa.bindparam("most", type_=sa.Integer))


def due(conn: sa.Connection, limit: int = 50) -> list[Message]:
    """Messages that do not stand as they should, oldest first."""
    return [_message(r) for r in conn.execute(_DUE, {"most": limit}).mappings()]


def get(conn: sa.Connection, key: str) -> Message | None:
    row = conn.execute(sa.select(t.messages).where(t.messages.c.key == key)).mappings().first()
    return _message(row) if row else None


def _message(m: sa.RowMapping) -> Message:
    return Message(
        key=str(m["key"]),
        run=m["run"],
        purpose=str(m["purpose"]),
        channel=str(m["channel"]),
        person=m["person"],
        parent=m["parent"],
        body=json.loads(m["body"]) if m["body"] else {},
        ts=m["ts"],
        posted_channel=m["posted_channel"],
        attempted_at=maybe_when(m["attempted_at"]),
        sent_digest=m["sent_digest"],
        wanted=int(m["wanted"]),
        failures=int(m["failures"]),
        sent=int(m["sent"]),
    )


def attempt(conn: sa.Connection, key: str, now: datetime) -> None:
    """Noted before the post, so that a crash in between is known."""
    conn.execute(sa.update(t.messages).where(t.messages.c.key == key).values(attempted_at=iso(now)))


def sent(conn: sa.Connection, key: str, *, wanted: int, ts: str, channel: str, digest: str) -> None:
    """It stands, as of ``wanted``; a wish that came meanwhile stays due."""
    update = sa.update(t.messages).where(t.messages.c.key == key)
    conn.execute(
        update.values(sent=wanted, ts=ts, posted_channel=channel, sent_digest=digest, failures=0, trouble=None)
    )


def trouble(conn: sa.Connection, key: str, error: str, *, give_up: bool) -> None:
    """It could not be sent. ``give_up``: it never can be, and is no longer due."""
    update = sa.update(t.messages).where(t.messages.c.key == key)
    values: dict[str, object] = {"failures": t.messages.c.failures + 1, "trouble": error}
    if give_up:
        values["sent"] = t.messages.c.wanted
    conn.execute(update.values(**values))


def redirect(conn: sa.Connection, key: str, channel: str) -> None:
    """It goes to another channel, anew (the bot is not in the first one, or not any more)."""
    anew = {"ts": None, "posted_channel": None, "sent_digest": None, "attempted_at": None}
    conn.execute(sa.update(t.messages).where(t.messages.c.key == key).values(channel=channel, **anew))


def troubled(conn: sa.Connection, limit: int = 20) -> list[tuple[str, str]]:
    """Messages that could not be sent, with the last error."""
    rows = conn.execute(
        sa.select(t.messages.c.key, t.messages.c.trouble).where(t.messages.c.trouble.is_not(None)).limit(limit)
    )
    return [(r.key, r.trouble) for r in rows]


def of_run(conn: sa.Connection, run: int, purpose: str) -> list[Message]:
    """A run's messages of one purpose."""
    query = sa.select(t.messages).where(t.messages.c.run == run, t.messages.c.purpose == purpose)
    return [_message(r) for r in conn.execute(query.order_by(t.messages.c.key)).mappings()]


def again(conn: sa.Connection, run: int, purposes: tuple[str, ...]) -> None:
    """What a run's messages say may have changed although the run has not."""
    mine = sa.and_(t.messages.c.run == run, t.messages.c.purpose.in_(purposes))
    # in the order in which a change of the run wants them, or the two deadlock
    conn.execute(sa.select(t.messages.c.key).where(mine).order_by(t.messages.c.key).with_for_update()).all()
    conn.execute(sa.update(t.messages).where(mine).values(wanted=t.messages.c.wanted + 1))


def settle(conn: sa.Connection, key: str, *, wanted: int) -> None:
    """There is nothing to say for the wish number ``wanted``; a later one stays due."""
    conn.execute(sa.update(t.messages).where(t.messages.c.key == key).values(sent=wanted))


def not_posted(conn: sa.Connection, key: str) -> None:
    """The attempt was refused, so there is nothing to look for before the next one."""
    conn.execute(sa.update(t.messages).where(t.messages.c.key == key).values(attempted_at=None))
