"""Pictures for the README, taken by the tests: ``make pictures`` keeps them in docs/pictures."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Locator, Page

FOLDER = "ROLLBOT_PICTURES"
RING = "(shown) => { document.querySelector('.tour-ring').style.visibility = shown; }"


async def picture(of: Locator | Page, name: str) -> None:
    """Taken in any case, without the tour's ring, and kept where the environment names a folder."""
    page = of if isinstance(of, Page) else of.page
    await page.evaluate(RING, "hidden")
    taken = await of.screenshot(type="png", animations="disabled", caret="hide")
    await page.evaluate(RING, "")
    if kept := os.environ.get(FOLDER):
        (Path(kept) / f"{name}.png").write_bytes(taken)
