"""The audit log's format 1: what an event holds, and how it is chained to all events before it.

Format 1 is final: rows written today are verified for as long as the log lives, so a change is a format 2 beside it.

An event's body is canonical JSON, kept as text and hashed as text. It carries ``prior_root``, the RFC 6962 root of
all bodies before it: chain and tree are one thing. Two kinds of content never stand in a body:

- Free text (reasons, changelogs, display names). The body holds ``sha256(salt || text)``; salt and text stand in a
  table of their own. Deleting that row erases the text for good (128 random bits can't be guessed) and leaves the
  log verifiable; changing it is noticed.
- Who a person is. A person's id in the log is the same kind of commitment over ``team/user``, with one salt kept per
  person. So one person is recognisable across events, nobody can swap two people afterwards, and deleting the
  person's one row makes all their events anonymous.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from bot.core.merkle import Frontier, leaf_hash
from bot.core.target import Json, canonical

FORMAT = 1
SALT_BYTES = 16
COMMITMENT = re.compile(r"sha256:[0-9a-f]{64}")
WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")

Head = Frontier
"""What the log's head row keeps: enough to append the next event, whatever the length of the log."""


class ActorKind(StrEnum):
    """Who acted. ``terminal``: somebody at a shell of the server, known by their login only."""

    person = "person"
    terminal = "terminal"
    token = "token"  # noqa: S105 - a kind of actor, no secret
    alert = "alert"
    schedule = "schedule"
    system = "system"


class Via(StrEnum):
    """The way it came in."""

    slack = "slack"
    cli = "cli"
    hook = "hook"
    api = "api"
    ticker = "ticker"
    worker = "worker"


def commit_text(text: str, salt: bytes) -> str:
    """``sha256:`` + hex of salt and text. Raises ValueError if the salt has not 16 bytes or the text is no UTF-8."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return "sha256:" + hashlib.sha256(salt + text.encode()).hexdigest()


def storable(text: str) -> str:
    """``text`` as a database and a UTF-8 file can hold it: NUL and lone surrogates become U+FFFD."""
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)


@dataclass(frozen=True)
class Opening:
    """What a commitment was made from; it may be deleted at any time."""

    salt: bytes
    text: str

    @property
    def commitment(self) -> str:
        return commit_text(self.text, self.salt)

    def to_json(self) -> dict[str, Json]:
        return {"salt": self.salt.hex(), "text": self.text}


@dataclass(frozen=True)
class Actor:
    """``id`` of a person or terminal is a commitment (see the top of this file); else a name that is nobody's."""

    kind: ActorKind
    id: str

    def __post_init__(self) -> None:
        if self.kind in (ActorKind.person, ActorKind.terminal) and not COMMITMENT.fullmatch(self.id):
            raise ValueError(f"the id of a {self.kind} in the log is a commitment, never a name: {self.id!r}")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, before it has its place in the log.

    ``act`` is a word in the past tense (run_requested). ``before``, ``after`` and ``facts`` are small JSON: versions
    and digests, no contents, no names of people. ``texts`` is free text by name; only commitments reach the body.
    """

    act: str
    actor: Actor
    via: Via
    run: str | None = None
    feature: str | None = None
    before: Json = None
    after: Json = None
    plan_digest: str | None = None
    facts: Mapping[str, Json] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word in (self.act, *self.texts):
            if not WORD.fullmatch(word):
                raise ValueError(f"not a plain lower-case word: {word!r}")


@dataclass(frozen=True)
class EventRow:
    """What to store: the body as text, its leaf hash, and, in a table apart, the texts by name."""

    seq: int
    body: str
    leaf: bytes
    texts: dict[str, Opening]


def make_event(head: Head, event: Event, at: datetime, salt: Callable[[], bytes]) -> tuple[EventRow, Head]:
    """Gives ``event`` the next place in the log; the caller stores row and new head in one transaction.

    ``at`` is aware; ``salt`` yields 16 fresh random bytes at each call.
    """
    texts = {name: Opening(salt(), storable(text)) for name, text in sorted(event.texts.items())}
    body = stable(
        {
            "format": FORMAT,
            "seq": head.size,
            "at": timestamp(at),
            "actor": {"kind": event.actor.kind, "id": event.actor.id},
            "via": event.via,
            "act": event.act,
            "run": event.run,
            "feature": event.feature,
            "before": event.before,
            "after": event.after,
            "plan_digest": event.plan_digest,
            "prior_root": head.root.hex(),
            "facts": dict(event.facts),
            "texts": {name: opening.commitment for name, opening in texts.items()},
        }
    )
    leaf = leaf_hash(body.encode())
    return EventRow(head.size, body, leaf, texts), head.add(leaf)


def stable(value: Json) -> str:
    """Canonical text that reads back to the same canonical text, also for values that JSON changes (number keys)."""
    return canonical(json.loads(storable(json.dumps(value, ensure_ascii=False, allow_nan=False))))


def timestamp(at: datetime) -> str:
    """UTC, always with microseconds, ending in Z: times compare as texts. Raises ValueError on a naive time."""
    if at.tzinfo is None:
        raise ValueError("the time of an event needs a time zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Exported:
    """One event for the export. What was erased, or is nobody else's business, is left out of the openings."""

    body: str
    texts: Mapping[str, Opening] = field(default_factory=dict)
    people: Iterable[Opening] = ()


def export(log: str, head: Head, events: Iterable[Exported]) -> Iterator[str]:
    """The lines of an export, each ending in a newline: a header, then all events in order.

    ``log`` is the log's id, the same as in the name of the key that signs its checkpoints.
    """
    yield canonical({"format": FORMAT, "log": log, "size": head.size, "root": head.root.hex()}) + "\n"
    for event in events:
        line: dict[str, Json] = {"body": event.body}
        if event.texts:
            line["texts"] = {name: opening.to_json() for name, opening in event.texts.items()}
        if people := {opening.commitment: opening.to_json() for opening in event.people}:
            line["people"] = people
        yield canonical(line) + "\n"
