"""What a Delta table's log says: versions, commits and properties, read through one consistent handle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from bot.core.errors import MissingExtra, Moved, RollbotError, TargetError
from bot.core.target import Json

if TYPE_CHECKING:
    from deltalake import DeltaTable

KEY = "rollbot.key"
SINCE = "rollbot.since"
RESTORES = "rollbot.restores"
UPKEEP = frozenset({"OPTIMIZE", "REORG", "CLUSTER BY", "VACUUM START", "VACUUM END"})
ORDINARY = UPKEEP | {"COPY INTO"}
METADATA = re.compile(r"(ADD|DROP|CHANGE|SET|RENAME|UPGRADE) |UPDATE (TABLE|FIELD|COLUMN|SCHEMA)")
"""Neither is a new version: data that arrives and upkeep; and what the digest of schema and properties sees anyway."""
KEPT_DEFAULTS = {
    "delta.deletedFileRetentionDuration": "interval 7 days",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.enableExpiredLogCleanup": "true",
    "delta.checkpointInterval": "100",
    "delta.appendOnly": "false",
    "delta.enableChangeDataFeed": "false",
    "delta.dataSkippingNumIndexedCols": "32",
    "delta.isolationLevel": "Serializable",
}
"""Settings that survive a restore, with what an unset one means: deltalake can set a property, but not unset it."""
PART_OF_VERSION = re.compile(r"(?!delta\.)|delta\.(constraints|columnMapping|generationExpression)")
"""Constraints, column mapping and a team's own properties say what the data is and go back with it; every other
``delta.`` property says how the table is kept and survives: a retention taken back would let the next vacuum
delete the way forward (measured)."""
PASSING = re.compile(
    r"time.?out|timed out|connect|dns|reset by|unavailable|throttl|slow ?down|too many requests|50[023]", re.IGNORECASE
)
UNITS = {"nanosecond": 1e-9, "microsecond": 1e-6, "millisecond": 1e-3, "second": 1, "minute": 60}
UNITS |= {"hour": 3600, "day": 86400, "week": 604800}


@dataclass(frozen=True)
class Commit:
    """One entry of the log. ``said``: everything that its writer put beside the operation."""

    version: int
    at: datetime
    operation: str
    parameters: dict[str, Json]
    said: dict[str, Json]

    @property
    def restores(self) -> int | None:
        """The version that this commit went back to."""
        value = self.said.get(RESTORES, self.parameters.get("version") if self.operation == "RESTORE" else None)
        return int(value) if value is not None and str(value).isdecimal() else None

    @property
    def brings_data(self) -> bool:
        """False for upkeep, settings, and restores, which only lead elsewhere."""
        upkeep = self.operation in UPKEEP | {"RESTORE"} or METADATA.match(self.operation)
        return not upkeep and self.restores is None

    def rewrites(self, ordinary: frozenset[str]) -> bool:
        """True unless it only brought more data in the ordinary way, or kept the table in shape."""
        if self.operation in ORDINARY or self.operation in ordinary or METADATA.match(self.operation):
            return False
        mode = self.parameters.get("mode") or self.parameters.get("outputMode")
        return not (self.operation in {"WRITE", "STREAMING UPDATE"} and mode == "Append")


@dataclass(frozen=True)
class DataFile:
    """One file of a version. ``path``: relative, as the file system spells it (the log escapes it once more)."""

    path: str
    size: int
    rows: int | None = None
    partition: tuple[tuple[str, str | None], ...] = ()
    sha256: str = ""


@dataclass(frozen=True)
class Table:
    """A table at one version. Everything read through it is of that version, whoever writes meanwhile."""

    uri: str
    options: dict[str, str]
    handle: DeltaTable

    def at(self, version: int) -> Table:
        """The same table at another version. Raises TargetError if the log no longer holds it."""
        return open_table(self.uri, self.options, version)

    @property
    def version(self) -> int:
        return self.handle.version()

    @property
    def id(self) -> str:
        return str(self.handle.metadata().id)

    @cached_property
    def columns(self) -> dict[str, Json]:
        """The schema as JSON."""
        schema: dict[str, Json] = json.loads(self.handle.schema().to_json())
        return schema

    @property
    def partition_by(self) -> list[str]:
        return list(self.handle.metadata().partition_columns)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self.handle.metadata().configuration)

    @property
    def deletion_vectors(self) -> bool:
        """True if the protocol allows them, whether or not there are any."""
        protocol = self.handle.protocol()
        return "deletionVectors" in {*(protocol.reader_features or ()), *(protocol.writer_features or ())}

    @cached_property
    def files(self) -> list[DataFile]:
        """The files of this version, by path."""
        import pyarrow as pa

        with answering(self.uri):
            found = pa.table(self.handle.get_add_actions(flatten=False)).to_pylist()
        return sorted((_file(entry) for entry in found), key=lambda f: f.path)

    @property
    def size(self) -> int:
        return sum(f.size for f in self.files)

    @property
    def rows(self) -> int:
        """From the log where it says so, else counted."""
        known = [f.rows for f in self.files if f.rows is not None]
        if len(known) == len(self.files):
            return sum(known)
        with answering(self.uri):
            return self.handle.count()

    def commits(self, limit: int) -> list[Commit]:
        """At most ``limit`` of the newest commits up to this version, newest first (measured: 45 us each).

        ``history`` of a handle that is behind the table lists what is newer too, and numbers it wrongly: it begins
        with the table's newest commit and gives it the handle's version (1.6.6, measured). So the handle's own commit
        is looked up first: it is the last of ``history(1)``.
        """
        with answering(self.uri):
            newer = [_plain(entry) for entry in self.handle.history(1)]
            found = [_plain(entry) for entry in self.handle.history(limit)] if newer else []
        if not found:
            return []
        start = found.index(newer[-1], len(newer) - 1)
        return [_commit(self.version - n, entry) for n, entry in enumerate(found[start : start + limit])]

    @cached_property
    def committed(self) -> datetime | None:
        """When this version was made; None if the log begins after it."""
        commits = self.commits(1)
        return commits[0].at if commits else None


def open_table(uri: str, options: dict[str, str], version: int | None = None) -> Table:
    """The table now, or at a version. Raises TargetError in one line."""
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise MissingExtra("delta", "deltalake") from None
    with answering(uri, version):
        return Table(uri, options, DeltaTable(uri, version=version, storage_options=options or None))


@contextmanager
def answering(uri: str, version: int | None = None) -> Iterator[None]:
    """Turns what deltalake, Arrow and the storage raise into TargetError. Reading streams raise a bare Exception
    (measured), so anything but a programming error counts."""
    from deltalake.exceptions import CommitFailedError, TableNotFoundError

    where = f"Delta table {uri}" + (f" at version {version}" if version is not None else "")
    try:
        yield
    except (RollbotError, TypeError, AttributeError, LookupError, AssertionError, NameError):
        raise
    except CommitFailedError as error:
        raise Moved(f"{where}: somebody else committed at the same time: {one_line(error)}", retriable=True) from error
    except TableNotFoundError as error:
        reason = "there is none" if version is None else "the log no longer holds it"
        raise TargetError(f"{where}: {reason}: {one_line(error)}") from error
    except Exception as error:
        raise TargetError(f"{where}: {one_line(error)}", retriable=bool(PASSING.search(str(error)))) from error


def one_line(error: BaseException) -> str:
    """The first 300 characters of an error, in one line."""
    return " ".join(str(error).split())[:300]


def lineage(commits: list[Commit]) -> Iterator[Commit]:
    """The commits that what is live descends from: a restore leads to what it went back to, not to its neighbour."""
    bound: int | None = None
    for commit in commits:
        if bound is None or commit.version <= bound:
            yield commit
            bound = commit.restores


def since(commits: list[Commit], ordinary: frozenset[str]) -> tuple[str, bool]:
    """The newest commit that was more than ordinary, and whether it was seen (else "0": as far as is known)."""
    oldest = commits[-1].version if commits else 0
    for commit in lineage(commits):
        if SINCE in commit.said:
            return str(commit.said[SINCE]), True
        if commit.restores is None and commit.rewrites(ordinary):
            return str(commit.version), True
        oldest = commit.version
    return "0", oldest == 0


def versioned(properties: dict[str, str]) -> dict[str, str]:
    """The properties that are part of what the dataset is."""
    return {k: v for k, v in sorted(properties.items()) if PART_OF_VERSION.match(k)}


def kept(properties: dict[str, str]) -> dict[str, str]:
    """The properties that survive a restore, unset ones with what they mean."""
    return KEPT_DEFAULTS | {k: v for k, v in sorted(properties.items()) if not PART_OF_VERSION.match(k)}


def retention(properties: dict[str, str]) -> timedelta:
    """How long vacuum spares a file after a commit took it out. An interval that can't be read counts as 7 days."""
    text = kept(properties)["delta.deletedFileRetentionDuration"]
    parts = re.findall(r"(\d+)\s*([a-z]+?)s?\b", text.lower())
    known = [int(n) * UNITS[unit] for n, unit in parts if unit in UNITS]
    return timedelta(seconds=sum(known)) if known else timedelta(days=7)


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if k != "version"}


def _commit(version: int, entry: dict[str, Any]) -> Commit:
    at = datetime.fromtimestamp(entry.get("timestamp", 0) / 1000, UTC)
    parameters = entry.get("operationParameters") or {}
    return Commit(version, at, str(entry.get("operation", "")), parameters, entry)


def _file(entry: dict[str, Any]) -> DataFile:
    partition = tuple((name, _partition(value)) for name, value in sorted((entry.get("partition") or {}).items()))
    return DataFile(unquote(entry["path"]), entry["size_bytes"], entry["num_records"], partition)


def _partition(value: Any) -> str | None:
    """As the Delta protocol writes partition values."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    return value.isoformat() if isinstance(value, date) else str(value)
