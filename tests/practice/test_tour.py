"""The tour ticks a task when it was really done, and not before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.practice.page.told import Told
from bot.practice.page.tour import Tour
from bot.practice.place import INCIDENT, Place
from bot.practice.slack_server import CannotDo, PracticeSlack
from bot.practice.stack.stack import Broken, EtaError
from tests.practice.conftest import buttons
from tests.practice.page_place import Bell

BOT = "U0BOT"


class Measured:
    """A platform whose ETAs are as wrong as a test says; None: nothing can be predicted."""

    bias: float | None = 0.4

    def eta_error(self) -> EtaError:
        if self.bias is None:
            raise Broken("no model")
        return EtaError("v13", "3", self.bias, 8.0, 100, 0)


class Guided:
    """A tour, and how far it is."""

    def __init__(self, place: Place) -> None:
        self.place, self.bell = place, Bell()
        self.tour = Tour(place, self.bell)

    @property
    def done(self) -> list[str]:
        return [t["id"] for t in self.tour.state()["tasks"] if t["state"] == "done"]

    async def until(self, task: str) -> None:
        await self.bell.until(lambda: task in self.done)

    async def answer(self, text: str) -> None:
        await self.tour.do("answer", {"text": text})


@pytest.fixture
async def guided(slack: PracticeSlack) -> Any:
    """In a workspace without a bot: what it would say is posted by hand."""
    made = Guided(cast("Place", SimpleNamespace(slack=slack, stack=Measured(), message=lambda _key: None)))
    yield made
    await made.tour.close()


def post_card(slack: PracticeSlack, name: str, text: str, by: str = "ana") -> None:
    key = {"event_type": "rollbot", "event_payload": {"key": f"{name}:card"}}
    block = {"type": "section", "text": {"type": "mrkdwn", "text": f'*{text}*\n@{by} 03:02: "ETAs"'}}
    slack.workspace.post(INCIDENT, BOT, text, [block, *buttons("approve")], metadata=key)


async def test_no_task_is_ticked_by_what_another_person_asked_for_or_by_an_older_run(guided: Guided) -> None:
    """Only ana's own rollback counts, in the incident's channel, asked for after the tour began."""
    slack = guided.place.slack
    waiting = "driver_stats v13 -> v12 · PRODUCTION · needs 1 of @ml-oncall · until 04:02"
    post_card(slack, "R-1", waiting, by="sam")
    post_card(slack, "R-2", "driver_stats v13 -> v12 · PRODUCTION · NOT RESTORABLE 03:02")
    post_card(slack, "R-3", "driver_stats: stop the harm · PRODUCTION · DONE 03:02")
    await guided.tour.do("next", {})
    assert guided.done == [] and guided.tour.state()["now"] == "ask"
    post_card(slack, "R-4", waiting)
    await guided.until("ask")
    await guided.tour.do("restart", {})
    assert guided.done == [] and guided.tour.state()["now"] == "harm"
    await guided.tour.do("next", {})
    post_card(slack, "R-4", waiting)
    assert guided.tour.state()["now"] == "ask"
    post_card(slack, "R-5", waiting)
    await guided.until("ask")


async def test_without_harm_there_is_none_to_see(guided: Guided) -> None:
    """The number must be what is measured at that moment, and be harm; a skipped task is not a done one."""
    stack = cast("Measured", guided.place.stack)
    for bias, text in ((0.0, "0"), (None, "40"), (0.4, "no idea"), (0.4, "")):
        stack.bias = bias
        with pytest.raises(CannotDo, match="Look again"):
            await guided.answer(text)
    stack.bias = 0.4
    await guided.tour.do("skip", {})
    assert not guided.tour.state()["on"]
    await guided.tour.do("restart", {})
    for _ in range(8):
        await guided.tour.do("next", {})
    assert guided.tour.state()["now"] == "decide" and guided.done == []
    await guided.tour.do("next", {})
    assert guided.tour.state()["over"] and guided.done == ["decide"]
    with pytest.raises(CannotDo, match="nothing that does"):
        await guided.tour.do("next", {})


def test_what_a_run_has_done_is_read_from_lines_and_from_task_cards(slack: PracticeSlack) -> None:
    """Each step is told once, when it is over; a failed one as failed; whichever blocks the bot writes."""
    told = Told()
    key = {"event_type": "rollbot", "event_payload": {"key": "R-1:live"}}
    lines = "*R-1: driver_stats*\n✓ hold pipeline 0.2 s\n▸ restore dataset"
    message = slack.workspace.post(
        INCIDENT, BOT, "R-1", [{"type": "section", "text": {"type": "mrkdwn", "text": lines}}], metadata=key
    )
    assert told.hear(message) == ["R-1: hold pipeline"] and told.hear(message) == []
    tasks = [
        {"type": "task_card", "task_id": "1", "title": "restore dataset", "status": "complete"},
        {"type": "task_card", "task_id": "2", "title": "restore model", "status": "error"},
    ]
    slack.workspace.edit(message, "R-1", [{"type": "plan", "title": "R-1", "tasks": tasks}])
    assert told.hear(message) == ["R-1: restore dataset", "R-1: restore model failed"]
