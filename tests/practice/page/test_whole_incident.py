"""The whole practice in real browsers: the real bot on the real small platform, played by its people on the page.

The tests share one practice and go on where the one before has ended; each makes the incident that it needs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.practice.page.browser import chromium
from tests.practice.page.live import (
    Demo,
    ask,
    bad_release,
    become,
    live,
    messages,
    newest_card,
    press_effect,
    ringed,
    run_of,
    running_demo,
    say,
    verified,
)
from tests.practice.page.pictures import picture
from tests.practice.page.stage import serious

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(480)]
ASK_SHORT = "/rollback driver_stats to v12 because too long"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 760}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    async with running_demo(tmp_path_factory.mktemp("demo"), browser, "--transport", "socket") as demo:
        yield demo


@pytest_asyncio.fixture(loop_scope="module")
async def demo(running: Demo) -> AsyncIterator[Demo]:
    """Whatever a test does there: no error in the console, no request to another host."""
    yield running
    await running.close_pages()
    faults, running.faults[:] = [*running.faults], []
    assert faults == []


async def done(page: Page, tasks: int) -> None:
    """The tour says that so many of its tasks are done, by the number of the next one."""
    await expect(page.locator(".tour-title")).to_have_text(f"Your first rollback: {tasks + 1} of 9")


async def answer(page: Page, text: str) -> None:
    await page.locator("#tour input").fill(text)
    await page.get_by_role("button", name="Check").click()


async def test_the_tour_from_start_to_end(demo: Demo) -> None:
    """Each of the nine tasks is ticked when it was really done on the page: a wrong number, a refused press and a
    stranger's press tick nothing; the harm is measured before, and is over after the rollback."""
    page, sam = await demo.open("U0ANA"), await demo.open("U0SAM")
    await see_the_harm(page)
    card = await ask(page)
    await done(page, 2)
    await picture(card, "card")
    await card.locator("[data-action-id=details]").click()
    await expect(page.get_by_role("dialog")).to_contain_text("R-1 in detail")
    await done(page, 3)
    await page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).click()
    await refused(page, sam, card)
    await card.locator("[data-action-id=stop_harm]").click()
    await expect(live(page, "Flag")).to_have_text("off")
    await expect(live(page, "Pipeline")).to_have_text("held")
    await done(page, 5)
    await ringed(page, page.locator("#act-as"))
    await become(page, "U0BEN")
    await ringed(page, card.locator("[data-action-id=approve]"))
    await card.locator("[data-action-id=approve]").click()
    await ringed(page, card.locator(".replies"))
    await card.locator(".replies").click()
    await read_the_outcome(page)
    for name, value in (("Flag", "on"), ("Served model", "v12"), ("Champion", "v12"), ("Definition", "v12")):
        await expect(live(page, name)).to_have_text(value)
    await expect(page.locator("[data-chart=bias] figcaption strong")).to_have_text(re.compile(r"^[-+]?[0-4]\.\d %"))
    await page.get_by_role("button", name="Close the thread").click()
    await page.set_viewport_size({"width": 1280, "height": 760})
    await picture(page, "page")


async def see_the_harm(page: Page) -> None:
    now = page.locator("[data-chart=bias] figcaption strong")
    await expect(now).to_have_text(re.compile(r"^\+(39|40|41)\.\d %"))
    await answer(page, "5")
    await expect(page.locator("#tour .bad")).to_contain_text("Look again")
    await answer(page, await now.inner_text())
    await done(page, 1)
    await expect(page.locator(".tour-title")).to_be_focused()  # a second Enter must not skip the next task


