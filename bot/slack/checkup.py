"""What can be known about Slack before the night it is needed: token, scopes, workspace, channels and groups."""

from __future__ import annotations

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


async def faults(world: World, client: SlackClient, people: SlackPeople, workspaces: frozenset[str]) -> list[str]:
    """One line each; none if all is well."""
    try:
        answer = await client.auth_test()
    except TROUBLE as e:
        return [f"Slack: auth.test: {error_of(e)}; is SLACK_BOT_TOKEN right?"]
    found: list[str] = []
    team = str(answer.get("team_id") or "")
    if workspaces and team not in workspaces:
        found.append(f"Slack: the bot token belongs to {team}, which ROLLBOT_WORKSPACES does not list")
    header = answer.headers.get("x-oauth-scopes")
    granted = {s.strip() for s in str(header or "").split(",")}
    if header is not None:
        found += [f"Slack: scope {s} is missing ({why})" for s, why in SCOPES.items() if s not in granted]
    return found + await _channels(world, client) + await _groups(world, people)


def _features(world: World) -> list[Feature]:
    found = []
    for name in world.books.feature_names()[:MOST_FEATURES]:
        try:
            found.append(world.books.feature(name))
        except RollbotError:
            continue
    return found


async def _channels(world: World, client: SlackClient) -> list[str]:
    """Each named channel must be there, with the bot in it."""
    places, found = Places(world, client), []
    for channel in sorted({f.channel for f in _features(world) if f.channel}):
        at = await places.id_of(channel)
        try:
            answer = await client.conversations_info(channel=at)
        except TROUBLE as e:
            found.append(f"Slack: channel {channel} ({at}): {error_of(e)}")
            continue
        if not (answer.get("channel") or {}).get("is_member"):
            found.append(f"Slack: the bot is not in channel {channel} ({at}); invite it there")
    return found


async def _groups(world: World, people: SlackPeople) -> list[str]:
    """Each group that the policy asks Slack about must have members."""
    try:
        policy = world.books.policy()
    except RollbotError:
        return []
    wanted = rules.groups_of(policy) | {"ml-oncall"} | {rules.bare(f.owner) for f in _features(world) if f.owner}
    found = []
    for group in sorted(wanted):
        if rules.listed_group(policy, group, "") is not None:
            continue
        known = await people.group(group)
        if known is None:
            found.append(f"Slack: nobody can say who is in @{group}")
        elif not known.members:
            found.append(f"Slack: there is no user group @{group}, or it has no members")
    return found
