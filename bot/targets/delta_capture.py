"""What a capture of a Delta table holds: the exact version, its files with digests, and the hashes of its rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from bot.core.errors import CorruptBlob, TargetError
from bot.core.target import BlobRef, Blobs, Call, Capture, Json, Kind, digest_of
from bot.targets.delta_files import Storage, copy_out, with_digests
from bot.targets.delta_log import DataFile, Table, answering, retention, since, versioned
from bot.targets.delta_rows import Rows, read_rows

GIB = 1 << 30
INLINE = 200
"""Up to so many files stand in the capture itself, more in a blob."""
COPIED_FILES = 2_000
"""``copy: auto`` leaves tables with more files alone: their sheer number is what needs mending."""


@dataclass(frozen=True)
class Limits:
    """How much is read and kept. ``ordinary``: operations that are ordinary data arrival in this table."""

    copy: Literal["auto", "always", "never"]
    copy_below: int
    read_below: int
    rows: int
    history: int
    ordinary: frozenset[str]


@dataclass(frozen=True)
class Held:
    """A capture, read back."""

    capture: Capture
    blobs: Blobs

    @property
    def version(self) -> int:
        return int(self.capture.data["version"])

    @property
    def since(self) -> str:
        return str(self.capture.data["since"])

    @property
    def table_id(self) -> str:
        return str(self.capture.data["id"])

    @property
    def rows(self) -> int:
        return int(self.capture.data["rows"])

    @property
    def content(self) -> str | None:
        """The sum of the rows' hashes; None if the table was too large to be read."""
        return self.capture.data["content"]  # type: ignore[no-any-return]

    @property
    def key(self) -> list[str]:
        return list(self.capture.data["key"])

    @property
    def properties(self) -> dict[str, str]:
        return dict(self.capture.data["properties"])

    @cached_property
    def files(self) -> list[DataFile]:
        """Raises CorruptBlob if the list is in a blob that is no good."""
        ref = self.capture.blobs.get("files")
        found = json.loads(self.blobs.get(ref)) if ref else self.capture.data["files"]
        return [DataFile(**f | {"partition": tuple((k, v) for k, v in f["partition"])}) for f in found]

    @property
    def refs(self) -> dict[str, BlobRef]:
        """The copies, by path."""
        return {k.removeprefix("file:"): r for k, r in self.capture.blobs.items() if k.startswith("file:")}

    @cached_property
    def hashes(self) -> bytes | None:
        """The hashes of the rows, for counting; None if there were too many, or if the blob is no good."""
        ref = self.capture.blobs.get("rows")
        try:
            return self.blobs.get(ref) if ref else None
        except CorruptBlob:
            return None

    def definition(self) -> dict[str, Json]:
        """Everything that is part of the version but rows."""
        data = self.capture.data
        return definition(data["columns"], data["partition_by"], data["properties"])


def definition(columns: Json, partition_by: Json, properties: dict[str, str]) -> dict[str, Json]:
    """Schema, partitioning and the properties that go back with a version."""
    return {"columns": columns, "partition_by": partition_by, "properties": versioned(properties)}


def definition_of(table: Table) -> dict[str, Json]:
    return definition(table.columns, table.partition_by, table.properties)


def content_of(table: Table, key: list[str], limits: Limits, call: Call) -> Rows | None:
    """Read all rows of a version; None if the table is larger than ``read_below``."""
    import pyarrow as pa

    if table.size > limits.read_below:
        return None
    total = max(table.rows, 1)
    with answering(table.uri):
        reader = pa.RecordBatchReader.from_stream(table.handle.scan())
        if missing := [k for k in key if k not in reader.schema.names]:
            raise TargetError(f"Delta table {table.uri} has no column {missing[0]!r}: correct the key of the component")
        return read_rows(reader, key, limits.rows, lambda n: call.progress(n, total, "rows read"))


def same_content(table: Table, held: Held, limits: Limits, call: Call) -> bool:
    """Is this what was captured? By its files, or after compaction or a rewrite by its rows."""
    if table.id != held.table_id or definition_of(table) != held.definition():
        return False
    if [f.path for f in table.files] == [f.path for f in held.files]:
        return True
    if held.content is None or table.rows != held.rows:
        return False
    rows = content_of(table, held.key, limits, call)
    return rows is not None and rows.total == held.content


