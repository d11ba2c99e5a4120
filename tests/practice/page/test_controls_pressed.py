"""Every control that a stuck or slow run offers, pressed in the browser on the real practice platform."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from bot.practice.stack.layout import Layout
from tests.practice.page.browser import chromium
from tests.practice.page.live import Demo, ask, bad_release, live, messages, press_effect, run_of, running_demo

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(480)]
RAMP = "playbook: standard\nsteps:\n  - disable: flag\n  - enable: flag\n    ramp: [50]\n    every: 30m\n"
UNPROVED = """\
playbook: standard
steps:
  - restore: definition
  - disable: flag
    timeout: 2s
    retries: 0
  - verify: [definition]
  - enable: flag
  - verify: flag
"""
FLAG = "/rollback driver_stats to v12 without pipeline, dataset, definition, online, model because too long"
AND_DEFINITION = "/rollback driver_stats to v12 without pipeline, dataset, online, model because too long"
ASK = "/rollback driver_stats to v12 because too long"
OTHER = "/rollback driver_stats to v12 without online because too long"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    async with chromium() as browser, running_demo(tmp_path_factory.mktemp("demo"), browser) as made:
        yield made
        await made.close_pages()
        assert made.faults == []


def playbook(demo: Demo, text: str) -> None:
    (Layout(demo.folder / "stack").playbooks / "playbooks/standard.yaml").write_text(text, "utf-8")


async def approved(ana: Page, ben: Page, text: str = ASK) -> Locator:
    card = await ask(ana, text)
    await ben.locator("#column [data-action-id=approve]").last.click()
    return card


async def confirmed(card: Locator, action: str, word: str) -> None:
    await card.locator(f"[data-action-id={action}]").click()
    await card.page.get_by_role("alertdialog").get_by_role("button", name=word).click()


async def with_reason(page: Page, press: Locator, dialog: str, label: str, reason: str) -> None:
    await press.click()
    asked = page.get_by_role("dialog", name=dialog)
    await asked.get_by_label(label).fill(reason)
    await asked.get_by_role("button", name=dialog).click()
    await expect(asked).to_have_count(0)


async def test_unlock_another_way_and_abort(demo: Demo) -> None:
    """A run that is stuck loses its locks to the one that waits behind it; that one gives way to another way, which
    takes over, needs its own approval, and is aborted."""
    ana, ben = await demo.open("U0ANA"), await demo.open("U0BEN")
    demo.playbook("  - disable: flag\n    timeout: 2s\n    retries: 0", "  - enable: flag")
    with demo.flag_locked():
        first = await approved(ana, ben)
        await expect(first.locator("[data-action-id=retry]")).to_be_visible()
        second = await approved(ana, ben, OTHER)
        number = await run_of(second)
        behind = messages(ben).locator("[data-action-id=unlock]").last
        await with_reason(ben, behind, "Unlock", "Why?", "nobody works on it")
        await expect(first).to_contain_text("ABORTED")
        await expect(second.locator("[data-action-id=retry]")).to_be_visible()
        await second.locator("[data-action-id=switch]").click()
        way = ana.get_by_role("dialog")
        await expect(way).to_contain_text(number)
        for field, choice in (("Back to", "v12"), ("Leave as it is", "model")):
            await way.get_by_label(field).click()
            await ana.get_by_role("option", name=choice).click()
        await ana.keyboard.press("Escape")
        await way.get_by_role("button", name="Plan it").click()
        await expect(second).to_contain_text("ABORTED")
        third = messages(ana).filter(has=ana.locator("[data-action-id=approve]")).last
        await expect(third).to_contain_text("model stays")
        stands = await third.get_attribute("data-ts")
        third = ana.locator(f'#column .message[data-ts="{stands}"]')
        await ben.locator("#column [data-action-id=approve]").last.click()
        await expect(third.locator("[data-action-id=retry]")).to_be_visible()
        await confirmed(third, "abort", "Abort")
        await expect(third).to_contain_text("ABORTED")


@pytest.mark.parametrize(
    ("action", "title", "flag"),
    [("enable_anyway", "Enable anyway", "on"), ("accept", "Accept as it is", "off")],
)
async def test_what_was_not_verified_is_taken_as_it_is(demo: Demo, action: str, title: str, flag: str) -> None:
    """CI has applied the bad definition again before it was read back. With a reason the run ends as degraded; its flag
    is switched on only where a person says so."""
    ana, ben = await demo.open("U0ANA"), await demo.open("U0BEN")
    await bad_release(ana)
    playbook(demo, UNPROVED)
    with demo.flag_locked():
        card = await approved(ana, ben, AND_DEFINITION)
        await expect(card.locator("[data-action-id=retry]")).to_be_visible()
        await press_effect(ana, "CI applies v13")
    await card.locator("[data-action-id=retry]").click()
    await expect(card).to_contain_text("Wait definition: ")
    await with_reason(ben, messages(ben).locator("[data-action-id=skip]").last, "Skip", "Why?", "it will not come")
    await expect(card).to_contain_text("Verify definition: ")
    press = card.locator(f"[data-action-id={action}]")
    await with_reason(ana, press, title, "Why is that right?", "pricing reads another table")
    await expect(card).to_contain_text("DEGRADED")
    await expect(live(ana, "Flag")).to_have_text(flag)


async def test_a_ramp_is_made_faster_and_aborted(demo: Demo) -> None:
    """Half of the pause between two shares; aborted, the flag stays at the share that it has."""
    ana, ben = await demo.open("U0ANA"), await demo.open("U0BEN")
    playbook(demo, RAMP)
    card = await approved(ana, ben, FLAG)
    await card.locator("[data-action-id=speed_0]").click()
    await card.locator(".replies").click()
    told = ana.locator("#thread .message").last
    await expect(told).to_contain_text("set a share every 15 min")
    await confirmed(card, "abort", "Abort")
    await expect(card).to_contain_text("ABORTED")
