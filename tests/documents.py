"""Reads Markdown as the tests of the documents need it: code, sections and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
ALL = "\n".join(path.read_text() for path in DOCUMENTS)
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
Row = dict[str, str]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(text: str, language: str) -> list[str]:
    """The contents of fenced blocks, without the indent of the list that they stand in."""
    found = [(m[1], m[3]) for m in FENCE.finditer(text) if m[2] == language]
    return ["\n".join(line.removeprefix(indent) for line in body.splitlines()) + "\n" for indent, body in found]


def code(text: str) -> list[str]:
    """Everything that is marked as code: each line of a fence, each span."""
    inside = [line.strip() for m in FENCE.finditer(text) for line in m[3].splitlines()]
    return inside + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def section(text: str, heading: str) -> str:
    """From a heading to the next one of its level or above. What stands in a fence is no heading."""
    bare = FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    start = bare.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{heading.index(' ')}}} ", bare[start:], re.MULTILINE)
    return text[start : start + end.start()] if end else text[start:]


def tables(text: str) -> Iterator[list[Row]]:
    """Each table as rows by column."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        yield [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def listed(text: str, column: str) -> dict[str, Row]:
    """The rows of all tables that have such a column, by each word in it."""
    rows = [row for table in tables(text) for row in table if column in row]
    return {word: row for row in rows for word in words(row[column])}
