"""YAML 1.2 as plain JSON with the line of every key, so that every fault can be said with file and line.

Built from the parser's events and not by a ready-made loader: those give either lines or plain data, and read some
words as YAML 1.1 does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from bot.core.errors import Fault
from bot.core.target import Json
from bot.outside.faults import Pointer, problems

LARGEST: Final = 1024 * 1024
"""Bytes of one file."""
_DEEPEST: Final = 40
_MOST: Final = 100_000
"""Values in one file, those that aliases repeat included."""

# The core schema of YAML 1.2.2, section 10.3.2; everything else that is not quoted is text.
_NULL: Final = re.compile(r"|~|null|Null|NULL")
_BOOL: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Document:
    """One file: its content as JSON (mapping keys are always text) and the line of every key and list item."""

    path: Path
    data: Json
    lines: dict[Pointer, int]

    def line(self, *pointer: str | int) -> int:
        """Of the key or item, or of the nearest thing around it."""
        while pointer and pointer not in self.lines:
            pointer = pointer[:-1]
        return self.lines.get(pointer, 1)

    def fault(self, message: str, *pointer: str | int) -> Fault:
        """A fault at that place."""
        return Fault(message, file=str(self.path), line=self.line(*pointer))


def fault_of(
    document: Document, error: ValidationError, model: type[BaseModel] | None = None, at: Pointer = ()
) -> Fault:
    """The likeliest cause in ``error`` with file and line, and how many more there are. ``model``, what was validated,
    gives suggestions for misspelt keys; ``at`` is where in the document the validated part begins."""
    found = problems(error, model)
    places = [_place(document.data, (*at, *p.where)) for p in found]
    first = min(range(len(found)), key=lambda n: (not found[n].sure, document.line(*places[n])))
    rest = len({p.text for p in found}) - 1
    more = f" (and {rest} more)" if rest else ""
    return document.fault(found[first].text + more, *places[first])


def _place(data: Json, where: Pointer) -> Pointer:
    """``where`` without what only pydantic knows: branches of unions, a missing key, ``[key]``."""
    place: list[str | int] = []
    for part in where:
        is_key = isinstance(data, dict) and part in data
        if is_key or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            place.append(part)
    return tuple(place)


def parse(path: Path, raw: bytes) -> Document:
    """The one document in ``raw``. Raises Fault with file and line for whatever is wrong with it."""
    name = str(path)
    if len(raw) > LARGEST:
        raise Fault(f"the file has {len(raw):,} bytes; at most {LARGEST:,} are read", file=name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise Fault("not UTF-8", file=name, line=raw[: e.start].count(b"\n") + 1) from e
    builder = _Builder(name)
    try:
        data = builder.document(iter(YAML(typ="safe", pure=True).parse(text)))
    except MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        raise Fault(_said(e), file=name, line=mark.line + 1 if mark else 1) from e
    except YAMLError as e:
        at = int(getattr(e, "position", 0) or 0)
        raise Fault("a character that YAML does not allow", file=name, line=text[:at].count("\n") + 1) from e
    return Document(path, data, builder.lines)


def _said(error: MarkedYAMLError) -> str:
    problem = str(error.problem or "not valid")
    if "\t" in problem or "\\t" in problem:
        return "a tab where YAML wants spaces: indent with spaces"
    return f"not valid YAML: {problem}" + (f" ({error.context})" if error.context else "")


@dataclass
class _Builder:
    """Plain data from events."""

    name: str
    lines: dict[Pointer, int] = field(default_factory=dict)
    anchors: dict[str, tuple[Json, int]] = field(default_factory=dict)
    count: int = 0

    def document(self, events: Iterator[Any]) -> Json:
        data: Json = None
        seen = False
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if seen:
                    raise self.fault("a second document ('---'); write one file each", event)
                seen = True
                data = self.node(next(events), events, ())
        return data

    def fault(self, message: str, event: Any) -> Fault:
        return Fault(message, file=self.name, line=event.start_mark.line + 1)

    def node(self, event: Any, events: Iterator[Any], at: Pointer) -> Json:
        self.lines.setdefault(at, event.start_mark.line + 1)
        before, self.count = self.count, self.count + 1
        if isinstance(event, AliasEvent):
            return self.alias(event)
        if event.tag is not None and event.tag != "!":
            raise self.fault(f"tags like {event.tag} are not read here", event)
        if len(at) > _DEEPEST:
            raise self.fault(f"nested deeper than {_DEEPEST} levels", event)
        if isinstance(event, MappingStartEvent):
            value: Json = self.mapping(events, at)
        elif isinstance(event, SequenceStartEvent):
            value = self.sequence(events, at)
        else:
            value = self.scalar(event)
        if event.anchor:
            self.anchors[event.anchor] = value, self.count - before
        if self.count > _MOST:
            raise self.fault(f"more than {_MOST:,} values in one file", event)
        return value

    def alias(self, event: AliasEvent) -> Json:
        if event.anchor not in self.anchors:
            raise self.fault(f"*{event.anchor} stands before &{event.anchor} is complete", event)
        value, size = self.anchors[event.anchor]
        self.count += size
        if self.count > _MOST:
            raise self.fault(f"more than {_MOST:,} values in one file", event)
        return value

    def mapping(self, events: Iterator[Any], at: Pointer) -> Json:
        found: dict[str, Json] = {}
        for key in events:
            if isinstance(key, MappingEndEvent):
                return found
            if not isinstance(key, ScalarEvent):
                raise self.fault("a key must be a word", key)
            word = str(key.value)
            if word == "<<" and key.style is None:
                raise self.fault("'<<' (merging) is not part of YAML 1.2; write the keys out", key)
            place = (*at, word)
            if word in found:
                raise self.fault(f"{word!r} is here twice, first in line {self.lines[place]}", key)
            self.lines[place] = key.start_mark.line + 1
            found[word] = self.node(next(events), events, place)
        return found

    def sequence(self, events: Iterator[Any], at: Pointer) -> Json:
        found: list[Json] = []
        for item in events:
            if isinstance(item, SequenceEndEvent):
                return found
            found.append(self.node(item, events, (*at, len(found))))
        return found

    def scalar(self, event: ScalarEvent) -> Json:
        text = str(event.value)
        if event.style is not None or event.tag == "!":
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if len(text) > 100:  # no number that anybody wrote
            return text
        if _INT.fullmatch(text):
            return int(text, 0 if text[:2] in {"0o", "0x"} else 10)
        number = float(text) if _FLOAT.fullmatch(text) else None
        if _NOT_FINITE.fullmatch(text) or (number is not None and math.isinf(number)):
            raise self.fault(f"{text} is no number that can be stored", event)
        return text if number is None else number
