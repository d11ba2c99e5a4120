"""Online rows by value: what is stored under each entity key, exactly, and how two sets of rows compare.

A cell is the bytes of Feast's own value proto, so that 1.0 and 1 differ and NaN equals NaN.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from bot.core.errors import CorruptBlob
from bot.targets.feast_store import lib

KEY, TIME = "__key", "__event_time"
SCALARS = {
    "int32_val": "int32",
    "int64_val": "int64",
    "float_val": "float32",
    "double_val": "float64",
    "bool_val": "bool_",
    "string_val": "string",
    "bytes_val": "binary",
    "unix_timestamp_val": "int64",
}
"""Value proto fields that a parquet column of that type holds without loss; anything else is kept as bytes."""

NULL = b""
KEPT = 131_072
"""Decoded keys remembered: the same ones are asked for, compared and written."""


class Row(NamedTuple):
    """``time``: event time in whole seconds. A cell is ``b""`` for null and None where nothing is stored."""

    time: int
    cells: tuple[bytes | None, ...]


def nothing(row: Row) -> bool:
    """Is there no row at all? For an absent key Feast's Redis store answers present, null, at the epoch."""
    return row.time == 0 and not any(row.cells)


@dataclass
class Rows:
    """Rows by serialised entity key (without the project); ``cells`` follow the order of ``features``."""

    features: list[str]
    rows: dict[bytes, Row] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, features: list[str]) -> Rows:
        """The same rows with these features, null where this has none."""
        at = [self.features.index(f) if f in self.features else None for f in features]
        picked = {k: Row(r.time, tuple(NULL if i is None else r.cells[i] for i in at)) for k, r in self.rows.items()}
        return Rows(list(features), picked)

    def pick(self, keys: Iterable[bytes]) -> Rows:
        """The rows of these keys; absent ones are left out."""
        return Rows(self.features, {k: self.rows[k] for k in keys if k in self.rows})

    def batches(self, size: int) -> Iterator[Rows]:
        keys = sorted(self.rows)
        for start in range(0, len(keys), size):
            yield self.pick(keys[start : start + size])

    def digest(self) -> str:
        """Of keys and values; event times don't count."""
        h = hashlib.sha256(repr(sorted(self.features)).encode())
        order = sorted(range(len(self.features)), key=lambda i: self.features[i])
        for key in sorted(self.rows):
            cells = self.rows[key].cells
            for part in (key, *(cells[i] or NULL for i in order)):
                h.update(len(part).to_bytes(4, "big") + part)
        return "sha256:" + h.hexdigest()


@dataclass
class Comparison:
    """``want`` against ``live``: cells equal, keys that live lacks, cells null that should not be."""

    matched: int = 0
    expected: int = 0
    missing: int = 0
    null: int = 0
    changed: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: Comparison) -> None:
        """Take in another batch."""
        self.matched += other.matched
        self.expected += other.expected
        self.missing += other.missing
        self.null += other.null
        self.changed += other.changed
        self.examples = [*self.examples, *other.examples][:5]


def compare(want: Rows, live: Rows) -> Comparison:
    """Cell by cell over ``want.features``; ``changed`` counts rows that differ."""
    live = live.only(want.features) if live.features != want.features else live
    found = Comparison(expected=len(want) * len(want.features))
    for key, row in want.rows.items():
        other = live.rows.get(key)
        if other is None:
            found.missing += 1
            found.examples += [f"{key_text(key)}: nothing served"] if len(found.examples) < 5 else []
        elif [c or NULL for c in row.cells] == [c or NULL for c in other.cells]:
            found.matched += len(row.cells)
        else:
            _compare_row(found, want.features, key, row, other)
    return found


def _compare_row(found: Comparison, features: list[str], key: bytes, row: Row, other: Row) -> None:
    found.changed += 1
    for feature, wanted, now in zip(features, row.cells, other.cells, strict=True):
        if (wanted or NULL) == (now or NULL):
            found.matched += 1
            continue
        found.null += not now
        if len(found.examples) < 5:
            found.examples.append(f"{key_text(key)} {feature}: {value(now)!r} instead of {value(wanted)!r}")


# -- values and keys -----------------------------------------------------------------------------------


def cell(proto: Any) -> bytes:
    """The cell of a value proto."""
    return NULL if proto.WhichOneof("val") in (None, "null_val") else bytes(proto.SerializeToString())


def proto(content: bytes | None) -> Any:
    """The value proto of a cell."""
    return lib("feast.protos.feast.types.Value_pb2").Value.FromString(content or NULL)


