"""Releases: capturing what is live, and asking whether one can still be restored."""

from __future__ import annotations

from bot.core.commands import CaptureRelease
from bot.core.errors import RollbotError, Usage
from bot.core.feature import VERSION, Feature
from bot.flows.readiness import readiness
from bot.flows.world import World
from bot.slack.commands import names
from bot.slack.commands.registry import Typed, subcommand
from bot.slack.reply import Reply


@subcommand("capture", "capture FEATURE VERSION [CHANGELOG...]", "keep what is live now under a name, to go back to")
async def capture(typed: Typed) -> Reply:
    feature = names.feature(typed.desk.world, typed.word(1))
    version = typed.word(2)
    if not VERSION.match(version) or version.lower() == names.PREVIOUS:
        raise Usage(
            f"{version!r} is no version; write /rollback capture {feature.feature} VERSION (letters, digits, . _ + -)"
        )
    command = CaptureRelease(
        feature=feature.feature,
        version=version,
        changelog=_unquoted(typed.line.after(3)),
        channel=typed.origin.channel,
    )
    answer = f"Capturing {feature.feature} {version}. You will hear when it stands."
    taken = await typed.desk.take(typed.origin, (command, answer))
    return Reply(taken.answer)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in '"“' and text[-1] in '"”' else text


@subcommand("ready", "ready FEATURE VERSION", "can this release still be restored? asks the systems")
async def ready(typed: Typed) -> Reply:
    world, origin = typed.desk.world, typed.origin
    feature = names.feature(world, typed.word(1))
    if not typed.word(2):
        raise Usage(f"Which release? Write /rollback ready {feature.feature} VERSION; /rollback versions lists them.")
    version = await names.version(world, feature, typed.word(2))
    if version == names.PREVIOUS:
        raise Usage("ready needs a version by name; /rollback versions FEATURE lists them")

    async def check() -> None:
        await typed.desk.tell(origin, await in_one_line(world, feature, version))

    return Reply(f"Looking whether {feature.feature} {version} can still be restored...", then=check)


async def in_one_line(world: World, feature: Feature, version: str) -> str:
    """Can this release still be restored, by component; reads from the outside systems, writes nothing."""
    try:
        found = await readiness(world, feature, version)
    except RollbotError as e:
        return f"{feature.feature} {version}: {e.message}"
    said = []
    for name, answer in found.items():
        word = {"ready": "ready", "not_ready": "NOT ready", "not_checked": "not checked"}[answer.status]
        until = f" until {answer.expires_at:%d %b %H:%M}" if answer.expires_at else ""
        said.append(f"{name} {word}{until}" + (f" ({'; '.join(answer.reasons)})" if answer.reasons else ""))
    lacking = [p.name for p in feature.parts() if p.name not in found and p.kind != "pipeline"]
    said += [f"{name} not captured" for name in lacking]
    return f"{feature.feature} {version}: {', '.join(said) or 'nothing was captured'}"
