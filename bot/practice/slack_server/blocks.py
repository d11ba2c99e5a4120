"""Finds what can be pressed or filled in among blocks, and gives blocks the ids that Slack gives them."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

STILL = frozenset({"image", "plain_text", "mrkdwn"})


def with_ids(blocks: list[Json]) -> list[Json]:
    """A deep copy in which every block has a block_id and everything interactive an action_id, as Slack does."""
    copied = copy.deepcopy(blocks)
    for block in _all_blocks(copied):
        block.setdefault("block_id", secrets.token_hex(3))
    for _, element in elements(copied):
        element.setdefault("action_id", secrets.token_hex(3))
    return copied


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Each interactive element with the block it stands in, in the order in which a person sees them."""
    for block in _all_blocks(blocks):
        one = [block.get("accessory"), block.get("element")]
        many = [*block.get("elements", []), *block.get("actions", [])]
        for element in [*one, *many]:
            if isinstance(element, dict) and _interactive(block, element):
                yield block, element


def find(blocks: list[Json], action_id: str, value: str | None = None) -> tuple[Json, Json] | None:
    """The first element with this action_id and, where several share it, this button value."""
    for block, element in elements(blocks):
        if element.get("action_id") == action_id and value in (None, element.get("value")):
            return block, element
    return None


def _all_blocks(blocks: list[Json]) -> Iterator[Json]:
    for block in blocks:
        yield block
        yield from _all_blocks(block.get("child_blocks", []))
        if block.get("type") == "carousel":
            yield from block["elements"]


def _interactive(block: Json, element: Json) -> bool:
    return block["type"] not in ("rich_text", "carousel", "context") and element.get("type") not in STILL
