"""HTTP: the gate in front of Slack's requests, hooks for CI, and health."""
