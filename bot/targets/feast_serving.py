"""What consumers get: read through Feast's own online call, or from feature servers over HTTP."""

from __future__ import annotations

import http.client
import json
import random
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bot.core.errors import TargetError
from bot.core.target import Json
from bot.targets.feast_rows import Comparison, Row, Rows, cell, key_text, key_values, nothing, value
from bot.targets.feast_store import Opened

BATCH = 5_000
EPOCH = "1970-01-01T00:00:00Z"


def served(
    opened: Opened,
    view: str,
    features: Sequence[str],
    keys: Sequence[bytes],
    *,
    number: int | None = None,
    progress: Callable[[float, float, str], None] | None = None,
) -> Rows:
    """What is served now for these keys (keys that are served nothing are left out).

    ``number`` reads the rows of one version, as ``view@vN`` does; it needs online versioning.
    """
    name = view if number is None else f"{view}@v{number}"
    found = Rows(list(features))
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        answer = opened.store.get_online_features(
            features=[f"{name}:{f}" for f in features], entity_rows=key_values(batch)
        ).proto
        _collect(found, answer, batch)
        if progress:
            progress(start + len(batch), len(keys), "rows read as served")
    return found


def _collect(found: Rows, answer: Any, keys: Sequence[bytes]) -> None:
    names = list(answer.metadata.feature_names.val)
    vectors = [answer.results[names.index(f)] for f in found.features]
    cells = [[cell(v) for v in vector.values] for vector in vectors]
    missing = [[s == 3 for s in vector.statuses] for vector in vectors]
    times = [t.seconds for t in vectors[0].event_timestamps]
    for key, time, row, absent in zip(keys, times, zip(*cells, strict=True), zip(*missing, strict=True), strict=True):
        if not all(absent) and not nothing(Row(time, row)):
            found.rows[key] = Row(time, row)


def at_consumers(
    url: str, view: str, want: Rows, *, timeout: float, tell: Callable[[float, float, str], None] | None = None
) -> Comparison:
    """Compare ``want`` with what a feature server answers. Raises TargetError if it doesn't answer."""
    found, done = Comparison(), 0
    for batch in want.batches(BATCH):
        answer = _ask(url, view, batch, timeout)
        found.add(_compare(batch, answer, url))
        done += len(batch)
        if tell:
            tell(done, len(want), f"rows read from {url}")
    return found


def some(keys: Iterable[bytes], size: int, seed: str) -> list[bytes]:
    """The same keys every time."""
    ordered = sorted(keys)
    return random.Random(seed).sample(ordered, min(size, len(ordered)))  # noqa: S311 - repeatable, not secret


def sample(rows: Rows, size: int, seed: str) -> Rows:
    """The rows of the same keys every time."""
    return rows.pick(some(rows.rows, size, seed))


def _ask(url: str, view: str, batch: Rows, timeout: float) -> dict[str, Json]:
    body = {"features": [f"{view}:{f}" for f in batch.features], "entities": key_values(batch.rows)}
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked with the parameters
        url.rstrip("/") + "/get-online-features",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            found: dict[str, Json] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        text = " ".join(error.read(300).decode(errors="replace").split())
        raise TargetError(f"{url} answered {error.code}: {text}", retriable=error.code >= 500) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise TargetError(f"{url} does not answer: {error}", retriable=True) from error
    except TypeError as error:
        raise TargetError(f"{view} has entity keys that HTTP can't carry: {error}") from error


def _compare(batch: Rows, answer: dict[str, Json], url: str) -> Comparison:
    """As ``feast_rows.compare``, over JSON values."""
    try:
        names = answer["metadata"]["feature_names"]
        vectors = [answer["results"][names.index(f)] for f in batch.features]
        columns = [list(zip(v["values"], v["statuses"], v["event_timestamps"], strict=True)) for v in vectors]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise TargetError(f"{url} gives an answer of another shape: {error!r}") from error
    found = Comparison(expected=len(batch) * len(batch.features))
    for (key, row), got in zip(batch.rows.items(), zip(*columns, strict=True), strict=True):
        _compare_row(found, batch.features, key, row, got)
    return found


def _compare_row(found: Comparison, features: list[str], key: bytes, row: Row, got: Sequence[Any]) -> None:
    if all(status == "NOT_FOUND" or (now is None and time == EPOCH) for now, status, time in got):
        found.missing += 1
        found.examples += [f"{key_text(key)}: nothing served"] if len(found.examples) < 5 else []
        return
    before = found.matched
    for feature, want, (now, _, _) in zip(features, row.cells, got, strict=True):
        expected = value(want)
        if now == expected and type(now) is type(expected):
            found.matched += 1
            continue
        found.null += now is None
        if len(found.examples) < 5:
            found.examples.append(f"{key_text(key)} {feature}: {now!r} instead of {expected!r}")
    found.changed += found.matched - before < len(row.cells)
