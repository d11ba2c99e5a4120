"""The ways back for online rows, the first that fits, and the writing itself.

Rows are compared before they are written, key by key, so a repetition writes nothing; they are overwritten
in place and only then are rows too many removed, so no key is ever served empty in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bot.core.errors import TargetError
from bot.core.target import Call, Capture
from bot.targets import feast_definition as definition
from bot.targets import feast_pin, feast_rebuild, feast_serving, feast_source, feast_tables
from bot.targets.feast_definition import Definition
from bot.targets.feast_rebuild import Rebuild
from bot.targets.feast_rows import NULL, Row, Rows, compare
from bot.targets.feast_store import Opened
from bot.targets.feast_tables import BATCH, Table

ESTIMATE = 5_000
"""Rows of which a card estimates how many would change."""
PROBE = 1_000
"""Rows that are looked at to see whether a version's rows are still as captured."""
Way = Literal["rows", "version", "source", "rebuild"]


@dataclass
class Written:
    """What a restore of rows did."""

    rows: int = 0
    cells: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self.cells or self.removed)


def choose(
    opened: Opened, c: Capture, want: Definition, rows: Rows, kept: int, rebuild: Rebuild | None
) -> tuple[Way | None, list[str]]:
    """The first way that fits, and why the ones before it don't. ``rows``: some of those that are ``kept``, or all.
    Writes nothing."""
    if c.data.get("complete"):
        return "rows", []
    reasons = [f"only {kept:,} of {int(c.data.get('keys', 0)):,} captured rows are kept"]
    why = _version_refusal(opened, want, rows)
    if why is None:
        return "version", reasons
    reasons.append(why)
    why = _source_refusal(opened, c, want)
    if why is None:
        return "source", reasons
    reasons.append(why)
    if rebuild is not None:
        return "rebuild", reasons
    return None, [*reasons, "no rebuild: job is configured"]


def _version_refusal(opened: Opened, want: Definition, rows: Rows) -> str | None:
    """Are the rows of the version itself still as captured? A sample is read before anybody relies on it."""
    name = want.view.name
    if not opened.versioned:
        return "online versioning is off"
    if want.number not in definition.stored_numbers(opened, name):
        return f"{want.pointer} is not in the registry's history"
    probe = feast_serving.sample(rows, PROBE, name)
    known = [f.name for f in definition.stored(opened, name, int(want.number or 0)).features]
    probe = probe.only([f for f in probe.features if f in known])
    live = feast_serving.served(opened, name, probe.features, sorted(probe.rows), number=want.number)
    found = compare(probe, live)
    if found.matched == found.expected:
        return None
    return f"the rows of {want.pointer} are not as captured: {found.matched:,} of {found.expected:,} cells match"


def _source_refusal(opened: Opened, c: Capture, want: Definition) -> str | None:
    limit, count = opened.settings.max_rows, int(c.data.get("keys", 0))
    if count > limit:
        return f"{count:,} rows are above max_rows ({limit:,}): too many to compute in this process"
    if getattr(want.view, "feature_transformation", None) is not None:
        return "the view transforms its source: its rows can't be computed here"
    if not c.data.get("as_of"):
        return "the capture does not say as of when"
    return None


@dataclass
class Difference:
    """Rows of the live table against captured ones."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    @property
    def any(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def difference(opened: Opened, d: Definition, rows: Rows) -> Difference:
    """What would have to be added and changed in the rows that ``d`` serves."""
    place = feast_tables.table(opened, d, d.number)
    found = Difference()
    for batch in rows.batches(BATCH):
        one = compare(batch, place.read(sorted(batch.rows)))
        found.added += one.missing
        found.changed += one.changed
    return found


def surplus(opened: Opened, d: Definition, keys: Iterable[bytes]) -> int:
    """How many stored keys are not among ``keys``."""
    known = frozenset(keys)
    return sum(1 for k in feast_tables.table(opened, d, d.number).stored_keys() if k not in known)


def estimate(opened: Opened, d: Definition, rows: Rows, kept: int) -> Difference:
    """``difference``, from some ``rows`` scaled up to all that are ``kept``.

    A card must not wait for every row to be read (measured: 1.6 s of CPU for 50,000); the restore reads them all.
    """
    found, scale = difference(opened, d, rows), kept / max(1, len(rows))
    return Difference(round(found.added * scale), round(found.changed * scale))


def write_captured(opened: Opened, call: Call, want: Definition, rows: Rows) -> Written:
    """Make the rows of ``want``'s version exactly the captured ones."""
    return _write(opened, call, want, rows.batches(BATCH), len(rows))


