"""The artifact store hands out what was stored or an error that names the blob, and never half a blob."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import CorruptBlob, Fault, TargetError
from bot.core.target import BlobRef
from bot.outside.blobs import MARKER, BlobStore

MIB = 1024 * 1024


@pytest.fixture(params=["folder", "file", "memory"])
def store(request, tmp_path):
    """A folder by path, by file:// URL, and a remote store."""
    return BlobStore(
        {"folder": str(tmp_path / "a" / "b"), "file": f"file://{tmp_path}/a", "memory": f"memory://{tmp_path}"}[
            request.param
        ]
    )


@pytest.fixture
def folder(tmp_path):
    return BlobStore(str(tmp_path / "artifacts"))


def place(store: BlobStore, ref: BlobRef) -> Path:
    return next(Path(store.url).rglob(ref.digest.removeprefix("sha256:")))


def files(store: BlobStore) -> list[str]:
    return sorted(p.name for p in Path(store.url).rglob("*") if p.is_file())


class Zeros(io.RawIOBase):
    """A stream of ``left`` bytes that are never all in memory."""

    def __init__(self, left: int) -> None:
        self.left = left

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        got = bytes(min(size, self.left))
        self.left -= len(got)
        return got


class Gone(io.RawIOBase):
    """A stream whose system goes away after the first bytes."""

    def __init__(self) -> None:
        self.first = True

    def read(self, size: int = -1) -> bytes:
        if self.first:
            self.first = False
            return b"first"
        raise ConnectionResetError("reset by peer")


def test_what_goes_in_comes_out(store):
    """Bytes and streams come back whole, under the digest of their content, with their name and size."""
    ref = store.put(b"rows", "rows.parquet")
    assert ref == BlobRef(digest=f"sha256:{hashlib.sha256(b'rows').hexdigest()}", size=4, name="rows.parquet")
    assert store.put(io.BytesIO(b"rows"), "rows.parquet") == ref
    assert store.get(ref) == b"rows" and store.has(ref)
    with store.open(ref) as stream:
        assert stream.read(2) == b"ro" and stream.read() == b"ws"
    assert store.get(store.put(b"")) == b""


@given(st.binary(max_size=4096))
def test_any_bytes_come_back(data):
    """Content is never interpreted."""
    store = BlobStore("memory://any")
    assert store.get(store.put(data)) == data


def test_a_blob_that_was_never_stored_is_named(store):
    """has() says no, and reading says which blob is missing."""
    ref = BlobRef(digest="sha256:" + "0" * 64, size=4, name="model.pkl")
    assert not store.has(ref)
    with pytest.raises(CorruptBlob, match=r"blob sha256:0{12}… \(model.pkl, 4 bytes\) is not in the artifact store"):
        store.get(ref)


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "md5:00", "", "sha256:" + "A" * 64])
def test_a_digest_is_never_a_path(store, digest):
    """What is no digest reads no file."""
    with pytest.raises(CorruptBlob, match="no digest"):
        store.get(BlobRef(digest=digest, size=1))


def test_damage_is_found_before_the_first_byte_and_healed_by_the_next_put(folder):
    """Changed, truncated and emptied content is refused, and storing the true bytes again repairs it."""
    ref = folder.put(b"x" * 5000, "rows")
    path = place(folder, ref)
    path.write_bytes(b"y" * 5000)
    assert folder.has(ref)
    with pytest.raises(CorruptBlob, match=r"rows, 5,000 bytes\) has other content .* than when it was stored"):
        folder.open(ref)
    assert folder.put(b"x" * 5000, "rows") == ref and folder.get(ref) == b"x" * 5000
    for damaged in (b"x" * 4999, b"", b"x" * 5001):
        path.write_bytes(damaged)
        assert not folder.has(ref)
        with pytest.raises(CorruptBlob, match=f"has {len(damaged):,} bytes .* truncated or overwritten"):
            folder.get(ref)
    folder.put(b"x" * 5000)
    assert folder.get(ref) == b"x" * 5000


def test_damage_in_a_remote_store_is_found_and_healed():
    """The same holds behind a URL."""
    store = BlobStore("memory://damage")
    ref = store.put(b"x" * 500)
    fs, root = store._remote()
    fs.pipe_file(f"{root}/sha256/{ref.digest[7:9]}/{ref.digest[7:]}", b"y" * 500)
    with pytest.raises(CorruptBlob, match="other content"):
        store.open(ref)
    store.put(b"x" * 500)
    assert store.get(ref) == b"x" * 500


def test_storing_again_writes_nothing(folder):
    """A repeated put leaves the file as it is."""
    ref = folder.put(b"rows")
    before = place(folder, ref).stat()
    folder.put(b"rows")
    after = place(folder, ref).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert files(folder) == [ref.digest[7:]]


def test_a_large_stream_needs_little_memory(folder):
    """64 MiB in and out (verified) take less than 8 MiB of memory."""
    tracemalloc.start()
    try:
        ref = folder.put(Zeros(64 * MIB), "zeros")
        folder.open(ref).close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ref.size == 64 * MIB and peak < 8 * MIB


def test_a_source_that_fails_is_blamed_itself(folder):
    """If what is to be stored can't be read, the error does not blame the artifact store, and nothing is left."""
    with pytest.raises(TargetError, match="what was to be stored could not be read: reset by peer") as raised:
        folder.put(Gone(), "rows")
    assert raised.value.retriable and files(folder) == []


