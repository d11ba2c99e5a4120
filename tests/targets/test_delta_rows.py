"""The content digest of a dataset: equal if and only if the rows are."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.targets.delta_rows import Comparison, Rows, compare, read_rows

CELLS = st.tuples(
    st.none() | st.text(max_size=3),
    st.none() | st.binary(max_size=3),
    st.none() | st.integers(-3, 3),
    st.none() | st.floats(),
)
TYPES = {"a": pa.string(), "b": pa.binary(), "c": pa.int64(), "d": pa.float64()}


def rows(cells: list[tuple[Any, ...]], batch: int = 1000) -> Rows:
    table = pa.table(
        [pa.array(c, t) for c, t in zip(zip(*cells, strict=True) if cells else [[]] * 4, TYPES.values(), strict=True)],
        list(TYPES),
    )
    return read(table, batch=batch)


def read(table: pa.Table, *, key: tuple[str, ...] = (), limit: int = 10_000, batch: int = 1000) -> Rows:
    return read_rows(table.to_batches(max_chunksize=batch), key, limit, lambda _: None)


def same(cells: list[tuple[Any, ...]]) -> list[str]:
    """What makes rows equal here: NaN is NaN, -0.0 is not 0.0."""
    return sorted(repr(c) for c in cells)


@settings(max_examples=150, deadline=None)
@given(st.lists(CELLS, max_size=6), st.lists(CELLS, max_size=6), st.randoms())
def test_equal_if_and_only_if_the_rows_are(one: list[Any], two: list[Any], random: Any) -> None:
    """Order and batches do not matter, every cell and its place does, and so does how often a row occurs."""
    shuffled = random.sample(one, len(one))
    assert rows(one) == rows(shuffled, batch=2)
    assert (rows(one).total == rows(two).total and len(one) == len(two)) == (same(one) == same(two))
    counted = compare(rows(one).hashes or b"", rows(two).hashes or b"")
    matched = (Counter(same(one)) & Counter(same(two))).total()
    assert counted == Comparison(matched, len(one) - matched, len(two) - matched, 0)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (pa.array(["a", "bc"]), pa.array(["ab", "c"])),
        (pa.array([None], pa.string()), pa.array([""])),
        (pa.array([None], pa.int8()), pa.array([0], pa.int8())),
        (pa.array([[1], [2, 3]]), pa.array([[1, 2], [3]])),
        (pa.array([{"x": 1, "y": None}]), pa.array([{"x": 1, "y": 2}])),
        (pa.array([Decimal("1.10")]), pa.array([Decimal("1.11")])),
        (pa.array([dt.datetime(2026, 1, 1)]), pa.array([dt.datetime(2026, 1, 1, 0, 0, 1)])),  # noqa: DTZ001
        (pa.array([dt.date(2026, 1, 1)]), pa.array([dt.date(2026, 1, 2)])),
        (pa.array([True]), pa.array([False])),
        (pa.array([1.0], pa.float32()), pa.array([1.5], pa.float32())),
        (pa.array([b"\x00"]), pa.array([b""])),
    ],
)
def test_near_misses_differ(one: pa.Array, two: pa.Array) -> None:
    """Values that a careless encoding would take for equal have different digests, and each has a stable one."""
    assert read(pa.table({"v": one})).total != read(pa.table({"v": two})).total
    assert read(pa.table({"v": one})) == read(pa.table({"v": one}))


def test_every_nan_is_the_same() -> None:
    """Engines write NaN in many bit patterns; none is another value."""
    nans = pa.array([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000], pa.uint64()).view(pa.float64())
    assert len({read(pa.table({"v": nans.slice(i, 1)})).total for i in range(3)}) == 1


def test_how_strings_are_stored_does_not_matter() -> None:
    """Plain, large, view and dictionary strings of the same text are the same rows."""
    plain = pa.array(["a", None, "ü", "a"])
    others = [plain.cast(pa.large_string()), plain.cast(pa.string_view()), plain.dictionary_encode()]
    assert {read(pa.table({"v": v})).total for v in [plain, *others]} == {read(pa.table({"v": plain})).total}


def test_the_digest_is_for_ever() -> None:
    """It is stored in captures for years: this value may never change."""
    table = pa.table({"id": pa.array([1, 2]), "x": pa.array([1.5, None]), "s": pa.array(["é", ""])})
    assert read(table).total == "c2f94ebf6ac745c5ad55693f677490cd"


def test_keys_tell_changed_from_new() -> None:
    """With a key a row can have other content, without one it is another row."""
    then = pa.table({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0]})
    now = pa.table({"id": [2, 3, 4], "x": [2.0, 9.0, 4.0]})
    keyed = [read(t, key=("id",)).hashes or b"" for t in (then, now)]
    assert compare(*keyed) == Comparison(matched=1, missing=1, extra=1, changed=1)
    plain = [read(t).hashes or b"" for t in (then, now)]
    assert compare(*plain) == Comparison(matched=1, missing=2, extra=2, changed=0)


def test_above_the_limit_only_the_sum_is_kept() -> None:
    """Memory is bounded; the digest is the same with and without the list."""
    table = pa.table({"id": list(range(5000))})
    assert read(table, limit=4999).hashes is None
    assert read(table, limit=5000).hashes is not None
    assert read(table, limit=10).total == read(table).total
