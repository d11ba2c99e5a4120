"""One moment of what a view serves: which keys, which values, whether the source agrees, as of when."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bot.core.errors import CorruptBlob, Fault, TargetError
from bot.core.target import BlobRef, Call, Capture, Json, Kind, digest_of
from bot.targets import feast_kept, feast_rows, feast_serving, feast_source, feast_tables
from bot.targets.feast_definition import Definition
from bot.targets.feast_rows import Rows
from bot.targets.feast_store import Opened, version_warnings


@dataclass
class Moment:
    """Served (or expected) rows, ready to become a capture."""

    definition: Definition
    rows: Rows
    keys: int
    complete: bool
    as_of: datetime
    expected: bool = False
    unserved: list[str] = field(default_factory=list)
    agreement: dict[str, Json] | None = None
    warnings: list[str] = field(default_factory=list)

    def capture(self, call: Call, resource: str) -> Capture:
        """Stores the bytes and gives the capture."""
        d, as_of = self.definition, self.as_of.isoformat(timespec="seconds")
        name = f"{d.view.name}-{d.pointer}"
        return Capture(
            kind=Kind.online,
            resource=resource,
            pointer=f"{d.pointer} as of {as_of}",
            digest=digest_of([d.version, self.rows.digest()]),
            facts={"version": d.pointer, "as of": as_of, "rows": self.keys, "features": sorted(self.rows.features)},
            observed={"keys": self.keys, "rows_kept": len(self.rows), "agreement": self.agreement},
            data={
                "number": d.number,
                "serves": d.pointer,
                "parts": d.parts,
                "complete": self.complete,
                "keys": self.keys,
                "as_of": self.as_of.isoformat(),
                "unserved": self.unserved,
            },
            blobs={
                "definition": call.blobs.put(feast_kept.encode(d), f"{name}.json"),
                "served": call.blobs.put(feast_rows.encode(self.rows), f"{name}.parquet"),
            },
            taken_at=call.now,
            expected=self.expected,
            warnings=[*version_warnings(), *d.warnings, *self.warnings],
        )


def load(c: Capture, blobs: Any, most: int | None = None) -> tuple[Rows, list[bytes]]:
    """The captured rows, and the keys of all of them. Of more than ``most`` only so many are decoded, the same ones
    each time: making the cells of 50,000 rows is most of what such a look costs, and an estimate needs a few. Raises
    CorruptBlob."""
    ref = c.blobs.get("served")
    if not isinstance(ref, BlobRef):
        raise CorruptBlob("the capture holds no rows")
    data = blobs.get(ref)
    keys = feast_rows.keys_of(data)
    few = most is not None and len(keys) > most
    return feast_rows.decode(data, feast_serving.some(keys, most or 0, c.resource) if few else None), keys


def observed(opened: Opened, live: Definition) -> dict[str, Json]:
    """Cheap facts that move with ordinary data."""
    end = live.view.most_recent_end_time
    return {
        "materialized_until": None if end is None else end.isoformat(),
        "materializing": getattr(live.view.state, "name", "") == "MATERIALIZING",
        "online_store": type(opened.online).__name__,
        "online_versioning": opened.versioned,
    }


def served_now(opened: Opened, call: Call, live: Definition) -> Moment:
    """Reads every key (or a sample) as a consumer does, and compares with the source as of its materialization."""
    place = feast_tables.table(opened, live, live.number)
    warnings: list[str] = []
    keep, sample = opened.settings.keep_rows, opened.settings.sample_rows
    # A pre-image is what was there, right or wrong: comparing it with the source would double its time. And it is of
    # now: its definition may have gone back already in the same run, with the time of its last materialization.
    alone = place.lists and call.context.get("pre_image") is True
    until = (None if call.context.get("pre_image") else live.view.most_recent_end_time) or call.now
    source = None if alone else _source(opened, live, until, warnings)
    keys = set(place.stored_keys())
    stored = len(keys)
    should = None
    if source is not None and max(stored, source.num_rows) <= keep:
        should = feast_source.all_rows(live, source)
        keys |= should.rows.keys()
    elif source is not None and not place.lists:
        keys |= feast_source.keys_of(live, source)
    complete = place.lists and len(keys) <= keep
    asked = feast_source.choose(keys, keep if len(keys) <= keep else sample, live.view.name)
    features = [f.name for f in live.view.features]
    rows = feast_serving.served(opened, live.view.name, features, asked, progress=call.progress)
    if not place.lists:
        warnings.append(f"keys of a {type(opened.online).__name__} can't be listed: rows too many are not seen")
    moment = Moment(live, rows, stored or len(rows), complete, until, warnings=warnings)
    if complete:
        moment.unserved = _add_unserved(place, rows, features)
    if should is None and source is not None:
        should = feast_source.all_rows(live, feast_source.narrow(live, source, asked))
    if should is not None:
        _agree(opened, moment, should.pick(asked), features)
    return moment


def _source(opened: Opened, live: Definition, until: datetime, warnings: list[str]) -> Any:
    try:
        found = feast_source.latest(opened, live, until)
    except Exception as error:  # noqa: BLE001 - each offline store raises its own; a capture must not fail on it
        warnings.append(f"not compared with the source: {' '.join(str(error).split())[:200]}")
        return None
    if found.num_rows > opened.settings.max_rows:
        warnings.append(f"not compared with the source: {found.num_rows:,} entities are above max_rows")
        return None
    return found


def _add_unserved(place: feast_tables.Table, rows: Rows, features: list[str]) -> list[str]:
    """Features of other versions that lie in the same rows: *put back* needs them."""
    others = [f for f in place.features if f not in features]
    if not others:
        return []
    wide = Rows([*features, *others])
    for batch in rows.batches(feast_tables.BATCH):
        stored = place.read(sorted(batch.rows)).only(others)
        for key, row in batch.rows.items():
            more = stored.rows[key].cells if key in stored.rows else (b"",) * len(others)
            wide.rows[key] = feast_rows.Row(row.time, (*row.cells, *more))
    full = [f for f in others if any(r.cells[wide.features.index(f)] for r in wide.rows.values())]
    kept = wide.only([*features, *full])
    rows.features, rows.rows = kept.features, kept.rows
    return full


def _agree(opened: Opened, moment: Moment, should: Rows, features: list[str]) -> None:
    """The source says what should be served; a metadata-only apply can switch that without a word."""
    live = moment.rows.only(features)
    _take_news(opened, moment, should, live)
    found = feast_rows.compare(should, live)
    extra = sum(1 for k in live.rows if k not in should.rows)
    moment.agreement = {
        "matched": found.matched,
        "expected": found.expected,
        "missing": found.missing,
        "extra": extra,
        "null": found.null,
    }
    if found.matched != found.expected or extra:
        share = found.matched / found.expected if found.expected else 0.0
        moment.warnings.append(
            f"what is served is not what the source says: {share:.1%} of {found.expected:,} cells match, "
            f"{found.missing:,} keys missing, {extra:,} too many"
        )


def _take_news(opened: Opened, moment: Moment, should: Rows, live: Rows) -> None:
    """A pipeline writes while a large view is being read: a later row is right if the source has just that row."""
    until = int(moment.as_of.timestamp())
    news = {k: r for k, r in live.rows.items() if r.time > until and r != should.rows.get(k)}
    if not news:
        return
    latest = feast_rows.moment(max(r.time for r in news.values()) + 1)
    try:
        for key, row in feast_source.between(opened, moment.definition, news, moment.as_of, latest):
            if row == news.get(key):
                should.rows[key] = row
    except Exception as error:  # noqa: BLE001 - each offline store raises its own
        moment.warnings.append(f"rows newer than the last materialization were not looked up: {error}"[:200])


def expected(opened: Opened, call: Call, live: Definition, at: str) -> Moment:
    """What should have been served, computed from what the source still holds."""
    d = feast_kept.sibling(call, live.view.name) or live
    until, version = _resolve(opened, call, d, at)
    source = feast_source.latest(opened, d, until, version)
    total = int(source.num_rows)
    if not total:
        raise TargetError(f"the source of {d.view.name} has no row as of {at}")
    if total > opened.settings.max_rows:
        raise TargetError(f"the source has {total:,} entities, above max_rows ({opened.settings.max_rows:,})")
    complete = total <= opened.settings.keep_rows
    if not complete:
        keys = feast_source.choose(feast_source.keys_of(d, source), opened.settings.sample_rows, d.view.name)
        source = feast_source.narrow(d, source, keys)
    rows = feast_source.all_rows(d, source)
    return Moment(d, rows, total, complete, until, expected=True)


def _resolve(opened: Opened, call: Call, d: Definition, at: str) -> tuple[datetime, int | None]:
    match = re.fullmatch(r"delta:(\d+)", at)
    if match:
        return call.now, int(match[1])
    if at == "dataset":
        path = feast_source.delta_path(opened, d.view.batch_source)
        for each in (call.context.get("siblings") or {}).values():
            c = Capture.model_validate(each)
            version = re.fullmatch(r"\D*(\d+)", c.pointer)
            if c.kind == Kind.dataset and path and version:
                return call.now, int(version[1])
        raise Fault(f"{d.view.name}: the release has no captured Delta dataset that is this view's source")
    try:
        until = datetime.fromisoformat(at)
    except ValueError:
        raise Fault(f"{at[:40]!r} is neither a time like 2026-11-22T10:00:00Z nor delta:N nor dataset") from None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    if until > call.now:
        raise Fault(f"{at} is in the future")
    return until, None
