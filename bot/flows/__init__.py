"""THE VERBS: plan, drive, capture, apply. They call the rules and the store, never Slack and never one another's insides."""
