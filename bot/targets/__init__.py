"""One file per type of outside system. Targets need only ``bot.core`` and know nothing of one another."""
