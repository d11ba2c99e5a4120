"""The practice lake: one Delta table of driver statistics, and ways to lose what it stands on."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake

RELEASE = "release"


def overwrite(path: Path, rows: pa.Table, release: str) -> int:
    """Replace rows and schema as a release does. Returns the Delta version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_deltalake(str(path), rows, mode="overwrite", schema_mode="overwrite", commit_properties=_by(release))
    return version(path)


def append(path: Path, rows: pa.Table, release: str) -> int:
    """Add rows as the pipeline does; a column that the table lacks is added. Returns the Delta version."""
    write_deltalake(str(path), rows, mode="append", schema_mode="merge", commit_properties=_by(release))
    return version(path)


def _by(release: str) -> CommitProperties:
    return CommitProperties(custom_metadata={RELEASE: release})


def version(path: Path) -> int:
    """The table's current version."""
    return DeltaTable(str(path)).version()


def read(path: Path) -> pa.Table:
    """All rows of the current version."""
    return DeltaTable(str(path)).to_pyarrow_table()


def last_version(path: Path, release: str) -> int:
    """The newest version that a release or its pipeline wrote. Raises LookupError."""
    found = [entry["version"] for entry in DeltaTable(str(path)).history() if entry.get(RELEASE) == release]
    if not found:
        raise LookupError(f"{path.name} has no version of release {release}")
    return int(max(found))


def delete_files(path: Path, release: str) -> int:
    """Take the data files of a release's newest version from the disk. Returns how many."""
    uris = DeltaTable(str(path), version=last_version(path, release)).file_uris()
    gone = [Path(unquote(urlsplit(uri).path)) if "://" in uri else Path(uri) for uri in uris]
    for file in gone:
        file.unlink(missing_ok=True)
    return len(gone)


def vacuum(path: Path) -> int:
    """Delete every file that the current version does not need, at once. Returns how many."""
    before = len(list(path.glob("*.parquet")))
    DeltaTable(str(path)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    return before - len(list(path.glob("*.parquet")))  # Delta names those again that it deleted before
