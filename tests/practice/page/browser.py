"""A real Chromium on a blank page that serves the practice page's own modules under its strict policy."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

import bot.practice
from tests.services import absent

STATIC = Path(bot.practice.__file__).parent / "page/static"
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'"
BLANK = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Blank</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/page/static/page.css"><link rel="stylesheet" href="/page/static/blocks.css"></head>
<body><main id="place"></main></body></html>"""
ARGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@dataclass
class Blank:
    """One page. ``faults``: what the browser complained about; ``foreign``: requests to anywhere but here."""

    page: Page
    faults: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    async def call(self, script: str, *given: Any) -> Any:
        """Runs ``async (...given) => {script}`` in the page."""
        return await self.page.evaluate(f"async (given) => (async (...given) => {{ {script} }})(...given)", list(given))


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium; skips where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        absent("Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=ARGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def blank_page(browser: Browser, **look: Any) -> AsyncIterator[Blank]:
    """A fresh page on 127.0.0.1; ``look``: how Playwright makes its context."""
    runner = web.AppRunner(_application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    context = await browser.new_context(**look)
    try:
        yield await _watched(context, f"http://127.0.0.1:{runner.addresses[0][1]}/")
    finally:
        await context.close()
        await runner.cleanup()


async def _watched(context: BrowserContext, origin: str) -> Blank:
    blank = Blank(await context.new_page())
    blank.page.set_default_timeout(10_000)
    blank.page.on("pageerror", lambda error: blank.faults.append(str(error)))
    blank.page.on("console", lambda said: blank.faults.append(said.text) if said.type == "error" else None)
    blank.page.on("request", lambda r: None if r.url.startswith(origin) else blank.foreign.append(r.url))
    await blank.page.goto(origin)
    return blank


def _application() -> web.Application:
    async def index(_request: web.Request) -> web.Response:
        return web.Response(text=BLANK, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def static(request: web.Request) -> web.StreamResponse:
        path = STATIC / request.match_info["name"]
        if path.is_file():
            return web.FileResponse(path)
        return web.Response(text="", content_type="text/css")

    async def icon(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/favicon.ico", icon)
    app.router.add_get("/", index)
    app.router.add_get("/page/static/{name}", static)
    return app
