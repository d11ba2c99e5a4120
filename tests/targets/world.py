"""What a target's tests stand on: a real outside system that can be changed, lost and damaged behind its back."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from bot.core.target import (
    Blobs,
    Call,
    Capture,
    Connection,
    Json,
    Receipt,
    Target,
)
from bot.outside.blobs import BlobStore


class FolderBlobs(BlobStore):
    """The real artifact store in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))


class World(ABC):
    """One real outside system with one component in it, live and good at the start.

    Everything here goes behind the target's back: never call ``self.target`` from these methods.
    """

    target: Target
    connection: Connection
    kills: int = 1
    """How many write points a restore of the good capture over a changed thing has at most."""
    skips: ClassVar[dict[str, str]] = {}
    """Test name -> why this kind truly can't do that."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules imported before the child that gets killed is forked (only to save time)."""
    absent: ClassVar[tuple[str, ...]] = ("no-such-version",)
    """Pointers that the system does not hold; ``capture(at=...)`` must refuse each and create nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs: Blobs = FolderBlobs(folder / "blobs")
        self.connections: dict[str, Connection] = {}
        self.context: dict[str, Json] = {}

    def call(
        self,
        *,
        key: str = "k-1",
        check: Callable[[], None] | None = None,
        now: datetime | None = None,
    ) -> Call:
        """A call as the engine would make it."""
        call = Call(
            connection=self.connection,
            blobs=self.blobs,
            now=now or datetime.now(UTC),
            key=key,
            fence=1,
            connections=self.connections,
            context=self.context,
        )
        return replace(call, check=check) if check else call

    @abstractmethod
    def change(self) -> None:
        """Make the live thing another version, as a bad release would; a different one at each call."""

    def append(self) -> None:
        """Ordinary data arrives. Override for kinds with data; others leave it."""
        return

    @abstractmethod
    def content(self) -> Json:
        """What a consumer would get now, read without the target; equal if and only if exactly restored."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Digest of everything outside that reads may not write: content, history, files, sandboxes."""

    def lose(self, capture: Capture) -> None:
        """Make the capture unrestorable: in the outside system where that is possible, else in the blobs."""
        for path in self.blob_files(capture):
            path.unlink()

    def corrupt(self, capture: Capture) -> bool:
        """Damage the bytes that a restore of the capture needs, in place, same size; False if there are none."""
        paths = self.blob_files(capture)
        for path in paths:
            flip(path)
        return bool(paths)

    def outside_work(self, receipt: Receipt) -> None:
        """Let the outside job that a receipt with ``again_after`` speaks of go on."""
        pytest.fail(f"unexpected again_after: {receipt}")

    def stopped(self) -> bool:
        """Flags: consumers see it off. Pipelines: it is held. Read without the target."""
        raise NotImplementedError

    def blob_files(self, capture: Capture) -> list[Path]:
        """The files in the artifact folder that hold the capture's blobs."""
        wanted = [ref.digest.removeprefix("sha256:") for ref in capture.blobs.values()]
        files = [p for p in (self.folder / "blobs").rglob("*") if p.is_file()]
        return [p for p in files if any(w in "".join(p.parts) for w in wanted)]


def flip(path: Path) -> None:
    """Invert one byte in the middle of a file: same size, other content."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def digest_tree(*roots: Path) -> str:
    """Digest of every file's relative path and content, for ``World.fingerprint``."""
    h = hashlib.sha256()
    for root in roots:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            h.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return h.hexdigest()


def settle(world: World, target: Target, c: Capture, before: Capture, key: str) -> Receipt:
    """Restore, and repeat with the same key while the receipt says that work goes on outside."""
    for _ in range(100):
        receipt = target.restore(world.call(key=key), c, before)
        if receipt.again_after is None:
            return receipt
        world.outside_work(receipt)
    pytest.fail(f"still not done: {receipt}")


def assert_exact(world: World, c: Capture, version: str, content: Json) -> None:
    """The live thing is ``c`` again: by its content, by its version, and by verify."""
    assert world.content() == content
    assert world.target.inspect(world.call()).version == version
    accuracy = world.target.verify(world.call(), c)
    assert accuracy.inconclusive is None
    assert accuracy.expected > 0
    assert (accuracy.ratio, accuracy.missing, accuracy.extra, accuracy.null) == (
        1.0,
        0,
        0,
        0,
    ), accuracy
    assert world.target.diff(world.call(), c).same
