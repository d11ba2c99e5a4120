"""The practice page is for everybody: by the keyboard, on a phone, in the dark, for who uses a screen reader."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.practice.conftest import buttons
from tests.practice.page.conftest import OpenPage, Practice, Watched
from tests.practice.page.live import composer, messages, say
from tests.practice.page.stage import serious

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHONE = {"viewport": {"width": 390, "height": 760}}
MANY = 10_000


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
    await practice.post("*R-1* waits for <@U0BEN>", blocks=buttons("approve"))
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


HIDE = """(hidden) => { Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange")); }"""


async def test_many_tabs_of_one_browser(practice: Practice, open_page: OpenPage, watched: Watched) -> None:
    """Eight tabs, of which one is in front: each hidden one lets go of its connection, of which a browser has six to
    one host, and has all that happened meanwhile when it comes to the front again."""
    pages = [await open_page("U0ANA")]
    for user in ("U0BEN", "U0CLEO", "U0LEA", "U0SAM", "U0ANA", "U0BEN", "U0CLEO"):
        await pages[-1].evaluate(HIDE, True)
        pages.append(await pages[0].context.new_page())
        watched.watch(pages[-1])
        await pages[-1].goto(f"{watched.origin}?as={user}#C0INC")
        await expect(pages[-1].locator("#head h1")).to_be_visible()
    await say(pages[-1], "hello all")
    await expect(messages(pages[-1])).to_contain_text(["hello all"])
    await pages[-1].evaluate(HIDE, True)
    await expect(messages(pages[0])).to_have_count(0)
    await pages[0].evaluate(HIDE, False)
    await expect(messages(pages[0])).to_contain_text(["hello all"])
    await practice.slack.say("and now", "U0BEN", "C0INC")
    await expect(messages(pages[0])).to_contain_text(["hello all", "and now"])


async def test_a_permalink_opens_the_message(practice: Practice, open_page: OpenPage, watched: Watched) -> None:
    """Pressed on the page it opens its thread there, as the same person; its address does so in a new tab."""
    page = await open_page("U0BEN")
    ts = await practice.post("the card", channel="C0PLAT")
    reply = await practice.post("a step of it", channel="C0PLAT", thread_ts=ts)
    found = await practice.client.chat_getPermalink(channel="C0PLAT", message_ts=reply)
    await practice.post(f"it is <{found['permalink']}|here>")
    await page.get_by_role("link", name="here").click()
    await expect(page.locator("#thread .message")).to_contain_text(["the card", "a step of it"])
    await expect(page.locator("#act-as")).to_have_value("U0BEN")
    other = await page.context.new_page()
    await other.goto(str(found["permalink"]))
    await expect(other.locator("#thread .message")).to_contain_text(["the card", "a step of it"])
