"""Practising: a rollback in sandboxes, asked for by a person; and which drills are scheduled."""

from __future__ import annotations

from bot.core.commands import Request
from bot.core.errors import RollbotError, Usage
from bot.flows.drills import next_times
from bot.slack.commands import names, parse
from bot.slack.commands.registry import Typed, subcommand
from bot.slack.commands.rollback import asking, planning
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
    request = Request(
        feature=feature.feature,
        to=await names.version(world, feature, said_.to),
        at=names.time(world, said_.at),
        without=names.components(feature, said_.without),
        reason=said_.reason,
        incident=said_.incident,
        mode="drill",
        playbook=world.books.playbook(said_.playbook).playbook if said_.playbook else None,
        channel=typed.origin.channel,
    )
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
