"""``rollbot demo`` without a script: everything left running, to be used on the page or from another terminal."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
import shlex
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from bot.core.errors import Fault
from bot.practice.demo import Options, set_up
from bot.practice.narrator import Narrator
from bot.practice.page import PracticePage
from bot.practice.place import ANA, BEN, FEATURE, PLATFORM, Place, listening, manifest
from bot.practice.plain_blocks import lines
from bot.practice.releases import three_releases
from bot.practice.slack_server import PracticeSlack

PARTS = {"setting up": 60.0, "capturing v11": 10.0, "shipping v12": 10.0, "shipping v13": 10.0, "capturing v13": 10.0}
"""The bars of the set-up, with what share of it each takes."""
PANELS = {"incident": "IncidentPanel", "tour": "Tour"}
"""What the page shows beside the chat: modules of bot.practice.page, where they are there."""
FORGET = "unset $(env | sed -n 's/^\\(ROLLBOT_[A-Z_]*\\|SLACK_[A-Z_]*\\)=.*/\\1/p') PORT"
"""What a person has set for a real bot is not for this one."""
_KEY = re.compile(r"shown once: (\S+)")


async def stay(options: Options, tell: Narrator) -> None:
    """The page at once; then set up with v13 live and bad, and left running until it is cancelled. Says what the bot
    writes in channels."""
    slack = PracticeSlack(manifest())
    page = PracticePage(slack, options.transport)
    page.setup.begin(PARTS)
    tell.also = page.setup.tell
    async with listening(slack, options.port):
        tell.say(f"The practice page: {slack.base_url}/", style="bold")
        try:
            async with set_up(options, tell, slack) as place, AsyncExitStack() as opened:
                await three_releases(place, tell)
                programs = [await _at_a_terminal(place, name, user) for name, user in (("ana", ANA), ("ben", BEN))]
                await _open(page, place, opened)
                _say_ready(tell, *programs)
                await _channels(place, tell)
        except Exception as failed:
            page.setup.fail(str(failed))
            raise


async def _open(page: PracticePage, place: Place, opened: AsyncExitStack) -> None:
    """From now on the page takes acts, has its panels, and brings the bot back when it was killed."""
    keeping = asyncio.create_task(page.keep(place.bot, place.connect))
    opened.push_async_callback(_ended, keeping)
    for name, kind in PANELS.items():
        if importlib.util.find_spec(f"bot.practice.page.{name}") is not None:
            module = importlib.import_module(f"bot.practice.page.{name}")
            panel = page.panels[name] = getattr(module, kind)(place, page.announcer(name))
            opened.push_async_callback(panel.close)
    page.finish()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _say_ready(tell: Narrator, ana: str, ben: str) -> None:
    tell.act("Ready")
    tell.say("v13 is live and makes ETAs 40 % too long; v11, v12 and v13 are captured; the pipeline goes on.")
    tell.say("Practise on the page; or from another terminal, where you are ana, then ben:")
    for line in (
        f'{ana} run request {FEATURE} --to v12 --because "ETAs 40 % too long"',
        f"{ben} run approve R-1",
        f"{ana} run show R-1",
    ):
        tell.say(f"  {line}", style="bold")
    tell.say("What the bot writes in channels is shown here; Ctrl-C ends it.")


async def _at_a_terminal(place: Place, name: str, user: str) -> str:
    """A program that is ``rollbot`` with this person's own key, on the practice's database. Returns its path."""
    ack = await place.slack.slash("/rollback", "key", user, PLATFORM)
    found = _KEY.search(str(ack.body))
    if found is None:
        raise Fault(f"{name} got no key: {ack.error or ack.body}")
    settings = {**place.bot.env, "ROLLBOT_KEY": found[1]}
    exports = [f"export {key}={shlex.quote(value)}" for key, value in settings.items()]
    program = place.folder / name
    _write(program, ["#!/bin/sh", FORGET, *exports, f'exec {shlex.quote(sys.executable)} -m bot "$@"'])
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