def write_computed(opened: Opened, call: Call, c: Capture, want: Definition) -> Written:
    """Make the rows what a materialization as of the captured moment would have written."""
    until = datetime.fromisoformat(str(c.data["as_of"]))
    found = feast_source.latest(opened, want, until)
    if found.num_rows == 0:
        raise TargetError(f"the source of {want.view.name} has no row up to {until.isoformat()}: nothing was written")
    if found.num_rows > opened.settings.max_rows:
        raise TargetError(f"the source has {found.num_rows:,} entities, above max_rows ({opened.settings.max_rows:,})")
    chunks = (b for rows in feast_source.rows_of(want, found) for b in rows.batches(BATCH))
    return _write(opened, call, want, chunks, found.num_rows)


def _write(opened: Opened, call: Call, want: Definition, chunks: Iterable[Rows], total: int) -> Written:
    place = feast_tables.table(opened, want, want.number)
    done, keep = Written(), set[bytes]()
    for batch in chunks:
        keep |= batch.rows.keys()
        _write_batch(place, batch, call.check, done)
        call.progress(len(keep), total, "rows compared and written")
    surplus = (k for k in place.stored_keys() if k not in keep)
    gone = list(surplus)  # listed whole first: removing while a store is scanned may skip keys
    for start in range(0, len(gone), BATCH):
        call.check()
        place.remove(gone[start : start + BATCH])
        done.removed += len(gone[start : start + BATCH])
        call.progress(done.removed, len(gone), "rows of the other release removed")
    return done


def _write_batch(place: Table, batch: Rows, check: Callable[[], None], done: Written) -> None:
    live = place.read(sorted(batch.rows))
    now = live.only(batch.features)
    stale = [k for k, r in batch.rows.items() if _differs(r, now.rows.get(k), place.keeps_newest)]
    if stale:
        check()
        if not live.rows:
            place.create()
        place.write(batch.pick(stale))
        done.rows += len(stale)
    wanted = set(batch.features)
    other = [i for i, f in enumerate(live.features) if f not in wanted]
    left = [(k, live.features[i]) for k, r in live.rows.items() for i in other if r.cells[i] is not None]
    if left:
        check()
        place.remove_cells(left)
        done.cells += len(left)


def _differs(row: Row, now: Row | None, times: bool) -> bool:
    if now is None or (times and now.time != row.time):
        return True
    return any((a or NULL) != (b or NULL) for a, b in zip(row.cells, now.cells, strict=True))


def restore(
    opened: Opened, call: Call, c: Capture, want: Definition, serve: Definition, rows: Rows, rebuild: Rebuild | None
) -> tuple[bool, float | None, str]:
    """Changed?, again after, note. Rows go under ``want``'s version; then ``serve`` is what the registry says.

    Rows of their own version are put right before it is served; shared rows after, so that no feature that is
    served is emptied in between. Raises TargetError.
    """
    way, reasons = choose(opened, c, want, rows, len(rows), rebuild)
    if way is None:
        raise TargetError(f"{want.view.name} can't be restored: " + "; ".join(reasons))
    first = not opened.versioned or way in ("version", "rebuild")
    changed = first and feast_pin.bring_back(opened, serve, call.check)
    again, note = None, f"{serve.pointer} is served"
    if way == "rebuild":
        if changed or difference(opened, want, rows).any:
            call.check()
            again, note = feast_rebuild.run(rebuild, call, want.view.name, c) if rebuild else (None, "")
            changed = True
    elif way != "version":
        captured = way == "rows"
        done = write_captured(opened, call, want, rows) if captured else write_computed(opened, call, c, want)
        note = f"{done.rows:,} rows written, {done.removed:,} removed"
        changed = bool(done) or changed
    if not first:
        changed = feast_pin.bring_back(opened, serve, call.check) or changed
    return changed, again, note
