"""Block Kit as a real browser draws it: every block is seen, every press is told, and no text comes alive."""
# ruff: noqa: F401, F811 - fixtures are imported by name

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from bot.slack.views.card import card
from bot.slack.views.live import live
from bot.slack.views.outcome import outcome
from tests.practice.page import block_samples as samples
from tests.practice.page.browser import Blank, blank_page
from tests.practice.page.stage import STAGE, blank, browser, draw, modal, opened, serious, text, told
from tests.slack import scenes

TOUR = ("skipped", "open", "done", "done")
pytestmark = pytest.mark.asyncio(loop_scope="module")
STATES = scenes.all_states()


async def test_every_block_is_seen(blank: Blank) -> None:
    """Each kind shows its words; a block or an element that is not known is a box with its JSON."""
    page = await draw(blank, samples.BLOCKS)
    seen = await text(page)
    for words in (
        *["driver_stats & co", "Look", "Live\nv13", "back to v12", "a chart", "asked by @ana", "a face", "Approve"],
        *["Picture: Accuracy", "not loaded from evil.test", "strong and a link", "1 of 4", "30,000 of 50,000 rows"],
        *["150,000 match", "the log", "It runs at once", "F17", "Video: How to", "Good", "Delete", "50000"],
        *["Unknown block: hologram", '"beams": 3', "Unknown element: sundial"],
    ):
        assert words in seen, words
    await expect(page.get_by_role("heading", name="driver_stats & co")).to_be_visible()
    await expect(page.get_by_role("region", name="Table").get_by_role("columnheader", name="rows").last).to_be_visible()
    await expect(page.get_by_role("listitem").filter(has_text="In progress: restore online")).to_be_visible()
    await expect(page.get_by_role("img", name="a chart")).to_be_visible()
    assert await page.locator("img, script, iframe, video").count() == 0


async def test_mrkdwn_is_read_as_slack_reads_it(blank: Blank) -> None:
    """Marks only at the edges of words, entities once, mentions by name, and nothing alive in code."""
    page = await draw(blank, [{"type": "section", "text": samples.marked(samples.MRKDWN)}])
    assert (await text(page)).replace("\n\n", "\n") == (
        "bold italic gone a *b* <c> snake_case_name 2*3*4\nthe run @ana #incident-142 @ml-oncall @here\n"
        "2023-11-14 in UTC no link\nquoted words\nand more\n- one\n- two\nx <- y\n  z *w*\nafter"
    )
    found = page.locator("#place")
    assert await found.locator("strong, em, s, code").all_inner_texts() == [
        "bold",
        "italic",
        "gone",
        "a *b* <c>",
        "words",
    ]
    assert await found.locator("a").evaluate_all("all => all.map((a) => [a.href, a.rel])") == [
        ["https://x.test/a?b=1&c=2", "noopener noreferrer"]
    ]


async def test_markdown_is_read(blank: Blank) -> None:
    """Headings, lists within lists, tables, code and links; a link that runs something is only its words."""
    page = await draw(blank, [{"type": "markdown", "text": samples.MARKDOWN}])
    await expect(page.get_by_role("heading", name="Plan")).to_be_visible()
    assert await page.locator("li li").all_inner_texts() == ["deeper"]
    assert await page.locator("td").all_inner_texts() == ["online", "50,000"]
    assert await page.locator("pre").inner_text() == "x = '<b>'"
    assert await page.locator("a").all_inner_texts() == ["run"]
    assert "run bad\n" in await text(page)
    assert "snake_case_name" in await text(page)
    page = await draw(blank, [{"type": "markdown", "text": "> " * 5900 + "deep"}])
    await expect(page.locator("blockquote").last).to_have_text("deep")


async def test_rich_text_is_read(blank: Blank) -> None:
    """Styles, people, dates, lists that go on counting; an element that is not known is shown as JSON."""
    page = await draw(blank, [samples.RICH])
    seen = await text(page)
    assert "strong and a link@ben@ml-oncall#incident-142@channel\U0001f44b2023-11-14" in seen and '"canvas"' in seen
    assert await page.locator("ol").get_attribute("start") == "3"
    assert (
        await page.locator("blockquote").inner_text() == "said" and await page.locator("pre").inner_text() == "make all"
    )


EVIL = "<img src=x onerror=alert(1)> <script>alert(1)</script> \"'><svg onload=alert(1)>"


