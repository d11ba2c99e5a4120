"""One flag's rule in flagd's format, as pure functions: find it in a file's text, put another in, switch it off, take
a share of it, and say it in words. Kept apart from ``flagd.py`` because nothing here touches a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from bot.core.errors import TargetError
from bot.core.target import Json, canonical, digest_of

Rule = dict[str, Json]

DISABLED = "disabled (apps use their own default)"
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_DEEPEST = 20


@dataclass(frozen=True)
class Found:
    """One flag in one file's text.

    ``rule`` as written, ``evaluators`` the shared rules that it refers to, ``shared`` all that the file has.
    """

    raw: bytes
    text: str
    span: tuple[int, int]
    rule: Rule
    evaluators: dict[str, Json]
    shared: dict[str, Json]
    flags: int

    @property
    def source(self) -> str:
        """The rule's own text, byte for byte."""
        return self.text[slice(*self.span)]

    @property
    def resolved(self) -> Rule:
        """The rule with the shared rules put in: what is evaluated."""
        resolved: Rule = inlined(self.rule, self.evaluators)
        return resolved


def find(raw: bytes, flag: str, place: str) -> Found:
    """The flag in the file's content. ``place`` names the file in errors. Raises TargetError in one line."""
    text, document = _parsed(raw, place)
    flags = document.get("flags")
    if not isinstance(flags, dict):
        raise TargetError(f'{place}: "flags" must be an object with one entry per flag')
    rule = flags.get(flag)
    if rule is None:
        near = get_close_matches(flag, flags, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(sorted(flags)[:5]) or 'none'}"
        raise TargetError(f"{place}: there is no flag {flag}; {hint}")
    _check_rule(rule, flag, place)
    span = _only(text, _only(text, _skip(text, 0), "flags", place)[0], flag, place)
    shared = document.get("$evaluators") or {}
    if not isinstance(shared, dict):
        raise TargetError(f'{place}: "$evaluators" must be an object with one entry per shared rule')
    used = {name: shared[name] for name in sorted(_references(rule, shared)) if name in shared}
    return Found(raw, text, span, rule, evaluators=used, shared=shared, flags=len(flags))


