"""The tree under the audit log is the one of RFC 6962."""

from __future__ import annotations

import json

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash, root_of
from bot.core.target import canonical
from tests.core.audit_log import log_of

PUBLISHED_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
PUBLISHED_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_roots_are_the_published_ones() -> None:
    """The test vectors of Certificate Transparency give the published roots at every size."""
    leaves = [leaf_hash(bytes.fromhex(text)) for text in PUBLISHED_LEAVES]

    assert [root_of(leaves[:n]).hex() for n in range(1, 9)] == PUBLISHED_ROOTS
    assert root_of([]) == EMPTY_ROOT


def recursive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(recursive_root(leaves[:split]), recursive_root(leaves[split:]))


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_frontier_gives_the_root_of_the_definition(entries: list[bytes]) -> None:
    """A frontier that only ever appended, also through JSON, has the root that the definition gives."""
    leaves = [leaf_hash(entry) for entry in entries]
    frontier = Frontier()
    for leaf in leaves:
        frontier = Frontier.from_json(json.loads(canonical(frontier.to_json()))).add(leaf)

    assert frontier.root == recursive_root(leaves)
    assert frontier.size == len(leaves)


def test_roots_equal_an_independent_implementation() -> None:
    """The root after each of 130 events is the one that pymerkle computes over the same bodies."""
    log, other, frontier = log_of(130), pymerkle.InmemoryTree(algorithm="sha256"), Frontier()

    for event in log.events:
        other.append_entry(event.body.encode())
        frontier = frontier.add(leaf_hash(event.body.encode()))
        assert frontier.root == other.get_root()
    assert log.head == frontier


def test_frontier_of_a_million_events_is_small() -> None:
    """The head row stays under 1 kB up to the worst size below 2 ** 20."""
    frontier = Frontier(2**20 - 1, (b"\xff" * 32,) * 20)

    assert len(canonical(frontier.to_json())) < 1000


@pytest.mark.parametrize(
    "value",
    [
        {"size": 2, "peaks": []},
        {"size": -1, "peaks": []},
        {"size": 1, "peaks": ["AAAA"]},
        {"size": 1, "peaks": ["not base64!"]},
    ],
)
def test_impossible_frontier_is_refused(value: dict[str, object]) -> None:
    """A damaged head row is an error, never a wrong root."""
    with pytest.raises(ValueError, match=r"."):
        Frontier.from_json(value)
