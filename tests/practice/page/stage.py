"""A blank page, as new for each test, on which blocks and views are drawn; and what the page was told there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.practice.page.browser import Blank, blank_page, chromium

STAGE = """
const people = new Map([["U0ANA", {id: "U0ANA", name: "ana", real_name: "Ana Ortiz", bot: false}],
  ["U0BEN", {id: "U0BEN", name: "ben", real_name: "Ben Adler", bot: false}]]);
const channels = new Map([["C0INC", {id: "C0INC", name: "incident-142", kind: "public", member: true}],
  ["G0WAR", {id: "G0WAR", name: "war-room", kind: "private", member: true}]]);
const groups = new Map([["S0ONCALL", {id: "S0ONCALL", handle: "ml-oncall"}]]);
window.told = [];
window.blocks = await import("/page/static/blocks.js");
window.views = await import("/page/static/views.js");
window.ask = (await import("/page/static/confirm.js")).confirm;
window.ctx = {people, channels, groups, me: "U0ANA", channel: "C0INC",
  onAction: ({action_id, block_id, value, element}) => { told.push([action_id, block_id, value, element.type]); },
  options: async (action_id, text) => ({options: ["fares", "fees", "tolls"].filter((name) => name.includes(text))
    .map((name) => ({text: {type: "plain_text", text: name}, value: name}))})};
window.viewed = {...ctx, onFill: (action_id, value) => { told.push(["fill", action_id, value]); },
  onSubmit: async (values) => { told.push(["submit", values]); }, onClose: (all) => { told.push(["close", all]); }};
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the module."""
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(browser: Browser) -> AsyncIterator[Blank]:
    """One page for the module: a reload is much faster than a new one."""
    async with blank_page(browser) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def blank(opened: Blank) -> AsyncIterator[Blank]:
    """A blank page with the modules loaded. Whatever a test does there: no error in the console, no other host."""
    await opened.page.reload()
    await opened.call(STAGE)
    yield opened
    assert opened.faults == [] and opened.foreign == []


async def draw(blank: Blank, blocks: list[Any], **ctx: Any) -> Page:
    await blank.call("place.replaceChildren(blocks.drawBlocks(given[0], {...window.ctx, ...given[1]}))", blocks, ctx)
    return blank.page


async def modal(blank: Blank, view: Any) -> Page:
    """Draws a view as the page does: in the place of what was there."""
    shown = {"id": "V0BOT", "depth": 1, "values": {}, "errors": {}, **view}
    await blank.call("place.replaceChildren(views.drawModal(given[0], viewed))", shown)
    return blank.page


async def told(blank: Blank) -> list[Any]:
    """What the page was told since the last look."""
    return list(await blank.page.evaluate("told.splice(0)"))


async def text(page: Page) -> str:
    return await page.locator("#place").inner_text()


async def serious(page: Page) -> list[str]:
    found = (await Axe().run(page)).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")]