def take(call: Call, resource: str, table: Table, live: Table, key: list[str], limits: Limits) -> Capture:
    """A capture of ``table``, which is ``live`` or an earlier version of it."""
    storage, copied = Storage(table.uri, table.options), _copied(limits, table)
    files = table.files
    if copied or table.size <= limits.read_below:
        files = with_digests(storage, files, _progress(call, table, "bytes read"))
    rows = content_of(table, key, limits, call)
    blobs = _blobs(call, table, files, rows, copied=copied)
    commits = table.commits(limits.history)
    pointer, exact = since(commits, limits.ordinary)
    until = None if copied else (replaced_at(table, live) or call.now) + retention(live.properties)
    data = _data(table, files, rows) | {"since": pointer, "key": key}
    seen = data["content"] or digest_of([[f.path, f.size] for f in files])
    return Capture(
        kind=Kind.dataset,
        resource=resource,
        pointer=str(table.version),
        digest=digest_of({"id": table.id, **definition_of(table), "rows": data["rows"], "content": seen}),
        facts={"version": table.version, "rows": data["rows"], **facts(table)},
        observed={"as_of": _text(table.committed), "files": len(files), "bytes": table.size},
        data=data,
        blobs=blobs,
        taken_at=call.now,
        expected=table.version != live.version,
        restorable_until=until,
        warnings=_warnings(table, until, exact=exact),
    )


def _blobs(call: Call, table: Table, files: list[DataFile], rows: Rows | None, *, copied: bool) -> dict[str, BlobRef]:
    blobs: dict[str, BlobRef] = {}
    if copied:
        storage = Storage(table.uri, table.options)
        copies = copy_out(storage, files, call.blobs, _progress(call, table, "bytes copied"))
        blobs |= {f"file:{path}": ref for path, ref in copies.items()}
    if rows and rows.hashes is not None:
        blobs["rows"] = call.blobs.put(rows.hashes, "row hashes")
    if len(files) > INLINE:
        blobs["files"] = call.blobs.put(json.dumps(_listed(files)).encode(), "list of files")
    return blobs


def _data(table: Table, files: list[DataFile], rows: Rows | None) -> dict[str, Json]:
    return {
        "version": table.version,
        "id": table.id,
        "columns": table.columns,
        "partition_by": table.partition_by,
        "properties": table.properties,
        "rows": rows.count if rows else table.rows,
        "content": rows.total if rows else None,
        "nulls": rows.nulls if rows else 0,
        "files": _listed(files) if len(files) <= INLINE else None,
    }


def _listed(files: list[DataFile]) -> list[Json]:
    return [asdict(f) | {"partition": [list(pair) for pair in f.partition]} for f in files]


def facts(table: Table) -> dict[str, Json]:
    """Schema, partitioning and properties for people."""
    return {
        "columns": {f["name"]: f["type"] for f in table.columns["fields"]},
        "partitioned by": table.partition_by,
        "properties": versioned(table.properties),
    }


def _copied(limits: Limits, table: Table) -> bool:
    small = table.size < limits.copy_below and len(table.files) <= COPIED_FILES
    return limits.copy == "always" or (limits.copy == "auto" and small)


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def replaced_at(table: Table, live: Table) -> datetime | None:
    """When the commit after ``table`` was made: from then on vacuum counts. None: ``table`` is live, or who knows."""
    if table.version == live.version:
        return None
    after = live.at(table.version + 1)
    return after.committed


def _warnings(table: Table, until: datetime | None, *, exact: bool) -> list[str]:
    lines = []
    if table.deletion_vectors:
        lines.append("the table uses deletion vectors: it can't be restored, only compared")
    elif until:
        lines.append(
            f"files not copied: restorable until {until:%Y-%m-%d %H:%M} UTC,"
            " or until a vacuum with a shorter retention runs"
        )
    if not exact:
        lines.append("no commit but ordinary ones within the history that was searched: the version counts as 0")
    return lines


def _progress(call: Call, table: Table, note: str) -> Callable[[int], None]:
    total = max(table.size, 1)
    return lambda done: call.progress(done, total, note)
