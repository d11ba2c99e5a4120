"""What crosses the border between the bot and a child process: JSON lines, and errors that keep their class.

JSON and not pickle, so that a child that went wrong can never run code in the bot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from bot.core import errors
from bot.core.errors import RollbotError, TargetError
from bot.core.target import Connection, Json
from bot.outside.faults import folded

LONGEST: Final = 64 * 1024 * 1024
"""Bytes of one line. What is larger belongs into the artifact store."""

_KNOWN = {name: c for name, c in vars(errors).items() if isinstance(c, type) and issubclass(c, RollbotError)}
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_SECRET_KEY = re.compile(r"pass|secret|token|credential|(^|_)key|auth", re.IGNORECASE)
_MOST_WORDS = 600


def encode(message: Json) -> bytes:
    """One line. Raises ValueError or TypeError for what is not JSON (NaN included)."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def one_line(text: str) -> str:
    """Spaces for line breaks, at most 600 characters."""
    words = " ".join(text.split())
    return words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 1] + "…"


def secrets_of(connections: Iterable[Connection]) -> list[str]:
    """The values in settings whose key sounds like a secret's; longest first, so that none hides in another."""
    found: set[str] = set()
    for connection in connections:
        _collect(connection.settings, found)
    return sorted(found, key=len, reverse=True)


def _collect(value: Json, found: set[str], secret: bool = False) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, found, secret or bool(_SECRET_KEY.search(str(key))))
    elif isinstance(value, list):
        for item in value:
            _collect(item, found, secret)
    elif secret and isinstance(value, str) and len(value) >= 4:
        found.add(value)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the given secrets and without the user part of any URL."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _USERINFO.sub("***@", text)


def error_to_json(error: BaseException, what: str, secrets: Iterable[str] = ()) -> Json:
    """One of our own errors keeps its class, text and facts; anything else becomes a TargetError that says ``what``
    failed and how. A lost connection is retriable."""
    known = next((c.__name__ for c in type(error).__mro__ if c.__name__ in _KNOWN), None)
    if isinstance(error, RollbotError) and known:
        facts = {k: v for k, v in vars(error).items() if v is None or isinstance(v, bool | int | str | list)}
        return {"class": known, "message": redacted(error.message, secrets), "facts": facts}
    retriable = isinstance(error, ConnectionError | TimeoutError)
    text = folded(error, values=False) if isinstance(error, ValidationError) else str(error)
    words = f"{what} failed: {type(error).__name__}: {text}".removesuffix(": ")
    return {"class": "TargetError", "message": one_line(redacted(words, secrets)), "facts": {"retriable": retriable}}


def error_from_json(data: Json) -> RollbotError:
    """The error again, of the class it had."""
    kind = _KNOWN.get(str(data.get("class")), TargetError)
    error = kind.__new__(kind)
    error.args = (str(data.get("message", "")),)
    if isinstance(error, TargetError):
        error.retriable = False
    vars(error).update(data.get("facts") or {})
    return error
