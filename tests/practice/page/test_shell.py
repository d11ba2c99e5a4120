"""The practice page as a chat client: what is typed and where one is stays, and each person sees what is theirs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, expect

from tests.practice.page.conftest import OpenPage, Practice, Watched

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHONE = {"viewport": {"width": 390, "height": 760}}
MANY = 10_000


def messages(page: Page) -> Locator:
    return page.locator("#column .message")


def composer(page: Page) -> Locator:
    return page.locator("#composer")


async def say(page: Page, text: str) -> None:
    await composer(page).fill(text)
    await composer(page).press("Enter")


async def serious(page: Page) -> list[tuple[Any, ...]]:
    """What axe finds on the page that matters."""
    found = await Axe().run(page)
    bad = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
    return [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in bad]


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
    ts = await practice.post("card", blocks=[_button("approve")])
    await practice.stop()
    await messages(page).locator("[data-action-id=approve]").click()
    await expect(messages(page).last).to_contain_text("could not be reached")
    await expect(messages(page).last).to_contain_text("Slackbot")
    assert practice.slack.channel("C0INC")[0].ts == ts


def _button(action: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": "Press"}
    return {"type": "actions", "elements": [{"type": "button", "action_id": action, "text": text}]}


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


async def test_the_keyboard_is_enough(practice: Practice, open_page: OpenPage) -> None:
    """Without a mouse: find a channel, go to the next one, ask in it, reach the card's button, press it, go back."""
    page = await open_page("U0ANA")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("plat")
    await page.keyboard.press("Enter")
    await expect(page.locator("#head h1")).to_have_text("#ml-platform")
    await page.keyboard.press("Alt+ArrowDown")
    await expect(page.locator("#head h1")).to_have_text("#drills")
    await page.keyboard.type("/rollback driver_stats")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("1 reply")).to_be_visible()
    await page.keyboard.press("F6")
    for _ in range(40):
        if await page.evaluate("document.activeElement.dataset.actionId === 'approve'"):
            break
        await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(messages(page)).to_contain_text(["Approved"])
    await page.get_by_role("button", name="1 reply").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#thread .message")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(page.locator("#thread")).to_be_hidden()


async def test_a_modal_takes_the_keyboard_and_gives_it_back(practice: Practice, open_page: OpenPage) -> None:
    """A modal that the app opens has the focus, Escape closes it for the app too, and the focus is where it was."""
    page = await open_page("U0ANA")
    await say(page, "/rollback form")
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert practice.slack.view_of("U0ANA") is not None
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(composer(page)).to_be_focused()
    assert practice.slack.view_of("U0ANA") is None


async def test_a_form_that_is_not_taken_stays(practice: Practice, open_page: OpenPage) -> None:
    """A form whose app is away says so, and keeps what was filled in."""
    page = await open_page("U0ANA")
    await say(page, "/rollback form")
    await page.get_by_label("reason").fill("too long")
    await practice.stop()
    await page.get_by_role("button", name="Go").click()
    await expect(page.get_by_role("alert")).to_contain_text("We had some trouble connecting")
    await expect(page.get_by_label("reason")).to_have_value("too long")


async def test_home_and_direct_messages(practice: Practice, open_page: OpenPage) -> None:
    """The Home tab is what the app publishes when it is opened; direct messages are made when first asked for."""
    page = await open_page("U0ANA")
    await page.locator("#side [data-channel=home]").click()
    await expect(page.get_by_role("heading", name="Open runs")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="Open runs")).to_be_visible()
    await page.get_by_role("region", name="Direct messages").get_by_role("button").click()
    await practice.post("just for you", channel="U0ANA")
    await expect(messages(page)).to_contain_text(["just for you"])
    await expect(page.get_by_text("Sending messages to this app has been turned off.")).to_be_visible()


async def test_the_phone_shows_the_notification_text(practice: Practice, open_page: OpenPage) -> None:
    """The locked phone shows each message's text and not its blocks, and nothing that is for one person alone."""
    page = await open_page("U0BEN")
    await practice.post("*R-1* waits for <@U0BEN>", blocks=[_button("approve")])
    await practice.client.chat_postEphemeral(channel="C0INC", user="U0BEN", text="psst")
    await page.get_by_role("button", name="Phone view").click()
    shown = page.get_by_role("list", name="Notifications").get_by_role("listitem")
    await expect(shown).to_have_count(1)
    await expect(shown).to_contain_text("R-1 waits for @ben")
    await page.get_by_role("button", name="Small screen").click()
    await expect(page.locator(".screen .message")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(page.locator(".phone")).to_have_count(0)


async def test_a_lost_connection_is_said_and_made_up_for(
    practice: Practice, open_page: OpenPage, watched: Watched
) -> None:
    """While the server is away the page says so; when it is back, the page shows what came meanwhile."""
    page = await open_page("U0ANA")
    port = int(practice.slack.base_url.rpartition(":")[2])
    await practice.slack.stop()
    await expect(page.locator("#banner")).to_have_text("Not connected. Trying again.")
    await practice.slack.start(port)
    await practice.slack.say("meanwhile", "U0BEN", "C0INC")
    await expect(messages(page)).to_contain_text(["meanwhile"])
    await expect(page.locator("#banner")).to_be_hidden()
    watched.faults.clear()  # the browser complains about the connection that was cut


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
async def test_axe_finds_nothing_serious(practice: Practice, open_page: OpenPage, look: dict[str, Any]) -> None:
    """With a card, an open thread, hints and unread channels, in light, dark and on a narrow screen."""
    page = await open_page("U0ANA", bypass_csp=True, **look)
    await practice.slack.say("look, <@U0ANA>", "U0BEN", "C0PLAT")
    await say(page, "/rollback driver_stats")
    await expect(page.get_by_text("1 reply")).to_be_visible()
    await composer(page).fill("/rollback s")
    assert await serious(page) == []
    await composer(page).press("Escape")
    await page.get_by_text("1 reply").click()
    await expect(page.locator("#thread .message")).to_have_count(2)
    assert await serious(page) == []


async def test_a_narrow_screen(practice: Practice, open_page: OpenPage) -> None:
    """At 390 pixels nothing is wider than the screen; channels are behind a button, a thread covers all and closes."""
    page = await open_page("U0ANA", **PHONE)
    await say(page, "/rollback driver_stats")
    await practice.post("x" * 300)
    await expect(messages(page)).to_have_count(2)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.get_by_text("1 reply").click()
    await expect(page.locator("#thread-composer")).to_be_visible()
    await page.get_by_role("button", name="Close the thread").click()
    await expect(page.locator("#side")).to_be_hidden()
    await page.get_by_role("button", name="Menu").click()
    await page.locator("#side [data-channel=C0DRILLS]").click()
    await expect(page.locator("#side")).to_be_hidden()
    await expect(page.locator("#head h1")).to_have_text("#drills")


async def test_the_look_can_be_chosen(open_page: OpenPage) -> None:
    """Dark and light are chosen against the system's wish, and stay after a reload."""
    page = await open_page("U0ANA")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(paper) == "rgb(255, 255, 255)"
    await page.get_by_label("Theme").select_option("dark")
    dark = await page.evaluate(paper)
    assert dark != "rgb(255, 255, 255)"
    await page.reload()
    await expect(page.locator("#head h1")).to_be_visible()
    assert await page.evaluate(paper) == dark
