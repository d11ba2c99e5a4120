"""What can be typed after /rollback, by noun. Importing this registers all of it."""

from bot.slack.commands import control, drill, keys, reading, releases, rollback

__all__ = ["control", "drill", "keys", "reading", "releases", "rollback"]
