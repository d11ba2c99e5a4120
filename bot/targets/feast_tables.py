"""The rows of one feature view where they lie, in the online store: read, listed, written, removed.

Reading and writing go through Feast's own store classes. Listing keys and removing single rows, which
Feast has no call for, are done for SQLite and Redis in Feast's own format; elsewhere keys can't be listed.
"""

# ruff: noqa: SLF001, S608 - Feast's own connections and key formats; table names are quoted
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bot.core.errors import TargetError
from bot.targets import feast_definition as definition
from bot.targets.feast_definition import Definition
from bot.targets.feast_rows import Row, Rows, cell, entity_key, moment, nothing, proto
from bot.targets.feast_store import Opened, lib

BATCH = 5_000
"""Rows per read or write: SQLite's limit of variables in one statement is above it."""


@dataclass
class Table:
    """Rows of one view; with online versioning, those of one version (``number``)."""

    opened: Opened
    view: Any
    features: list[str]

    @property
    def lists(self) -> bool:
        """Can keys be listed here, so that rows too many are seen and removed?"""
        return False

    @property
    def keeps_newest(self) -> bool:
        """Does the store refuse a row that is older than its own, so that event times must be taken back too?"""
        return False

    def stored_keys(self) -> Iterator[bytes]:
        """Every key that has a row, in no order."""
        return iter(())

    def read(self, keys: Sequence[bytes]) -> Rows:
        """The stored rows of these keys, absent ones left out; at most ``BATCH`` keys."""
        if not keys:
            return Rows(self.features)
        found = self.opened.online.online_read(self.opened.config, self.view, [entity_key(k) for k in keys])
        rows = {}
        for key, (time, values) in zip(keys, found, strict=True):
            if time is None or not values:
                continue
            row = Row(int(time.timestamp()), tuple(cell(values[f]) if f in values else None for f in self.features))
            if not nothing(row):
                rows[key] = row
        return Rows(self.features, rows)

    def write(self, rows: Rows) -> None:
        """Insert or overwrite, also where the stored event time is newer."""
        data = [
            (entity_key(k), {f: proto(c) for f, c in zip(rows.features, r.cells, strict=True)}, moment(r.time), None)
            for k, r in rows.rows.items()
        ]
        self.opened.online.online_write_batch(self.opened.config, self.view, data, None)

    def remove(self, keys: Iterable[bytes]) -> None:  # noqa: ARG002
        """Remove whole rows of this view."""
        raise TargetError(f"rows can't be removed one by one from a {type(self.opened.online).__name__}")

    def remove_cells(self, cells: Iterable[tuple[bytes, str]]) -> None:
        """Remove single cells, which a row of the other release left; where that can't be done, they stay unserved."""

    def create(self) -> None:
        """Make the place for the rows, if the store needs one."""
        self.opened.online.update(self.opened.config, [], [self.view], [], [], True)


@dataclass
class SqliteTable(Table):
    """One table per view (and version): a line per key and feature."""

    @property
    def lists(self) -> bool:
        return True

    @property
    def name(self) -> str:
        helpers = lib("feast.infra.online_stores.helpers")
        found = helpers.compute_table_id(self.opened.project, self.view, self.opened.versioned)
        return '"' + str(found).replace('"', '""') + '"'

    @property
    def connection(self) -> Any:
        return self.opened.online._get_conn(self.opened.config)

    def exists(self) -> bool:
        sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(self.connection.execute(sql, [self.name.strip('"')]).fetchone()[0])

    def stored_keys(self) -> Iterator[bytes]:
        if self.exists():
            for (key,) in self.connection.execute(f"SELECT DISTINCT entity_key FROM {self.name}"):
                yield bytes(key)

    def read(self, keys: Sequence[bytes]) -> Rows:
        return super().read(keys) if self.exists() else Rows(self.features)

    def remove(self, keys: Iterable[bytes]) -> None:
        with self.connection as connection:
            connection.executemany(f"DELETE FROM {self.name} WHERE entity_key = ?", [[k] for k in keys])

    def remove_cells(self, cells: Iterable[tuple[bytes, str]]) -> None:
        sql = f"DELETE FROM {self.name} WHERE entity_key = ? AND feature_name = ?"
        with self.connection as connection:
            connection.executemany(sql, list(cells))


