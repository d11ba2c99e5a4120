"""What can be known about Slack before the night it is needed: token, scopes, workspace, channels and groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bot.core import policy as rules
from bot.core.errors import RollbotError
from bot.core.feature import Feature
from bot.flows.world import World
from bot.slack.client import TROUBLE, SlackClient
from bot.slack.people import SlackPeople
from bot.slack.places import Places
from bot.slack.refusals import error_of

SCOPES = {
    "commands": "to be called by /rollback",
    "chat:write": "to post cards",
    "channels:read": "to find channels by name",
    "groups:read": "to find private channels by name",
    "channels:history": "to find a message again after a crash",
    "groups:history": "to find a message in a private channel again after a crash",
    "users:read": "to name people",
    "usergroups:read": "to know who may approve",
    "im:write": "to write to approvers directly",
}
MOST_FEATURES = 500
LISTED = "in policy.yaml"
"""In place of an id: Slack is not asked about a group that the policy lists."""


@dataclass(frozen=True)
class Known:
    """A name, and what Slack calls it. ``members`` None: it has none to count."""

    kind: Literal["workspace", "bot", "channel", "group"]
    name: str
    id: str
    members: int | None = None


@dataclass
class Checkup:
    """What was met, and one line for each thing that is wrong; only ``faults`` would fail in the night."""

    names: list[Known] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


async def checkup(world: World, client: SlackClient, people: SlackPeople, workspaces: frozenset[str]) -> Checkup:
    """``workspaces``: those that the settings allow; none: all."""
    found = Checkup()
    try:
        answer = await client.auth_test()
    except TROUBLE as e:
        found.faults.append(f"Slack: auth.test: {error_of(e)}; is SLACK_BOT_TOKEN right?")
        return found
    team = str(answer.get("team_id") or "")
    found.names.append(Known("workspace", str(answer.get("team") or ""), team))
    found.names.append(Known("bot", f"@{answer.get('user')}", str(answer.get("user_id") or "")))
    if workspaces and team not in workspaces:
        found.faults.append(f"Slack: the bot token belongs to {team}, which ROLLBOT_WORKSPACES does not list")
    _scopes(answer.headers.get("x-oauth-scopes"), found)
    await _channels(world, client, found)
    await _groups(world, people, found)
    return found


def _scopes(header: object, found: Checkup) -> None:
    """What the token may do, as Slack says with each answer."""
    if header is None:
        found.warnings.append("Slack: it was not said which scopes the token has; compare them with manifest.json")
        return
    found.scopes = sorted(s.strip() for s in str(header).split(",") if s.strip())
    if not found.scopes:
        found.faults.append("Slack: the token has no scope at all; install the app as manifest.json describes it")
        return
    found.faults += [f"Slack: scope {s} is missing ({why})" for s, why in SCOPES.items() if s not in found.scopes]


def _features(world: World) -> list[Feature]:
    found = []
    for name in world.books.feature_names()[:MOST_FEATURES]:
        try:
            found.append(world.books.feature(name))
        except RollbotError:
            continue
    return found


async def _channels(world: World, client: SlackClient, found: Checkup) -> None:
    """Each named channel must be there, with the bot in it."""
    places = Places(world, client)
    wanted = dict.fromkeys(sorted({f.channel for f in _features(world) if f.channel}), "")
    if audit := world.books.policy().audit_channel:
        wanted[audit] = "audit_channel, "
    for channel, what in wanted.items():
        at = await places.id_of(channel)
        try:
            answer = await client.conversations_info(channel=at)
        except TROUBLE as e:
            found.faults.append(f"Slack: channel {channel} ({what}{at}): {error_of(e)}")
            continue
        found.names.append(Known("channel", channel, at))
        if not (answer.get("channel") or {}).get("is_member"):
            found.faults.append(f"Slack: the bot is not in channel {channel} ({what}{at}); invite it there")


async def _groups(world: World, people: SlackPeople, found: Checkup) -> None:
    """Each group that the policy asks Slack about must have members."""
    policy = world.books.policy()
    named = [policy.escalate, *(f.owner for f in _features(world))]
    wanted = rules.groups_of(policy) | {"ml-oncall"} | {rules.bare(name) for name in named if name}
    for group in sorted(wanted):
        listed = rules.listed_group(policy, group, "")
        if listed is not None:
            found.names.append(Known("group", f"@{group}", LISTED, len(listed)))
            continue
        known = await people.group(group)
        if known is None:
            found.faults.append(f"Slack: nobody can say who is in @{group}")
        elif not known.members:
            found.faults.append(f"Slack: there is no user group @{group}, or it has no members")
        else:
            found.names.append(Known("group", f"@{group}", await people.group_id(group), len(known.members)))