async def test_no_text_comes_alive(blank: Blank) -> None:
    """Markup in any text of any block, view, attachment or question is text."""

    def poisoned(value: Any) -> Any:
        if isinstance(value, dict):
            keep = ("type", "status", "style", "level", "include", "kind")
            return {k: v if k in keep else poisoned(v) for k, v in value.items()}
        if isinstance(value, list):
            return [poisoned(v) for v in value]
        return f"{EVIL} {value}" if isinstance(value, str) else value

    page = await draw(blank, poisoned(samples.BLOCKS))
    await blank.call(
        "place.append(blocks.drawAttachments([{text: given[0], title: given[0], color: given[0]}], ctx))", EVIL
    )
    assert "<img src=x onerror=alert(1)>" in await text(page)
    await modal(blank, poisoned(samples.FORM) | {"type": "modal", "depth": 1, "errors": {"why": EVIL}})
    await expect(page.get_by_role("dialog")).to_contain_text("<script>alert(1)</script>")
    assert await page.locator("#place :is(img, script, svg, iframe, [onerror], [onload])").count() == 0


async def test_a_run_in_every_state_is_seen(blank: Blank) -> None:
    """Card, running thread and outcome show each line and button that the bot wrote."""
    for shown in (view(scene) for scene in STATES.values() for view in (card, live, outcome)):
        page = await draw(blank, shown.blocks)
        labels = [e["text"]["text"] for b in shown.blocks if b["type"] == "actions" for e in b["elements"]]
        assert await page.get_by_role("button").all_inner_texts() == labels
        lines = [line for b in shown.blocks if b["type"] == "section" for line in b["text"]["text"].split("\n")]
        seen = await page.locator(".mk").all_text_contents()
        wanted = "\n".join(lines).replace("*", "").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
        assert "\n".join(seen).startswith(wanted)


async def test_presses_are_told(blank: Blank) -> None:
    """A press says which action of which block with which value; one at work is not pressed again."""
    page = await draw(blank, [b for b in samples.BLOCKS if b.get("type") in ("actions", "context_actions", "section")])
    await page.get_by_role("button", name="Approve").click()
    await page.get_by_role("button", name="Stop the harm now").press("Enter")
    await page.get_by_role("button", name="Look").click()
    await page.get_by_role("button", name="Bad").click()
    assert await told(blank) == [
        ["approve", "presses", "approve!", "button"],
        ["stop", "presses", "stop!", "button"],
        ["side", "text", "side!", "button"],
        ["rate", None, "down", "feedback_buttons"],
    ]
    link = page.get_by_role("link", name="Visit")
    assert await link.get_attribute("href") == "https://x.test/visit"
    await draw(blank, [{"type": "actions", "elements": [samples.button("approve", "Approve")]}])
    await blank.call(
        "const slow = () => new Promise((done) => { told.push('pressed'); window.settle = done; });"
        "place.replaceChildren(blocks.drawBlocks(given[0], {...ctx, onAction: slow}))",
        [{"type": "actions", "elements": [samples.button("approve", "Approve")]}],
    )
    approve = page.get_by_role("button", name="Approve")
    await approve.focus()
    for _ in range(3):
        await page.keyboard.press("Enter")
    await expect(approve).to_have_attribute("aria-disabled", "true")
    assert await told(blank) == ["pressed"]
    await blank.call("settle()")
    await expect(approve).not_to_have_attribute("aria-disabled", "true")
    busy = "place.replaceChildren(blocks.drawBlocks(given[0], {...ctx, busy: new Set(['approve'])}))"
    await blank.call(busy, samples.BLOCKS[5:6])
    await expect(approve).to_have_attribute("aria-disabled", "true")
    await approve.dispatch_event("click")
    assert await told(blank) == []


async def test_sure_asks_first(blank: Blank) -> None:
    """With a confirm object nothing is told before yes; no and Escape tell nothing, and the focus comes back."""
    page = await draw(blank, samples.BLOCKS[5:6])
    reject = page.get_by_role("button", name="Reject")
    dialog = page.get_by_role("alertdialog", name="Reject R-17?")
    for leave in (dialog.get_by_role("button", name="Cancel").click, lambda: page.keyboard.press("Escape")):
        await reject.click()
        await expect(dialog).to_contain_text("It ends.")
        assert await serious(page) == []
        await leave()
        await expect(dialog).to_have_count(0)
        await expect(reject).to_be_focused()
    assert await told(blank) == []
    await reject.click()
    await dialog.get_by_role("button", name="Reject").click()
    await expect(dialog).to_have_count(0)
    await page.wait_for_function("window.told.length")
    assert await told(blank) == [["reject", "presses", "reject!", "button"]]


