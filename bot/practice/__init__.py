"""The practice workspace: a local Slack, a small real stack, and the demo that plays an incident on both."""
