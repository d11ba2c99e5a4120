"""Who may do what: the tables of the policy."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core import policy as p
from bot.core.policy import Alternative, Nod, Policy, Requirement, Rule, Standing, listed_group

ANA, BEN, CLEO = "T1/ANA", "T1/BEN", "T1/CLEO"
SHIPPED = Policy()
ONE = Requirement(alternatives=[Alternative(count=1, group="@ml-oncall")], rule="r")
TWO = Requirement(alternatives=[Alternative(count=2, group="@ml-oncall")], rule="r")


def who(person: str, *groups: str) -> Standing:
    return Standing(person=person, member_of=frozenset(groups))


def yes(person: str, digest: str = "d", *groups: str) -> Nod:
    return Nod(person=person, yes=True, digest=digest, groups=frozenset(groups or ("ml-oncall",)))


def no(person: str, digest: str = "d") -> Nod:
    return Nod(person=person, yes=False, digest=digest)


@pytest.mark.parametrize(
    ("tier", "risk", "stops_only", "mode", "said"),
    [
        (1, "low", False, "live", "1 of @ml-oncall"),
        (1, "high", False, "live", "2 of @ml-oncall"),
        (2, "high", False, "live", "1 of @ml-oncall"),
        (1, "high", True, "live", "nobody"),
        (1, "high", False, "dry_run", "nobody"),
    ],
)
def test_the_shipped_requirements(tier: int, risk: p.Risk, *, stops_only: bool, mode: str, said: str) -> None:
    """Without rules of its own a policy asks for what the design says."""
    need = p.requirement(SHIPPED, tier=tier, risk=risk, mode=mode, owner="@x", stops_only=stops_only)

    assert need.say() == said


@pytest.mark.parametrize(
    ("live", "bad", "ready", "risk"),
    [
        (90_000, False, True, "low"),
        (80_000, False, True, "high"),
        (90_000, True, True, "high"),
        (90_000, False, False, "high"),
    ],
)
def test_risk_is_low_only_when_everything_speaks_for_it(live: float, risk: str, *, bad: bool, ready: bool) -> None:
    """Live for 24 h, never rolled back from, all captures ready: anything else is high."""
    assert p.risk(live, bad, ready) == risk


def test_the_first_matching_rule_decides_and_owner_is_resolved() -> None:
    """Rules are read in order; ``owner`` is the feature's owner."""
    policy = Policy.model_validate(
        {"rules": [{"when": {"tier": [2, 3]}, "approve": 0}, {"name": "mine", "approve": 2, "from": "owner"}]}
    )

    assert p.requirement(policy, tier=3, risk="low", mode="live", owner="@team", stops_only=False).say() == "nobody"
    need = p.requirement(policy, tier=1, risk="low", mode="live", owner="@team", stops_only=False)
    assert (need.say(), need.rule) == ("2 of @team", "mine")


def test_the_requester_never_counts_under_no_account() -> None:
    """A second account of the same person is the same person."""
    policy = Policy(same_person=[[ANA, CLEO]])

    assert isinstance(p.may_decide(policy, ONE, who(ANA, "ml-oncall"), ANA), p.Refused)
    assert isinstance(p.may_decide(policy, ONE, who(CLEO, "ml-oncall"), ANA), p.Refused)
    assert isinstance(p.may_decide(policy, ONE, who(BEN, "ml-oncall"), ANA), p.Allowed)


def test_two_accounts_of_one_person_are_one_approval() -> None:
    """Counting is by person, not by account."""
    policy = Policy(same_person=[[BEN, CLEO]])

    assert not p.satisfied(policy, TWO, [yes(BEN), yes(CLEO)], "d")
    assert p.satisfied(SHIPPED, TWO, [yes(BEN), yes(CLEO)], "d")


def test_one_person_may_be_written_without_a_team() -> None:
    """An account is named with or without its team; what it was named as makes no two people of it."""
    policy = Policy(same_person=[["ANA", "T2/CLEO"]])

    assert p.same(policy, ANA) == p.same(policy, "T2/CLEO") == p.same(policy, "T9/ANA")
    assert p.same(policy, BEN) == BEN
    assert p.same(policy, CLEO) == CLEO


