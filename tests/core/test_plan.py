"""What an approval is bound to, and what it is not; and a plan's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands import Purpose
from bot.core.plan import Offer, Plan, PlanBody, PlanStep, Seen, blockers, changed_since, plan_steps
from bot.core.playbook import Act, Verb
from bot.core.policy import Alternative, Requirement
from bot.core.target import Capture, Diff, Kind, Readiness, State

T0 = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)
STEP = PlanStep(n=0, group=1, verb="restore", component="model", kind=Kind.model, resource="m", to="12#d")
BODY = PlanBody(
    feature="fares",
    environment="production",
    purpose=Purpose.rollback,
    mode="live",
    playbook="standard",
    from_version="v13",
    to_version="v12",
    release_digest="sha256:r",
    moment=7,
    moment_digest="sha256:m",
    steps=[STEP],
    live={"model": "13#e"},
    consumers=["eta"],
    shared=["riders (same model)"],
    without=["flag"],
    requirement=Requirement(alternatives=[Alternative(count=1, group="@a")], rule="r"),
)
OTHER: dict[str, Any] = {
    "format": 2,
    "feature": "riders",
    "environment": "staging",
    "purpose": Purpose.put_back,
    "mode": "drill",
    "playbook": "other",
    "from_version": "v14",
    "to_version": None,
    "release_digest": "sha256:s",
    "moment": 8,
    "moment_digest": None,
    "steps": [],
    "live": {"model": "14#f"},
    "consumers": ["eta", "pricing"],
    "shared": [],
    "without": [],
    "requirement": Requirement(alternatives=[Alternative(count=2, group="@a")], rule="r"),
}
OTHER_STEP: dict[str, Any] = {
    "n": 1,
    "group": 3,
    "verb": "verify",
    "component": "other",
    "kind": Kind.flag,
    "resource": "n",
    "to": "11#d",
    "timeout": 5.0,
    "retries": 0,
    "on_failure": "continue",
    "stall_after": 9.0,
    "ramp": [10],
    "every": 60.0,
}


def plan(body: PlanBody = BODY, **more: Any) -> Plan:
    return Plan(**{"no": 1, "body": body, "seen": Seen(at=T0), **more})


def capture(pointer: str = "12", digest: str = "d") -> Capture:
    return Capture(kind=Kind.model, resource="m", pointer=pointer, digest=digest, taken_at=T0)


@pytest.mark.parametrize("name", sorted(PlanBody.model_fields))
def test_every_field_of_the_body_changes_the_digest(name: str) -> None:
    """Nothing that an approver was shown as binding can change under the approval; a new field needs a line here."""
    changed = BODY.model_copy(update={name: OTHER[name]})

    assert plan(changed).digest != plan().digest


@pytest.mark.parametrize("name", sorted(PlanStep.model_fields))
def test_every_field_of_a_step_changes_the_digest(name: str) -> None:
    """A step is binding as a whole, down to its timeout."""
    changed = BODY.model_copy(update={"steps": [STEP.model_copy(update={name: OTHER_STEP[name]})]})

    assert plan(changed).digest != plan().digest


def test_the_order_of_steps_is_binding() -> None:
    """Data is restored before what reads it: another order is another plan."""
    second = STEP.model_copy(update={"n": 1, "component": "flag"})
    one, other = (BODY.model_copy(update={"steps": steps}) for steps in ([STEP, second], [second, STEP]))

    assert plan(one).digest != plan(other).digest


STATE = State(kind=Kind.model, resource="m", pointer="13", digest="e", observed={"rows": 3})
SEEN: dict[str, st.SearchStrategy[Any]] = {
    "at": st.datetimes(timezones=st.just(UTC)),
    "states": st.just({"model": STATE}),
    "diffs": st.just({"model": Diff(same=False, summary="13 -> 12", counts={"commits_discarded": 41})}),
    "readiness": st.just({"model": Readiness(status="not_checked")}),
    "doubts": st.lists(st.text()),
    "blockers": st.lists(st.text()),
    "offers": st.just([Offer(label="v11")]),
    "live_since": st.none() | st.just(T0),
    "target_live": st.text(),
    "data_at": st.none() | st.just(T0),
    "changelog": st.text(),
    "metrics": st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    "applied_s": st.none() | st.floats(0, 1e6),
    "verified_s": st.none() | st.floats(0, 1e6),
    "unsatisfiable": st.none() | st.text(),
    "unanswered": st.lists(st.text()),
}


@given(seen=st.fixed_dictionaries(SEEN), no=st.integers(1, 99), pointer=st.text())
def test_what_is_merely_seen_is_never_part_of_the_digest(seen: dict[str, Any], no: int, pointer: str) -> None:
    """Data arrives while a card waits: row counts, doubts, times and the plan's number void no approval."""
    assert SEEN.keys() == Seen.model_fields.keys()
    other = plan(no=no, seen=Seen(**seen), captures={"x": capture(pointer)}, feature_doc={"about": pointer})

    assert other.digest == plan().digest


