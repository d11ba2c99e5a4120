"""The files of a Delta table: are their bytes still what was captured, and the ways to copy and bring them back.

The log's word is not enough: a restore succeeds when files are corrupt, and vacuum leaves no trace of what
it took (measured).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from bot.core.errors import CorruptBlob
from bot.core.target import BlobRef, Blobs
from bot.targets.delta_log import DataFile, answering

if TYPE_CHECKING:
    from deltalake._internal import DeltaFileSystemHandler

CHUNK = 4 << 20
Done = Callable[[int], None]
"""Told the bytes handled so far."""


@dataclass(frozen=True)
class Storage:
    """The folder of a table, on whatever store deltalake can reach; paths are relative to it."""

    uri: str
    options: dict[str, str]

    @cached_property
    def _store(self) -> DeltaFileSystemHandler:
        # deltalake's own handler, and not the pyarrow file system around it, whose writes fail in 1.6.6
        # ("'Buffer' object is not an instance of 'bytes'", measured).
        from deltalake._internal import DeltaFileSystemHandler

        with answering(self.uri):
            return DeltaFileSystemHandler(self.uri, self.options or None)

    def size(self, path: str) -> int | None:
        """In bytes; None if it is not there."""
        from pyarrow.fs import FileType

        with answering(self.uri):
            info = self._store.get_file_info([path])[0]
        return info.size if info.type == FileType.File else None

    def chunks(self, path: str) -> Iterator[bytes]:
        with answering(self.uri):
            stream = self._store.open_input_file(path)
            while chunk := stream.read(CHUNK):
                yield bytes(chunk)

    def sha256(self, path: str) -> str:
        """Of the bytes as they are now."""
        h = hashlib.sha256()
        for chunk in self.chunks(path):
            h.update(chunk)
        return h.hexdigest()

    def open(self, path: str) -> BinaryIO:
        with answering(self.uri):
            return cast("BinaryIO", self._store.open_input_file(path))

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """The whole file or nothing: it appears under its name when complete."""
        with answering(self.uri):
            stream = cast("BinaryIO", self._store.open_output_stream(path, None))
            for chunk in chunks:
                stream.write(chunk)
            stream.close()

    def walk(self) -> dict[str, int]:
        """Every file with its size."""
        from pyarrow.fs import FileType

        with answering(self.uri):
            infos = self._store.get_file_info_selector("", allow_not_found=True, recursive=True)
        return {info.path: info.size for info in infos if info.type == FileType.File}

    def create(self) -> None:
        """Make the folder, where folders exist."""
        if local := self._local:
            local.mkdir(parents=True, exist_ok=True)

    def erase(self) -> None:
        """Delete everything in it; harmless if it is gone."""
        if self._local and not self._local.exists():
            return
        with answering(self.uri):
            for path in self.walk():
                with suppress(FileNotFoundError):
                    self._store.delete_file(path)
        for folder in self._folders():
            folder.rmdir()

    @property
    def _local(self) -> Path | None:
        return None if "://" in self.uri else Path(self.uri)

    def _folders(self) -> list[Path]:
        """Local folders, the innermost first; object stores have none."""
        if not self._local:
            return []
        inner = [p for p in self._local.rglob("*") if p.is_dir()]
        return [*sorted(inner, key=lambda p: len(p.parts), reverse=True), self._local]


@dataclass
class Checked:
    """``bring_back``: can be written again from their copies; ``lost``: one reason for each that can't;
    ``exposed``: fine in the table, but without a good copy."""

    bring_back: list[DataFile] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    exposed: list[DataFile] = field(default_factory=list)


def with_digests(storage: Storage, files: list[DataFile], done: Done) -> list[DataFile]:
    """The same files with the sha256 of their bytes; each is read once."""
    result, handled = [], 0
    for file in files:
        result.append(replace(file, sha256=storage.sha256(file.path)))
        handled += file.size
        done(handled)
    return result


def copy_out(storage: Storage, files: list[DataFile], blobs: Blobs, done: Done) -> dict[str, BlobRef]:
    """Copies into the artifact store, by path. A file that an earlier capture copied is not sent again."""
    refs: dict[str, BlobRef] = {}
    handled = 0
    for file in files:
        ref = BlobRef(digest=f"sha256:{file.sha256}", size=file.size, name=file.path)
        if not blobs.has(ref):
            put = blobs.put(storage.open(file.path), file.path)
            if put.digest != ref.digest:
                raise CorruptBlob(f"{file.path} in {storage.uri} gave other bytes at the second reading")
        refs[file.path] = ref
        handled += file.size
        done(handled)
    return refs


def check(storage: Storage, files: list[DataFile], refs: dict[str, BlobRef], blobs: Blobs, *, copies: bool) -> Checked:
    """Reads every file that has a digest; ``copies``: reads also the copies of files that are fine."""
    checked = Checked()
    for file in files:
        wrong = fault(storage, file)
        ref = refs.get(file.path)
        bad_copy = copy_fault(ref, blobs) if wrong or copies else None
        if not wrong:
            checked.exposed.extend([file] if bad_copy else [])
        elif not bad_copy:
            checked.bring_back.append(file)
        else:
            checked.lost.append(f"{file.path} {wrong}, and {bad_copy}")
    return checked


def fault(storage: Storage, file: DataFile) -> str | None:
    """What is wrong with a file in the table, in words; None if nothing is."""
    size = storage.size(file.path)
    if size is None:
        return "is gone from the table"
    if size != file.size:
        return f"has {size:,} bytes instead of {file.size:,}"
    if file.sha256 and storage.sha256(file.path) != file.sha256:
        return "has other content than when it was captured"
    return None


def copy_fault(ref: BlobRef | None, blobs: Blobs) -> str | None:
    """What is wrong with a copy in the artifact store, in words; None if nothing is."""
    if ref is None:
        return "it was not copied"
    try:
        blobs.open(ref).close()
    except CorruptBlob as error:
        return f"its copy is no good ({error.message})"
    return None


def bytes_of(storage: Storage, file: DataFile, refs: dict[str, BlobRef], blobs: Blobs) -> Iterator[bytes]:
    """The captured bytes, from the table if they are still good there, else from the copy."""
    if fault(storage, file) is None:
        yield from storage.chunks(file.path)
        return
    with blobs.open(refs[file.path]) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def copy_folder(source: Storage, target: Storage, wanted: Callable[[str], bool], done: Done) -> None:
    """Copy what is wanted and not there yet, byte for byte; what disappears meanwhile is left out."""
    target.create()
    there, handled = target.walk(), 0
    for path, size in sorted(source.walk().items()):
        if wanted(path) and there.get(path) != size and source.size(path) is not None:
            target.write(path, source.chunks(path))
        handled += size
        done(handled)