@dataclass
class RedisTable(Table):
    """One hash per entity and project, shared by all views of the entity: only this view's fields are ours."""

    @property
    def lists(self) -> bool:
        return True

    @property
    def keeps_newest(self) -> bool:
        return True

    @property
    def client(self) -> Any:
        return self.opened.online._get_client(self.opened.config.online_store)

    @property
    def name(self) -> str:
        helpers = lib("feast.infra.online_stores.helpers")
        return str(helpers.compute_versioned_name(self.view, self.opened.versioned))

    @property
    def suffix(self) -> bytes:
        return self.opened.project.encode()

    def field(self, feature: str) -> bytes:
        return bytes(lib("feast.infra.online_stores.helpers")._mmh3(f"{self.name}:{feature}"))

    def stored_keys(self) -> Iterator[bytes]:
        time = f"_ts:{self.name}".encode()
        found = self._scan()
        while batch := list(islice(found, BATCH)):
            with self.client.pipeline(transaction=False) as pipe:
                for key in batch:
                    pipe.hexists(key + self.suffix, time)
                yield from (k for k, there in zip(batch, pipe.execute(), strict=True) if there)

    def _scan(self) -> Iterator[bytes]:
        prefix = lib("feast.infra.online_stores.helpers")._redis_key_prefix(self.view.join_keys)
        for found in self.client.scan_iter(match=literal(prefix) + b"*" + literal(self.suffix), count=BATCH):
            key = bytes(found)[: -len(self.suffix)]
            try:
                names = list(entity_key(key).join_keys)
            except (ValueError, UnicodeDecodeError):
                continue  # another project whose name ends like ours
            if sorted(names) == sorted(self.view.join_keys):
                yield key

    def read(self, keys: Sequence[bytes]) -> Rows:
        found = super().read(keys)  # Feast can't tell an absent field from a null one here
        rows = {k: Row(r.time, tuple(c or None for c in r.cells)) for k, r in found.rows.items()}
        return Rows(found.features, rows)

    def remove(self, keys: Iterable[bytes]) -> None:
        fields = [self.field(f) for f in self.features] + [f"_ts:{self.name}".encode()]
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hdel(key + self.suffix, *fields)
            pipe.execute()

    def remove_cells(self, cells: Iterable[tuple[bytes, str]]) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            for key, feature in cells:
                pipe.hdel(key + self.suffix, self.field(feature))
            pipe.execute()


def table(opened: Opened, d: Definition, number: int | None) -> Table:
    """The rows of the view of ``d`` under version ``number``, with every feature that any version of it had."""
    view = type(d.view).from_proto(d.view.to_proto())
    view.features = known_features(opened, d.view, number)
    view.current_version_number = number
    view.projection.version_tag = number or None
    kinds = {c.__name__ for c in type(opened.online).__mro__}
    made = SqliteTable if "SqliteOnlineStore" in kinds else RedisTable if "RedisOnlineStore" in kinds else Table
    return made(opened, view, [f.name for f in view.features])


def known_features(opened: Opened, view: Any, number: int | None) -> list[Any]:
    """Feast's fields of the view and of the stored versions that share its rows, by name."""
    fields = {f.name: f for f in view.features}
    history = definition.stored_numbers(opened, view.name)
    for one in history if not opened.versioned else [n for n in history if n == (number or 0)]:
        for f in definition.stored(opened, view.name, one).features:
            fields.setdefault(f.name, f)
    return list(fields.values())


def literal(text: bytes) -> bytes:
    """Escaped for Redis' glob patterns: a key holds any byte."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^-" else bytes([c]) for c in text)
