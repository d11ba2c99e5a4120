"""What the bot's own messages say of its runs: where each stands, and which steps are over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.practice.place import key_of
from bot.practice.plain_blocks import lines
from bot.practice.slack_server import Message

Json = dict[str, Any]
_KEY = re.compile(r"^(R-\d+):(card|live|outcome)$")
_STEP = re.compile(r"^([✓✗!–▸·]) (\S+ \S+)")
_ASKED = re.compile(r"^@(\S+) \d\d:\d\d")
_MATCH = re.compile(r"([\d,]+) of ([\d,]+) match")
_TASKS = {"complete": "✓", "error": "✗", "in_progress": "▸", "pending": "·"}
# What a run's first line says, by how it is put; the first that fits.
_STANDS = (
    (re.compile(r" · planning"), "planning"),
    (re.compile(r" · needs "), "needs approval"),
    (re.compile(r" · WAITING FOR A PERSON"), "waits for a person"),
    (re.compile(r" · (?:starting|running)"), "running"),
    (re.compile(r" · paused"), "paused"),
    (re.compile(r" · DONE"), "done"),
    (re.compile(r" · NOT RESTORABLE"), "not restorable"),
    (re.compile(r" · ([A-Z]{4,})(?: by @\S+)?(?: \d\d:\d\d|$|, )"), "ended"),
)
_PURPOSES = ((": stop the harm", "stop"), (": put ", "put back"), (": lift ", "lift"), (": switch ", "enable"))


@dataclass
class Run:
    """One run as a person in Slack knows it. ``matched``: how many values the outcome says were read back and match."""

    name: str
    channel: str = ""
    card: str = ""
    purpose: str = "rollback"
    stands: str = ""
    first: str = ""
    asked_by: str = ""
    matched: int | None = None
    steps: dict[str, str] = field(default_factory=dict)
    outcome: bool = False

    @property
    def number(self) -> int:
        return int(self.name.removeprefix("R-"))


@dataclass
class Told:
    """All runs by name, as far as ``hear`` was given their messages."""

    runs: dict[str, Run] = field(default_factory=dict)

    def hear(self, message: Message) -> list[str]:
        """What this message, as it stands, says that was not known: ``R-1: needs approval``, ``R-1: restore model``."""
        named = _KEY.match(key_of(message))
        if named is None:
            return []
        run = self.runs.setdefault(named[1], Run(named[1]))
        news = {"card": _card, "live": _live, "outcome": _outcome}[named[2]](run, message)
        return [f"{run.name}: {what}" for what in news]


def _card(run: Run, message: Message) -> Iterator[str]:
    if message.channel.startswith("D") and run.channel not in ("", message.channel):
        return  # a copy for an approver
    run.channel, run.card, run.first = message.channel, message.ts, message.text
    run.purpose = next((word for mark, word in _PURPOSES if mark in message.text.split(" · ")[0]), "rollback")
    texts = [line.text for line in lines(message.blocks, message.text)]
    run.asked_by = next((found[1] for found in map(_ASKED.match, texts) if found), run.asked_by)
    stands = next((word for mark, word in _STANDS if mark.search(message.text)), "")
    if stands and stands != run.stands:
        run.stands = stands
        yield f"{run.purpose} {stands}"


def _live(run: Run, message: Message) -> Iterator[str]:
    for mark, step in _steps(message):
        before = run.steps.get(step)
        run.steps[step] = mark
        if mark in "✓!✗" and before != mark:
            yield step if mark != "✗" else f"{step} failed"


def _steps(message: Message) -> Iterator[tuple[str, str]]:
    for block in message.blocks:
        for task in (*block.get("tasks", []), *([block] if block.get("type") == "task_card" else [])):
            words = str(task.get("title", "")).split()
            if len(words) > 1:
                yield _TASKS.get(str(task.get("status")), "·"), " ".join(words[:2])
    for line in lines(message.blocks, message.text):
        if found := _STEP.match(line.text):
            yield found[1], found[2]


def _outcome(run: Run, message: Message) -> Iterator[str]:
    if not run.outcome:
        run.outcome = True
        yield "outcome"
    for line in lines(message.blocks, message.text):
        if found := _MATCH.search(line.text):
            run.matched = int(found[1].replace(",", ""))
