"""THE VERBS: plan, drive, capture, apply. They call rules and store, never Slack nor one another's insides."""
