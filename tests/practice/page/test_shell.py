"""The practice page as a chat client: what is typed and where one is stays, and each person sees what is theirs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.practice.conftest import buttons
from tests.practice.page.conftest import OpenPage, Practice
from tests.practice.page.live import composer, messages, say

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHONE = {"viewport": {"width": 390, "height": 760}}
MANY = 10_000


async def test_a_reload_keeps_place_thread_and_draft(practice: Practice, open_page: OpenPage) -> None:
    """The person, the channel, the open thread and both drafts are there again after a reload."""
    page = await open_page("U0ANA")
    ts = await practice.post("a card", channel="C0DRILLS")
    await practice.post("a step", channel="C0DRILLS", thread_ts=ts)
    await page.locator("#side [data-channel=C0DRILLS]").click()
    await page.get_by_text("1 reply").click()
    await composer(page).fill("half a thought")
    await page.locator("#thread-composer").fill("half a reply")
    await page.reload()
    await expect(page.locator("#head h1")).to_have_text("#drills")
    await expect(composer(page)).to_have_value("half a thought")
    await expect(page.locator("#thread-composer")).to_have_value("half a reply")
    await expect(page.locator("#thread .message")).to_have_count(2)
    await expect(page.locator("#act-as")).to_have_value("U0ANA")


async def test_a_reload_keeps_what_was_typed_into_a_form(practice: Practice, open_page: OpenPage) -> None:
    """The form is there again, with the text as it was, and can be sent."""
    page = await open_page("U0ANA")
    await say(page, "/rollback form")
    await page.get_by_label("reason").fill("half a reason")
    await page.reload()
    await expect(page.get_by_label("reason")).to_have_value("half a reason")
    await page.get_by_role("button", name="Go").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert practice.slack.view_of("U0ANA") is None


async def test_unread_is_marked_until_it_is_seen(practice: Practice, open_page: OpenPage) -> None:
    """A channel with news is bold, a mention counts, a line says where the news begin; seen, all of it is over."""
    page = await open_page("U0ANA")
    await practice.slack.say("first", "U0BEN", "C0PLAT")
    other = page.locator("#side [data-channel=C0PLAT]")
    await expect(other).to_have_class(re.compile("unread"))
    await page.locator("#side [data-channel=C0PLAT]").click()
    await expect(other).not_to_have_class(re.compile("unread"))
    await page.locator("#side [data-channel=C0INC]").click()
    await practice.slack.say("look, <@U0ANA>", "U0BEN", "C0PLAT")
    await expect(other.locator(".count")).to_have_text("1")
    await expect(page).to_have_title(re.compile(r"^\(1\)"))
    await other.click()
    await expect(page.locator("#column .divider.new + .message")).to_contain_text("look, @ana")
    await expect(other.locator(".count")).to_have_count(0)
    await page.reload()
    await expect(messages(page)).to_have_count(2)
    await expect(page.locator("#column .divider.new")).to_have_count(0)


async def test_commands_are_hinted_while_typing(open_page: OpenPage) -> None:
    """The bot's own usage narrows with what is typed; arrows and Tab fill a command in, and Enter sends it."""
    page = await open_page("U0ANA")
    hints = page.locator("#composer-hints [role=option]")
    await composer(page).press_sequentially("/rollback st")
    await expect(hints).to_have_count(2)
    await expect(composer(page)).to_have_attribute("aria-expanded", "true")
    await composer(page).press("ArrowDown")
    await expect(hints.nth(0)).to_have_attribute("aria-selected", "true")
    await composer(page).press("Tab")
    await expect(composer(page)).to_have_value("/rollback status ")
    await composer(page).press("Enter")
    await expect(messages(page)).to_contain_text(["No open runs."])
    await expect(composer(page)).to_have_value("")
    await say(page, "/nothing at all")
    await expect(messages(page).last).to_contain_text("/nothing is not a valid command")
    await expect(messages(page).last).to_contain_text("Only visible to you")


async def test_shift_enter_breaks_the_line(practice: Practice, open_page: OpenPage) -> None:
    """Enter sends what was typed as one message, with the lines that Shift+Enter broke."""
    page = await open_page("U0ANA")
    await composer(page).press_sequentially("one")
    await composer(page).press("Shift+Enter")
    await composer(page).press_sequentially("two")
    await composer(page).press("Enter")
    await expect(messages(page)).to_have_count(1)
    assert practice.slack.channel("C0INC")[0].text == "one\ntwo"


