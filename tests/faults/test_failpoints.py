"""A worker that dies before or after any intent, effect or result, and between two writes: the run ends exact, once."""

from __future__ import annotations

from collections import Counter

import pytest

from bot.core.run import Status
from tests.faults.simulated.failpoints import story
from tests.faults.simulated.night import BAD, GOOD

STEPS = [
    *("hold pipeline", "disable flag", "restore dataset", "restore model"),
    *("verify dataset", "verify model", "enable flag", "verify flag", "lift pipeline"),
]
WRITES = [
    *("pipeline to held", "flag to off", "dataset to d1", "model to m1", "flag to on"),
    *("dataset to d2", "model to m2", "flag to half", "pipeline to runs"),
]
NAMES = [
    *("run_requested", "run_planned", "run_approved", "run_started", "run_ended"),
    *(f"{act}: {step}" for step in STEPS for act in ("step_begun", "step_done")),
    *("step_done: wait dataset", "step_done: wait model"),
    *(f"write {n} of 2: {write}" for write in WRITES for n in (1, 2)),
]
POINTS = [f"{when} {name}" for name in NAMES for when in ("before", "after")]
HELD = {**GOOD, "pipeline": "held"}


def test_the_list_of_points_is_complete() -> None:
    """A rollback and its way back, of all verbs and with two writes each, pass these points and no others."""
    told = story()

    assert set(told.points.passed) == set(POINTS)
    assert told.served == [HELD, BAD]
    assert [r.status for r in told.runs] == [Status.succeeded] * 2


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_there_does_no_harm(point: str) -> None:
    """The run goes on with another worker and succeeds; what is served is what was recorded; each effect is one."""
    told = story(point)

    assert told.points.struck
    assert told.night.rules.broken == []
    assert {r.status for r in told.runs} == {Status.succeeded}
    assert told.served[-1] == (HELD if len(told.runs) == 1 else BAD)
    whole = Counter(e.key for e in told.night.systems["flag"].ledger.effects if e.whole)
    assert set(whole.values()) == {1}