async def refused(page: Page, sam: Page, card: Locator) -> None:
    """Neither a stranger nor the requester can approve; each alone is told why."""
    await messages(sam).locator("[data-action-id=approve]").click()
    await expect(messages(sam).last).to_contain_text("Not done: this needs 1 of @ml-oncall")
    await expect(messages(sam).last).to_contain_text("Only visible to you")
    await card.locator("[data-action-id=approve]").click()
    await expect(messages(page).last).to_contain_text("you asked for this, so somebody else must decide")
    await expect(messages(page).filter(has_text="needs 1 of @ml-oncall.")).to_have_count(0)
    await done(page, 4)


async def read_the_outcome(page: Page) -> None:
    """In the open thread, with a reload in the middle of the run."""
    steps = page.locator("#thread .message").filter(has_text="restore dataset")
    await expect(steps).to_contain_text("✓ restore dataset")
    await page.reload()
    await expect(steps).to_contain_text("✓ verify online")
    await picture(page.locator("#thread"), "thread")
    text = await verified(page, "R-1")
    await picture(messages(page).filter(has_text="R-1: driver_stats").last, "outcome")
    await done(page, 7)
    read = re.search(r"([\d,]+) of ([\d,]+) match, 0 missing, 0 extra, 0 null", text)
    assert read is not None and read[1] == read[2]
    await answer(page, "1")
    await expect(page.locator("#tour .bad")).to_contain_text("Look again")
    await answer(page, read[1])
    await done(page, 8)
    await page.get_by_role("button", name="Leave v12 live").click()
    await expect(page.locator("#tour")).to_contain_text("9 of 9 done")


async def test_put_back(demo: Demo) -> None:
    """Put v13 back asks whether one is sure, is a run of its own with its own approval, and is verified too."""
    page, cleo = await demo.open("U0BEN"), await demo.open("U0CLEO")
    await page.locator("#column [data-action-id=put_back]").last.click()
    sure = page.get_by_role("alertdialog")
    await sure.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#column [data-action-id=approve]")).to_have_count(0)
    await page.locator("#column [data-action-id=put_back]").last.click()
    await sure.get_by_role("button", name="Put back").click()
    approve = page.locator("#column [data-action-id=approve]")
    await expect(approve).to_have_count(1)
    run = await run_of(await newest_card(page))
    await cleo.locator("#column [data-action-id=approve]").click()
    await verified(page, run)
    await expect(live(page, "Definition")).to_have_text("v13")
    await expect(live(page, "Served model")).to_have_text("v13")


async def test_two_approve_at_once_and_the_bot_is_killed(demo: Demo) -> None:
    """Two approvers press at the same moment in two browsers: one run, which goes on after the bot was killed in the
    middle of it, with a banner while it is away; every step happens once, and the end is verified."""
    ben, cleo = await demo.open("U0BEN"), await demo.open("U0CLEO")
    await bad_release(ben)
    ana = await demo.open("U0ANA")
    run = await run_of(await ask(ana))
    presses = [p.locator("#column [data-action-id=approve]").last for p in (ben, cleo)]
    await asyncio.gather(*(press.click() for press in presses))
    await messages(ana).filter(has=ana.locator(".replies")).filter(has_text=" running").last.locator(".replies").click()
    await expect(ana.locator("#thread .message").last).to_contain_text("✓ hold pipeline")
    await ben.get_by_role("button", name="Inspector").click()
    await ben.get_by_role("button", name="Kill the bot").click()
    await expect(ana.locator("#banner")).to_contain_text("The bot was killed")
    await expect(ana.locator("#banner")).to_be_hidden()
    await verified(ana, run)
    steps = ana.locator("#thread .message").filter(has_text="verify flag").last
    text = await steps.inner_text()
    assert text.count("restore dataset") == text.count("restore model") == 1
    approvals = messages(ana).filter(has_text="Approved by").filter(has_text=" verified").last
    await expect(approvals).to_have_text(re.compile(r"Approved by @(ben|cleo)"))
    demo.faults.clear()  # a press that came while the bot was away