async def test_what_only_one_person_sees(practice: Practice, open_page: OpenPage) -> None:
    """An answer to one person is shown to them with a word about it, and to nobody else in the same channel."""
    ana, ben = await open_page("U0ANA"), await open_page("U0BEN")
    await say(ana, "/rollback status")
    await expect(messages(ana)).to_contain_text(["Only visible to you"])
    await practice.post("for all")
    await expect(messages(ben)).to_have_count(1)
    await expect(messages(ben)).to_contain_text(["for all"])


async def test_two_people_at_once(open_page: OpenPage) -> None:
    """What one asks for and another approves is seen by both at once, in the message and in the open thread."""
    ana, ben = await open_page("U0ANA"), await open_page("U0BEN")
    await say(ana, "/rollback driver_stats")
    await expect(ana.get_by_text("1 reply")).to_be_visible()
    await ana.get_by_text("1 reply").click()
    await expect(ana.locator("#thread .message")).to_contain_text(["planned"])
    await ana.locator("#thread-composer").fill("why?")
    await ana.locator("#thread-composer").press("Enter")
    await expect(ana.locator("#thread .message")).to_have_count(3)
    await expect(ben.get_by_text("2 replies")).to_be_visible()
    await messages(ben).locator("[data-action-id=approve]").click()
    for page in (ana, ben):
        await expect(messages(page)).to_contain_text(["Approved"])
        await expect(page.locator("#column [data-action-id]")).to_have_count(0)


async def test_a_press_that_fails_says_so(practice: Practice, open_page: OpenPage) -> None:
    """What went wrong with a press is said by Slackbot to that person alone, right there."""
    page = await open_page("U0ANA")
    ts = await practice.post("card", blocks=buttons("approve"))
    await practice.stop()
    await messages(page).locator("[data-action-id=approve]").click()
    await expect(messages(page).last).to_contain_text("could not be reached")
    await expect(messages(page).last).to_contain_text("Slackbot")
    assert practice.slack.channel("C0INC")[0].ts == ts


async def test_a_strangers_view(practice: Practice, open_page: OpenPage) -> None:
    """Another person has no private channel of others and none of their messages; acting as them takes no reload."""
    await practice.slack.say("secret", "U0LEA", "G0SECRET")
    page = await open_page("U0ANA", place="#G0SECRET")
    await expect(messages(page)).to_contain_text(["secret"])
    await page.locator("#act-as").select_option("U0SAM")
    await expect(page.locator("#head h1")).to_have_text("#incident-142")
    await expect(page.locator("#side [data-channel=G0SECRET]")).to_have_count(0)
    await expect(page.get_by_text("secret")).to_have_count(0)
    await page.reload()
    await expect(page.locator("#act-as")).to_have_value("U0SAM")


async def test_the_place_stays_when_one_acts_as_another(open_page: OpenPage) -> None:
    """The channel stays, and each person has a draft of their own there."""
    page = await open_page("U0ANA", place="#C0DRILLS")
    await composer(page).fill("from Ana")
    await page.locator("#act-as").select_option("U0BEN")
    await expect(composer(page)).to_have_value("")
    await expect(page.locator("#head h1")).to_have_text("#drills")
    await page.locator("#act-as").select_option("U0ANA")
    await expect(composer(page)).to_have_value("from Ana")


async def test_ones_own_direct_messages_become_the_other_persons(practice: Practice, open_page: OpenPage) -> None:
    """Whoever acts as another from the direct messages is in that person's, and sees nothing of the first one's."""
    await practice.post("for Ana", channel="U0ANA")
    page = await open_page("U0ANA")
    await page.get_by_role("region", name="Direct messages").get_by_role("button").click()
    await expect(messages(page)).to_contain_text(["for Ana"])
    await practice.post("for Ben", channel="U0BEN")
    await page.locator("#act-as").select_option("U0BEN")
    await expect(messages(page)).to_contain_text(["for Ben"])
    await expect(messages(page)).to_have_count(1)


async def test_a_link_with_nobodys_name_opens_the_page(practice: Practice, open_page: OpenPage) -> None:
    """Who opens it with an unknown name is somebody who is there."""
    page = await open_page("U0NOBODY")
    await expect(page.locator("#act-as")).to_have_value("U0ANA")