def _parsed(raw: bytes, place: str) -> tuple[str, dict[str, Json]]:
    try:
        text = raw.decode()
        document = json.loads(text, parse_constant=_no_constant)
        canonical(document).encode()
    except json.JSONDecodeError as error:
        raise TargetError(f"{place}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from None
    except UnicodeError as error:
        raise TargetError(f"{place}: not valid UTF-8 at byte {getattr(error, 'start', 0)}") from None
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{place}: not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise TargetError(f"{place}: must hold a JSON object with the key flags")
    return text, document


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not a JSON value")


def _check_rule(rule: Json, flag: str, place: str) -> None:
    if not isinstance(rule, dict) or not isinstance(rule.get("variants"), dict) or not rule["variants"]:
        raise TargetError(f"{place}: flag {flag} must be an object with variants")
    if rule.get("state") not in ("ENABLED", "DISABLED"):
        raise TargetError(f"{place}: flag {flag}: state must be ENABLED or DISABLED, not {rule.get('state')!r}")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _members(text: str, at: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Key and span of each value of the object that starts at ``at``, in text known to be valid JSON."""
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        at = _DECODER.raw_decode(text, start)[1]
        yield key, (start, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _only(text: str, at: int, wanted: str, place: str) -> tuple[int, int]:
    spans = [span for key, span in _members(text, at) if key == wanted]
    if len(spans) > 1:
        # JSON parsers disagree on which of two equal keys counts, so nobody knows which one is live.
        raise TargetError(f"{place}: the key {wanted} stands {len(spans)} times; remove all but one")
    return spans[0]


def _references(value: Json, shared: Json, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """Names of the shared rules that ``value`` needs, also through one another."""
    if isinstance(value, list):
        return seen.union(*(_references(v, shared, seen) for v in value))
    if not isinstance(value, dict):
        return seen
    name = value.get("$ref")
    if len(value) == 1 and isinstance(name, str):
        return seen if name in seen else _references(shared.get(name), shared, seen | {name})
    return seen.union(*(_references(v, shared, seen) for v in value.values()))


def inlined(value: Json, evaluators: dict[str, Json], depth: int = 0) -> Json:
    """``value`` with each ``{"$ref": name}`` replaced by the shared rule of that name."""
    if depth > _DEEPEST:
        raise TargetError(f"shared rules refer to one another more than {_DEEPEST} deep")
    if isinstance(value, list):
        return [inlined(v, evaluators, depth) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and value.get("$ref") in evaluators:
        return inlined(evaluators[value["$ref"]], evaluators, depth + 1)
    return {key: inlined(v, evaluators, depth) for key, v in value.items()}


def spliced(found: Found, rule: Rule, source: str | None) -> bytes:
    """The file with this flag's rule replaced and every other byte kept; ``source``: the exact text, if known."""
    start, end = found.span
    new = source if source is not None else _laid_out(found, rule)
    return (found.text[:start] + new + found.text[end:]).encode()


def _laid_out(found: Found, rule: Rule) -> str:
    """``rule`` as text, on one line or indented as the one that it replaces."""
    old = found.source
    if "\n" not in old:
        return json.dumps(rule, ensure_ascii=False)
    line = found.text[found.text.rfind("\n", 0, found.span[0]) + 1 : found.span[0]]
    base = line[: len(line) - len(line.lstrip(" \t"))]
    inner = re.search(r"\n([ \t]*)\S", old)
    step = inner.group(1).removeprefix(base) if inner else ""
    newline = "\r\n" if "\r\n" in old else "\n"
    return json.dumps(rule, ensure_ascii=False, indent=step or "  ").replace("\n", newline + base)


def off_variant(rule: Rule, named: str | None = None) -> str:
    """The variant that means off: ``named``, else the only ``false`` one, else the one called off. Else TargetError."""
    variants = rule["variants"]
    if named is not None:
        if named not in variants:
            raise TargetError(f"off_variant {named} is no variant of this flag; it has {', '.join(variants)}")
        return named
    false = [name for name, value in variants.items() if value is False]
    called = [name for name in false or variants if name.lower() == "off"]
    fits = false if len(false) == 1 else called
    if len(fits) != 1:
        raise TargetError(f"which of the variants {', '.join(variants)} is off? name it with off_variant")
    return str(fits[0])


def disabled(rule: Rule, off: str) -> Rule:
    """The rule that answers ``off`` to everybody.

    Not state DISABLED: to flagd that means "no such flag", and each app falls back to a default of its own.
    """
    kept = {key: value for key, value in rule.items() if key != "targeting"}
    return {**kept, "state": "ENABLED", "defaultVariant": off}


def share(rule: Rule, off: str, percent: int) -> Rule:
    """The rule for ``percent`` of the targeting keys, ``off`` for the others; a key once in stays in as it grows.

    Raises TargetError for a rule that answers nothing (DISABLED) and for a percentage outside 0 to 100.
    """
    if isinstance(percent, bool) or not 0 <= percent <= 100:
        raise TargetError(f"a share must be 0 to 100 per cent, not {percent}")
    if percent == 0:
        return disabled(rule, off)
    if percent == 100:
        return rule
    if rule["state"] == "DISABLED":
        raise TargetError("the recorded rule is DISABLED: there is nothing to take a share of")
    default = default_of(rule)
    if not rule.get("targeting") and default is not None:
        targeting: Json = {"fractional": [[default, percent], [off, 100 - percent]]}
        return {**rule, "defaultVariant": off, "targeting": targeting}
    recorded = rule.get("targeting") or None
    return {**rule, "targeting": {"if": [_gate(percent), recorded, off]}}


def _gate(percent: int) -> Json:
    """True for a share of the targeting keys, by another hash than flagd's own fractional rules use.

    With the same hash, 25 % of a rule that is on for 40 % would be on for all of these 25 %. The word in the seed keeps
    it apart from the hash of older flagd versions too, which join flag key and targeting key as they are.
    """
    seed = {"cat": [{"var": "$flagd.flagKey"}, "/share/", {"var": "targetingKey"}]}
    chosen = {"==": [{"fractional": [seed, ["in", percent], ["out", 100 - percent]]}, "in"]}
    return {"and": [{"var": "targetingKey"}, chosen]}


def _ungated(rule: Rule) -> tuple[int, Rule] | None:
    """Share and recorded rule, if this is what ``share`` made."""
    try:
        condition, recorded, _ = rule["targeting"]["if"]
        percent = condition["and"][1]["=="][0]["fractional"][1][1]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if not isinstance(percent, int) or condition != _gate(percent):
        return None
    return percent, {**rule, "targeting": recorded}


def default_of(rule: Rule) -> str | None:
    """The default variant's name; None if apps fall back to their own default."""
    default = rule.get("defaultVariant")
    if isinstance(default, bool):
        return str(default).lower()
    return default or None


def percentages(rule: Rule) -> dict[str, float] | None:
    """Per cent of the targeting keys by variant, where the rule says so by itself; None where it depends."""
    targeting, default = rule.get("targeting"), default_of(rule)
    if not targeting:
        return {default: 100.0} if default else None
    if not isinstance(targeting, dict) or list(targeting) != ["fractional"]:
        return None
    parts = targeting["fractional"]
    weights = [p for p in parts if isinstance(p, list)] if isinstance(parts, list) else []
    if not weights or len(weights) < len(parts) - 1 or not all(p and isinstance(p[0], str) for p in weights):
        return None
    sizes = [(p[0], max(0, p[1]) if len(p) > 1 and isinstance(p[1], int) else 1) for p in weights]
    total = sum(size for _, size in sizes)
    shares: dict[str, float] = {}
    for name, size in sizes:
        shares[name] = shares.get(name, 0.0) + 100.0 * size / total if total else 0.0
    return shares


def in_words(rule: Rule, named: str | None = None) -> str:
    """The rule in a few words for the card: ``off``, ``on for 25 %``, ``by rule, else off``."""
    if rule["state"] == "DISABLED":
        return DISABLED
    gated = _ungated(rule)
    if gated:
        return f"{gated[0]} % of: {in_words(gated[1], named)}"
    shares = percentages(rule)
    if shares is None:
        return f"by rule, else {default_of(rule) or 'the default of each app'}"
    try:
        off = off_variant(rule, named)
    except TargetError:
        off = None
    parts = [f"{name} for {size:g} %" for name, size in shares.items() if name != off and size > 0]
    return ", ".join(parts) or "off"


def facts_of(rule: Rule) -> dict[str, Json]:
    """The rule field by field, for before -> after."""
    return {
        "state": rule["state"],
        "default": default_of(rule),
        "percent": None if rule["state"] == "DISABLED" else percentages(rule),
        "targeting": rule.get("targeting"),
        "variants": rule["variants"],
    }


def rule_digest(resolved: Rule) -> str:
    """Equal if and only if the resolved rules are the same JSON."""
    return digest_of(resolved)
