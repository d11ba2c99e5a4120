"""Runs as this process has read or written them, by the text of their row: its steps and approvals need not be read and
parsed again. Each save marks the text with a word made once, so equal text is the same save, whoever made it, and one
that was undone is never met again."""

from __future__ import annotations

import json
import secrets
from typing import Any

from bot.core.run import Run
from bot.core.target import canonical

MOST = 256
_SEPARATE = {"steps", "nods"}
"""They have rows of their own."""
_seen: dict[tuple[int, str], Run] = {}


def marked(old: Run, new: Run) -> str:
    """The text of a row that is about to be saved with what has changed in ``new``. Approvals that are new may take the
    place of older ones in their rows, and are read anew."""
    body = canonical(new.model_dump(mode="json", exclude=_SEPARATE) | {"mark": secrets.token_hex(8)})
    if new.nods == old.nods and new.plan_no == old.plan_no and len(new.steps) == len(old.steps):
        _keep(body, new)
    return body


def seen(number: int, body: str) -> Run | None:
    """The run that was saved with this text."""
    return _seen.get((number, body))


def parsed(number: int, body: str) -> dict[str, Any]:
    """The text as a document, without what only stands in rows of its own."""
    doc: dict[str, Any] = json.loads(body)
    doc["id"] = number
    return doc


def whole(doc: dict[str, Any], body: str) -> Run:
    """The run that ``doc``, steps and approvals included, and its text say. One that no save has marked is not kept."""
    mark = doc.pop("mark", None)
    run = Run.model_validate(doc)
    if mark:
        _keep(body, run)
    return run


def _keep(body: str, run: Run) -> None:
    if len(_seen) >= MOST:
        _seen.clear()
    _seen[run.id, body] = run
