"""The artifact store: bytes by content, in a folder or behind any fsspec URL. What is read is what was stored, or an
error that names the blob."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from bot.core.errors import CorruptBlob, Fault, RollbotError, TargetError
from bot.core.target import BlobRef
from bot.outside.wire import one_line, redacted

MARKER: Final = "rollbot-artifacts.json"
DATABASE: Final = "rollbot-database.json"
_CHUNK: Final = 1024 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_DAY: Final = 86_400.0


class BlobStore:
    """Content-addressed files ``sha256/ab/abcdef...`` under ``url``; a path means a local folder.

    A blob is there whole or not at all. Building one costs nothing and touches nothing, so that every child has
    its own. Its methods raise Fault if fsspec knows no such kind of URL or lacks the package for it.
    """

    def __init__(self, url: str) -> None:
        self.url = redacted(url)
        self.folder = None if "://" in url and not url.startswith("file://") else Path(url.removeprefix("file://"))
        self._given = url
        self._opened: tuple[Any, str] | None = None

    def put(self, data: bytes | BinaryIO, name: str = "") -> BlobRef:
        """Store ``data``, streamed in constant memory; storing the same again changes nothing, or heals what was
        damaged. Raises TargetError (retriable) if the store is full or can't be written; nothing half is left."""
        stream = io.BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data
        with self._said(name), self._scratch() as (file, path):
            ref = _copy(stream, file, name)
            file.flush()
            if not self._intact(ref):
                os.fsync(file.fileno())
                self._keep(path, ref)
            return ref

    def get(self, ref: BlobRef) -> bytes:
        """The whole content. Raises CorruptBlob."""
        with self.open(ref) as stream:
            return stream.read()

    def open(self, ref: BlobRef) -> BinaryIO:
        """A stream over the content, verified before the first byte is handed out. Raises CorruptBlob, or
        TargetError (retriable) if the store does not answer."""
        with self._said(ref.name):
            stream = self._fetch(ref)
            try:
                _verify(stream, ref, self.url)
            except BaseException:
                stream.close()
                raise
            return stream

    def has(self, ref: BlobRef) -> bool:
        """Present with the right size (the content is not read)."""
        with self._said(ref.name):
            try:
                if self.folder is not None:
                    return self._file(ref).stat().st_size == ref.size
                fs, root = self._remote()
                fs.invalidate_cache()
                return int(fs.info(f"{root}/{_place(ref)}")["size"]) == ref.size
            except FileNotFoundError:
                return False

    def marker(self) -> str:
        """The store's own random id, written at the first call; it tells whether this is the store of the last start.
        Raises Fault if the marker is unreadable, TargetError if it can't be written."""
        return self._first_id(MARKER, uuid.uuid4().hex, "accept the store as new")

    def database(self, own: str) -> str:
        """The id of the database that these captures belong to; ``own`` if they belonged to none yet. Raises as
        ``marker``."""
        return self._first_id(DATABASE, own, "accept the present database")

    def _first_id(self, name: str, fresh: str, why_delete: str) -> str:
        """The id in a file of the store; ``fresh`` where there is no such file yet."""
        with self._said(name):
            text = self._read_marker(name)
            if text is None:
                self._write_marker(name, json.dumps({"format": 1, "id": fresh}))
                text = self._read_marker(name) or ""
        try:
            return str(json.loads(text)["id"])
        except (ValueError, KeyError, TypeError) as e:
            raise Fault(f"{self.url}/{name} is damaged; restore it, or delete it to {why_delete}") from e

    def tidy(self) -> None:
        """Remove what writers that were killed left behind more than a day ago (folders only)."""
        if self.folder is not None:
            for path in (self.folder / "tmp").glob("*"):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _DAY:
                        path.unlink()

    # -- local and remote ---------------------------------------------------------------------------------------

    def _remote(self) -> tuple[Any, str]:
        """The file system and the folder in it."""
        if self._opened is None:
            import fsspec  # noqa: PLC0415  with a folder, the usual case, it is never needed

            try:
                fs, root = fsspec.core.url_to_fs(self._given)
            except (ImportError, ValueError) as e:
                raise Fault(f"the artifact store {self.url} can't be used: {e}") from e
            self._opened = fs, root.rstrip("/")
        return self._opened

    def _file(self, ref: BlobRef) -> Path:
        return (self.folder or Path()) / _place(ref)

    @contextmanager
    def _scratch(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A file to collect bytes in: beside the blobs, where a rename is atomic, else in the system's folder for
        such things (a remote key is only known once all bytes have been seen)."""
        folder = None
        if self.folder is not None:
            folder = self.folder / "tmp"
            folder.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=folder, prefix="put-")
        try:
            with os.fdopen(fd, "wb") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _keep(self, path: Path, ref: BlobRef) -> None:
        if self.folder is None:
            fs, root = self._remote()
            fs.makedirs(f"{root}/{_place(ref)}".rpartition("/")[0], exist_ok=True)
            fs.put_file(str(path), f"{root}/{_place(ref)}")
            return
        final = self._file(ref)
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)
        for folder in (final.parent, final.parent.parent, self.folder):
            _sync(folder)

    def _fetch(self, ref: BlobRef) -> BinaryIO:
        try:
            if self.folder is not None:
                return self._file(ref).open("rb")
            return self._download(_place(ref))
        except FileNotFoundError as e:
            raise CorruptBlob(f"{_title(ref)} is not in the artifact store {self.url}") from e

    def _download(self, place: str) -> BinaryIO:
        fs, root = self._remote()
        local = tempfile.TemporaryFile(prefix="rollbot-")  # noqa: SIM115  handed to the caller
        try:
            with fs.open(f"{root}/{place}", "rb") as remote:
                shutil.copyfileobj(remote, local, _CHUNK)
            local.seek(0)
        except BaseException:
            local.close()
            raise
        return local

    def _intact(self, ref: BlobRef) -> bool:
        if not self.has(ref):
            return False
        try:
            self.open(ref).close()
        except CorruptBlob:
            return False
        return True

    def _read_marker(self, name: str) -> str | None:
        try:
            if self.folder is not None:
                return (self.folder / name).read_text("utf-8")
            fs, root = self._remote()
            fs.invalidate_cache()
            return str(fs.cat_file(f"{root}/{name}").decode())
        except FileNotFoundError:
            return None

    def _write_marker(self, name: str, text: str) -> None:
        if self.folder is None:
            fs, root = self._remote()
            fs.makedirs(root, exist_ok=True)
            fs.pipe_file(f"{root}/{name}", text.encode())
            return
        with self._scratch() as (file, path):
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            try:
                os.link(path, self.folder / name)
            except FileExistsError:  # another process was first: its id is the one
                return
            except OSError:  # no hard links here
                path.replace(self.folder / name)
            _sync(self.folder)

    @contextmanager
    def _said(self, name: str) -> Iterator[None]:
        """Turn what the file system raises into words."""
        try:
            yield
        except RollbotError:
            raise
        except Exception as e:
            if self.folder is not None and not isinstance(e, OSError):
                raise
            if isinstance(e, OSError) and e.errno in _FULL:
                what = f"the artifact store {self.url} is full: {name or 'a blob'} was not stored"
                raise TargetError(f"{what}; free space, then try again", retriable=True) from e
            reason = (e.strerror if isinstance(e, OSError) else None) or f"{type(e).__name__}: {e}"
            raise TargetError(
                one_line(f"the artifact store {self.url} failed: {redacted(reason)}"), retriable=True
            ) from e


def _place(ref: BlobRef) -> str:
    """Where a blob lies, below the store's root."""
    if not _DIGEST.fullmatch(ref.digest):
        raise CorruptBlob(f"{ref.digest!r} is no digest of a blob")
    return ref.place


def _title(ref: BlobRef) -> str:
    return f"blob {ref.digest[:19]}… ({ref.name or 'unnamed'}, {ref.size:,} bytes)"


def _copy(source: BinaryIO, sink: BinaryIO, name: str) -> BlobRef:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(source):
        digest.update(chunk)
        sink.write(chunk)
        size += len(chunk)
    return BlobRef(digest=f"sha256:{digest.hexdigest()}", size=size, name=name)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    try:
        while chunk := source.read(_CHUNK):
            yield chunk
    except OSError as e:  # not the artifact store's fault
        raise TargetError(f"what was to be stored could not be read: {e}", retriable=True) from e


def _verify(stream: BinaryIO, ref: BlobRef, url: str) -> None:
    """Read ``stream`` to its end and back to its start. Raises CorruptBlob."""
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    size = stream.tell()
    stream.seek(0)
    if size != ref.size:
        raise CorruptBlob(f"{_title(ref)} has {size:,} bytes in the artifact store {url}: truncated or overwritten")
    if f"sha256:{digest}" != ref.digest:
        raise CorruptBlob(f"{_title(ref)} has other content in the artifact store {url} than when it was stored")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
