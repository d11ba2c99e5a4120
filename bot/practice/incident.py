"""The practice incident in Slack: asked for, refused to two people, the harm stopped, approved, followed to its end."""

from __future__ import annotations

import asyncio
import html
import re
import time
from dataclasses import dataclass, field

from bot.core.errors import RollbotError
from bot.practice.narrator import Bar, Narrator
from bot.practice.place import ANA, BEN, FEATURE, INCIDENT, SAM, Place, in_thread
from bot.practice.plain_blocks import lines
from bot.practice.slack_server import Message
from bot.practice.stack.layout import FLAG
from bot.practice.stack.stack import EtaError

TYPED = f"{FEATURE} to v12 because ETAs 40 % too long incident INC-142"
RUN_S = 900.0
"""Seconds that the whole run may take on a busy machine."""
SETTLE_S = 30.0
"""Seconds after the outcome in which the thread's live message shows the last steps (it is updated every 3 s)."""
ROUNDS = 2
LOOK_AGAIN = 0.005
OVER = "✓✗–"
_STEP = re.compile(r"^([✓✗–▸·]) (\S+ \S+)(.*)$")


class NotVerified(RollbotError):
    """The practice did not end as it has to."""


@dataclass
class Incident:
    """What happened, in seconds where it is a time. ``run`` is ana's rollback."""

    place: Place
    tell: Narrator
    run: str = ""
    times: dict[str, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    async def harm(self) -> EtaError:
        """What customers see, measured on values that are really served."""
        found = await in_thread(self.place.stack.eta_error)
        self.tell.say(f"{say_eta(found)} (asked for {found.read} drivers)")
        return found

    async def ask(self) -> Message:
        """The command as typed, the ack, the card as it stands. Raises NotVerified if nobody can approve it."""
        slack, tell = self.place.slack, self.tell
        tell.does("ana", "in #incident-142", f"/rollback {TYPED}")
        began = time.monotonic()
        ack = await slack.slash("/rollback", TYPED, ANA, INCIDENT)
        text = str(ack.body.get("text", "") if isinstance(ack.body, dict) else ack.body)
        tell.hears("ana", html.unescape(text) or str(ack.error), f"acked in {ack.ms:.1f} ms")
        named = re.match(r"(R-\d+):", text)
        if named is None:
            raise NotVerified(f"the rollback was not taken in: {ack.error or text}")
        self.run = named[1]
        card = await self.place.until(self._planned, f"{self.run} has no card")
        self.times["card"] = time.monotonic() - began
        tell.shows(f"in #incident-142, {self.times['card']:.2f} s after the request:", lines(card.blocks, card.text))
        if not pressable(card, "approve"):
            raise NotVerified(f"{self.run} can't be approved: {_why_not(card)}")
        return card

    def _planned(self) -> Message | None:
        """The card once it says what would be done, or that it can't."""
        card = self.place.message(f"{self.run}:card")
        settled = card is not None and (pressable(card, "approve") or not pressable(card, "abort"))
        return card if card is not None and settled and " · planning" not in card.text else None

    async def time_passes(self) -> None:
        """The card waits, the pipeline does not."""
        child = self.place.stack.start_pipeline()
        commits: list[int] = []
        child.forget()
        with self.tell.bar("the card waits", notes=False):
            while len(commits) < ROUNDS:
                said = await in_thread(child.next, 60.0)
                commits += [said["delta"]] if "delta" in said else []
        much = f"{len(commits)} more commits meanwhile, the newest is Delta {commits[-1]}"
        self.tell.say(f"the card waits; the pipeline does not: {much}")

    async def refused(self, person: str, name: str) -> None:
        """A press that must not count."""
        card = self._card()
        before = len(self.place.slack.ephemerals(person, INCIDENT))
        self.tell.does(name, "", "presses [Approve]")
        await self.place.slack.click(INCIDENT, card.ts, "approve", person)
        told = lambda: self.place.slack.ephemerals(person, INCIDENT)[before:]  # noqa: E731
        heard = (await self.place.until(told, f"{name} was not told that the press does not count"))[0].text
        self.tell.hears(name, html.unescape(heard))

    async def stop_the_harm(self) -> None:
        """From the press to the flag file itself; then until the bot says that it is done."""
        card = self._card()
        self.tell.does("sam", "", "presses [Stop the harm now], which needs nobody's approval")
        began = time.monotonic()
        pressing = asyncio.create_task(self.place.slack.click(INCIDENT, card.ts, "stop_harm", SAM))
        while self.flag_on() and time.monotonic() - began < RUN_S:  # noqa: ASYNC110  a file tells nobody
            await asyncio.sleep(LOOK_AGAIN)
        self.times["off"] = time.monotonic() - began
        await pressing
        if self.flag_on():
            raise NotVerified(f"the flag is still on {self.times['off']:.0f} s after Stop the harm was pressed")
        self.tell.say(f"{FLAG} is off in the flag file {self.times['off']:.2f} s after the press", style="bold")
        done = await self.place.until(self._stopped, "the stop was not said to be done")
        self.tell.shows("in #incident-142:", lines(done.blocks, done.text))

    def _stopped(self) -> Message | None:
        number = int(self.run.removeprefix("R-")) + 1
        card = self.place.message(f"R-{number}:card")
        return card if card is not None and " · DONE " in card.text else None

    def flag_on(self) -> bool:
        """As the applications read it."""
        return self.place.stack.flag_on()

    async def approve(self) -> None:
        card = self._card()
        direct = len(self.place.slack.dms(BEN))
        self.tell.does("ben", "", f"presses [Approve] (he also has the card as a direct message: {direct})")
        ack = await self.place.slack.click(INCIDENT, card.ts, "approve", BEN)
        if not ack.ok:
            raise NotVerified(f"the approval was not taken in: {ack.error}")

    async def follow(self) -> None:
        """Each step as the thread's live message shows it, to the outcome. Raises NotVerified if it gets stuck."""
        with self.tell.bar(self.run, notes=False) as bar:
            outcome = await self.place.until(lambda: self._ended(bar), f"{self.run} did not end", RUN_S)
            await self.place.until(lambda: self._all_told(bar), "the thread does not show the end", SETTLE_S)
        self.tell.shows("in #incident-142, from the thread:", lines(outcome.blocks, outcome.text))

    def _ended(self, bar: Bar) -> Message | None:
        """The outcome, once it stands."""
        self._all_told(bar)
        card = self._card()
        if pressable(card, "retry"):
            self.tell.shows("in #incident-142:", lines(card.blocks, card.text))
            raise NotVerified(f"{self.run} waits for a person: {_why_not(card)}")
        if pressable(card, "approve") and "Approved by" not in card.blocks[0]["text"]["text"] and self._told:
            raise NotVerified(f"{self.run} was planned again, so the approval is void")
        return self.place.message(f"{self.run}:outcome")

    def _all_told(self, bar: Bar) -> bool:
        """Says the steps that are newly over; True when there is none left."""
        live = self.place.message(f"{self.run}:live")
        texts = [line.text for line in lines(live.blocks)] if live else []
        steps = [found for found in map(_STEP.match, texts) if found]
        for step in steps:
            if step[1] in OVER and step[2] not in self._told:
                self._told.add(step[2])
                self.tell.say(step[0], style="red" if step[1] == "✗" else "")
        # A step shows as waiting while its pre-image is taken.
        under_way = next((step[2] + step[3] for mark in "▸·" for step in steps if step[1] == mark), "")
        bar(sum(step[1] in OVER for step in steps), max(1, len(steps)), under_way)
        return bool(steps) and all(step[1] in OVER for step in steps)

    def _card(self) -> Message:
        card = self.place.message(f"{self.run}:card")
        if card is None:
            raise NotVerified(f"the card of {self.run} is gone")
        return card


def pressable(message: Message, action: str) -> bool:
    return any(b["action_id"] == action for b in message.buttons)


def say_eta(found: EtaError) -> str:
    """``ETAs are 40 % too long: off by 8.4 min on average (v13, model 3)``."""
    if found.bias is None or found.mae is None:
        return f"nothing can be predicted: {found.missing} of {found.read} drivers have no complete values"
    size = f"{abs(found.bias) * 100:.0f} % too {'long' if found.bias > 0 else 'short'}"
    size = size if abs(found.bias) >= 0.01 else "right on average"
    gone = f", {found.missing} drivers without values" if found.missing else ""
    return f"ETAs are {size}: off by {found.mae:.1f} min each ({found.release}, model {found.model}{gone})"


def _why_not(card: Message) -> str:
    """The line of the card that says why it can't go on."""
    said = [line.text for line in lines(card.blocks, card.text)]
    reasons = [text for text in said[1:] if text.startswith(("Not restorable", "Can't be restored"))]
    text = (reasons or said[2:3] or said)[0]
    return text[0].lower() + text[1:]