def value(content: bytes | None) -> Any:
    """A cell as a feature server's JSON shows it."""
    return lib("feast.feature_server_utils")._value_to_native(proto(content))  # noqa: SLF001 - the server's own


@lru_cache(maxsize=KEPT)
def entity_key(key: bytes) -> Any:
    """Feast's entity key proto, not to be changed. Raises ValueError if the bytes are none."""
    return lib("feast.infra.key_encoding_utils").deserialize_entity_key(key, 3)


def key_values(keys: Iterable[bytes]) -> dict[str, list[Any]]:
    """Join key name -> plain values, in the order of ``keys``; what an online request asks with."""
    columns: dict[str, list[Any]] = {}
    for key in keys:
        found = entity_key(key)
        for name, v in zip(found.join_keys, found.entity_values, strict=True):
            columns.setdefault(name, []).append(getattr(v, v.WhichOneof("val")))
    return columns


def key_text(key: bytes) -> str:
    """As a person writes it: driver_id=1001."""
    return ", ".join(f"{n}={v[0]}" for n, v in key_values([key]).items())


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# -- parquet -------------------------------------------------------------------------------------------


def encode(rows: Rows) -> bytes:
    """Parquet, readable by anybody: join keys, event time, one column per feature; null and absent are one."""
    pa, pq = lib("pyarrow"), lib("pyarrow.parquet")
    keys = sorted(rows.rows)
    columns: dict[str, Any] = {n: pa.array(v) for n, v in key_values(keys).items() if n not in rows.features}
    fields = [pa.field(n, a.type) for n, a in columns.items()]
    columns[KEY] = pa.array(keys, pa.binary())
    columns[TIME] = pa.array([rows.rows[k].time for k in keys], pa.timestamp("s", "UTC"))
    fields += [pa.field(KEY, pa.binary()), pa.field(TIME, columns[TIME].type)]
    for i, feature in enumerate(rows.features):
        which, columns[feature] = _column([rows.rows[k].cells[i] or NULL for k in keys])
        fields.append(pa.field(feature, columns[feature].type, metadata={"feast": which}))
    sink = io.BytesIO()
    pq.write_table(pa.table(list(columns.values()), schema=pa.schema(fields)), sink, compression="zstd")
    return sink.getvalue()


def _column(cells: list[bytes]) -> tuple[str, Any]:
    pa = lib("pyarrow")
    protos = [proto(c) if c else None for c in cells]
    kinds = {p.WhichOneof("val") for p in protos if p is not None}
    which = kinds.pop() if len(kinds) == 1 else ""
    if which not in SCALARS:
        return "proto", pa.array([c or None for c in cells], pa.binary())
    plain = [None if p is None else getattr(p, which) for p in protos]
    return which, pa.array(plain, getattr(pa, SCALARS[which])())


def keys_of(data: bytes) -> list[bytes]:
    """The keys of encoded rows, in order. Raises CorruptBlob."""
    with _readable():
        found: list[bytes] = lib("pyarrow.parquet").read_table(io.BytesIO(data), columns=[KEY]).column(KEY).to_pylist()
    return found


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (lib("pyarrow").ArrowException, KeyError, OSError) as error:
        raise CorruptBlob(f"the captured rows can't be read: {error}") from error


def decode(data: bytes, only: Sequence[bytes] | None = None) -> Rows:
    """The inverse of ``encode``, of all rows or ``only`` of these keys. Raises CorruptBlob."""
    pa, pq = lib("pyarrow"), lib("pyarrow.parquet")
    with _readable():
        table = pq.read_table(io.BytesIO(data))
        if only is not None:
            wanted = pa.array(only, table.column(KEY).type)
            table = table.filter(lib("pyarrow.compute").is_in(table.column(KEY), wanted))
        features = [f.name for f in table.schema if f.metadata and b"feast" in f.metadata]
        columns = [_cells(table.column(f), table.schema.field(f).metadata[b"feast"].decode()) for f in features]
        keys = table.column(KEY).to_pylist()
        times = table.column(TIME).cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_pylist()  # parquet has no seconds
    cells = zip(*columns, strict=True) if columns else ((),) * len(keys)
    return Rows(features, {k: Row(t, tuple(c)) for k, t, c in zip(keys, times, cells, strict=True)})


def _cells(column: Any, which: str) -> list[bytes]:
    if which == "proto":
        return [c or NULL for c in column.to_pylist()]
    make = lib("feast.protos.feast.types.Value_pb2").Value
    return [NULL if v is None else make(**{which: v}).SerializeToString() for v in column.to_pylist()]
