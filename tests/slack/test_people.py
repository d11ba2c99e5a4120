"""Who is in a group: asked from Slack at most once a minute, and from memory for a day when Slack doesn't answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bot.core.run import Status
from bot.slack.people import SlackPeople
from tests.slack.office import ANA, BEN, Office

ONCALL = frozenset({"T0PRACTICE/U0BEN", "T0PRACTICE/U0CLEO", "T0PRACTICE/U0LEA"})


def asked(office: Office, method: str = "usergroups.list") -> int:
    return sum(c.method == method for c in office.slack.calls)


def fresh(office: Office) -> SlackPeople:
    """As after a restart: only the database remembers."""
    return SlackPeople(office.app.client, office.house.store, office.clock)


async def test_a_group_is_asked_for_once_a_minute(office: Office) -> None:
    """Twenty at once are one call, for all groups; a minute later Slack is asked again."""
    people = office.app.people
    found = await asyncio.gather(*(people.group("ml-oncall") for _ in range(20)))
    assert {m.members for m in found if m} == {ONCALL} and not any(m.stale for m in found if m)
    platform = await people.group("ml-platform")
    assert platform is not None and len(platform.members) == 4 and asked(office) == 1
    office.clock.advance(59)
    await people.group("ml-oncall")
    assert asked(office) == 1
    office.clock.advance(1)
    await people.group("ml-oncall")
    assert asked(office) == 2


async def test_an_unknown_group_has_nobody(office: Office) -> None:
    """A handle that Slack answers nothing for is empty, which is not the same as unknown."""
    found = await office.app.people.group("nope")
    assert found is not None and found.members == frozenset() and not found.stale


async def test_a_day_without_slack(office: Office) -> None:
    """Membership seen within 24 h counts and says so, also after a restart; past that nobody can say."""
    await office.app.people.group("ml-oncall")
    office.clock.advance(timedelta(hours=23, minutes=59))
    office.slack.fault("*", error="internal_error", times=10_000)
    people = fresh(office)
    found = await people.group("ml-oncall")
    assert found is not None and found.members == ONCALL and found.stale
    assert await people.group("ml-platform") is None
    office.clock.advance(timedelta(minutes=2))
    assert await people.group("ml-oncall") is None


async def test_slack_is_not_asked_by_everybody_while_it_is_down(office: Office) -> None:
    """After a failure there are five seconds of quiet; then one asks again."""
    office.slack.fault("usergroups.list", error="internal_error", times=2)
    people = office.app.people
    for _ in range(5):
        assert await people.group("ml-oncall") is None
    assert asked(office) == 1
    office.clock.advance(5)
    assert await people.group("ml-oncall") is None and asked(office) == 2
    office.clock.advance(5)
    found = await people.group("ml-oncall")
    assert found is not None and not found.stale


async def test_who_left_the_group_can_not_approve(office: Office) -> None:
    """Rights are judged at the press, a minute at most after Slack knew."""
    card = await office.waiting()
    group = office.slack.workspace.groups["S0ONCALL"]
    office.slack.workspace.groups["S0ONCALL"] = type(group)(group.id, group.handle, group.name, ("U0CLEO",))
    office.clock.advance(61)
    await office.press(card, "approve", BEN)
    assert office.told(BEN)[-1] == "Not done: this needs 1 of @ml-oncall."
    assert (await office.run(1)).status == Status.waiting


async def test_an_old_answer_is_said_on_card_and_audit(office: Office) -> None:
    """With Slack's groups down, a yes by somebody seen there today counts, and both card and log say why."""
    card = await office.waiting()
    office.clock.advance(61)
    office.slack.fault("usergroups.list", error="internal_error", times=10_000)
    await office.press(card, "approve", BEN)
    assert (await office.run(1)).status == Status.succeeded
    assert "group membership as last seen, Slack did not answer" in office.card().blocks[0]["text"]["text"]


async def test_names(office: Office) -> None:
    """The display name, kept for an hour; the id where Slack doesn't say; anything but a person as it is."""
    people = office.app.people
    assert [await people.name(f"T0PRACTICE/{ANA}") for _ in range(3)] == ["ana"] * 3
    assert asked(office, "users.info") == 1
    assert await people.name("T0PRACTICE/U0NOBODY") == "U0NOBODY"
    assert await people.name("rollbot") == "rollbot"
    office.slack.fault("users.info", error="internal_error")
    assert await people.name(f"T0PRACTICE/{BEN}") == BEN
    office.clock.advance(61)
    assert await people.name(f"T0PRACTICE/{BEN}") == "ben"
