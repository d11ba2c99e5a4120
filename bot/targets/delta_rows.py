"""What rows a Delta table holds, as numbers that do not depend on files, row order or library versions.

Delta names files, not content: after compaction the same rows are other files, and the bytes behind an
unchanged name can rot. So a dataset is known by the sum of its rows' hashes.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

MODULUS = 1 << 128


@dataclass(frozen=True)
class Rows:
    """``total``: sum of all rows' 128-bit hashes, as hex. ``nulls``: null cells.

    ``hashes``: for each row the first 64 bits of its key's and its own hash (without a key: its own twice),
    sorted, 16 bytes a row; None above the limit.
    """

    count: int
    total: str
    nulls: int
    hashes: bytes | None


@dataclass(frozen=True)
class Comparison:
    """Rows of then and now: equal, only then, only now, and (with a key) same key but other content."""

    matched: int
    missing: int
    extra: int
    changed: int


def read_rows(
    batches: Iterable[pa.RecordBatch], key: Sequence[str], limit: int, progress: Callable[[int], None]
) -> Rows:
    """Stream the batches once. Memory: one batch, and about 60 bytes for each row up to ``limit``."""
    count = total = nulls = 0
    pairs: list[int] | None = []
    for batch in batches:
        whole = _hashes(batch, sorted(batch.schema.names))
        count += batch.num_rows
        nulls += sum(column.null_count for column in batch.columns)
        total = (total + sum(whole)) % MODULUS
        pairs = None if pairs is None or count > limit else pairs
        if pairs is not None:
            keys = _hashes(batch, key) if key else whole
            pairs.extend((k >> 64) << 64 | (w >> 64) for k, w in zip(keys, whole, strict=True))
        progress(count)
    return Rows(count, f"{total:032x}", nulls, None if pairs is None else _packed(sorted(pairs)))


def compare(then: bytes, now: bytes) -> Comparison:
    """Merge two sorted lists of hashes, as multisets."""
    matched = missing = extra = changed = 0
    left, right = _pairs(then), _pairs(now)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            missing, a = missing + 1, next(left, None)
        elif a is None or b[0] < a[0]:
            extra, b = extra + 1, next(right, None)
        else:
            matched, changed = matched + (a[1] == b[1]), changed + (a[1] != b[1])
            a, b = next(left, None), next(right, None)
    return Comparison(matched, missing, extra, changed)


def _hashes(batch: pa.RecordBatch, names: Sequence[str]) -> list[int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [part for name in names for part in _column(batch.column(name))]
    joined = pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))
    blake, number = hashlib.blake2b, int.from_bytes
    return [number(blake(row, digest_size=16).digest(), "big") for row in joined.to_pylist()]


def _column(values: pa.Array) -> list[pa.Array]:
    """Bytes for each cell that are equal if and only if the cells are: a null flag, a length, the value."""
    import pyarrow as pa

    binary = pa.large_binary()
    flag = values.is_valid().cast(pa.uint8()).view(pa.binary(1)).cast(binary)
    content, varies = _content(values)
    empty = pa.scalar(b"", binary)
    if not varies:
        return [flag, content.fill_null(empty)]
    import pyarrow.compute as pc

    length = pc.binary_length(content).cast(pa.int64()).view(pa.binary(8)).cast(binary)
    return [flag, length.fill_null(empty), content.fill_null(empty)]


def _content(values: pa.Array) -> tuple[pa.Array, bool]:
    """The values as bytes, and whether their length varies."""
    import pyarrow as pa
    import pyarrow.types as pt

    kind, binary = values.type, pa.large_binary()
    if pt.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pt.is_boolean(kind):
        values, kind = values.cast(pa.uint8()), pa.uint8()
    if pt.is_floating(kind):
        import pyarrow.compute as pc

        values = pc.if_else(pc.is_nan(values), pa.scalar(math.nan, kind), values)  # there are many NaNs, in bits
    if pt.is_primitive(kind) or pt.is_decimal(kind):
        return values.view(pa.binary(kind.bit_width // 8)).cast(binary), False
    if pt.is_nested(kind):
        return pa.array([None if v is None else _text(v).encode() for v in values.to_pylist()], binary), True
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind):
        values = values.cast(pa.large_string())
    return values.cast(binary), True


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr, ensure_ascii=False)


def _packed(pairs: list[int]) -> bytes:
    flat = array("Q")
    for pair in pairs:
        flat.append(pair >> 64)
        flat.append(pair & 0xFFFFFFFFFFFFFFFF)
    if sys.byteorder == "big":
        flat.byteswap()
    return flat.tobytes()


def _pairs(packed: bytes) -> Iterator[tuple[int, int]]:
    flat = array("Q")
    flat.frombytes(packed)
    if sys.byteorder == "big":
        flat.byteswap()
    return zip(flat[::2], flat[1::2], strict=True)