async def test_reject_and_expire(demo: Demo) -> None:
    """A rejected card and one that nobody decided say so, have no buttons to decide any more, and change nothing."""
    ana, ben = await demo.open("U0ANA"), await demo.open("U0BEN")
    await bad_release(ana)
    run = await run_of(await ask(ana))
    await ben.locator("#column [data-action-id=reject]").click()
    await ben.get_by_role("alertdialog").get_by_role("button", name="Reject").click()
    await expect(messages(ana).filter(has_text="REJECTED").last).to_contain_text("@ben")
    await expect(ana.locator("#column [data-action-id=approve]")).to_have_count(0)
    demo.policy(approvals_live="4s")
    second = await ask(ana)
    assert await run_of(second) != run
    await expect(messages(ana).filter(has_text="EXPIRED")).to_have_count(1)
    await expect(ana.locator("#column [data-action-id=approve]")).to_have_count(0)
    await expect(live(ana, "Definition")).to_have_text("v13")
    demo.policy(approvals_live="")


async def test_a_step_that_fails_and_what_people_make_of_it(demo: Demo) -> None:
    """The flag's file can't be written: the run waits, one person says to be looking, another way is thought of and
    left, the step is left out with a reason by somebody who may. The flag can't be enabled either, which is retried;
    its ramp is slowed down, paused, resumed, and then given at once. The thread has kept who did what."""
    ana, ben = await demo.open("U0ANA"), await demo.open("U0BEN")
    await bad_release(ana)
    demo.playbook(
        "  - disable: flag\n    timeout: 2s\n    retries: 0",
        "  - enable: flag\n    timeout: 2s\n    retries: 0\n    ramp: [50]\n    every: 30m",
    )
    card = await ask(ana)
    run = await run_of(card)
    with demo.flag_locked():
        await ben.locator("#column [data-action-id=approve]").last.click()
        await card.locator("[data-action-id=looking]").click()
        await card.locator("[data-action-id=switch]").click()
        way = ana.get_by_role("dialog")
        await expect(way).to_contain_text(run)
        await way.get_by_role("button", name="Cancel").click()
        await ben.locator("#column [data-action-id=skip]").last.click()
        out = ben.get_by_role("dialog", name="Skip")
        await expect(out).to_contain_text("disable flag is left out and the run goes on")
        await out.get_by_role("button", name="Skip").click()
        await expect(out.get_by_label("Why?")).to_have_attribute("aria-invalid", "true")
        await out.get_by_label("Why?").fill("nobody reads it now")
        await out.get_by_role("button", name="Skip").click()
        await expect(out).to_have_count(0)
        await expect(card).to_contain_text("Enable flag")
    await card.locator("[data-action-id=retry]").click()
    await card.locator("[data-action-id=speed_1]").click()
    await confirmed(card, "pause", "Pause")
    await card.locator("[data-action-id=resume]").click()
    await confirmed(card, "speed_2", "All at once")
    await expect(card.locator("[data-action-id=abort]")).to_have_count(0)
    await expect(live(ana, "Definition")).to_have_text("v12")
    await expect(live(ana, "Flag")).to_have_text("on")
    await card.locator(".replies").click()
    told = ana.locator("#thread .message").filter(has_text="restore dataset").last
    for deed in (
        *("is looking", 'left out disable flag: "nobody reads it now"', "had it try again", "set a share every 60 min"),
        *("paused it", "let it go on", "had the rest of the ramp given at once"),
    ):
        await expect(told).to_contain_text(deed)
    demo.playbook("  - disable: flag", "  - enable: flag")


async def confirmed(card: Locator, action: str, word: str) -> None:
    """Presses a button that asks whether one is sure, and is."""
    await card.locator(f"[data-action-id={action}]").click()
    await card.page.get_by_role("alertdialog").get_by_role("button", name=word).click()


