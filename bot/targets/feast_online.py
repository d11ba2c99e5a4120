"""Feast: the rows that one feature view serves, captured by what is served and verified by reading back.

The version of this component is the definition that is being served: rows move all the time and are observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.core.errors import TargetError, Unknown
from bot.core.target import (
    Accuracy,
    Call,
    Capture,
    Change,
    Connection,
    Diff,
    Kind,
    Readiness,
    Receipt,
    State,
    Visibility,
)
from bot.targets import feast_definition as definition
from bot.targets import (
    feast_kept,
    feast_moment,
    feast_pin,
    feast_restore,
    feast_rows,
    feast_sandbox,
    feast_serving,
    feast_source,
)
from bot.targets import feast_tables as tables
from bot.targets.feast_definition import Definition
from bot.targets.feast_rebuild import Rebuild
from bot.targets.feast_rows import Comparison, Rows
from bot.targets.feast_store import Opened, opened, place, version_warnings

PROBE = 20
"""Keys asked of each feature server to see whether it has the restored rows."""

FURTHER = 1_000
"""Keys asked of each feature server but the first when verifying: they read the same store."""


class FeastOnline(BaseModel):
    """The online rows of one feature view with entities and a batch source.

    ``serving``: addresses of feature servers; with them *verify* reads at consumers. ``rebuild``: the company's
    own job, for what is too big or too special to be written from here. ``drill`` is set by ``sandbox`` only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: ClassVar[Kind] = Kind.online

    view: str = Field(min_length=1)
    serving: tuple[str, ...] = ()
    rebuild: Rebuild | None = None
    drill: str = ""

    @field_validator("serving")
    @classmethod
    def _addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{url} is no address of a feature server, like http://feast:6566")
        return urls

    def resource(self, connection: Connection) -> str:
        suffix = f"#{self.drill}" if self.drill else ""
        return f"feast:{place(connection)}/{self.view}/rows{suffix}"

    def inspect(self, call: Call) -> State:
        """Raises Unknown (no such view), TargetError (a view whose rows are not for this target)."""
        with opened(call.connection, self.drill) as feast:
            live = self._live(feast)
            return State(
                kind=self.kind,
                resource=self.resource(call.connection),
                pointer=live.pointer,
                digest=live.digest,
                facts={"version": live.pointer, "features": sorted(f.name for f in live.view.features)},
                observed=feast_moment.observed(feast, live),
                warnings=[*version_warnings(), *live.warnings],
            )

    def capture(self, call: Call, at: str | None = None) -> Capture:
        """What is served now; or (``at``) what should have been, computed from the source.

        ``at``: a time (ISO 8601), ``delta:38`` for a source that is a Delta table, or ``dataset`` for the version
        in the captured dataset of the same release. Raises Fault for anything else.
        """
        with opened(call.connection, self.drill) as feast:
            live = self._live(feast)
            if at is None:
                taken = feast_moment.served_now(feast, call, live)
            else:
                taken = feast_moment.expected(feast, call, live, at)
            return taken.capture(call, self.resource(call.connection))

    def readiness(self, call: Call, c: Capture) -> Readiness:
        """Reads the captured bytes, and for a restore by version a sample of that version's rows."""
        try:
            with opened(call.connection, self.drill) as feast:
                held = self._held(call, c, feast_restore.PROBE)
                kept = len(held.keys)
                way, reasons = feast_restore.choose(feast, c, held.want, held.rows, kept, self.rebuild)
                reasons = reasons if way is None else []
                if self._live(feast).version != held.serve.version:
                    reasons = feast_pin.unrestorable(feast, held.serve) + reasons
                if way == "source" and not reasons:
                    feast_source.readable(feast, held.want)
        except (TargetError, Unknown) as error:
            silent = isinstance(error, TargetError) and error.retriable
            return Readiness(status="not_checked" if silent else "not_ready", reasons=[error.message])
        return Readiness(status="not_ready" if reasons else "ready", reasons=reasons)

    def diff(self, call: Call, c: Capture) -> Diff:
        """Rows added, changed and removed in what is served; of many rows estimated from a sample, which is said."""
        with opened(call.connection, self.drill) as feast:
            live, held = self._live(feast), self._held(call, c, feast_restore.ESTIMATE)
            rows, complete = _served_only(c, held.rows), bool(c.data.get("complete"))
            under = held.want if held.apart else live
            found = feast_restore.estimate(feast, under, rows, len(held.keys))
            found.removed = feast_restore.surplus(feast, under, held.keys) if complete else 0
            moved = live.version != held.serve.version
            counts = {"rows_added": found.added, "rows_changed": found.changed, "rows_removed": found.removed}
            changes = [Change(name="serves", before=live.pointer, after=held.serve.pointer)] if moved else []
            return Diff(
                same=not moved and not found.any,
                summary=_summary(live, held.serve, counts, None if complete and held.whole else len(rows)),
                changes=changes,
                counts=counts,
            )

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        """Raises Moved, CorruptBlob, TargetError.

        If another definition is being served, the right one is brought back too, because rows mean nothing without
        it: the one that the same run restores, if it restores one, else the one that was served with these rows.
        """
        with opened(call.connection, self.drill) as feast:
            live, held = self._live(feast), self._held(call, c)
            at = (str(before.data.get("serves", "")), dict(before.data.get("parts", {})))
            feast_pin.guard(feast, live, held.serve, at)
            if live.version != held.serve.version and "definition" in (call.context.get("without") or []):
                served = f"rows of {held.serve.pointer}, but {live.pointer} is served"
                raise TargetError(f"{served}: restore the definition too")
            changed, again, note = feast_restore.restore(feast, call, c, held.want, held.serve, held.rows, self.rebuild)
            return Receipt(changed=changed, pointer=c.pointer, note=note, again_after=again)

    def visible(self, call: Call, c: Capture) -> Visibility:
        """How many feature servers answer a few keys as captured; without servers, the store says it."""
        held = self._held(call, c)
        rows = _served_by(held.serve, held.rows)
        if not self.serving or self.drill:
            return Visibility(visible=True, note="in the store; no feature server is configured (serving:)")
        probe, seen, notes = feast_serving.sample(rows, PROBE, self.view), 0, []
        for url in self.serving:
            try:
                found = feast_serving.at_consumers(url, self.view, probe, timeout=min(call.deadline, 10.0))
                seen += found.matched == found.expected
            except TargetError as error:
                notes.append(error.message)
        with opened(call.connection) as feast:
            notes.append(f"servers cache the registry up to {feast.cache_ttl} s")
        total = len(self.serving)
        return Visibility(visible=seen == total, seen=seen, total=total, note="; ".join(notes), again_after=2.0)

    def verify(self, call: Call, c: Capture) -> Accuracy:
        """Every kept row, read as a consumer reads it; keys too many are counted in the store.

        Of several feature servers the first is asked for every row, each other one for a sample. Rows of a version
        that this run does not serve (*put back*) are read under their own version.
        """
        total, extra = Comparison(), 0
        with opened(call.connection, self.drill) as feast:
            live, held = self._live(feast), self._held(call, c)
            apart = held.apart and feast.versioned
            rows, complete = _served_by(held.want if apart else held.serve, held.rows), bool(c.data.get("complete"))
            urls = () if self.drill or apart else self.serving
            if complete:
                stored = tables.table(feast, live, held.want.number if apart else live.number).stored_keys()
                extra = sum(1 for k in stored if k not in rows.rows)
            if not urls:
                total = _in_store(feast, call, held.want if apart else live, rows, apart=apart)
        try:
            for n, url in enumerate(urls):
                asked = feast_serving.sample(rows, FURTHER, self.view) if n else rows
                total.add(feast_serving.at_consumers(url, self.view, asked, timeout=call.deadline, tell=call.progress))
        except TargetError as error:  # nobody knows what that server serves
            return Accuracy(matched=0, expected=0, where="at consumers", inconclusive=error.message)
        return Accuracy(
            matched=total.matched,
            expected=total.expected,
            missing=total.missing,
            extra=extra,
            null=total.null,
            where="at consumers" if urls else "in the store",
            sampled=not complete,
            examples=total.examples,
        )

    def sandbox(self, call: Call) -> Self:
        """A private copy of registry and rows; verified in the store only. Needs a SQLite or Redis store."""
        if self.drill:
            raise TargetError("this is a sandbox already")
        name = feast_sandbox.name(call, self.resource(call.connection))
        feast_sandbox.make(call, self.view, name, rows=True)
        return self.model_copy(update={"drill": name})

    def discard(self, call: Call) -> None:
        """Raises TargetError for anything that is no sandbox."""
        feast_sandbox.discard(call, self.drill)

    def _held(self, call: Call, c: Capture, most: int | None = None) -> _Held:
        """``most`` as in ``feast_moment.load``."""
        want = feast_kept.load(c, call.blobs)
        return _Held(want, feast_kept.sibling(call, self.view) or want, *feast_moment.load(c, call.blobs, most))

    def _live(self, feast: Opened) -> Definition:
        live = definition.read(feast, self.view)
        why = feast_source.refusal(live)
        if feast.config.entity_key_serialization_version != 3:
            why = f"{self.view}: entity keys of this format can't be read back: use entity_key_serialization_version: 3"
        if why:
            raise TargetError(why)
        return live


