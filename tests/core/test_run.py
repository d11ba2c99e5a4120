"""A run as a value: its name, what its verify steps add up to, and its clocks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.core.run import OPEN, Status, clocks, passed, run_id, verdict
from bot.core.target import Accuracy
from tests.core.runs import EXACT, T0, run, step

SERVED = EXACT.model_copy(update={"where": "at consumers"})


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("R-17", 17),
        (" r17 ", 17),
        ("17", 17),
        ("R-", None),
        ("", None),
        ("R-1x", None),
        ("run 1", None),
        ("R-" + "9" * 15, 10**15 - 1),
        ("R-" + "9" * 16, None),
        ("R-\u0661\u0667", None),
    ],
)
def test_a_runs_name_is_read(name: str, number: int | None) -> None:
    """As people type it; nothing that no database holds, and no digits of other scripts."""
    assert run_id(name) == number


def test_nothing_read_is_no_verdict() -> None:
    """A run without verify steps, or before them, has proven nothing."""
    assert verdict(run(steps=[step(0, "restore model", "done")])) == (False, None)


def test_what_was_read_adds_up() -> None:
    """Cells and keys of all verify steps; inconclusive anywhere is said."""
    half = Accuracy(matched=1, expected=4, missing=1, extra=2, null=3, sampled=True, examples=["a"])
    blind = Accuracy(matched=0, expected=0, inconclusive="no answer")
    good, total = verdict(run(steps=[step(0, "verify model", accuracy=EXACT), step(1, "verify online", accuracy=half)]))
    unsure, some = verdict(
        run(steps=[step(0, "verify model", accuracy=EXACT), step(1, "verify online", accuracy=blind)])
    )

    assert good
    assert total
    assert (total.matched, total.expected, total.missing, total.extra, total.null) == (5, 8, 1, 2, 3)
    assert (total.sampled, total.examples, total.inconclusive) == (True, ["a"], None)
    assert not unsure
    assert some
    assert some.inconclusive == "no answer"


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ([("verify model", SERVED), ("verify online", SERVED)], "at consumers"),
        ([("verify model", SERVED), ("verify online", EXACT)], "in the store"),
        ([("verify model", SERVED)], "at consumers"),
        ([("verify flag", EXACT), ("verify model", SERVED)], "at consumers"),
        ([("verify flag", EXACT)], "in the store"),
    ],
)
def test_where_is_the_weakest_of_what_consumers_read(parts: list[tuple[str, Accuracy]], where: str) -> None:
    """*At consumers* only if model and online rows were both read there; the rest has no consumers of its own."""
    _, total = verdict(run(steps=[step(n, words, accuracy=a) for n, (words, a) in enumerate(parts)]))

    assert total
    assert total.where == where


@pytest.mark.parametrize(
    ("accuracy", "slo", "good"),
    [
        (EXACT, 1.0, True),
        (Accuracy(matched=999, expected=1000), 0.999, True),
        (Accuracy(matched=998, expected=1000), 0.999, False),
        (Accuracy(matched=4, expected=4, extra=1), 0.5, False),
        (Accuracy(matched=4, expected=4, inconclusive="?"), 0.0, False),
        (Accuracy(matched=0, expected=0), 0.001, False),
    ],
)
def test_good_enough(accuracy: Accuracy, slo: float, *, good: bool) -> None:
    """Conclusive, as accurate as promised, and no row that should not be there."""
    assert passed(accuracy, slo) is good


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ({}, {"people_s": None, "applied_s": None, "visible_s": None, "verified_s": None}),
        ({"applied_at": 5}, {"people_s": None, "applied_s": 5.0, "visible_s": None, "verified_s": None}),
        (
            {"decided_at": 60, "applied_at": 65},
            {"people_s": 60.0, "applied_s": 5.0, "visible_s": None, "verified_s": None},
        ),
    ],
)
def test_clocks_keep_people_and_machine_apart(times: dict[str, int], found: dict[str, Any]) -> None:
    """The machine's clocks start at the decision, or at the plan where nobody had to decide."""
    assert clocks(run(**{name: T0 + timedelta(seconds=s) for name, s in times.items()})) == found


def test_a_run_is_open_or_at_an_end() -> None:
    """Four states are open; all the others are ends."""
    assert {s for s in Status if run(status=s).open} == OPEN
    assert len(OPEN) == 4


@pytest.mark.parametrize(
    "numbers",
    [
        {"matched": 50, "expected": 10},
        {"matched": 10, "expected": 10, "missing": 7},
        {"matched": 10, "expected": 10, "null": -1},
    ],
)
def test_numbers_that_cannot_be_prove_nothing(numbers: dict[str, int]) -> None:
    """A program that verifies may answer anything: what can't be true together is no success."""
    assert not passed(Accuracy(**numbers), 0.9)
