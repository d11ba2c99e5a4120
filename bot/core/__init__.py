"""THE RULES. Pure functions and values: no SQL, no Slack, no I/O, no clock of their own."""
