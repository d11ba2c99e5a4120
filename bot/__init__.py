"""Rollbot takes a feature of an ML platform back to a known-good release, and proves it.

core/      the rules: pure, no SQL, no Slack, no I/O
flows/     the verbs: plan, drive, capture, apply
store/     SQL, and the only place that imports SQLAlchemy
outside/   children, blobs, the registry of targets, files of playbooks
targets/   one file per type of outside system
slack/     Slack, and the only place that imports slack_bolt or slack_sdk
web/       HTTP: the gate, hooks, the CI answer, health
drivers/   who calls drive(run) again
practice/  a local Slack and a small real stack to learn and test with
"""

__version__ = "0.1.0"
