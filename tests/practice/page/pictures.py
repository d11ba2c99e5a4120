"""Pictures for the README, taken by the tests: ``make pictures`` keeps them in docs/pictures."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Locator, Page

FOLDER = "ROLLBOT_PICTURES"


async def picture(of: Locator | Page, name: str) -> None:
    """Taken in any case, and kept where the environment names a folder."""
    taken = await of.screenshot(type="png", animations="disabled", caret="hide")
    if kept := os.environ.get(FOLDER):
        (Path(kept) / f"{name}.png").write_bytes(taken)
