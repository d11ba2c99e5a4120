"""What a person wrote wrongly, in their words: pydantic's errors become short lines with the key and a suggestion."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from bot.core.text import listed, near

Pointer = tuple[str | int, ...]
_FEW: Final = 12


@dataclass(frozen=True)
class Problem:
    """One fault. ``where`` is the way to the key or item in question, ``text`` a part of a line."""

    where: Pointer
    text: str
    sure: bool = False
    """A misspelt key with a suggestion: most likely the cause of the others."""


def problems(error: ValidationError, model: type[BaseModel] | None = None, *, values: bool = True) -> list[Problem]:
    """The faults in ``error``, the likeliest cause first. ``model``, what was validated, gives suggestions for
    misspelt keys; ``values`` False keeps what was written out of the text (it may be a secret)."""
    found: list[Problem] = []
    meant: set[Pointer] = set()
    for item in error.errors(include_url=False, include_context=True):
        where: Pointer = tuple(item["loc"])
        if item["type"] == "extra_forbidden":
            known = _keys(model, where[:-1]) or _missing_beside(error, where)
            guess = near(str(where[-1]), known, 1)
            meant.update((*where[:-1], word) for word in guess)
            found.append(Problem(where, _unknown(str(where[-1]), guess, known), bool(guess)))
        else:
            found.append(Problem(where, _words(item, where, values)))
    found = [p for p in found if p.where not in meant or p.sure]
    return sorted(found, key=lambda p: not p.sure)


def folded(error: ValidationError, model: type[BaseModel] | None = None, *, values: bool = True) -> str:
    """All of it in one line."""
    return "; ".join(dict.fromkeys(p.text for p in problems(error, model, values=values)))


def _unknown(word: str, guess: list[str], known: list[str]) -> str:
    if guess:
        return f"unknown key {word!r}, did you mean {guess[0]!r}?"
    return f"unknown key {word!r}" + (f"; known are {listed(known)}" if 0 < len(known) <= _FEW else "")


def _words(item: Any, where: Pointer, values: bool) -> str:
    """One of pydantic's errors that is not about an unknown key."""
    name = ".".join(str(part) for part in where)
    if item["type"] == "missing":
        return f"{name!r} is missing"
    if item["type"] in {"value_error", "assertion_error"}:
        text = re.sub(r"^(Value|Assertion) error, ", "", item["msg"])
        return f"{name}: {text}" if name and isinstance(where[-1], str) else text
    text = item["msg"][:1].lower() + item["msg"][1:]
    given = item["input"]
    if values and isinstance(given, str | int | float | bool) and len(str(given)) <= 40:
        text += f", not {given!r}"
        allowed = re.findall(r"'([^']*)'", str(item.get("ctx", {}).get("expected", "")))
        if guess := near(str(given), allowed, 1):
            text += f", did you mean {guess[0]!r}?"
    return f"{name}: {text}" if name else text


def _missing_beside(error: ValidationError, where: Pointer) -> list[str]:
    """Without the model: the required keys that are missing where the unknown one stands."""
    places = (tuple(e["loc"]) for e in error.errors(include_url=False) if e["type"] == "missing")
    return [str(place[-1]) for place in places if place[:-1] == where[:-1]]


def _keys(model: type[BaseModel] | None, way: Pointer) -> list[str]:
    """The keys that may stand at ``way``."""
    models = {model} if model else set()
    for part in way:
        inner = {m for top in models for name, m in _inside(top) if name == part}
        named = {m for m in models if m.__name__ == part}  # pydantic names the branch of a union
        models = inner or named or models  # an index, or a key of a free mapping
    return list(dict.fromkeys(f.alias or name for m in models for name, f in m.model_fields.items()))


def _inside(model: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    return [(f.alias or name, m) for name, f in model.model_fields.items() for m in _models(f.annotation)]


def _models(annotation: Any) -> set[type[BaseModel]]:
    """Every model class in an annotation, inside lists, mappings and unions too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {m for argument in typing.get_args(annotation) for m in _models(argument)}
