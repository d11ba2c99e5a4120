"""What a person typed, taken apart: pure, never guesses, and says in one line what it did not understand."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from bot.core.errors import Usage
from bot.core.text import near

MOST = 2000
"""Characters of one command. Slack passes on 4,000 and more; no command needs them."""

EXAMPLE = "/rollback FEATURE to VERSION"
CLAUSES = ("to", "at", "without", "because", "dry", "dry-run", "playbook", "incident")

_MARKUP = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
_WORD = re.compile(r'"([^"]*)"|\S+')
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?([+-]\d{2}:?\d{2}|z)?", re.IGNORECASE)
_INCIDENT = re.compile(r"#?[A-Za-z]*-?\d+")
_TRAILING = re.compile(
    r"\s+-*(?:(?P<dry>dry[ -]?run)|incident\s+(?P<incident>#?[A-Za-z]*-?\d+)|playbook\s+(?P<playbook>\S+))$",
    re.IGNORECASE,
)
_ALLOWED_FORMAT = "\u200c\u200d"
_QUOTES = dict.fromkeys("“”„‟«»″＂", '"') | dict.fromkeys("‘’‚‛′", "'")


@dataclass(frozen=True)
class Word:
    """One word, or what stood between double quotes. ``start`` and ``end``: where, in the line."""

    text: str
    start: int
    end: int
    quoted: bool = False

    @property
    def key(self) -> str:
        """The word as a keyword: lower case, without leading dashes."""
        return "" if self.quoted else self.text.lower().lstrip("-")


@dataclass(frozen=True)
class Line:
    """A command's text. ``raw`` is what was typed, without Slack's markup; words have plain dashes and quotes."""

    raw: str
    words: tuple[Word, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.words

    def after(self, n: int) -> str:
        """Everything after the first ``n`` words, as typed."""
        return self.raw[self.words[n - 1].end :].strip() if len(self.words) >= n else ""


@dataclass(frozen=True)
class Asked:
    """``FEATURE [to VERSION] [at TIME] [without C,C] [because REASON] [dry run] [playbook P] [incident ID]``."""

    feature: str
    to: str = ""
    at: str | None = None
    without: tuple[str, ...] = ()
    reason: str = ""
    dry_run: bool = False
    playbook: str | None = None
    incident: str = ""


def read(text: str) -> Line:
    """The line and its words. Raises Usage for one that is too long or holds characters that nobody can see."""
    if len(text) > MOST:
        raise Usage(f"That is {len(text):,} characters; a command has at most {MOST:,}. Keep the reason short.")
    raw = _MARKUP.sub(_plain, text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    flat = raw
    if not (raw.isascii() and raw.isprintable()):  # else there is nothing to refuse or to flatten
        _refuse_unseen(raw)
        flat = "".join(map(_flat, raw))
    words = tuple(
        Word(m[1] if m[1] is not None else m[0], m.start(), m.end(), quoted=m[1] is not None)
        for m in _WORD.finditer(flat)
    )
    return Line(raw, words)


def _plain(match: re.Match[str]) -> str:
    """``<@U1|ana>``, ``<#C1|general>``, ``<!here>``, ``<http://x|x>`` as a person reads them."""
    target, label = match[1], match[2]
    if target.startswith("#"):
        return "#" + (label or target[1:])
    if target.startswith(("@", "!")):
        return "@" + (label or target[1:].split("^")[-1]).lstrip("@")
    return label or target


def _refuse_unseen(text: str) -> None:
    for at, char in enumerate(text, 1):
        kind = unicodedata.category(char)
        if char in "\t\n\r" or char in _ALLOWED_FORMAT or kind not in ("Cc", "Cf", "Cs", "Co", "Cn"):
            continue
        name = unicodedata.name(char, "a control character")
        raise Usage(
            f"Character {at} is invisible (U+{ord(char):04X}, {name}). Type the command by hand, don't paste it."
        )


def _flat(char: str) -> str:
    """One character for one, so that places in the flat text are places in what was typed."""
    if char in _QUOTES:
        return _QUOTES[char]
    kind = unicodedata.category(char)
    if kind == "Pd" or char == "\u2212":
        return "-"
    return " " if kind in ("Zs", "Zl", "Zp") or char in "\t\n\r" else char


