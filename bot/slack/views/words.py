"""The pieces that all views are made of: a scene to show, safe text, and Block Kit as plain dicts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.core.plan import Plan
from bot.core.run import Run
from bot.core.target import canonical
from bot.slack.lint import escape, plain

Json = dict[str, Any]
LINE = 240
"""Characters of one line, after escaping: twelve of them fit one section block (3,000)."""
SECTION = 2900


@dataclass(frozen=True)
class Scene:
    """All that a view of a run needs. ``left``: what is off or paused now because of it; ``names``: people by id."""

    run: Run
    plan: Plan | None
    now: datetime
    names: Mapping[str, str] = field(default_factory=dict)
    left: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Shown:
    """What a message says. ``text`` is the notification and the fallback; both are safe to send."""

    text: str
    blocks: list[Json]


def clean(text: str) -> str:
    """One line without characters that nobody can see, and without wide gaps."""
    if text.isascii() and text.isprintable():  # nearly always, and asked often
        return re.sub(" {3,}", "  ", text).strip()
    seen = (c if unicodedata.category(c)[0] not in "CZ" or c == "\u200d" else " " for c in text)
    return re.sub(" {3,}", "  ", "".join(seen)).strip()


def said(text: object, most: int = LINE) -> str:
    """Untrusted text for mrkdwn, in at most ``most`` characters: cut before it is escaped, so no entity is cut."""
    whole = clean(str(text))
    cut = plain(whole, most)
    while len(escape(cut)) > most:
        cut = plain(whole, len(cut) - max(1, (len(escape(cut)) - most) // 4))
    return escape(cut)


def paragraphs(text: str, most: int = SECTION) -> str:
    """As ``said``, with its lines kept; what does not fit is left out by whole lines."""
    held: list[str] = []
    for line in text.split("\n"):
        safe = said(line, most - 10)
        if sum(map(len, held)) + len(held) + len(safe) > most - 10:
            return "\n".join([*held, "…"])
        held.append(safe)
    return "\n".join(held)


def who(names: Mapping[str, str], person: str) -> str:
    """``@ana``, not escaped. Somebody without a name by their id."""
    return "@" + (names.get(person) or person.rsplit("/", 1)[-1])


def mrkdwn(text: str) -> Json:
    """``verbatim``: Slack makes no links and mentions of its own out of it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def label(text: str, most: int = 75) -> Json:
    return {"type": "plain_text", "text": plain(clean(text) or "-", most), "emoji": False}


def section(text: str) -> Json:
    return {"type": "section", "text": mrkdwn(text)}


def sections(lines: Iterable[str], most: int = SECTION) -> list[Json]:
    """As many section blocks as the lines need. Lines are escaped already and shorter than ``most``."""
    blocks: list[Json] = []
    held: list[str] = []
    for line in lines:
        if held and sum(map(len, held)) + len(held) + len(line) > most:
            blocks.append(section("\n".join(held)))
            held = []
        held.append(line)
    return [*blocks, section("\n".join(held))] if held else blocks


def context(text: str) -> Json:
    return {"type": "context", "elements": [mrkdwn(text)]}


def button(
    text: str, action: str, value: Mapping[str, Any], style: str | None = None, sure: Json | None = None
) -> Json:
    """A button whose value is JSON. ``style``: primary or danger; ``sure``: a confirm dialog."""
    made: Json = {"type": "button", "text": label(text), "action_id": action, "value": canonical(dict(value))}
    made |= {"style": style} if style else {}
    return made | ({"confirm": sure} if sure else {})


def actions(buttons: list[Json]) -> list[Json]:
    """At most 25 buttons in one block; no block for none."""
    return [{"type": "actions", "elements": buttons[:25]}] if buttons else []


def confirm(title: str, text: str, yes: str) -> Json:
    return {
        "title": label(title, 100),
        "text": mrkdwn(said(text, 300)),
        "confirm": label(yes, 30),
        "deny": label("Cancel", 30),
    }


def pressed(scene: Scene, **more: Any) -> Json:
    """A button's value: which run, and which of its plans this button stood under."""
    return {"run": scene.run.id, "digest": scene.run.plan_digest or "", **more}


def place(scene: Scene) -> str:
    """``PRODUCTION``, and what makes this run special. A drill names no environment: it is in none."""
    run = scene.run
    if run.mode == "drill":
        return "RUN WITHOUT APPROVAL" if run.glass else ""
    environment = run.environment or (scene.plan.body.environment if scene.plan else "")
    marks = [environment.upper()] if environment else []
    marks += ["DRY RUN"] if run.mode == "dry_run" else []
    marks += ["RUN WITHOUT APPROVAL"] if run.glass else []
    return " · ".join(marks)


def put_back_words(run: Run) -> str:
    named = run.from_version and run.from_version != run.to_version  # else what was there has no name
    return f"Put {run.from_version} back" if named else "Put it back"
