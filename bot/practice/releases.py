"""Three releases come to the practice platform, each captured the way a team would: by CI's hook, or typed in Slack."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from bot.core.errors import Fault
from bot.practice.narrator import Narrator
from bot.practice.place import ANA, FEATURE, PATIENCE, PLATFORM, Place, in_thread

LOOK_AGAIN = 0.25
NOTES = {
    "v11": "First version: plain mean of the day's trips",
    "v12": "Trips weighted by age; acceptance rate added",
    "v13": "Rating added; trip time from the dispatcher's clock",
}


async def three_releases(place: Place, tell: Narrator) -> None:
    """v11 is live already. From v12 on the pipeline writes all the time. Raises Fault if one can't be captured."""
    tell.act("Three releases")
    await captured_by_ci(place, tell, "v11")
    place.stack.start_pipeline()
    tell.say("the pipeline runs: every 3 s some drivers have news, appended to Delta and materialized into Feast")
    await ship(place, tell, "v12")
    await captured_in_slack(place, tell, "v12")
    await ship(place, tell, "v13")
    await captured_by_ci(place, tell, "v13")


async def ship(place: Place, tell: Narrator, version: str) -> None:
    """Data, definition, online rows, model and flag, as the team's CI would."""
    began = time.monotonic()
    with tell.bar(f"shipping {version}", notes=False) as bar:
        made = await in_thread(place.stack.publish, version, bar)
    what = (
        f"{made['drivers']:,} drivers, Delta {made['delta']}, model {made['model']} (mae {made['metrics']['mae']:.2f})"
    )
    tell.does("ci", "", f"ships {version} in {time.monotonic() - began:.1f} s: {what}")


async def captured_in_slack(place: Place, tell: Narrator, version: str) -> None:
    """Typed by ana in the team's channel; she alone hears of it."""
    began, before = time.monotonic(), len(place.slack.ephemerals(ANA, PLATFORM))
    typed = f'capture {FEATURE} {version} "{NOTES[version]}"'
    tell.does("ana", "in #ml-platform", f"/rollback {typed}")
    ack = await place.slack.slash("/rollback", typed, ANA, PLATFORM)

    def heard() -> str | None:
        told = [m.text for m in place.slack.ephemerals(ANA, PLATFORM)[before:] if m.via != "ack"]
        return told[0] if told else None

    answer = await place.until(heard, f"{version} was not captured ({ack.error or ack.body})")
    tell.hears("ana", answer, f"{time.monotonic() - began:.1f} s")
    if not answer.startswith("Captured"):
        raise Fault(f"{version} was not captured: {answer}")


async def captured_by_ci(place: Place, tell: Narrator, version: str) -> None:
    """The hook answers when it is durable; the release stands a little later."""
    began = time.monotonic()
    body = {"feature": FEATURE, "version": version, "changelog": NOTES[version]}
    headers = {"Authorization": f"Bearer {place.token}"}
    hook = f"{place.bot.url}/hooks/release"
    async with aiohttp.ClientSession() as http, http.post(hook, json=body, headers=headers) as answer:
        took, said = time.monotonic() - began, (await answer.text()).strip()
        tell.does("ci", "", f'POST /hooks/release {{"feature": "{FEATURE}", "version": "{version}", ...}}')
        if answer.status != 202:
            raise Fault(f"{version} was not captured: POST /hooks/release answered {answer.status} {said}")
    with tell.bar(f"capturing {version}", notes=False):
        await _stands(place, version)
    tell.say(f"{answer.status} after {took * 1000:.0f} ms; {version} stands after {time.monotonic() - began:.1f} s")


async def _stands(place: Place, version: str) -> None:
    """Asked as anybody would, since a hook hears no more after its 202."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ack = await place.slack.slash("/rollback", f"versions {FEATURE}", ANA, PLATFORM)
        if f"{version} LIVE since" in str(ack.body):
            return
        await asyncio.sleep(LOOK_AGAIN)
    raise Fault(f"{version} was not captured within {PATIENCE:.0f} s; the bot's last words: {place.bot.last_words()}")
