"""Personal keys for the terminal: shown once, stored hashed."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

import sqlalchemy as sa

from bot.store import tables as t
from bot.store.codec import iso
from bot.store.engines import upsert


def hashed(key: str) -> str:
    """SHA-256 is enough: a key has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(key.encode()).hexdigest()


def make(conn: sa.Connection, person: str, now: datetime) -> str:
    """A new key for a person; the one before stops working."""
    key = "rb_" + secrets.token_urlsafe(32)
    values = {"hashed": hashed(key), "made_at": iso(now)}
    row = upsert(conn, t.keys).values(person=person, **values)
    conn.execute(row.on_conflict_do_update(index_elements=["person"], set_=values))
    return key


def person_of(conn: sa.Connection, key: str) -> str | None:
    """Whose key this is; None for nobody's."""
    found = conn.execute(sa.select(t.keys.c.person).where(t.keys.c.hashed == hashed(key))).scalar()
    return str(found) if found else None
