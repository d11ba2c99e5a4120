"""The first rollback as a lesson: what to do, where, and how the server knows that it was really done."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.practice.page.told import Run, Told
from bot.practice.place import ANA, BEN, CLEO, FEATURE, INCIDENT, LEA
from bot.practice.slack_server import PracticeSlack
from bot.practice.slack_server.deliver import Delivered

Json = dict[str, Any]
HARM, NEAR = 5.0, 5.0
"""Per cent: ETAs that are so far off are harm; and an answer may be so far from what was measured."""
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass
class Facts:
    """What has happened since the lesson began. ``before``: the runs that are older; ``answers``: the last one typed to
    each task that asks; ``bias``: how wrong ETAs were when one was given; ``heard_before``: how many messages that
    only ana sees are older."""

    slack: PracticeSlack
    told: Told = field(default_factory=Told)
    before: frozenset[str] = frozenset()
    pressed: list[tuple[str, str, int]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    heard_before: int = 0
    bias: float | None = None

    def hear(self, delivered: Delivered) -> None:
        """A button that somebody pressed, if the bot took it."""
        payload = delivered.payload
        if payload.get("type") != "block_actions" or not delivered.ack.ok:
            return
        for action in payload["actions"]:
            if (number := _run_of(action)) is not None:
                self.pressed.append((payload["user"]["id"], action["action_id"], number))

    @property
    def run(self) -> Run | None:
        """Ana's newest rollback."""
        mine = [r for r in self.new("rollback") if r.asked_by == "ana" and r.channel == INCIDENT]
        return max(mine, key=lambda r: r.number, default=None)

    def new(self, purpose: str) -> list[Run]:
        """The runs of one purpose that are younger than the lesson."""
        return [r for r in self.told.runs.values() if r.purpose == purpose and r.name not in self.before]

    def did(self, action: str, *people: str) -> bool:
        """One of these people (none: anybody) pressed this on ana's run."""
        run = self.run
        return run is not None and any(
            a == action and n == run.number and (not people or who in people) for who, a, n in self.pressed
        )


def _run_of(action: Json) -> int | None:
    try:
        found = json.loads(action.get("value") or "{}").get("run")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None


@dataclass(frozen=True)
class Task:
    """``where`` is a CSS selector of what to look at, ``{card}`` in it ana's card; ``user`` who does it; ``ask`` a
    question that is answered by typing. ``done`` judges by facts alone."""

    id: str
    title: str
    says: str
    hint: str
    where: str
    done: Callable[[Facts], bool]
    user: str = ANA
    why: str = ""
    ask: str = ""
    may_leave: str = ""


def _harm(facts: Facts) -> bool:
    said = _number(facts.answers.get("harm"))
    return said is not None and facts.bias is not None and facts.bias >= HARM and abs(facts.bias - said) <= NEAR


def _asked(facts: Facts) -> bool:
    return facts.run is not None and facts.run.stands not in ("", "planning", "not restorable")


def _refused(facts: Facts) -> bool:
    told = facts.slack.ephemerals(ANA, INCIDENT)[facts.heard_before :]
    return facts.did("approve", ANA) and any("you asked for this" in m.text for m in told)


def _stopped(facts: Facts) -> bool:
    return facts.did("stop_harm") and any(r.stands == "done" for r in facts.new("stop"))


def _approved(facts: Facts) -> bool:
    run = facts.run
    return run is not None and facts.did("approve", BEN, CLEO, LEA) and run.stands in ("running", "done")


def _read(facts: Facts) -> bool:
    said = _number(facts.answers.get("read"))
    return facts.run is not None and said is not None and said == facts.run.matched


def _decided(facts: Facts) -> bool:
    return "decide" in facts.answers or any(facts.new("put back"))


def _number(text: str | None) -> float | None:
    found = _NUMBER.search(text or "")
    return float(found[0].replace(",", "")) if found else None


COMPOSER = "#composer"
TASKS = (
    Task(
        "harm",
        "See the harm",
        "v13 is live and customers complain. The first chart compares ETAs with the truth.",
        "Point at the line, or focus the chart and use the arrow keys. About 40. Near 0? Press Ship v13 first.",
        '[data-chart="bias"]',
        _harm,
        ask="How many per cent too long are the ETAs?",
    ),
    Task(
        "ask",
        "Ask for the rollback",
        f"As Ana, in #incident-142, send `/rollback {FEATURE} to v12 because ETAs 40 % too long incident INC-142`",
        "Asking changes nothing: the bot plans, and posts a card.",
        COMPOSER,
        _asked,
        why="The reason and the incident stand on the card and in the audit log.",
    ),
    Task(
        "card",
        "Read the card",
        "Press Details on the card: every step, what each brings back, and what is doubtful.",
        "The card is the bot's message in #incident-142. Close the details when you have read them.",
        '[data-action-id="details"]',
        lambda facts: facts.did("details"),
    ),
    Task(
        "refused",
        "Approve it as Ana",
        "Press Approve on the card, still as Ana. It must not work.",
        "The answer is visible only to Ana.",
        '[data-action-id="approve"]',
        _refused,
        why="Who asks can't approve: a second person has to look, also at three in the morning.",
    ),
    Task(
        "stop",
        "Stop the harm",
        "Press Stop the harm now. It needs nobody's approval: it only switches the flag off and holds the pipeline.",
        "Watch the charts: they are dashed while no customer is served these ETAs.",
        '[data-action-id="stop_harm"]',
        _stopped,
        why="Nothing is taken back by it, so it is safe to press at once, and time is won.",
    ),
    Task(
        "approve",
        "Approve it as Ben",
        "Act as Ben, who is on call, and press Approve.",
        "Choose Ben under Act as. The card is also among his direct messages.",
        '[data-action-id="approve"]',
        _approved,
        user=BEN,
    ),
    Task(
        "follow",
        "Follow the thread",
        "Open the thread under the card. Each step shows there as it happens, to the outcome, which ends this task.",
        "Data first, then the definition, online values and the model; then all is read back.",
        '[data-ts="{card}"] .replies',
        lambda facts: facts.run is not None and facts.run.outcome,
        user=BEN,
    ),
    Task(
        "read",
        "Read the outcome",
        "It says how many values were read back where they are served, and how many of them match v12's.",
        "In the outcome, the line Read back: the first number before the word of.",
        '.message:has([data-action-id="put_back"])',
        _read,
        user=BEN,
        why="Not “the steps ran through”, but what is served now is the proof.",
        ask="How many values match?",
    ),
    Task(
        "decide",
        "Put v13 back, or not",
        "If the rollback was a mistake, Put v13 back asks for a new run, with its own approval. Here v13 is bad.",
        "Leave it: v12 stays, and the pipeline stays held until somebody presses Lift.",
        '[data-action-id="put_back"]',
        _decided,
        user=BEN,
        may_leave="Leave v12 live",
    ),
)
