"""From a row that should stand in the chat to what it says now: the run's present state, so a repeat is harmless."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bot.core.run import Run, Status
from bot.slack.desk import Desk
from bot.slack.lint import escape, lint, lint_call
from bot.slack.views.alerts import broken_glass, drifted, reminder, stalled, still_left
from bot.slack.views.card import card
from bot.slack.views.live import live
from bot.slack.views.outcome import outcome
from bot.slack.views.words import SECTION, Scene, Shown, paragraphs, said, section
from bot.store.messages import Message

log = logging.getLogger(__name__)
GONE = None
"""Nothing is to be said any more."""

OF_RUN: dict[str, Callable[[Scene], Shown]] = {
    "card": card,
    "dm": card,
    "live": live,
    "outcome": outcome,
    "reminder": reminder,
    "left": still_left,
    "glass": broken_glass,
}


class Scenes:
    """The scenes of one pass: each run is read once, however many messages show it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._found: dict[int, Scene | None] = {}

    async def of(self, run: int) -> Scene | None:
        if run not in self._found:
            found = await self._desk.run(run)
            self._found[run] = await self._desk.scene(found) if found else None
        return self._found[run]


def render(message: Message, scene: Scene | None) -> Shown | None:
    """What the message says; GONE where it has nothing to say now."""
    if message.purpose == "checkpoint":
        return checkpoint(str(message.body.get("note", "")))
    if message.purpose == "notice":
        return safe(notice(str(message.body.get("text", ""))))
    if message.purpose == "drift" and scene is not None:
        moved = message.body.get("moved")
        return safe(drifted(scene, moved if isinstance(moved, dict) else {}))
    if message.purpose == "stall" and scene is not None:
        return safe(stalled(scene, message.body))
    view = OF_RUN.get(message.purpose)
    if view is None or scene is None or not _still(message.purpose, scene):
        return GONE
    return safe(view(scene))


def safe(shown: Shown) -> Shown:
    """Without the blocks that Slack would refuse: a card that lacks a line is better than none in the night. What
    is left of it still has its first line, and every button that is sound."""
    if not lint_call("chat.postMessage", {"text": shown.text, "blocks": shown.blocks}):
        return shown
    log.error("blocks were left out: %s", lint_call("chat.postMessage", {"text": shown.text, "blocks": shown.blocks}))
    sound = [block for block in shown.blocks if not lint([block])]
    first = [] if sound and sound[0] is shown.blocks[0] else [section(shown.text)]
    cut = Shown(shown.text, [*first, *sound])
    whole = not lint_call("chat.postMessage", {"text": cut.text, "blocks": cut.blocks})
    return cut if whole else Shown(shown.text, [section(shown.text)])


def _still(purpose: str, scene: Scene) -> bool:
    if purpose == "reminder":
        return waits(scene.run) or scene.run.waiting_for == "person"
    return purpose != "left" or bool(scene.left)


def waits(run: Run) -> bool:
    """For somebody to say yes or no."""
    return run.status == Status.waiting and run.waiting_for == "approval"


def notice(text: str) -> Shown:
    """A line about a feature that belongs to no run."""
    return Shown(said(text, SECTION), [section(paragraphs(text))])


def checkpoint(note: str) -> Shown:
    """A signed checkpoint of the audit log, to the letter: whoever copies it from here can verify it."""
    body = escape(note.strip("\n").replace("```", ""))[:2900]
    return Shown("Checkpoint of the audit log", [section(f"```\n{body}\n```")])