@pytest.mark.parametrize(
    ("nods", "deny", "over"),
    [
        ([no(BEN)], 1, True),
        ([no(BEN)], 2, False),
        ([no(BEN), no(BEN)], 2, False),
        ([no(BEN), no(CLEO)], 2, True),
        ([no(BEN, "old"), no(CLEO)], 2, False),
        ([yes(BEN), no(CLEO)], 2, False),
        ([yes(BEN)], 1, False),
    ],
)
def test_enough_different_people_say_no(nods: list[Nod], deny: int, *, over: bool) -> None:
    """To the plan that stands; by person, not by press."""
    assert p.denied(SHIPPED, ONE.model_copy(update={"deny": deny}), nods, "d") is over


@pytest.mark.parametrize(
    "nods",
    [[], [yes(BEN, "other"), yes(CLEO)], [yes(BEN), yes(BEN)], [yes(BEN), yes(CLEO, "d", "strangers")]],
)
def test_what_does_not_satisfy(nods: list[Nod]) -> None:
    """Too few, another plan's, the same person twice, or somebody outside the group."""
    assert not p.satisfied(SHIPPED, TWO, nods, "d")


def test_any_alternative_will_do() -> None:
    """A requirement is a list of alternatives."""
    need = Requirement(alternatives=[Alternative(count=3, group="a"), Alternative(count=1, group="leads")])

    assert p.satisfied(SHIPPED, need, [yes(BEN, "d", "leads")], "d")
    assert p.missing(SHIPPED, need, [], "d") == 1


def test_a_policy_that_nobody_can_satisfy_is_said() -> None:
    """The requester is not counted among those who could."""
    members = {"ml-oncall": frozenset({ANA, BEN})}

    assert p.unsatisfiable(SHIPPED, TWO, members, ANA)
    assert p.unsatisfiable(SHIPPED, ONE, members, ANA) is None
    assert p.unsatisfiable(SHIPPED, TWO, {"ml-oncall": None}, ANA) is None


def test_blindness_is_said_not_hidden() -> None:
    """If nobody can say who is in a group, the answer is no, and it says why."""
    verdict = p.may_decide(SHIPPED, ONE, Standing(person=BEN, unknown=frozenset({"ml-oncall"})), ANA)

    assert isinstance(verdict, p.Refused)
    assert "nobody could say" in verdict.why


def test_old_membership_counts_and_is_noted() -> None:
    """Membership seen within 24 h counts when Slack can't answer, and the approval says so."""
    old = Standing(person=BEN, member_of=frozenset({"ml-oncall"}), stale=frozenset({"ml-oncall"}))
    verdict = p.may_decide(SHIPPED, ONE, old, ANA)

    assert isinstance(verdict, p.Allowed)
    assert "as last seen" in verdict.note


def test_listed_groups_carry_the_team() -> None:
    """Slack user ids in the policy become ``team/user``."""
    policy = Policy(groups={"ml-oncall": ["U1", "T9/U2"]})

    assert p.listed_group(policy, "@ml-oncall", "T1") == {"T1/U1", "T9/U2"}
    assert p.listed_group(policy, "others", "T1") is None


@pytest.mark.parametrize("approve", [[], [{"count": 0, "group": "@a"}], [{"count": 1, "group": "@a", "frm": "x"}], -1])
def test_a_rule_that_says_nobody_by_accident_is_refused(approve: Any) -> None:
    """Only ``approve: 0`` needs nobody: an empty list, a count of nobody or a misspelt key is a fault."""
    with pytest.raises(ValueError, match="approve"):
        Rule.model_validate({"approve": approve})


@pytest.mark.parametrize("word", ["everyone", "owner", "requester", "@"])
def test_whom_to_call_is_a_group(word: str) -> None:
    """A word that names no group would call nobody in the night, without a word."""
    with pytest.raises(ValueError, match="name one group"):
        Policy(escalate=word)


def test_the_requester_may_what_the_policy_says() -> None:
    """Leave out steps and take away locks, where it says so; never run without approval for having asked."""
    policy = Policy(skip=["requester"], unlock=["requester"])
    for may in (p.may_skip, p.may_unlock):
        assert [type(may(policy, who(ANA), asked)) for asked in (ANA, BEN)] == [p.Allowed, p.Refused]
    with pytest.raises(ValueError, match="name groups"):
        Policy(break_glass=["requester"])


def test_a_group_that_the_policy_empties_is_empty() -> None:
    """Nobody asks the chat system for a group that the policy lists, not even with nobody in it."""
    assert listed_group(Policy(groups={"ml-oncall": []}), "@ml-oncall", "T1") == frozenset()
