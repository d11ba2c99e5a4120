"""The Merkle tree of RFC 6962, as far as an append-only log needs it: leaves, and the root after each append.

Proofs of inclusion or consistency are not here: whoever verifies holds the whole export and recomputes every root.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from bot.core.target import Json

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry. The prefix keeps an entry from passing as an inner node."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """A tree of ``size`` leaves, kept as the roots of its full subtrees, largest first.

    That is all an append or a root needs: one hash for each set bit of ``size``, so a log of a million
    entries has at most 20, and the JSON stays under 1 kB.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has not {len(self.peaks)} full subtrees")

    def add(self, leaf: bytes) -> Frontier:
        """The tree with one more leaf (a leaf hash)."""
        peaks, rest = list(self.peaks), self.size
        while rest & 1:
            leaf = node_hash(peaks.pop(), leaf)
            rest >>= 1
        return Frontier(self.size + 1, (*peaks, leaf))

    @property
    def root(self) -> bytes:
        """The RFC 6962 tree hash of all leaves so far; of no leaves, the hash of nothing."""
        if not self.peaks:
            return EMPTY_ROOT
        *larger, root = self.peaks
        for peak in reversed(larger):
            root = node_hash(peak, root)
        return root

    def to_json(self) -> dict[str, Json]:
        return {"size": self.size, "peaks": [base64.b64encode(peak).decode() for peak in self.peaks]}

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> Self:
        """What ``to_json`` wrote. Raises ValueError if it can't be a frontier."""
        peaks = tuple(base64.b64decode(peak, validate=True) for peak in value["peaks"])
        if any(len(peak) != HASH_BYTES for peak in peaks):
            raise ValueError(f"a subtree's hash has {HASH_BYTES} bytes")
        return cls(int(value["size"]), peaks)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, in order."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.add(leaf)
    return frontier.root