async def test_menus_are_picked_with_mouse_and_keyboard(blank: Blank) -> None:
    """What is told is what an option's value, an id, or a list of them is; typing finds; Escape leaves it as it was."""
    page = await draw(blank, samples.BLOCKS[6:7])
    box = page.get_by_role("combobox", name="Version")
    await box.click()
    await page.get_by_role("option", name="V2").click()
    await expect(box).to_have_value("V2")
    some = page.get_by_role("combobox", name="Parts")
    await some.fill("mod")
    await some.press("Enter")
    await some.fill("onl")
    await some.press("Enter")
    await some.press("Escape")
    asked = page.get_by_role("combobox", name="Feature")
    await asked.fill("fe")
    await page.get_by_role("option", name="fees").click()
    await page.get_by_role("combobox", name="Somebody").press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.get_by_role("combobox", name="Where").fill("war")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("combobox", name="Where")).to_have_value("")
    assert [[each[0], each[2]] for each in await told(blank)] == [
        *[["one", "v2"], ["some", ["model", "online"]], ["asked", "fees"], ["person", "U0BEN"]],
    ]
    await page.get_by_role("button", name="Remove Model").click()
    more = page.get_by_role("button", name="More actions")
    await more.press("Enter")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(more).to_be_focused()
    await page.get_by_label("Dry").check()
    await page.get_by_label("Am", exact=True).check()
    await page.get_by_label("Day").fill("2026-11-22")
    await page.get_by_label("Hour").fill("03:15")
    moment = await page.evaluate("new Date('2026-11-22T03:15').getTime() / 1000")
    await page.get_by_label("Date and time").fill("2026-11-22T03:15")
    assert [[each[0], each[2]] for each in await told(blank)] == [
        *[["some", ["online"]], ["more", "mute"], ["ticks", ["dry"]], ["dial", "am"]],
        *[["day", "2026-11-22"], ["hour", "03:15"], ["moment", moment]],
    ]


async def test_groups_are_named_in_menus(blank: Blank) -> None:
    """Options stand under the label of their group, and the chosen one says so."""
    page = await draw(blank, samples.BLOCKS[6:7])
    await page.get_by_role("combobox", name="Parts").click()
    stores = page.get_by_role("listbox", name="Parts").get_by_role("group", name="Stores")
    assert await stores.get_by_role("option").all_inner_texts() == ["Online", "Offline"]
    await stores.get_by_role("option", name="Online").click()
    await expect(stores.get_by_role("option", name="Online", exact=True)).to_have_attribute("aria-selected", "true")
    assert await serious(page) == []


async def test_attachments_are_seen(blank: Blank) -> None:
    """With their title, text, fields and foot, or their own blocks; a picture is a box."""
    old = {"title": "Run 17", "title_link": "https://x.test/17", "text": "*slow*", "color": "#ff0000", "footer": "ci"}
    old |= {
        "pretext": "Look:",
        "fields": [{"title": "Part", "value": "online", "short": True}],
        "image_url": "https://evil.test/d",
    }
    await blank.call("place.append(blocks.drawAttachments(given[0], ctx))", [old, {"blocks": samples.BLOCKS[:1]}])
    seen = await text(blank.page)
    assert all(word in seen for word in ("Look:", "Run 17", "slow", "Part", "online", "ci", "driver_stats & co"))
    assert "not loaded from evil.test" in seen


@pytest.mark.parametrize(
    "look", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}]
)
async def test_nothing_serious_for_people_who_cannot_see_it(browser: Browser, look: dict[str, Any]) -> None:
    """axe finds nothing serious in all blocks and a form, light, dark or on a phone; nothing sticks out there."""
    async with blank_page(browser, **look) as made:
        await made.call(STAGE)
        page = await draw(made, samples.BLOCKS)
        assert await serious(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await modal(made, {**samples.FORM, "errors": {"why": "Too short"}})
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert await serious(page) == []
        assert made.faults == [] and made.foreign == []


async def test_the_tour_names_the_task_that_is_open(blank: Blank) -> None:
    """By its own number, also if later tasks are done already or earlier ones were skipped."""
    tasks = [{"id": i, "title": i, "says": "", "state": s, "took": None} for i, s in zip("abcd", TOUR, strict=True)]
    tour = {"on": True, "over": False, "now": "b", "took": 0, "tasks": tasks}
    script = "const {mountTour} = await import('/page/static/tour.js'); mountTour(place, {state: {tour: given[0]}, "
    await blank.call(script + "subscribe() {}});", tour)
    await expect(blank.page.locator(".tour-title")).to_have_text("Your first rollback: 2 of 4")


async def test_who_presses_second_sees_what_came_of_it(blank: Blank) -> None:
    """Refused because another was at work, and that is over by now: not that it was not done."""
    act = {
        "name": "slow",
        "title": "Slow",
        "says": "",
        "undo": "Fast",
        "back": "",
        "state": "available",
        "result": "it",
    }
    script = """const {mountIncident} = await import('/page/static/incident.js');
      const draws = [], act = {...given[0], error: "", at: 0};
      const post = async () => {
        Object.assign(act, {state: "done", at: Date.now() / 1000 + 1});
        draws.forEach((draw) => draw());
        return {ok: false, error: "still at work"};
      };
      mountIncident(place, {state: {incident: {acts: [act]}}, post, subscribe: (_, draw) => draws.push(draw)});"""
    await blank.call(script, act)
    await blank.page.get_by_role("button", name="Slow").click()
    await expect(blank.page.locator(".came")).to_contain_text("Done")
