"""Runs in small, for the tests of what moves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.core.commands import Actor, Purpose
from bot.core.policy import Alternative, Policy, Requirement, Standing
from bot.core.run import Run, RunStep, Status
from bot.core.target import Accuracy, Capture, Kind

T0 = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)
ANA, BEN, CLEO, SAM = "T1/ANA", "T1/BEN", "T1/CLEO", "T1/SAM"
ONCALL = Policy(groups={"ml-oncall": [ANA, BEN, CLEO]})
KINDS = {"flag": Kind.flag, "pipeline": Kind.pipeline, "model": Kind.model, "online": Kind.online}
EXACT = Accuracy(matched=4, expected=4)


def capture(pointer: str) -> Capture:
    return Capture(kind=Kind.model, resource="m", pointer=pointer, digest=f"d{pointer}", taken_at=T0)


def step(n: int, words: str, status: str = "pending", **more: Any) -> RunStep:
    """``step(0, "restore model")``; each step is a group of its own unless told."""
    verb, component = words.split()
    known = {"n": n, "group": n, "verb": verb, "component": component, "kind": KINDS[component], "resource": component}
    return RunStep.model_validate({**known, "status": status, **more})


def steps(*words: str, status: str = "pending") -> list[RunStep]:
    return [step(n, text, status) for n, text in enumerate(words)]


def run(**more: Any) -> Run:
    """Asked for by ANA, v13 to v12."""
    known: dict[str, Any] = {
        "id": 17,
        "feature": "fares",
        "purpose": Purpose.rollback,
        "requester": Actor(kind="person", id=ANA, via="slack"),
        "created_at": T0,
        "planned_at": T0,
        "from_version": "v13",
        "to_version": "v12",
    }
    return Run(**{**known, **more})


def waiting(count: int = 1, **more: Any) -> Run:
    """Waits for ``count`` of @ml-oncall, under the digest ``d``."""
    need = Requirement(alternatives=[Alternative(count=count, group="@ml-oncall")], rule="r")
    known = {"status": Status.waiting, "waiting_for": "approval", "plan_digest": "d", "plan_no": 1, "requirement": need}
    return run(**{**known, **more})


def who(person: str) -> Standing:
    """All but SAM are on call."""
    return Standing(person=person, member_of=frozenset() if person == SAM else frozenset({"ml-oncall"}))
