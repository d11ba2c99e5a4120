"""Practising: a rollback in sandboxes, asked for by a person; and which drills are scheduled."""

from __future__ import annotations

from bot.core.errors import RollbotError, Usage
from bot.flows.drills import next_times
from bot.slack.commands import names, parse
from bot.slack.commands.registry import Typed, subcommand
from bot.slack.commands.rollback import asking, planning, wanted
from bot.slack.reply import Reply
from bot.slack.views.words import Shown, said, sections


@subcommand(
    "drill",
    "drill FEATURE to VERSION",
    "practise a rollback with its approvals, in sandboxes: production is not touched; alone it lists scheduled drills",
)
async def drill(typed: Typed) -> Reply:
    """The same words as for a rollback, and the same road."""
    if len(typed.line.words) == 1 or typed.word(1).lower() == "list":
        return Reply(shown=_scheduled(typed))
    world, said_ = typed.desk.world, parse.asked(typed.line, start=1)
    feature = names.feature(world, said_.feature)
    if not said_.to or said_.dry_run:
        raise Usage(f"Say which release: /rollback drill {feature.feature} to VERSION (or to previous).")
    request = await wanted(typed, feature, said_, "drill")
    return await asking(typed, (request, planning(request)))


def _scheduled(typed: Typed) -> Shown:
    """Every drill's next time, or what is wrong with its file."""
    lines = ["*Scheduled drills*"]
    for name, found in next_times(typed.desk.world):
        if isinstance(found, RollbotError):
            lines.append(said(f"Fault: {found.message}", 500))
        else:
            lines.append(said(f"{name}: {found}"))
    lines += ["None. A drill is a file in playbooks/drills/."] if len(lines) == 1 else []
    return Shown("Scheduled drills", sections(lines))
