"""What a line of an export must look like, down to the byte; everything else is a fault that names the line.

A text that could also have been written in another way is refused: what was hashed is the text.
"""

from __future__ import annotations

import json
import re

from bot.core.audit import COMMITMENT, FORMAT, SALT_BYTES, WORD, commit_text
from bot.core.errors import Fault
from bot.core.target import Json, canonical

HEADER = {"format", "log", "size", "root"}
BODY = {
    *("format", "seq", "at", "actor", "via", "act", "run", "feature"),
    *("before", "after", "plan_digest", "prior_root", "facts", "texts"),
}
AT = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII)
ROOT = re.compile(r"[0-9a-f]{64}")
SALT = re.compile(rf"[0-9a-f]{{{2 * SALT_BYTES}}}")


class BadLine(Fault):
    """One line of an export is not what a true log would hold.

    ``otherwise``: the other line that may be the bad one, if a checkpoint vouches for this.
    """

    def __init__(self, line: int, why: str, otherwise: BadLine | None = None) -> None:
        super().__init__(f"line {line}: {why}")
        self.number = line
        self.otherwise = otherwise


def want(condition: object, line: int, why: str) -> None:
    if not condition:
        raise BadLine(line, why)


def parse(raw: str | bytes, n: int) -> dict[str, Json]:
    """One line as an object; only canonical text, with exactly one newline at its end."""
    try:
        text = (raw if isinstance(raw, bytes) else raw.encode()).decode()
        value = json.loads(text)
        same = canonical(value) + "\n" == text
    except (ValueError, RecursionError):
        raise BadLine(n, "this is no JSON in UTF-8" if raw else "the export is empty") from None
    want(same and isinstance(value, dict), n, "this is no object in canonical JSON with a newline at its end")
    return dict(value)


def header_of(header: dict[str, Json]) -> dict[str, Json]:
    want(header.keys() == HEADER, 1, f"the first line holds {', '.join(sorted(HEADER))}, nothing else")
    want(header["format"] == FORMAT and type(header["format"]) is int, 1, f"this is not format {FORMAT}")
    want(isinstance(header["log"], str) and header["log"], 1, "the log has no name")
    want(type(header["size"]) is int and header["size"] >= 0, 1, "the size is no number of events")
    want(_matches(ROOT, header["root"]), 1, "the root is no hash")
    return header


def body_of(value: dict[str, Json], n: int) -> dict[str, Json]:
    want("body" in value and value.keys() <= {"body", "texts", "people"}, n, "expected body, texts and people only")
    want(all(isinstance(value[k], dict) and value[k] for k in value if k != "body"), n, "texts and people are objects")
    want(isinstance(value["body"], str), n, "the body is no text")
    try:
        body = json.loads(value["body"])
        same = canonical(body) == value["body"]
    except (ValueError, RecursionError):
        raise BadLine(n, "the body is no JSON") from None
    want(same and isinstance(body, dict), n, "the body is no object in canonical JSON")
    want(body.keys() == BODY, n, f"the body's fields are not those of format {FORMAT}")
    _fields(body, n)
    return dict(body)


def _fields(body: dict[str, Json], n: int) -> None:
    """The shape only. Words for kinds and ways may be added later; an old verifier must accept them."""
    want(type(body["format"]) is int and body["format"] == FORMAT, n, f"this is not format {FORMAT}")
    want(type(body["seq"]) is int, n, "seq is no number")
    want(_matches(AT, body["at"]), n, "at is no time in UTC with microseconds")
    actor = body["actor"]
    want(isinstance(actor, dict) and actor.keys() == {"kind", "id"}, n, "actor has a kind and an id")
    want(isinstance(actor["id"], str), n, "the actor's id is no text")
    want(all(_matches(WORD, word) for word in (actor["kind"], body["via"], body["act"])), n, "kind, via, act are words")
    optional = (body["run"], body["feature"], body["plan_digest"])
    want(all(text is None or isinstance(text, str) for text in optional), n, "run, feature, plan_digest are texts")
    want(_matches(ROOT, body["prior_root"]), n, "prior_root is no hash")
    texts = body["texts"]
    want(isinstance(body["facts"], dict) and isinstance(texts, dict), n, "facts and texts are objects")
    want(all(_matches(COMMITMENT, text) for text in texts.values()), n, "texts holds commitments only")


def _matches(pattern: re.Pattern[str], value: Json) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def commitment_of(opening: Json) -> str | None:
    """What salt and text commit to; None if they can't be that."""
    if not isinstance(opening, dict) or opening.keys() != {"salt", "text"} or not _matches(SALT, opening["salt"]):
        return None
    return commit_text(opening["text"], bytes.fromhex(opening["salt"])) if isinstance(opening["text"], str) else None
