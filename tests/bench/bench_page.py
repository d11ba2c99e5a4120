"""The practice page in Chromium: from ``rollbot demo`` to a page that can be used, from a press to what it does there,
and how a very long channel scrolls."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from bot.practice.page import PracticePage, server
from bot.practice.slack_server import PracticeSlack
from tests.bench import Number, median, spread
from tests.practice.conftest import MANIFEST
from tests.practice.page.browser import chromium
from tests.practice.page.live import ask, running_demo

TIMES = 15
MANY = 10_000
# From the press to the frame in which something new stands in the channel, by the browser's own clock.
PRESS = """([selector, typed]) => new Promise((done, failed) => {
  setTimeout(() => failed(new Error(`nothing came of ${typed || selector}`)), 10_000);
  const list = document.querySelector("#column .messages");
  const began = performance.now();
  new MutationObserver((_, seen) => {
    const last = [...list.querySelectorAll(".message")].at(-1);
    if (!last || last.dataset.ts === was) return;
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  }).observe(list, {subtree: true, childList: true});
  const was = [...list.querySelectorAll(".message")].at(-1)?.dataset.ts;
  const target = [...document.querySelectorAll(selector)].at(-1);
  if (!typed) return target.click();
  target.value = typed;
  target.dispatchEvent(new InputEvent("input", {bubbles: true}));
  target.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}));
})"""
# Scrolls up through the channel as a wheel does; the time of each frame.
SCROLL = """(screens) => new Promise((done) => {
  const s = document.querySelector("#column .scroller");
  const frames = [];
  let left = screens * 20, before = performance.now();
  const step = (now) => {
    frames.push(now - before);
    before = now;
    s.scrollTop -= s.clientHeight / 20;
    if (--left) requestAnimationFrame(step); else done(frames.slice(1));
  };
  requestAnimationFrame(step);
})"""


def numbers() -> Iterator[Number]:
    found: list[Number] = []
    asyncio.run(_measure(found))
    yield from found
    size = sum(file.stat().st_size for file in server.STATIC.iterdir())
    yield Number("all files of the practice page", size / 1000, "kB", 150)


async def _measure(found: list[Number]) -> None:
    async with chromium() as browser:
        found += await _long_channel(browser)
        with tempfile.TemporaryDirectory(prefix="rollbot-bench-") as folder:
            began = time.perf_counter()
            async with running_demo(Path(folder), browser) as demo:
                page = await (await browser.new_context()).new_page()
                await page.goto(demo.url)
                await expect(page.locator("#head h1")).to_be_visible()
                took = time.perf_counter() - began
                found.append(Number("rollbot demo: the page can be used", took, "s", 5, "from exec, browser running"))
                found += await _presses(await demo.open("U0ANA"))


async def _presses(page: Page) -> list[Number]:
    typed = [await page.evaluate(PRESS, ["#composer", "/rollback status"]) for _ in range(TIMES)]
    await ask(page)
    pressed = []
    for _ in range(TIMES // 2):
        await expect(page.locator("#column [data-action-id=approve]")).not_to_have_attribute("aria-disabled", "true")
        pressed.append(await page.evaluate(PRESS, ["#column [data-action-id=approve]", ""]))
    return [
        Number("/rollback status typed to its answer in sight", median(typed), "ms", 300, spread(typed, "ms")),
        Number("Approve pressed to the refusal in sight", median(pressed), "ms", 300, spread(pressed, "ms")),
    ]


async def _long_channel(browser: Browser) -> list[Number]:
    """A channel of 10,000 messages beside one of 50, in one browser."""
    slack = PracticeSlack(MANIFEST, pace=False)
    PracticePage(slack)
    for n in range(MANY):
        slack.workspace.post("C0INC", "U0BEN" if n // 5 % 2 else "U0CLEO", f"message {n}", [])
    for n in range(50):
        slack.workspace.post("C0DRILLS", "U0BEN", f"message {n}", [])
    await slack.start()
    try:
        page = await (await browser.new_context()).new_page()
        await _opened(page, f"{slack.base_url}/?as=U0BEN#C0DRILLS", 0)
        short, _ = await _opened(page, f"{slack.base_url}/?as=U0ANA#C0DRILLS", 0)
        long, frames = await _opened(page, f"{slack.base_url}/?as=U0CLEO#C0INC", 40)
    finally:
        await slack.stop()
    late = 100 * sum(frame > 50 for frame in frames) / len(frames)
    return [
        Number(
            f"a channel of {MANY:,} messages opens, beside one of 50", long / short, "times", None, f"{long:.0f} ms"
        ),
        Number("scrolling there: one frame", median(frames), "ms", None, spread(frames, "ms")),
        Number("scrolling there: frames that take over 50 ms", late, "%", 5, f"{len(frames)} frames, 40 screens up"),
    ]


async def _opened(page: Page, url: str, screens: int) -> tuple[float, list[Any]]:
    began = time.perf_counter()
    await page.goto("about:blank")
    await page.goto(url)
    await expect(page.locator("#column .message").last).to_be_visible()
    took = (time.perf_counter() - began) * 1000
    return took, await page.evaluate(SCROLL, screens) if screens else []
