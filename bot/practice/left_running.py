"""``rollbot demo`` without a script: everything left running, to be used from another terminal as ana or ben."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from bot.core.errors import Fault
from bot.practice.demo import Options, set_up
from bot.practice.narrator import Narrator
from bot.practice.place import ANA, BEN, FEATURE, PLATFORM, Place
from bot.practice.plain_blocks import lines
from bot.practice.releases import three_releases

_KEY = re.compile(r"shown once: (\S+)")


async def stay(options: Options, tell: Narrator) -> None:
    """Set up with v13 live and bad, and left running until it is cancelled; says what the bot writes in channels."""
    async with set_up(options, tell) as place:
        await three_releases(place, tell)
        ana, ben = [await _at_a_terminal(place, name, user) for name, user in (("ana", ANA), ("ben", BEN))]
        tell.act("Ready")
        tell.say("v13 is live and makes ETAs 40 % too long; v11, v12 and v13 are captured; the pipeline goes on.")
        tell.say("The page in the browser is not part of this version. From another terminal you are ana, then ben:")
        because = '--because "ETAs 40 % too long"'
        for line in (
            f"{ana} plan {FEATURE} v12",
            f"{ana} run request {FEATURE} --to v12 {because}",
            f"{ben} run approve R-1",
            f"{ana} run show R-1",
        ):
            tell.say(f"  {line}", style="bold")
        tell.say(
            "rollbot demo --script plays all of it. What the bot writes in channels is shown here; Ctrl-C ends it."
        )
        await _channels(place, tell)


async def _at_a_terminal(place: Place, name: str, user: str) -> str:
    """A program that is ``rollbot`` with this person's own key, on the practice's database. Returns its path."""
    ack = await place.slack.slash("/rollback", "key", user, PLATFORM)
    found = _KEY.search(str(ack.body))
    if found is None:
        raise Fault(f"{name} got no key: {ack.error or ack.body}")
    settings = {**place.bot.env, "ROLLBOT_KEY": found[1]}
    exports = [f"export {key}={shlex.quote(value)}" for key, value in settings.items()]
    program = place.folder / name
    _write(program, ["#!/bin/sh", *exports, f'exec {shlex.quote(sys.executable)} -m bot "$@"'])
    return shlex.quote(str(program))


def _write(program: Path, text: list[str]) -> None:
    """Readable by its owner only: a key stands in it."""
    program.touch(0o700)
    program.write_text("\n".join(text) + "\n")


async def _channels(place: Place, tell: Narrator) -> None:
    """What is posted in channels or changed there, as it happens. For ever."""
    news = place.slack.subscribe()
    while True:
        notice = await news.get()
        if notice["kind"] != "message" or notice["what"] == "deleted":
            continue
        message = place.slack.workspace.message(notice["channel"], notice["ts"])
        channel = place.slack.workspace.channels[notice["channel"]]
        if message is not None and message.top_level and not channel.im_user:
            shown = lines(message.blocks, message.text)
            edited = notice["what"] == "edited"  # then its first line says what is new
            tell.shows(f"in #{channel.name}, {notice['what']}:", shown[:1] if edited else shown)
