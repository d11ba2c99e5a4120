"""What stands in a message, as plain lines: the way a person reads it, for a terminal."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
_BOLD = re.compile(r"\*([^*\n]+)\*")


@dataclass(frozen=True)
class Line:
    """One line of a message. ``strong``: a heading or bold; ``small``: context; ``buttons``: what to press."""

    text: str
    look: Literal["plain", "strong", "small", "buttons"] = "plain"


def lines(blocks: Sequence[Json], text: str = "") -> list[Line]:
    """The blocks from top to bottom; without blocks the text. An unknown block is named, never left out."""
    found = [line for block in blocks for line in READERS.get(str(block.get("type")), _unknown)(block)]
    return found or _marked(text)


def plain(text: str) -> str:
    """mrkdwn as read: without entities and bold marks."""
    return _BOLD.sub(r"\1", html.unescape(text))


def _marked(text: str) -> list[Line]:
    return [
        Line(plain(each), "strong" if _BOLD.fullmatch(each) else "plain") for each in text.split("\n") if each.strip()
    ]


def _header(block: Json) -> list[Line]:
    return [Line(str(block["text"]["text"]), "strong")]


def _section(block: Json) -> list[Line]:
    texts = [block["text"]["text"]] if "text" in block else []
    texts += [each["text"] for each in block.get("fields", [])]
    found = [line for text in texts for line in _marked(str(text))]
    accessory = block.get("accessory", {})
    return found + (_buttons([accessory]) if accessory.get("type") == "button" else [])


def _context(block: Json) -> list[Line]:
    return [Line(plain(" ".join(str(e.get("text", "")) for e in block["elements"])), "small")]


def _actions(block: Json) -> list[Line]:
    return _buttons(block["elements"])


def _buttons(elements: Sequence[Json]) -> list[Line]:
    named = [e["text"]["text"] if e.get("type") == "button" else e.get("type", "?") for e in elements]
    return [Line(" ".join(f"[{name}]" for name in named), "buttons")]


def _divider(_block: Json) -> list[Line]:
    return [Line("---", "small")]


def _markdown(block: Json) -> list[Line]:
    return [Line(each) for each in str(block["text"]).split("\n")]


def _unknown(block: Json) -> list[Line]:
    return [Line(f"({block.get('type', 'nameless')} block)", "small")]


READERS: dict[str, Callable[[Json], list[Line]]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "divider": _divider,
    "markdown": _markdown,
}
