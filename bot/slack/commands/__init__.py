"""What can be typed after /rollback, by noun. Importing this registers all of it."""

from bot.slack.commands import control, keys, reading, releases, rollback

__all__ = ["control", "keys", "reading", "releases", "rollback"]
