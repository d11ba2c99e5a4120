"""What is known of a person, gathered before the transaction that judges."""

from __future__ import annotations

import asyncio

from bot.core import policy as rules
from bot.core.policy import Policy, Requirement, Standing
from bot.flows.world import World


async def members(world: World, policy: Policy, group: str, team: str) -> tuple[frozenset[str] | None, bool]:
    """Who is in a group, and whether that is an old answer. None: nobody can say."""
    listed = rules.listed_group(policy, group, team)
    if listed is not None:
        return listed, False
    found = await world.people.group(rules.bare(group))
    return (found.members, found.stale) if found else (None, False)


async def standing(world: World, policy: Policy, person: str, need: Requirement | None = None) -> Standing:
    """Membership of every group that the policy or this requirement speaks of."""
    groups = sorted(rules.groups_of(policy, need))
    team = person.split("/", 1)[0]
    found = await asyncio.gather(*(members(world, policy, g, team) for g in groups))
    known = list(zip(groups, found, strict=True))
    return Standing(
        person=person,
        member_of=frozenset(g for g, (who, _) in known if who is not None and person in who),
        unknown=frozenset(g for g, (who, _) in known if who is None),
        stale=frozenset(g for g, (_, old) in known if old),
    )


async def nobody_can(world: World, policy: Policy, need: Requirement, requester: str) -> str | None:
    """Why nobody can meet this requirement; None if somebody can, or nobody can say."""
    team = requester.split("/", 1)[0]
    groups = sorted({rules.bare(a.group) for a in need.alternatives if a.group != rules.EVERYONE})
    found = await asyncio.gather(*(members(world, policy, g, team) for g in groups))
    who = {g: m for g, (m, _) in zip(groups, found, strict=True)}
    return rules.unsatisfiable(policy, need, who, requester)
