"""A dataset in a Delta table: exact versions, restored by the log, by copies of the files, or by both."""

from __future__ import annotations

import hashlib
import posixpath
import re
from datetime import datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from bot.core.errors import CorruptBlob, Fault, LostOwnership, TargetError
from bot.core.target import (
    Accuracy,
    Call,
    Capture,
    Connection,
    Diff,
    Kind,
    Readiness,
    Receipt,
    State,
    Visibility,
    digest_of,
)
from bot.targets.delta_capture import GIB, Held, Limits, definition_of, facts, replaced_at, same_content, take
from bot.targets.delta_compare import Difference
from bot.targets.delta_files import Checked, Storage, check, copy_folder
from bot.targets.delta_log import Table, kept, lineage, open_table, retention, since
from bot.targets.delta_restore import NO_DELETION_VECTORS, Restore, in_log, why_not_anew

SANDBOX = ".rollbot-sandbox-"
DONE = ".rollbot-complete"


class DeltaDataset(BaseModel):
    """``uri``: of the table; a relative one is joined with the connection's ``root``. ``key``: columns that name
    a row, for *changed* rows in a diff. ``copy``: keep the bytes of each capture in the artifact store (``auto``:
    below ``copy_below_gib``). Larger than ``read_below_gib``: compared by names and sizes of files only.
    ``ordinary``: operations beside appends that are ordinary data arrival, e.g. ``[MERGE]``.
    ``history``: commits searched for the newest one that was not ordinary."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)
    kind: ClassVar[Kind] = Kind.dataset
    type: ClassVar[str] = "delta"

    uri: str = Field(min_length=1)
    copy_files: Literal["auto", "always", "never"] = Field(default="auto", alias="copy")
    copy_below_gib: float = Field(default=1.0, ge=0)
    read_below_gib: float = Field(default=4.0, ge=0)
    key: list[str] | None = None
    compare_rows: int = Field(default=2_000_000, ge=0)
    history: int = Field(default=10_000, ge=1)
    ordinary: list[str] = Field(default_factory=list)

    def resource(self, connection: Connection) -> str:
        return f"delta:{self._uri(connection)}"

    def inspect(self, call: Call) -> State:
        table = self._open(call)
        commits = table.commits(self.history)
        pointer, exact = since(commits, self._limits.ordinary)
        observed = {
            "version": table.version,
            "rows": table.rows,
            "commits since": sum(c.version > int(pointer) for c in lineage(commits)),
            "last commit": table.committed and table.committed.isoformat(),
            "files": len(table.files),
            "bytes": table.size,
            "settings": kept(table.properties),
        }
        unsure = (
            [] if exact else [f"no commit but ordinary ones among the last {len(commits):,}: the version counts as 0"]
        )
        return State(
            kind=self.kind,
            resource=self.resource(call.connection),
            pointer=pointer,
            digest=digest_of({"id": table.id, **definition_of(table)}),
            facts={"since version": int(pointer), **facts(table)},
            observed=observed,
            warnings=unsure,
        )

    def capture(self, call: Call, at: str | None = None) -> Capture:
        live = self._open(call)
        table = live if at is None else self._version(live, at)
        return take(call, self.resource(call.connection), table, live, self.key or [], self._limits)

    def readiness(self, call: Call, c: Capture) -> Readiness:
        try:
            return self._readiness(call, Held(c, call.blobs))
        except TargetError as error:
            answered = isinstance(error, CorruptBlob) or not error.retriable
            return Readiness(status="not_ready" if answered else "not_checked", reasons=[error.message])

    def diff(self, call: Call, c: Capture) -> Diff:
        live, held = self._open(call), Held(c, call.blobs)
        if same_content(live, held, self._limits, call):
            return Diff(same=True, summary="no change")
        return Difference(live, held, self._limits, call).diff()

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        uri, options = self._uri(call.connection), _options(call.connection)
        return Restore(call, uri, options, self._limits, Held(c, call.blobs), Held(before, call.blobs)).run()

    def visible(self, call: Call, c: Capture) -> Visibility:  # noqa: ARG002 - the same for every version
        return Visibility(visible=True, note="a commit is seen by everybody who opens the table after it")

    def verify(self, call: Call, c: Capture) -> Accuracy:
        return Difference(self._open(call), Held(c, call.blobs), self._limits, call).accuracy()

    def sandbox(self, call: Call) -> Self:
        """A copy of the whole folder, log and data, so that every version in it keeps its number."""
        uri = self._uri(call.connection)
        parent, name = posixpath.split(uri)
        mark = hashlib.sha256(call.key.encode()).hexdigest()[:12]
        made = self.model_copy(update={"uri": posixpath.join(parent, f"{SANDBOX}{name}-{mark}")})
        if call.context.get("to_remove"):
            return made
        options = _options(call.connection)
        source, target = Storage(uri, options), Storage(made.uri, options)
        call.check()
        target.create()
        if target.size(DONE) is not None:
            return made
        try:
            _copy(call, source, target, self._open(call).version)
        except LostOwnership:
            raise  # whoever has taken over is at work there
        except Exception:
            target.erase()  # a sandbox that can't be made leaves nothing
            raise
        return made

    def discard(self, call: Call) -> None:
        uri = self._uri(call.connection)
        if not posixpath.basename(uri).startswith(SANDBOX):
            raise TargetError(f"{uri} is not a sandbox of Rollbot's: not removed")
        Storage(uri, _options(call.connection)).erase()

    # -- parts ---------------------------------------------------------------------------------------

    @property
    def _limits(self) -> Limits:
        below, read = int(self.copy_below_gib * GIB), int(self.read_below_gib * GIB)
        return Limits(
            self.copy_files, below, read, self.compare_rows, self.history, frozenset(o.upper() for o in self.ordinary)
        )

    def _uri(self, connection: Connection) -> str:
        uri = self.uri.removeprefix("file://")
        if "://" not in uri and not uri.startswith("/"):
            root = connection.settings.get("root") or connection.root
            if not root:
                raise Fault(
                    f"uri {self.uri!r} is relative and connection {connection.name!r} has no root: give either in full"
                )
            uri = posixpath.join(str(root).removeprefix("file://"), uri)
        scheme, mark, path = uri.rpartition("://")
        return scheme + mark + posixpath.normpath(path)

    def _open(self, call: Call) -> Table:
        return open_table(self._uri(call.connection), _options(call.connection))

    def _version(self, live: Table, at: str) -> Table:
        """The table at a version given by its number. A date would do too for deltalake, which then silently
        takes version 0 for one too early (measured)."""
        if not re.fullmatch(r"0|[1-9][0-9]{0,17}", at):
            raise TargetError(f"{at!r} is no version of a Delta table: give a whole number such as {live.version}")
        if int(at) > live.version:
            raise TargetError(f"Delta table {live.uri} has no version {at}: the newest is {live.version}")
        table = live.at(int(at))
        storage = Storage(live.uri, live.options)
        gone = [f for f in table.files if storage.size(f.path) != f.size]
        if gone:
            share = f"{len(gone)} of its {len(table.files)} files are gone"
            raise TargetError(f"Delta {at} of {live.uri} can't be restored: {share}{self._vacuumed(live, int(at))}")
        return table

    def _vacuumed(self, live: Table, version: int) -> str:
        """When a vacuum may have taken files of ``version``, in words; nothing where the log doesn't tell."""
        vacuums = [c.at for c in live.commits(self.history) if c.operation == "VACUUM END" and c.version > version]
        return f", probably by the vacuum of {vacuums[0]:%Y-%m-%d %H:%M} UTC" if vacuums else ""

    def _readiness(self, call: Call, held: Held) -> Readiness:
        live = self._open(call)
        storage = Storage(live.uri, live.options)
        checked = check(storage, held.files, held.refs, call.blobs, copies=True)
        since = self._vacuumed(live, held.version) or f"; all was there on {held.capture.taken_at:%Y-%m-%d %H:%M} UTC"
        reasons = [f"{lost}{since}" for lost in checked.lost]
        reasons += [f"deletion vectors: {NO_DELETION_VECTORS}"] if live.deletion_vectors else []
        if live.id != held.table_id:
            reasons.append(f"{live.uri} is another table than the one captured: made anew at the same place")
        elif not in_log(live, held) and (reason := why_not_anew(live, held)):
            reasons.append(reason)
        level = "content" if all(f.sha256 for f in held.files) else "sizes"
        if reasons:
            return Readiness(status="not_ready", reasons=reasons[:20], checked=level)
        until = self._until(live, held, checked)
        return Readiness(status="ready", reasons=_notes(checked, until, call.now), expires_at=until, checked=level)

    def _until(self, live: Table, held: Held, checked: Checked) -> datetime | None:
        """When vacuum may take the first file that has no good copy; None while all of those are live."""
        current = {f.path for f in live.files}
        if all(f.path in current for f in checked.exposed):
            return None
        try:
            replaced = replaced_at(live.at(held.version), live)
        except TargetError:
            replaced = None
        return (replaced or held.capture.taken_at) + retention(live.properties)


