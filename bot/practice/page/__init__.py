"""The practice page: what a person sees of the practice Slack, as JSON, and what they do."""