async def test_on_a_phone_by_the_keyboard_alone(demo: Demo) -> None:
    """At 390 pixels and without a pointer: asked for, read, approved as another person and followed to its verified
    end; nothing is ever wider than the screen."""
    page = await demo.open("U0ANA", **PHONE)
    keys = page.keyboard
    await keys.press("F6")
    await keys.press("F6")
    await expect(page.locator("#composer")).to_be_focused()
    await keys.type(ASK_SHORT)
    await keys.press("Escape")
    await keys.press("Enter")
    await expect(page.locator("#column [data-action-id=approve]")).to_have_count(1)
    await back_to(page, "[data-action-id=details]")
    await keys.press("Enter")
    title = page.get_by_role("dialog").get_by_role("heading").first
    await expect(title).to_contain_text("in detail")
    run = (await title.inner_text()).split()[0]
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await keys.press("Escape")
    await back_to(page, ".menu")
    await keys.press("Enter")
    await forward_to(page, "#act-as")
    await keys.type("Ben")
    await expect(page.locator("#act-as")).to_have_value("U0BEN")
    await keys.press("Escape")
    await expect(page.locator("#side")).to_be_hidden()
    await forward_to(page, "[data-action-id=approve]")
    await keys.press("Enter")
    await expect(page.locator("#column [data-action-id=approve]")).to_have_count(0)
    await verified(page, run)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def back_to(page: Page, selector: str) -> None:
    await _walk(page, selector, "Shift+Tab")


async def forward_to(page: Page, selector: str) -> None:
    await _walk(page, selector, "Tab")


async def _walk(page: Page, selector: str, key: str) -> None:
    """Presses the key until the focus is there; a person gives up sooner than this does."""
    for _ in range(80):
        if await page.evaluate("(s) => document.activeElement?.matches(s) ?? false", selector):
            return
        await page.keyboard.press(key)
    raise AssertionError(f"{key} does not come to {selector}")


async def test_the_panels_say_what_is_true(demo: Demo) -> None:
    """An effect of the incident panel is seen in what is live, can be taken back, and says why where it can't be; the
    inspector has each request with its payload and answer, and its troubles do what they say."""
    page = await demo.open("U0ANA")
    row = page.locator("ul.acts li").filter(has_text="Stop the pipeline")
    await press_effect(page, "Stop the pipeline")
    await expect(live(page, "Pipeline")).to_have_text("stopped")
    await row.get_by_role("button", name="Start it").click()
    await expect(live(page, "Pipeline")).not_to_have_text("stopped")
    await say(page, "/rollback status")
    await page.get_by_role("button", name="Inspector").click()
    entries = page.locator(".entries > li")
    await page.locator("#inspector-word").fill("/rollback status")
    await entries.first.locator("summary").click()
    await expect(entries.first).to_contain_text('"text": "status"')
    await page.get_by_role("button", name="Redeliver the last event").click()
    await expect(entries.first).to_contain_text("again")
    await expect(entries.first).to_contain_text("/rollback status")
    for trouble in ("Drop the socket", "Refuse the next call"):
        await page.get_by_role("button", name=trouble).click()
        await expect(page.locator("#panel-inspector > .came")).to_have_text(f"{trouble}: done.")
    await page.locator("#inspector-word").fill("")
    await say(page, "/rollback help")
    await expect(messages(page).filter(has_text="/rollback FEATURE").last).to_be_visible()


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
async def test_axe_finds_nothing_serious(demo: Demo, look: dict[str, Any]) -> None:
    """With cards, the tour and the charts in sight, and with the inspector, in light, dark and on a narrow screen."""
    page = await demo.open("U0ANA", bypass_csp=True, **look)
    await expect(messages(page).last).to_be_visible()
    assert await serious(page) == []
    if look == PHONE:
        await page.locator("#panel-toggle").click()
    await expect(page.locator("#panel-incident")).to_be_visible()
    assert await serious(page) == []
    await page.get_by_role("button", name="Inspector").click()
    await page.locator(".entries summary").first.click()
    assert await serious(page) == []