def test_a_stored_plan_keeps_its_digest() -> None:
    """Written to the database and read again, by a build that knows more fields or fewer."""
    stored = plan().model_dump(mode="json")
    stored["body"]["a_field_of_tomorrow"] = 1

    assert Plan.model_validate(stored).digest == plan().digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"live": {"model": "14#f"}}, ["model is no longer 13 but 14"]),
        ({"live": {}}, ["model is no longer 13 but ?"]),
        ({"from_version": "v14"}, ["the live release is now v14"]),
        ({"release_digest": "x"}, ["the captures to restore are others"]),
        ({"moment_digest": "x"}, ["the captures to restore are others"]),
        ({"consumers": ["eta", "pricing"]}, ["hits now eta and pricing"]),
        ({"consumers": []}, ["hits now nobody"]),
        ({"shared": []}, ["shares now with nobody"]),
        ({"requirement": Requirement(alternatives=[Alternative(count=2, group="@a")])}, ["needs now 2 of @a"]),
        ({"playbook": "other"}, ["the steps are others"]),
        ({"live": {"model": "14#f"}, "from_version": "v14"}, ["model is no longer 13 but 14", "the live release is"]),
    ],
)
def test_why_approvals_are_void_is_said_in_words(change: dict[str, Any], said: list[str]) -> None:
    """Each difference has its sentence; where none fits, the steps differ."""
    found = changed_since(BODY, BODY.model_copy(update=change))

    assert len(found) == len(said)
    assert all(one.startswith(words) for one, words in zip(found, said, strict=True)), found


def test_what_had_not_answered_is_said_as_such() -> None:
    """A version that nobody knew is no version that somebody replaced."""
    blind = BODY.model_copy(update={"live": {"model": "?"}})

    assert changed_since(blind, BODY) == ["model had not answered, and is 13"]


def act(group: int, verb: Verb, component: str, kind: Kind = Kind.model) -> Act:
    return Act(group=group, verb=verb, component=component, kind=kind, timeout=60, retries=1, on_failure="stop")


def test_before_a_verify_stands_a_wait_for_what_was_written() -> None:
    """Only for restored components, once a group, after all writes that came before it: a slow cache holds up its own
    verify and no other system's restore."""
    acts = [
        act(0, Verb.restore, "model"),
        act(1, Verb.restore, "online"),
        act(2, Verb.verify, "model"),
        act(2, Verb.verify, "online"),
        act(2, Verb.verify, "definition"),
        act(3, Verb.enable, "flag", Kind.flag),
    ]
    steps = plan_steps(acts, dict.fromkeys(["model", "online", "definition", "flag"], "r"), {"model": capture()})

    assert [(s.n, s.verb, s.component) for s in steps] == [
        (0, "restore", "model"),
        (1, "restore", "online"),
        (2, "wait", "model"),
        (3, "wait", "online"),
        (4, "verify", "model"),
        (5, "verify", "online"),
        (6, "verify", "definition"),
        (7, "enable", "flag"),
    ]
    groups = [s.group for s in steps]
    assert groups == sorted(groups)
    assert len({s.group for s in steps if s.verb == "wait"} & {s.group for s in steps if s.verb == "verify"}) == 0


def test_a_wait_stands_before_the_verify_of_its_own_component() -> None:
    """A second verify group waits for its components only, and an earlier restore is not waited for twice."""
    acts = [
        act(0, Verb.restore, "model"),
        act(0, Verb.restore, "online"),
        act(1, Verb.verify, "model"),
        act(2, Verb.verify, "online"),
    ]
    steps = plan_steps(acts, dict.fromkeys(["model", "online"], "r"), {})

    assert [(s.verb, s.component) for s in steps[2:]] == [
        ("wait", "model"),
        ("verify", "model"),
        ("wait", "online"),
        ("verify", "online"),
    ]


def test_a_step_names_the_version_that_will_be_there() -> None:
    """Restore, verify, wait and enable by pointer and digest; hold and disable follow from what is found."""
    acts = [
        act(0, Verb.disable, "flag", Kind.flag),
        act(1, Verb.restore, "model"),
        act(2, Verb.verify, "model"),
        act(3, Verb.enable, "flag", Kind.flag),
    ]
    steps = plan_steps(acts, {"flag": "f", "model": "m"}, {"model": capture(), "flag": capture("on", "x")})

    assert [(s.verb, s.to) for s in steps] == [
        ("disable", None),
        ("restore", "12#d"),
        ("wait", "12#d"),
        ("verify", "12#d"),
        ("enable", "on#x"),
    ]


def test_blockers_name_component_and_reason() -> None:
    """A capture that is missing or can't be restored blocks; one that nobody could check does not."""
    steps = [STEP.model_copy(update={"component": name}) for name in ("gone", "lost", "silent", "fine", "mute")]
    steps += [STEP.model_copy(update={"component": "read", "verb": "verify"})]
    found = {
        "lost": Readiness(status="not_ready", reasons=["its files are gone", "since 12 Nov"]),
        "silent": Readiness(status="not_checked", reasons=["no answer"]),
        "fine": Readiness(status="ready"),
        "mute": Readiness(status="not_ready"),
    }
    held = dict.fromkeys(["lost", "silent", "fine", "mute"], capture())

    assert blockers(steps, found, held) == [
        "gone: this release holds no capture of it",
        "lost: its files are gone; since 12 Nov",
        "mute: not restorable",
    ]


def test_not_checked_are_those_that_have_not_answered() -> None:
    """The card lists them, and the run looks again behind it."""
    found = {"a": Readiness(status="ready"), "b": Readiness(status="not_checked")}

    assert Seen(at=T0, readiness=found).not_checked == ["b"]