async def test_many_writers_of_the_same_bytes_agree(folder):
    """Concurrent puts of the same content all succeed and leave one file."""
    data = os.urandom(3 * MIB)
    refs = await asyncio.gather(*[asyncio.to_thread(folder.put, io.BytesIO(data), "rows") for _ in range(16)])
    assert len(set(refs)) == 1 and folder.get(refs[0]) == data
    assert files(folder) == [refs[0].digest[7:]]


def test_a_reader_keeps_its_verified_bytes_while_the_blob_is_replaced(folder):
    """What was verified is what is read, also if the file is replaced in between."""
    ref = folder.put(b"x" * 5000)
    with folder.open(ref) as stream:
        other = place(folder, ref).with_name("other")
        other.write_bytes(b"y" * 5000)
        other.replace(place(folder, ref))
        assert stream.read() == b"x" * 5000


FULL = """
import resource, signal, sys
from bot.core.errors import TargetError
from bot.outside.blobs import BlobStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = BlobStore(sys.argv[1])
kept = store.put(b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.put(b"x" * 5_000_000, "rows")
except TargetError as e:
    print(e.message, e.retriable, store.get(kept))
"""


def test_a_limit_on_files_is_said_in_words_and_leaves_nothing_half(folder):
    """A write that the system cuts off is a retriable TargetError, and no temporary file stays."""
    done = subprocess.run([sys.executable, "-c", FULL, folder.url], capture_output=True, text=True, check=True)
    assert f"the artifact store {folder.url} is full: rows was not stored; free space, then try again" in done.stdout
    assert "True b'small'" in done.stdout and len(files(folder)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root; the test before covers the rest")
def test_a_full_disk_is_said_in_words_and_heals(tmp_path):
    """On a full disk the put fails in words, earlier blobs are readable, and after space was freed it works."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("no mounts in this container; the test before covers the rest")
    try:
        store = BlobStore(str(disk))
        kept, ballast = store.put(b"small"), disk / "ballast"
        ballast.write_bytes(bytes(MIB))
        with pytest.raises(TargetError, match="is full: rows was not stored") as raised:
            store.put(os.urandom(3 * MIB // 2), "rows")
        assert raised.value.retriable and store.get(kept) == b"small" and len(files(store)) == 2
        ballast.unlink()
        ref = store.put(os.urandom(3 * MIB // 2), "rows")
        assert store.has(ref)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


KILLED = """
import io, os, sys
from bot.outside.blobs import BlobStore
class Endless(io.RawIOBase):
    def read(self, size=-1):
        if os.path.exists(sys.argv[2]):
            open(sys.argv[2], "w").write("half") # the reader of the FIFO kills us now
            os.unlink(sys.argv[2])
        return bytes(size)
BlobStore(sys.argv[1]).put(Endless(), "rows")
"""


def test_a_killed_writer_leaves_no_blob_and_is_tidied_up(folder, tmp_path):
    """A kill -9 in the middle leaves a temporary file only, which is removed once it is a day old."""
    said = tmp_path / "said"
    os.mkfifo(said)
    with subprocess.Popen([sys.executable, "-c", KILLED, folder.url, str(said)]) as process:
        said.read_text()
        process.send_signal(signal.SIGKILL)
    (left,) = [p for p in Path(folder.url).rglob("*") if p.is_file()]
    assert left.parent.name == "tmp"
    folder.tidy()
    assert left.exists()
    os.utime(left, (0, 0))
    folder.tidy()
    assert files(folder) == []


def test_the_marker_stays_and_tells_stores_apart(store, tmp_path):
    """The id is the same at every start, and another store has another."""
    first = store.marker()
    assert len(first) == 32 and store.marker() == first
    assert BlobStore(str(tmp_path / "other")).marker() != first


async def test_two_first_starts_agree_on_the_marker(folder):
    """Processes that start at once end up with one id."""
    ids = await asyncio.gather(*[asyncio.to_thread(BlobStore(folder.url).marker) for _ in range(8)])
    assert len(set(ids)) == 1


def test_a_damaged_marker_is_a_fault(folder):
    """A marker that can't be read is said, not replaced."""
    folder.marker()
    (Path(folder.url) / MARKER).write_text("{")
    with pytest.raises(Fault, match=f"{MARKER} is damaged"):
        folder.marker()


def test_an_unusable_url_is_a_fault_without_its_secrets():
    """An unknown kind of URL is said in one line, and no password with it."""
    with pytest.raises(Fault, match=r"the artifact store nosuch://\*\*\*@host/x can't be used") as raised:
        BlobStore("nosuch://key:hunter2@host/x").put(b"x")
    assert "hunter2" not in raised.value.message


def test_a_store_that_can_not_be_written_is_said(tmp_path):
    """A file where the folder should be is a TargetError in words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match=r"the artifact store .*file failed: (Not a directory|File exists)"):
        BlobStore(str(tmp_path / "file")).put(b"x")


def test_building_a_store_touches_nothing(tmp_path):
    """Until something is stored there is no folder."""
    store = BlobStore(str(tmp_path / "artifacts"))
    assert not store.has(BlobRef(digest="sha256:" + "0" * 64, size=1))
    assert not (tmp_path / "artifacts").exists()


def test_blobs_are_for_their_owner_only(folder):
    """Nobody else on the machine can read what was served."""
    ref = folder.put(b"rows")
    assert place(folder, ref).stat().st_mode & 0o077 == 0
