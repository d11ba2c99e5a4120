"""The practice page in a real browser: a practice Slack with a small app behind it, opened by its people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.page import PracticePage
from bot.practice.slack_server import PracticeSlack
from tests.practice.conftest import MANIFEST, buttons, modal, serve_http
from tests.practice.page.browser import chromium

Json = dict[str, Any]
PATIENCE_MS = 20_000


@dataclass
class Practice:
    """``client`` is the app's; ``stop`` takes the app away."""

    slack: PracticeSlack
    client: AsyncWebClient
    stop: Callable[[], Awaitable[None]]

    async def post(self, text: str, **more: Any) -> str:
        """A message of the app; its ts."""
        answer = await self.client.chat_postMessage(channel=more.pop("channel", "C0INC"), text=text, **more)
        return str(answer["ts"])


def small_app(slack: PracticeSlack) -> AsyncApp:
    """Its command posts a card with two buttons and a reply; ``status`` answers privately; ``form`` opens a modal."""
    client = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
    app = AsyncApp(client=client, signing_secret=slack.signing_secret, process_before_response=True)

    async def command(ack: Any, body: Json) -> None:
        if body["text"] == "status":
            await ack(text="No open runs.")
            return
        await ack()
        if body["text"] == "form":
            await client.views_open(trigger_id=body["trigger_id"], view=modal())
            return
        where = body["channel_id"]
        card = await client.chat_postMessage(channel=where, text="Card", blocks=buttons("approve", "abort"))
        await client.chat_postMessage(channel=where, text="planned", thread_ts=str(card["ts"]))

    async def approve(ack: Any, body: Json) -> None:
        await ack()
        message = body["message"]
        await client.chat_update(channel=body["channel"]["id"], ts=message["ts"], text="Approved", blocks=[])

    async def home(event: Json) -> None:
        blocks = [{"type": "header", "text": {"type": "plain_text", "text": "Open runs"}}]
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    async def quiet(ack: Any) -> None:
        await ack()

    app.command("/rollback")(command)
    app.action("approve")(approve)
    app.view("form")(quiet)
    app.shortcut("start_rollback")(quiet)
    app.event("app_home_opened")(home)
    return app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the module."""
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def practice() -> AsyncIterator[Practice]:
    """Served with the page; the app hears Slack by signed HTTP."""
    slack = PracticeSlack(MANIFEST, pace=False, retry_scale=0.0)
    PracticePage(slack)
    await slack.start()
    stop = await serve_http(slack, small_app(slack))
    yield Practice(slack, AsyncWebClient(slack.bot_token, base_url=slack.api_url), stop)
    await stop()
    await slack.stop()


class OpenPage(Protocol):
    async def __call__(self, user: str, **look: Any) -> Page: ...


@dataclass
class Watched:
    """What may not happen on any page: complaints of the browser, and requests to another host."""

    origin: str
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith(self.origin) else self.faults.append(r.url))


@pytest_asyncio.fixture(loop_scope="module")
async def watched(practice: Practice) -> AsyncIterator[Watched]:
    """Fails the test if any page complained or asked another host. A test that cuts a connection clears ``faults``."""
    found = Watched(f"{practice.slack.base_url}/")
    yield found
    assert found.faults == []


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser, practice: Practice, watched: Watched) -> AsyncIterator[OpenPage]:
    """Opens the page as somebody, each time in a browser context of its own; ``look``: how Playwright makes it."""
    contexts: list[BrowserContext] = []

    async def opened(user: str, **look: Any) -> Page:
        place = look.pop("place", "")
        contexts.append(await browser.new_context(**({"reduced_motion": "reduce"} | look)))
        page = await contexts[-1].new_page()
        watched.watch(page)
        await page.goto(f"{watched.origin}?as={user}{place}")
        await expect(page.locator("#head h1")).to_be_visible(timeout=PATIENCE_MS)
        return page

    yield opened
    for context in contexts:
        await context.close()
