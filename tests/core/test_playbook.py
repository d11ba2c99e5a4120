"""Playbooks and features: what a file may say, and which verb meets which component."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bot.core.feature import Feature
from bot.core.plan import plan_steps
from bot.core.playbook import Playbook, Step, Verb, bind, built_in, only_stops

COMPONENTS = {
    "flag": {"target": "t"},
    "definition": {"target": "t"},
    "trips": {"target": "t", "kind": "dataset"},
    "payments": {"target": "t", "kind": "dataset"},
}
FEATURE = Feature.model_validate({"feature": "f", "components": COMPONENTS})


def book(*steps: dict[str, object]) -> Playbook:
    return Playbook.model_validate({"playbook": "p", "steps": list(steps)})


def test_a_kind_takes_all_its_components_together() -> None:
    """``restore: dataset`` is one group of all datasets."""
    bound = bind(book({"restore": "dataset"}, {"restore": "name:trips"}), FEATURE)

    assert [(a.group, a.component) for a in bound.acts] == [(0, "trips"), (0, "payments"), (1, "trips")]


def test_missing_kinds_are_skipped_and_unhandled_components_named() -> None:
    """A kind that the feature lacks is said; so is a component that no step handles."""
    bound = bind(book({"hold": "pipeline"}, {"disable": "flag"}), FEATURE)

    assert bound.skipped == ["hold pipeline"]
    assert bound.unhandled == ["definition", "trips", "payments"]
    assert only_stops(bound.acts)


def test_without_leaves_a_component_out() -> None:
    """A component that is left out is neither restored nor called unhandled."""
    bound = bind(book({"restore": ["dataset", "definition"]}), FEATURE, frozenset({"trips"}))

    assert [a.component for a in bound.acts] == ["payments", "definition"]
    assert bound.unhandled == ["flag"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"verfiy": "dataset"}, "did you mean 'verify'"),
        ({"restore": "dataset", "hold": "pipeline"}, "one verb a step"),
        ({"restore": "dataset", "timout": "5m"}, "Extra inputs"),
        ({"restore": "dataset", "timeout": "5 minutes"}, "is not a duration"),
        ({}, "a step is one of"),
    ],
)
def test_faults_in_steps_say_what_is_meant(step: dict[str, object], said: str) -> None:
    """A misspelt verb gets a suggestion, two verbs are refused, unknown keys too."""
    with pytest.raises(ValidationError, match="(?s)" + said.replace("'", ".")):
        book(step)


def test_a_verb_that_does_not_fit_is_a_fault() -> None:
    """A dataset can't be disabled."""
    assert bind(book({"disable": "dataset"}), FEATURE).faults == [
        "disable does not fit trips (a dataset)",
        "disable does not fit payments (a dataset)",
    ]


def test_what_is_never_verified_stands_at_the_step_that_restores_it() -> None:
    """The misfit points to the first such step, not to the last."""
    bound = bind(book({"hold": "pipeline"}, {"restore": "name:trips"}, {"restore": "name:trips"}), FEATURE)

    assert [(m.text, m.step, m.verb) for m in bound.misfits] == [("trips is restored and never verified", 1, "restore")]


def test_a_wait_stands_before_each_verify_of_what_was_written() -> None:
    """Waiting until consumers see it is a step of its own, after all restores."""
    bound = bind(
        book({"restore": "dataset"}, {"restore": "definition"}, {"verify": ["definition", "dataset"]}), FEATURE
    )
    steps = plan_steps(bound.acts, dict.fromkeys(COMPONENTS, "r"), {})

    assert [s.verb for s in steps] == ["restore"] * 3 + ["wait"] * 3 + ["verify"] * 3
    assert [s.n for s in steps] == list(range(9))
    assert len({s.group for s in steps}) == 4


def test_names_decide_kinds_or_kind_must_be_said() -> None:
    """A free name needs ``kind:``."""
    with pytest.raises(ValidationError, match="needs 'kind:'"):
        Feature.model_validate({"feature": "f", "components": {"rows": {"target": "t"}}})


def test_lift_and_enable_are_playbooks_of_one_step() -> None:
    """Every outside write is a step of a run."""
    assert built_in(Verb.lift).steps == [Step(verb=Verb.lift, on=["pipeline"])]