@dataclass(frozen=True)
class _Held:
    """A capture's content. ``want``: the definition that served the rows; ``serve``: the one that this run restores;
    ``keys``: of all rows, also of those that were not decoded."""

    want: Definition
    serve: Definition
    rows: Rows
    keys: list[bytes]

    @property
    def whole(self) -> bool:
        """Are these all rows?"""
        return len(self.rows) == len(self.keys)

    @property
    def apart(self) -> bool:
        return self.want.version != self.serve.version


def _served_by(d: Definition, rows: Rows) -> Rows:
    """What consumers can read of these rows. A pre-image is taken after its run has brought another definition, so it
    may hold a feature that the definition of *this* run lacks, or call one unserved that this one serves."""
    features = {f.name for f in d.view.features}
    return rows.only([f for f in rows.features if f in features])


def _served_only(c: Capture, rows: Rows) -> Rows:
    """Without the features that were stored, but not served by the captured definition."""
    unserved = set(c.data.get("unserved") or [])
    return rows.only([f for f in rows.features if f not in unserved])


def _in_store(feast: Opened, call: Call, d: Definition, rows: Rows, *, apart: bool) -> Comparison:
    """A captured feature that is no longer defined can't be asked for: its cells count as not matching."""
    known = [f for f in rows.features if f in {g.name for g in d.view.features}]
    gone = [f for f in rows.features if f not in known]
    found = Comparison()
    if known:
        number, keys = (d.number or 0) if apart else None, sorted(rows.rows)
        live = feast_serving.served(feast, d.view.name, known, keys, number=number, progress=call.progress)
        found = feast_rows.compare(rows.only(known), live)
    found.expected += len(gone) * len(rows)
    found.examples += [f"feature {f} is not served any more" for f in gone]
    return found


def _summary(live: Definition, want: Definition, counts: dict[str, int], sample: int | None) -> str:
    words = {"rows_added": "added", "rows_changed": "changed", "rows_removed": "removed"}
    parts: list[Any] = [f"{n:,} rows {words[k]}" for k, n in counts.items() if n]
    if live.version != want.version:
        parts.insert(0, f"{live.pointer} -> {want.pointer}" if live.pointer != want.pointer else "definition changes")
    text = ", ".join(parts) or "no change"
    return text if sample is None else f"{text} (from a sample of {sample:,})"