@dataclass
class _Reader:
    """Walks over the words after the feature."""

    line: Line
    at: int
    found: dict[str, str] = field(default_factory=dict)

    @property
    def word(self) -> Word | None:
        return self.line.words[self.at] if self.at < len(self.line.words) else None

    def take(self, clause: str, what: str) -> Word:
        """The next word. Raises Usage if there is none, or the next clause begins."""
        word = self.word
        if word is None or not word.text.strip() or (clause != "/rollback" and word.key in CLAUSES):
            raise Usage(f"{clause!r} needs {what} after it.")
        self.at += 1
        return word

    def keep(self, clause: str, value: str) -> None:
        if clause in self.found:
            raise Usage(f"{clause!r} is said twice.")
        self.found[clause] = value


def asked(line: Line, start: int = 0) -> Asked:
    """Reads a request for a rollback, whose feature is word ``start``. Raises Usage."""
    reader = _Reader(line, start)
    feature = reader.take(" ".join(["/rollback", *(w.text for w in line.words[:start])]), "a feature")
    if feature.key in CLAUSES:
        raise Usage(f"Which feature? Write {EXAMPLE}.")
    while (word := reader.word) is not None:
        reader.at += 1
        _clause(reader, word)
    found = reader.found
    return Asked(
        feature=feature.text,
        to=found.get("to", ""),
        at=found.get("at"),
        without=tuple(dict.fromkeys(c for c in found.get("without", "").split(",") if c)),
        reason=found.get("because", ""),
        dry_run="dry run" in found,
        playbook=found.get("playbook"),
        incident=found.get("incident", ""),
    )


def _clause(reader: _Reader, word: Word) -> None:
    match word.key:
        case "to":
            reader.keep("to", reader.take("to", "a version").text)
        case "at":
            reader.keep("at", _time(reader))
        case "without":
            reader.keep("without", _components(reader))
        case "because":
            _reason(reader, word)
        case "dry" if reader.word is not None and reader.word.key == "run":
            reader.at += 1
            reader.keep("dry run", "yes")
        case "dry-run" | "dryrun":
            reader.keep("dry run", "yes")
        case "playbook":
            reader.keep("playbook", reader.take("playbook", "its name").text)
        case "incident":
            reader.keep("incident", _incident(reader))
        case _:
            raise Usage(_unknown(word))


def _unknown(word: Word) -> str:
    guesses = near(word.key, CLAUSES)
    meant = f" Did you mean {' or '.join(guesses)}?" if guesses else f" Write {EXAMPLE}; /rollback help shows all."
    return f"I don't understand {word.text!r} here.{meant}"


def _time(reader: _Reader) -> str:
    first = reader.take("at", "a time, as 01:00 or 2026-11-22T01:00").text
    if _DATE.fullmatch(first) and reader.word is not None and _CLOCK.fullmatch(reader.word.text):
        return f"{first} {reader.take('at', 'a time').text}"
    return first


def _components(reader: _Reader) -> str:
    """``dataset,model`` and ``dataset, model``."""
    said = reader.take("without", "a component").text
    while reader.word is not None and (said.endswith(",") or reader.word.text.startswith(",")):
        said += reader.take("without", "a component").text
    if not said.strip(","):
        raise Usage("'without' needs a component after it.")
    return said


def _incident(reader: _Reader) -> str:
    said = reader.take("incident", "its id").text
    if not _INCIDENT.fullmatch(said):
        raise Usage(f"{said!r} is no incident id; write it as INC-142.")
    return said


def _reason(reader: _Reader, word: Word) -> None:
    """What stands between quotes; else all the rest, but for clauses that end the line."""
    if reader.word is not None and reader.word.quoted:
        quoted = reader.take("because", "a reason")
        reader.keep("because", reader.line.raw[quoted.start + 1 : quoted.end - 1].strip())
        return
    said = reader.line.raw[word.end :].rstrip()
    reader.at = len(reader.line.words)
    while (tail := _TRAILING.search("".join(map(_flat, said)))) is not None:
        for name, value in tail.groupdict().items():
            if value is not None:
                reader.keep("dry run" if name == "dry" else name, value)
        said = said[: tail.start()].rstrip()
    if not said.strip():
        raise Usage("'because' needs a reason after it.")
    reader.keep("because", said.strip())