async def test_typing_goes_on_while_messages_come(practice: Practice, open_page: OpenPage) -> None:
    """The focus, the text and the place of the cursor stay while messages come and change."""
    page = await open_page("U0ANA")
    await composer(page).press_sequentially("half")
    await composer(page).press("ArrowLeft")
    ts = await practice.post("one")
    await practice.client.chat_update(channel="C0INC", ts=ts, text="changed")
    await expect(messages(page)).to_contain_text(["changed"])
    await composer(page).press_sequentially("!")
    await expect(composer(page)).to_have_value("hal!f")


async def test_ten_thousand_messages(practice: Practice, open_page: OpenPage) -> None:
    """A long channel opens at its end, holds a bounded number of elements, loads older ones above without a jump, and
    what comes meanwhile moves nothing."""
    for n in range(MANY):
        practice.slack.workspace.post("C0INC", "U0BEN" if n // 5 % 2 else "U0CLEO", f"message {n}", [])
    page = await open_page("U0ANA")
    await expect(messages(page).last).to_contain_text(f"message {MANY - 1}")
    await expect(messages(page).last).to_be_in_viewport()
    for _ in range(8):
        await page.locator("#column .scroller").evaluate(
            """(s) => new Promise((moved) => {
              const first = () => s.querySelector(".message").dataset.ts;
              const was = first();
              new MutationObserver((_, o) => { if (first() !== was) { o.disconnect(); moved(); } })
                .observe(s, {subtree: true, childList: true});
              s.scrollTop = 0;
            })"""
        )
    assert await messages(page).count() <= 300
    before = await _first_in_sight(page)
    await practice.post("a new one")
    jump = page.get_by_role("button", name="1 new message")
    await expect(jump).to_be_visible()
    assert await _first_in_sight(page) == before
    await jump.click()
    await expect(messages(page).last).to_contain_text("a new one")
    await expect(messages(page).last).to_be_in_viewport()
    assert await messages(page).count() <= 300


async def _first_in_sight(page: Page) -> Any:
    return await page.locator("#column .scroller").evaluate(
        """(s) => { const top = s.getBoundingClientRect().top;
          const row = [...s.querySelectorAll(".message")].find((r) => r.getBoundingClientRect().bottom > top);
          return [row.dataset.ts, Math.round(row.getBoundingClientRect().top)]; }"""
    )


async def test_a_link_to_a_message_opens_it_here(practice: Practice, open_page: OpenPage) -> None:
    """Pressed by Ben, the app's link to a card opens the card's thread beside, for Ben and in the same window."""
    page = await open_page("U0BEN")
    card = await practice.post("the card", channel="C0DRILLS")
    found = await practice.client.chat_getPermalink(channel="C0DRILLS", message_ts=card)
    await practice.post(f"<{found['permalink']}|R-1>")
    await page.get_by_role("link", name="R-1").click()
    await expect(page.locator("#thread .message")).to_contain_text("the card")
    await expect(page.locator("#head h1")).to_have_text("#drills")
    await expect(page.locator("#act-as")).to_have_value("U0BEN")
    assert len(page.context.pages) == 1


async def test_a_reply_in_the_channel_shows_what_its_message_says_now(practice: Practice, open_page: OpenPage) -> None:
    """What a reply was sent in answer to is not what that message said before it was edited."""
    page = await open_page("U0ANA")
    card = await practice.post("running, 14 of 16 steps")
    await practice.post("the outcome", thread_ts=card, reply_broadcast=True)
    await expect(messages(page).last).to_contain_text("running, 14 of 16 steps")
    await practice.client.chat_update(channel="C0INC", ts=card, text="DONE, verified")
    await expect(messages(page).last.locator(".cut")).to_have_text("DONE, verified")


async def test_replies_notify_only_whom_they_name(practice: Practice, open_page: OpenPage) -> None:
    """A locked phone shows what stands in the channel and replies that name its owner, not each step in a thread."""
    page = await open_page("U0BEN")
    card = await practice.post("a card")
    await practice.post("a step", thread_ts=card)
    await practice.post("please look, <@U0BEN>", thread_ts=card)
    await page.get_by_role("button", name="Phone view").click()
    told = page.locator(".screen.locked li")
    await expect(told).to_have_count(2)
    await expect(told.first).to_contain_text("please look, @ben")
    await expect(told.last).to_contain_text("a card")
