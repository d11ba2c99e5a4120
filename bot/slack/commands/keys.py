"""Who one is at the terminal, and what can be typed."""

from __future__ import annotations

from bot.core.errors import Usage
from bot.slack.commands.registry import Typed, subcommand, usage
from bot.slack.reply import Reply
from bot.slack.views.words import Shown, said, sections
from bot.store import keys, occurrences
from bot.store.write import Connection


@subcommand("key", "key", "a personal key for the terminal, shown once; the one before stops working")
async def key(typed: Typed) -> Reply:
    """The same request again gets no key: whoever replays it must not be shown one."""
    now, origin = typed.desk.world.now(), typed.origin

    def make(conn: Connection) -> str | None:
        return keys.make(conn, origin.person, now) if occurrences.claim(conn, origin.key, now) else None

    made = await typed.desk.world.store.write(make)
    if made is None:
        raise Usage("This key was shown already. For another one: /rollback key")
    return Reply(f"Your key, shown once: {made}  Use it as ROLLBOT_KEY={made}. It acts as you, so keep it to yourself.")


@subcommand("help", "help", "this list")
async def help_(_typed: Typed) -> Reply:
    lines = [f"*{said('What you can write')}*", *[said(line, 400) for line in usage()]]
    return Reply(shown=Shown("What you can write", sections(lines)))
