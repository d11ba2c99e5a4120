"""``rollbot demo`` as a program of its own, and the people who use its page in Chromium."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, FloatRect, Locator, Page, expect

from bot.practice.stack.layout import Layout
from bot.practice.stack.playbooks import STANDARD

ROOT = Path(__file__).parents[3]
DRIVERS = "200"
SET_UP_MS, RUN_MS = 240_000, 120_000
ASK = "/rollback driver_stats to v12 because ETAs 40 % too long incident INC-142"
WIDE = {"viewport": {"width": 1280, "height": 860}}


@dataclass
class Demo:
    """``folder``: the practice's. ``faults``: what no page may do; a test that cuts connections clears them."""

    url: str
    folder: Path
    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def open(self, user: str, **look: object) -> Page:
        """The page as this person, in a browser of their own, once the set-up is over."""
        context = await self.browser.new_context(**{"reduced_motion": "reduce", **WIDE, **look})  # type: ignore[arg-type]
        self.contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(RUN_MS)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith(self.url) else self.faults.append(r.url))
        await page.goto(f"{self.url}?as={user}")
        await expect(page.locator("#head h1")).to_be_visible(timeout=RUN_MS)
        await expect(page.locator("#setup")).to_be_hidden(timeout=SET_UP_MS)
        return page

    async def close_pages(self) -> None:
        while self.contexts:
            await self.contexts.pop().close()

    def policy(self, **changed: str) -> None:
        """Settings of the practice's policy; the bot sees them change."""
        file = Layout(self.folder / "stack").playbooks / "policy.yaml"
        lines = [line for line in file.read_text("utf-8").splitlines() if line.split(":")[0] not in changed]
        file.write_text("\n".join([*lines, *(f"{k}: {v}" for k, v in changed.items() if v), ""]), "utf-8")

    def playbook(self, disable: str, enable: str) -> None:
        """How these two steps of the practice's playbook read from now on."""
        file = Layout(self.folder / "stack").playbooks / "playbooks/standard.yaml"
        steps = STANDARD.replace("  - disable: flag ", f"{disable}\n").replace("  - enable: flag ", f"{enable}\n")
        file.write_text(steps, "utf-8")

    @contextmanager
    def flag_locked(self) -> Iterator[None]:
        """The flag's file can be read and not written: somebody else holds its lock."""
        folder = os.open(Layout(self.folder / "stack").flags.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


@asynccontextmanager
async def running_demo(folder: Path, browser: Browser, *words: str) -> AsyncIterator[Demo]:
    """Started as one starts it; ended by Ctrl-C, after which nothing of it may be left running."""
    argv = ["-m", "bot", "demo", "--drivers", DRIVERS, "--port", "0", "--folder", str(folder / "kept"), *words]
    env = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with (folder / "said.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv, env=env, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=log
        )
        assert process.stdout is not None
        url = await asyncio.wait_for(_url(process.stdout), 60)
        rest = asyncio.create_task(process.stdout.read())  # a full pipe would stop it
        expect.set_options(timeout=RUN_MS)  # how fast it is, is measured by the benchmarks, where nothing else runs
        try:
            yield Demo(url, folder / "kept", browser)
        finally:
            expect.set_options(timeout=5000)
            process.send_signal(signal.SIGINT)
            code = await asyncio.wait_for(process.wait(), 60)
            await rest
    assert code == 130, (folder / "said.log").read_text("utf-8")


async def _url(out: asyncio.StreamReader) -> str:
    said = b""
    while line := await out.readline():
        said += line
        if found := re.search(rb"practice page: (http://127\.0\.0\.1:\d+/)", line):
            return found[1].decode()
    raise AssertionError(said.decode())


def messages(page: Page) -> Locator:
    return page.locator("#column .message")


def live(page: Page, name: str) -> Locator:
    """One of the panel's facts: Flag, Served model, Champion, Definition, Pipeline."""
    return page.locator("dl.live > div").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def composer(page: Page) -> Locator:
    return page.locator("#composer")


async def say(page: Page, text: str) -> None:
    await composer(page).fill(text)
    await composer(page).press("Enter")


async def ask(page: Page, text: str = ASK) -> Locator:
    """Asks for a rollback; its card, when it can be approved."""
    known = await page.locator("#column [data-action-id=approve]").count()
    await say(page, text)
    approve = page.locator("#column [data-action-id=approve]")
    await expect(approve).to_have_count(known + 1, timeout=RUN_MS)
    return await newest_card(page)


async def newest_card(page: Page) -> Locator:
    """The newest message in the channel that can be approved, to be found when it can't be any more."""
    stands = await messages(page).filter(has=page.locator("[data-action-id=approve]")).last.get_attribute("data-ts")
    return page.locator(f'#column .message[data-ts="{stands}"]')


async def become(page: Page, user: str) -> None:
    await page.locator("#act-as").select_option(user)
    await expect(page.locator("#act-as")).to_have_value(user)


async def bad_release(page: Page) -> None:
    """v13 is live and served, and the flag is on; whatever was before."""
    if await live(page, "Definition").inner_text() != "v13":
        await press_effect(page, "Ship v13")
    await expect(live(page, "Served model")).to_have_text("v13", timeout=RUN_MS)
    await expect(live(page, "Flag")).to_have_text("on", timeout=RUN_MS)


async def press_effect(page: Page, name: str) -> Locator:
    """Presses a button of the incident panel; what it says came of it."""
    row = page.locator("ul.acts li").filter(has=page.get_by_role("button", name=name, exact=True))
    await row.get_by_role("button", name=name, exact=True).click()
    came = row.locator(".came")
    await expect(came).to_contain_text("Done", timeout=RUN_MS)
    return came


async def verified(page: Page, run: str) -> str:
    """Waits for the outcome of this run in the channel; its text. Fails if it was not verified."""
    said = messages(page).filter(has_text=f"{run}: driver_stats").filter(has_text="DONE")
    await expect(said).to_contain_text("verified", timeout=RUN_MS)
    return await said.inner_text()


async def run_of(card: Locator) -> str:
    """``R-7``: what the card's Details are called."""
    await card.locator("[data-action-id=details]").click()
    title = card.page.get_by_role("dialog").get_by_role("heading").first
    found = re.match(r"R-\d+", await title.inner_text())
    await card.page.keyboard.press("Escape")
    await expect(card.page.get_by_role("dialog")).to_have_count(0)
    assert found is not None
    return found[0]


async def ringed(page: Page, thing: Locator) -> None:
    """The tour's ring is around this, in sight. Looked for anew each time: a message that is edited is drawn anew."""
    await expect(thing).to_be_in_viewport()
    ring = page.locator(".tour-ring")
    async with asyncio.timeout(RUN_MS / 1000):
        while not _around(await ring.bounding_box(), await thing.bounding_box()):
            await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done()))")


def _around(ring: FloatRect | None, thing: FloatRect | None) -> bool:
    if ring is None or thing is None:
        return False
    return abs(ring["x"] + 4 - thing["x"]) < 1 and abs(ring["y"] + 4 - thing["y"]) < 1
