"""Who may do what, in one pure file. A verdict names its rule; a requirement is a list of alternatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.core.groups import Groups, OneGroup
from bot.core.target import Value
from bot.core.text import Duration, is_address

EVERYONE = "everyone"
OWNER = "owner"
DAY = 86_400.0
ADDRESS = "write an address, as https://pager.example/rollbot, or ${NAME} for one from the environment"

Risk = Literal["low", "high"]


class Alternative(Value):
    """``count`` different people of ``group``."""

    count: int
    group: str


class Requirement(Value):
    """One of ``alternatives`` must be met; none at all: nobody is needed. ``rule`` says where it comes from."""

    alternatives: list[Alternative] = Field(default_factory=list)
    rule: str = ""
    deny: int = 1

    def say(self) -> str:
        """``1 of @ml-oncall``, ``2 of @a or 1 of @leads``, ``nobody``."""
        if not self.alternatives:
            return "nobody"
        return " or ".join(f"{a.count} of {shown(a.group)}" for a in self.alternatives)


class Allowed(Value):
    """Yes. ``note`` is shown with it (e.g. that membership is as of some hours ago)."""

    note: str = ""


class Refused(Value):
    """No, by ``rule``, because ``why``."""

    rule: str
    why: str


Verdict = Allowed | Refused


class Match(BaseModel):
    """What a rule applies to; a missing key matches all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tier: int | list[int] | None = None
    risk: Risk | None = None
    mode: Literal["live", "dry_run", "drill"] | None = None


class Rule(BaseModel):
    """``approve`` people of ``from`` must say yes; ``deny`` of them saying no ends it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = ""
    when: Match = Field(default_factory=Match)
    approve: int | list[Alternative] = 1
    deny: int = Field(default=1, ge=1)
    from_: str = Field(default="@ml-oncall", alias="from")

    @field_validator("approve")
    @classmethod
    def _some(cls, value: int | list[Alternative]) -> int | list[Alternative]:
        if isinstance(value, int) and not 0 <= value <= 10:
            raise ValueError("approve is a number of people from 0 to 10")
        if isinstance(value, list) and (not value or any(a.count < 1 for a in value)):
            raise ValueError("a list of alternatives has one at least, each with a count from 1; nobody is: approve: 0")
        return value

    @field_validator("approve", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        keys = {k for a in value if isinstance(a, dict) for k in a} if isinstance(value, list) else set()
        if odd := sorted(str(k) for k in keys - {"count", "group"}):
            raise ValueError(f"an alternative has a count and a group, and no {odd[0]!r}")
        return value


class Policy(BaseModel):
    """``playbooks/policy.yaml``. ``groups`` may list user ids; other groups are asked from the chat system."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: Literal[1] = 1
    request: list[str] = Field(default_factory=lambda: [EVERYONE])
    control: list[str] = Field(default_factory=lambda: ["@ml-oncall", "requester"])
    break_glass: Groups = Field(default_factory=lambda: ["@ml-oncall"])
    skip: list[str] = Field(default_factory=lambda: ["@ml-oncall"])
    unlock: list[str] = Field(default_factory=lambda: ["@ml-oncall"])
    escalate: OneGroup = ""
    groups: dict[str, list[str]] = Field(default_factory=dict)
    same_person: list[list[str]] = Field(default_factory=list)
    rules: list[Rule] = Field(default_factory=list)
    approvals_live: Duration = 3600.0
    reminders: list[Duration] = Field(default_factory=lambda: [120.0, 240.0, 480.0])
    page: str = ""
    audit_channel: str = ""

    @field_validator("page")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and "${" not in value and not is_address(value):
            raise ValueError(ADDRESS)
        return value


LAST_RESORT = Policy(rules=[Rule(name="the policy can't be read", approve=2)])
"""Where a policy file is faulty and none was ever read: harm can be stopped, all else needs two of @ml-oncall."""


class Standing(Value):
    """What is known of one person at this moment. ``unknown``: groups that nobody could say anything about."""

    person: str
    member_of: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()


class Nod(Value):
    """One yes or no, with the facts of that moment."""

    person: str
    yes: bool
    digest: str
    plan: int = 0
    """The number of the plan: when what moved has moved back, the same digest needs new approvals."""
    groups: frozenset[str] = frozenset()
    note: str = ""


def bare(group: str) -> str:
    return group.removeprefix("@")


def shown(group: str) -> str:
    return group if group in (EVERYONE, OWNER) else f"@{bare(group)}"


def same(policy: Policy, person: str) -> str:
    """The one name of a person who has several accounts."""
    for accounts in policy.same_person:
        if person in accounts or person.rpartition("/")[2] in accounts:  # an id may be written without its team
            return "same:" + "|".join(sorted(accounts))
    return person


def risk(live_seconds: float, rolled_back: bool, all_ready: bool) -> Risk:
    """Low: live for 24 h, never rolled back from, and every capture ready."""
    return "low" if live_seconds >= DAY and not rolled_back and all_ready else "high"


def requirement(policy: Policy, *, tier: int, risk: Risk, mode: str, owner: str, stops_only: bool) -> Requirement:
    """What a plan needs. A plan of only hold and disable needs nobody; a dry run neither."""
    if stops_only:
        return Requirement(rule="stopping the harm needs nobody")
    if mode == "dry_run":
        return Requirement(rule="a dry run changes nothing")
    for n, rule in enumerate(policy.rules, 1):
        if _matches(rule.when, tier, risk, mode):
            return Requirement(alternatives=_alternatives(rule, owner), rule=rule.name or f"rule {n}", deny=rule.deny)
    need = 2 if tier == 1 and risk == "high" else 1
    return Requirement(alternatives=[Alternative(count=need, group="@ml-oncall")], rule=f"default for {risk} risk")


