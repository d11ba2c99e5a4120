"""Each occurrence of a scheduled thing is claimed by a unique key, so that two replicas never do it twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot.core.target import canonical
from bot.store import tables as t
from bot.store.codec import iso
from bot.store.engines import upsert


def claim(conn: sa.Connection, key: str, now: datetime) -> bool:
    """True for exactly one caller, for ever."""
    row = upsert(conn, t.occurrences).values(key=key, at=iso(now)).on_conflict_do_nothing(index_elements=["key"])
    return conn.execute(row.returning(t.occurrences.c.key)).first() is not None


def claimed(conn: sa.Connection, key: str) -> bool:
    """Only a hint, before a claim: somebody may be about to."""
    return conn.execute(sa.select(t.occurrences.c.key).where(t.occurrences.c.key == key)).first() is not None


def claimed_among(conn: sa.Connection, keys: Collection[str]) -> set[str]:
    """Which of these somebody has claimed."""
    return set(conn.execute(sa.select(t.occurrences.c.key).where(t.occurrences.c.key.in_(keys))).scalars())


def first_meta(conn: sa.Connection, key: str, value: str) -> str:
    """A fact about this database itself, as it was stored first: ``value`` if it was not known."""
    row = upsert(conn, t.meta).values(key=key, value=value)
    conn.execute(row.on_conflict_do_nothing(index_elements=["key"]))
    return str(conn.execute(sa.select(t.meta.c.value).where(t.meta.c.key == key)).scalar_one())


def get_meta(conn: sa.Connection, key: str) -> str | None:
    """A fact about this database itself."""
    found = conn.execute(sa.select(t.meta.c.value).where(t.meta.c.key == key)).scalar()
    return str(found) if found is not None else None


def set_meta(conn: sa.Connection, key: str, value: str) -> None:
    row = upsert(conn, t.meta).values(key=key, value=value)
    conn.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def get_json(conn: sa.Connection, key: str) -> dict[str, Any]:
    """A fact that is a document; empty where there is none."""
    found = get_meta(conn, key)
    return dict(json.loads(found)) if found else {}


def change_json(conn: sa.Connection, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Changes a document, locked for the rest of this transaction: of two who change it neither is lost."""
    row = upsert(conn, t.meta).values(key=key, value="{}")
    conn.execute(row.on_conflict_do_nothing(index_elements=["key"]))
    held = sa.select(t.meta.c.value).where(t.meta.c.key == key).with_for_update()
    old: dict[str, Any] = json.loads(conn.execute(held).scalar_one())
    if (new := change(old)) != old:
        set_meta(conn, key, canonical(new))
    return new
