"""One Chromium and one blank page for a module of tests, as new for each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.practice.page.browser import Blank, blank_page, chromium
from tests.practice.page.stage import STAGE


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
