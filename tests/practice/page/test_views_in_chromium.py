"""Modals and the Home tab in a real browser: what is filled in is sent, and drawing again loses none of it."""
# ruff: noqa: F401, F811 - fixtures are imported by name

from __future__ import annotations

import pytest
from playwright.async_api import expect

from bot.slack.views import form, lists
from bot.slack.views.details import details
from tests.practice.page import block_samples as samples
from tests.practice.page.browser import Blank
from tests.practice.page.stage import blank, browser, modal, opened, serious, told
from tests.slack import scenes

pytestmark = pytest.mark.asyncio(loop_scope="module")
STATES = scenes.all_states()


@pytest.mark.parametrize("name", ["waiting", "stuck", "planning"])
async def test_details_are_seen(blank: Blank, name: str) -> None:
    """The bot's longest modal, with and without a plan: its title, its code, and nothing in a box."""
    page = await modal(blank, details(STATES[name]))
    await expect(page.get_by_role("dialog", name="R-17 in detail")).to_be_visible()
    assert await page.locator(".box").count() == 0
    assert await page.locator("pre").count() == (name != "planning")


async def test_a_form_is_filled_in_and_sent(blank: Blank) -> None:
    """Nothing is sent while something is wrong, which is said at its input; then every value by its action."""
    page = await modal(blank, samples.FORM)
    dialog = page.get_by_role("dialog", name="Everything")
    await expect(dialog.get_by_label("Version")).to_be_focused()
    await dialog.get_by_label("Why").fill("no")
    await dialog.get_by_label("How many").fill("12")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog.get_by_label("Version")).to_be_focused()
    for label, problem in (
        ("Version", "Please complete this required field."),
        ("Why", "Please use at least 3 characters. One line"),
        ("How many", "Please enter a number, at least 1 and at most 9."),
        ("Band", "Please complete this required field."),
    ):
        await expect(dialog.get_by_label(label)).to_have_accessible_description(problem)
        await expect(dialog.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    assert await told(blank) == [] and await serious(page) == []
    await dialog.get_by_label("Version").fill("v1")
    await page.keyboard.press("Enter")
    assert await told(blank) == [["fill", "one", "v1"]]
    await dialog.get_by_label("Why").fill("too long")
    await dialog.get_by_label("How many").fill("3")
    await dialog.get_by_label("Fm").check()
    await dialog.get_by_role("button", name="Look first").click()
    await dialog.get_by_label("Dry").last.check()
    assert await told(blank) == [["look", "row", "look!", "button"], ["fill", "ticks", ["dry"]]]
    await dialog.get_by_label("Incident").fill("INC-1")
    await page.keyboard.press("Enter")
    moment = 1700000040 // 60 * 60
    nothing = dict.fromkeys(("m", "l", "t", "u"))
    filled = {
        "one": "v1",
        "w": "too long",
        "i": "INC-1",
        "n": "3",
        "d": "2026-11-22",
        "dt": moment,
        "r": "fm",
        "wh": "C0INC",
    }
    assert await told(blank) == [["submit", {**filled, **nothing, "p": [], "c": []}]]


async def test_what_went_wrong_is_said_in_the_form(blank: Blank) -> None:
    """An app that does not answer leaves the form as it is, with what is said of that; the next try takes it away."""
    page = await modal(blank, form.accept(STATES["stuck"].run, {}, enable=True))
    refuse = "viewed.onSubmit = async () => ({ok: given[0], error: 'No answer in 3 s', details: ['operation_timeout']})"
    await blank.call(refuse, False)
    await page.get_by_label("Why is that right?").fill("seen by hand")
    await page.get_by_role("button", name="Enable anyway").click()
    await expect(page.get_by_role("alert")).to_have_text("No answer in 3 soperation_timeout")
    await expect(page.get_by_label("Why is that right?")).to_have_value("seen by hand")
    await blank.call(refuse, True)
    await page.get_by_role("button", name="Enable anyway").click()
    await expect(page.get_by_role("alert")).to_have_text("")


async def test_a_view_drawn_again_keeps_what_was_typed(blank: Blank) -> None:
    """An update keeps what was typed and the focus with its selection, forgets what is gone, and shows errors."""
    page = await modal(blank, samples.FORM)
    why = page.get_by_label("Why")
    await why.fill("because")
    await why.evaluate("(field) => field.setSelectionRange(2, 4)")
    changed = {**samples.FORM, "blocks": [{"type": "divider"}, *samples.FORM["blocks"]]}
    await modal(blank, changed)
    await expect(why).to_be_focused()
    await expect(why).to_have_value("because")
    assert await why.evaluate("(field) => [field.selectionStart, field.selectionEnd]") == [2, 4]
    await modal(blank, {**changed, "errors": {"count": "Eight is taken"}})
    await expect(page.get_by_label("How many")).to_be_focused()
    await expect(page.get_by_label("How many")).to_have_accessible_description("Eight is taken")
    await page.locator("dialog").evaluate("(drawn) => { drawn.marked = true; }")
    await modal(blank, {**changed, "errors": {"count": "Eight is taken"}, "values": {"count": {}}})
    assert await page.locator("dialog").evaluate("(drawn) => drawn.marked") is True
    without = [b for b in samples.FORM["blocks"] if b.get("block_id") != "why"]
    await modal(blank, {**samples.FORM, "blocks": without})
    await modal(blank, samples.FORM)
    await expect(why).to_have_value("")


async def test_a_view_is_left(blank: Blank) -> None:
    """Cancel and Escape leave this view, the cross all of them; Escape in an open menu only closes the menu."""
    page = await modal(blank, samples.FORM)
    await page.get_by_label("Version").click()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("listbox", name="Version")).to_be_hidden()
    assert await told(blank) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Close this dialog").click()
    assert await told(blank) == [["close", False], ["close", False], ["close", True]]
    await expect(page.get_by_role("dialog")).to_be_visible()


async def test_the_focus_stays_in_the_modal(blank: Blank) -> None:
    """However far one tabs, what stands behind a modal is not reached."""
    await blank.call("document.body.prepend(Object.assign(document.createElement('button'), {textContent: 'Behind'}))")
    page = await modal(blank, form.notice("Sorry", "Only that"))
    for _ in range(6):
        await page.keyboard.press("Tab")
        at = await page.evaluate("document.activeElement.textContent")
        assert at != "Behind"


async def test_the_bots_own_form_and_home(blank: Blank) -> None:
    """The rollback form is filled in by what is seen, and the Home tab shows what goes on and what can be typed."""
    choice = form.Choice(None, "fares", ["v2", "v1"], "v2", ["flag", "online"])
    page = await modal(blank, form.form(choice, {}))
    await expect(page.get_by_role("combobox", name="Feature")).to_have_value("fares")
    await page.get_by_label("Back to").click()
    await expect(page.get_by_role("option", name="v2 live now")).to_be_visible()
    await page.get_by_role("option", name="v1").click()
    await page.get_by_label("Dry run: show the plan, change nothing").check()
    await page.get_by_role("button", name="Plan it").click()
    (_, sent), *more = await told(blank)
    assert not more and sent == {
        "form_feature": "fares",
        "form_version": "v1",
        "form_reason": None,
        "form_incident": None,
        "form_at": None,
        "form_without": [],
        "form_dry": ["dry_run"],
        "form_channel": "C0INC",
    }
    home = lists.home(lists.Standing("f", "v12", [STATES["working"]]), ["/rollback help - this list"])
    await blank.call("place.replaceChildren(views.drawHome(given[0], viewed))", {"id": "V0HOME", **home})
    await expect(page.get_by_role("region", name="Home")).to_contain_text("/rollback help - this list")
