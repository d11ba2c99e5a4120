"""``rollbot demo``: the practice incident on a real platform with the real bot, played through in the terminal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.core.errors import Fault, RollbotError
from bot.core.text import span
from bot.practice.evidence import Evidence, gather, why_not
from bot.practice.incident import Incident, NotVerified, say_eta
from bot.practice.narrator import Narrator
from bot.practice.place import ANA, SAM, Place, Transport, in_thread, open_place
from bot.practice.releases import three_releases
from bot.practice.slack_server import PracticeSlack
from bot.practice.stack.host import Ended
from bot.practice.stack.stack import Broken


class Lost(StrEnum):
    """What v12 stands on and is taken away before the rollback."""

    model = "model"
    delta = "delta"


class Interrupted(RollbotError):
    """Stopped. Everything that was started has ended."""

    code = 130


@dataclass(frozen=True)
class Options:
    """``port``: the practice Slack's, 0 takes a free one. ``folder``: where all is made, and kept; None: a temporary
    one. ``lost``: what is gone before the rollback is asked for."""

    drivers: int = 50_000
    transport: Transport = "http"
    port: int = 0
    folder: Path | None = None
    lost: Lost | None = None


async def play(options: Options, tell: Narrator) -> None:
    """The whole incident. Returns only if the rollback was verified, by the bot and apart from it; else raises
    NotVerified with the reason in one line, or what kept it from being played."""
    async with set_up(options, tell) as place:
        await three_releases(place, tell)
        if options.lost:
            await _lose(place, tell, options.lost)
        incident = Incident(place, tell)
        await _incident(incident, tell)
        tell.act("What is true now")
        with tell.bar("asking the bot, the gate, the audit log and the platform", notes=False):
            found = await gather(place, incident.run)
        _say_evidence(tell, incident, found)
    if reason := why_not(found):
        raise NotVerified(reason)
    accuracy, verified = found.run["accuracy"], found.run["clocks"]["verified_s"]
    right = f"{accuracy['matched']:,} of {accuracy['expected']:,} values match, {accuracy['extra']} extra"
    tell.verdict(f"Verified: v12 is live again, {right}, {span(verified)} after the approval.", good=True)


async def _incident(incident: Incident, tell: Narrator) -> None:
    tell.act("The incident")
    await incident.harm()
    await incident.ask()
    await incident.refused(SAM, "sam")
    await incident.refused(ANA, "ana")
    await incident.time_passes()
    await incident.stop_the_harm()
    tell.act("The rollback")
    await incident.approve()
    await incident.follow()


@asynccontextmanager
async def set_up(options: Options, tell: Narrator, slack: PracticeSlack | None = None) -> AsyncIterator[Place]:
    """Everything started and introduced. On the way out all processes have ended, and a temporary folder is gone.
    ``slack``: one that listens already."""
    tell.act("Set-up")
    with _folder(options.folder) as folder, ExitStack() as drawn, _in_our_words():
        bar = drawn.enter_context(tell.bar("setting up"))
        opened = open_place(folder, options.drivers, options.transport, options.port, bar, slack)
        async with opened as place:
            drawn.close()
            tell.say(f"practice Slack on {_bare(place.slack.base_url)}; acting there: ana, ben, cleo, lea, sam")
            tell.say(f"Feast, Delta, MLflow, a flag file and servers, with {options.drivers:,} drivers, in {folder}")
            tell.say(
                f"rollbot serve on {_bare(place.bot.url)}, process {place.bot.pid}, hears Slack by {options.transport}"
            )
            yield place


def _bare(url: str) -> str:
    """Not for a browser: the only address that a person opens is the page's."""
    return url.removeprefix("http://")


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """Raises Fault for a folder with something in it."""
    if wanted is None:
        with TemporaryDirectory(prefix="rollbot-demo-", ignore_cleanup_errors=True) as made:
            yield Path(made).resolve()
        return
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise Fault(f"{wanted} is not an empty folder; give a new one: --folder PATH")
    wanted.mkdir(parents=True, exist_ok=True)
    yield wanted.resolve()


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What the practice platform could not do, as one line."""
    try:
        yield
    except (Broken, Ended) as e:
        raise Fault(f"the practice platform failed: {e}") from e


async def _lose(place: Place, tell: Narrator, lost: Lost) -> None:
    """As an eager clean-up job does."""
    if lost is Lost.model:
        number = await in_thread(place.stack.delete_model_files, "v12")
        tell.does("cleanup", "", f"deletes the files of model {number}, which is v12's; the registry still lists it")
    else:
        files = await in_thread(place.stack.delete_delta_files, "v12")
        tell.does("cleanup", "", f"deletes the {files} files of v12's newest Delta version; the log still names them")


def _say_evidence(tell: Narrator, incident: Incident, found: Evidence) -> None:
    run, clocks, accuracy = found.run, found.run.get("clocks") or {}, found.run.get("accuracy") or {}
    tell.say(f"{run['id']} {run['status']}: {run.get('why', '')} (rollbot run show {run['id']} --json)")
    times = [
        f"{name} {clocks[f'{name}_s']:.1f} s" for name in ("applied", "visible", "verified") if clocks.get(f"{name}_s")
    ]
    tell.say(f"after the approval: {', '.join(times) or 'nothing'}")
    tell.say(f"request to card {incident.times['card']:.2f} s; Stop the harm to flag off {incident.times['off']:.2f} s")
    if accuracy:
        names = ("matched", "expected", "missing", "extra", "null")
        counts = ", ".join(f"{accuracy[name]:,} {name}" for name in names)
        tell.say(f"accuracy {accuracy['matched'] / max(1, accuracy['expected']):.4f}, {accuracy['where']}: {counts}")
    if found.eta:
        tell.say(f"measured apart from the bot: {say_eta(found.eta)}")
    tell.say(f"the flag is {'on' if incident.flag_on() else 'off'}; GET /gate/driver_stats: {found.gate}")
    tell.say(f"audit log: {'; '.join(found.audit.out.splitlines()) or found.audit.last}")
    for item in run.get("left_behind", []):
        tell.say(f"left behind: {item['say']}")


async def interruptible(work: Coroutine[Any, Any, None]) -> None:
    """Ctrl-C and SIGTERM end the work where it is and wait for its clean-up. Raises Interrupted then."""
    task = asyncio.ensure_future(work)
    asked: list[int] = []

    def stop() -> None:
        if not asked:  # a second one must not cut the clean-up short
            asked.append(1)
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        raise Interrupted from None
