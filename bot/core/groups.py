"""Where a policy must name groups of people, and not whoever it happens to be."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

_ANYBODY = ("everyone", "owner", "requester", "@", "@everyone")


def _no_requester(value: list[str]) -> list[str]:
    if "requester" in value:
        raise ValueError("name groups: to have asked for a run gives nobody the right to run it without approval")
    return value


def _one_group(value: str) -> str:
    if value in _ANYBODY:
        raise ValueError(f"name one group, as @ml-leads: {value!r} is none")
    return value


Groups = Annotated[list[str], AfterValidator(_no_requester)]
"""Members only."""
OneGroup = Annotated[str, AfterValidator(_one_group)]
"""Or empty: nobody."""