def _matches(when: Match, tier: int, risk: Risk, mode: str) -> bool:
    tiers = [when.tier] if isinstance(when.tier, int) else when.tier
    return (tiers is None or tier in tiers) and when.risk in (None, risk) and when.mode in (None, mode)


def _alternatives(rule: Rule, owner: str) -> list[Alternative]:
    listed = rule.approve if isinstance(rule.approve, list) else [Alternative(count=rule.approve, group=rule.from_)]
    return [Alternative(count=a.count, group=owner if a.group == OWNER else a.group) for a in listed if a.count > 0]


def groups_of(policy: Policy, need: Requirement | None = None) -> set[str]:
    """Every group that a judgement may have to ask about, bare."""
    words = [*policy.request, *policy.control, *policy.break_glass, *policy.skip, *policy.unlock]
    words += [a.group for a in need.alternatives] if need else []
    words += [rule.from_ for rule in policy.rules]
    return {bare(w) for w in words if w not in (EVERYONE, OWNER, "requester")}


def _in_any(who: Standing, groups: Iterable[str], requester: str) -> bool:
    return any(
        g == EVERYONE or (g == "requester" and who.person == requester) or bare(g) in who.member_of for g in groups
    )


def may_request(policy: Policy, who: Standing) -> Verdict:
    if _in_any(who, policy.request, who.person):
        return Allowed()
    return Refused(rule="request", why=f"only {_said(policy.request)} may ask for a rollback")


def may_control(policy: Policy, who: Standing, requester: str) -> Verdict:
    """Abort, pause, retry, accept, lift."""
    return _only(policy.control, who, "control", "do this", requester)


def may_break_glass(policy: Policy, who: Standing) -> Verdict:
    return _only(policy.break_glass, who, "break glass", "run without approval")


def may_skip(policy: Policy, who: Standing, requester: str) -> Verdict:
    return _only(policy.skip, who, "skip", "leave a step out", requester)


def may_unlock(policy: Policy, who: Standing, requester: str) -> Verdict:
    return _only(policy.unlock, who, "unlock", "take locks away by force", requester)


def _only(groups: list[str], who: Standing, rule: str, what: str, requester: str = "") -> Verdict:
    if _in_any(who, groups, requester):
        return Allowed()
    return Refused(rule=rule, why=f"only {_said(groups)} may {what}{_blind(who)}")


def may_decide(policy: Policy, need: Requirement, who: Standing, requester: str) -> Verdict:
    """May this person's yes or no count? The requester never counts, under no account."""
    if same(policy, who.person) == same(policy, requester):
        return Refused(rule="four eyes", why="you asked for this, so somebody else must decide")
    groups = [a.group for a in need.alternatives]
    if _in_any(who, groups, requester):
        stale = who.stale & {bare(g) for g in groups}
        return Allowed(note="group membership as last seen, Slack did not answer" if stale else "")
    return Refused(rule="approvers", why=f"this needs {need.say()}{_blind(who)}")


def _said(groups: list[str]) -> str:
    return " or ".join("the requester" if g == "requester" else shown(g) for g in groups)


def _blind(who: Standing) -> str:
    return f" (nobody could say who is in {', '.join(sorted(shown(g) for g in who.unknown))})" if who.unknown else ""


def satisfied(policy: Policy, need: Requirement, nods: Iterable[Nod], digest: str) -> bool:
    """Enough different people of one alternative said yes to exactly this plan."""
    yes = [n for n in nods if n.yes and n.digest == digest]
    if not need.alternatives:
        return True
    return any(len(_people(policy, yes, a.group)) >= a.count for a in need.alternatives)


def denied(policy: Policy, need: Requirement, nods: Iterable[Nod], digest: str) -> bool:
    """Enough different people said no."""
    return len({same(policy, n.person) for n in nods if not n.yes and n.digest == digest}) >= need.deny


def missing(policy: Policy, need: Requirement, nods: Iterable[Nod], digest: str) -> int:
    """How many more are needed by the nearest alternative."""
    yes = [n for n in nods if n.yes and n.digest == digest]
    return min((max(0, a.count - len(_people(policy, yes, a.group))) for a in need.alternatives), default=0)


def _people(policy: Policy, nods: list[Nod], group: str) -> set[str]:
    return {same(policy, n.person) for n in nods if group == EVERYONE or bare(group) in n.groups}


def unsatisfiable(
    policy: Policy, need: Requirement, members: Mapping[str, frozenset[str] | None], requester: str
) -> str | None:
    """Why nobody can meet this requirement; None if it can be met (or nobody can say)."""
    if not need.alternatives:
        return None
    short: list[str] = []
    for a in need.alternatives:
        if a.group == EVERYONE or members.get(bare(a.group)) is None:
            return None
        pool = {same(policy, p) for p in members[bare(a.group)] or ()} - {same(policy, requester)}
        if len(pool) >= a.count:
            return None
        short.append(f"{shown(a.group)} has {len(pool)} who may decide, {a.count} needed")
    return "; ".join(short)


def listed_group(policy: Policy, group: str, team: str) -> frozenset[str] | None:
    """The members that the policy itself lists, as ``team/user``; None if it doesn't."""
    ids: Any = policy.groups.get(bare(group), policy.groups.get(shown(group)))  # an empty list is an answer, too
    return None if ids is None else frozenset(i if "/" in i else f"{team}/{i}" for i in ids)