def _options(connection: Connection) -> dict[str, str]:
    return {str(k): str(v) for k, v in (connection.settings.get("storage_options") or {}).items()}


def _copy(call: Call, source: Storage, target: Storage, version: int) -> None:
    total = max(sum(source.walk().values()), 1)

    def done(n: float) -> None:
        call.check()
        call.progress(n, total, "bytes copied")

    copy_folder(source, target, lambda p: _wanted(p, version), done)
    target.write(DONE, [str(version).encode()])


def _wanted(path: str, version: int) -> bool:
    """Data, and the log up to a version. The pointer to the last checkpoint is a hint that the log does without."""
    if not path.startswith("_delta_log/"):
        return not path.startswith(SANDBOX)
    name = path.removeprefix("_delta_log/")
    numbers = [int(part) for part in name.split(".") if part.isdecimal() and len(part) == 20]
    return "/" in name or (bool(numbers) and max(numbers) <= version)


def _notes(checked: Checked, until: datetime | None, now: datetime) -> list[str]:
    notes = []
    if checked.bring_back:
        notes.append(
            f"{len(checked.bring_back)} files are gone or damaged in the table and come back from their copies"
        )
    if until and until - now < timedelta(days=2):
        notes.append(f"files without a copy: vacuum may take them from {until:%Y-%m-%d %H:%M} UTC on")
    return notes


TARGETS = (DeltaDataset,)
