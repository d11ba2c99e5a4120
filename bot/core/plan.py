"""A plan: what a playbook would do now. Its digest binds approvals to exactly that, and to nothing merely observed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from bot.core.commands import Purpose
from bot.core.playbook import Act, Verb
from bot.core.policy import Requirement
from bot.core.target import Capture, Diff, Kind, Readiness, State, Value, digest_of
from bot.core.text import listed, span


class PlanStep(Value):
    """One step of a plan. ``to``: the version that will be there afterwards, by pointer and digest; None where
    it follows from what is found (hold, disable)."""

    n: int
    group: int
    verb: str
    component: str
    kind: Kind
    resource: str
    to: str | None = None
    timeout: float = 600.0
    retries: int = 2
    on_failure: str = "stop"
    stall_after: float | None = None
    ramp: list[int] = Field(default_factory=list)
    every: float = 0.0

    @property
    def says_ramp(self) -> str:
        """``25 %, 50 % and all of its rule, 5 min apart``; nothing without a ramp."""
        shares = ", ".join(f"{percent} %" for percent in self.ramp)
        return f"{shares} and all of its rule, {span(self.every)} apart" if shares else ""

    @model_serializer(mode="wrap")
    def _as_before(self, inner: SerializerFunctionWrapHandler) -> dict[str, object]:
        """What is not ramped has the digest that it had before there were ramps."""
        doc: dict[str, object] = inner(self)
        return {k: v for k, v in doc.items() if v or k not in ("ramp", "every")}


class PlanBody(Value):
    """Everything that an approval is bound to."""

    format: int = 1
    feature: str
    environment: str
    purpose: Purpose
    mode: str
    playbook: str
    from_version: str | None
    to_version: str | None
    release_digest: str | None
    moment: int | None
    moment_digest: str | None
    steps: list[PlanStep]
    live: dict[str, str]
    consumers: list[str]
    shared: list[str]
    without: list[str]
    requirement: Requirement


class Offer(Value):
    """What can be done instead, as a command that a button carries."""

    label: str
    to: str = ""
    without: list[str] = Field(default_factory=list)
    purpose: Purpose = Purpose.rollback


class Seen(Value):
    """What was observed while planning; shown, never part of the digest."""

    at: datetime
    states: dict[str, State] = Field(default_factory=dict)
    diffs: dict[str, Diff] = Field(default_factory=dict)
    readiness: dict[str, Readiness] = Field(default_factory=dict)
    doubts: list[str] = Field(default_factory=list)
    blockers: list[str] = Field(default_factory=list)
    offers: list[Offer] = Field(default_factory=list)
    live_since: datetime | None = None
    target_live: str = ""
    data_at: datetime | None = None
    changelog: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    applied_s: float | None = None
    verified_s: float | None = None
    unsatisfiable: str | None = None
    unanswered: list[str] = Field(default_factory=list)
    """Components of which something did not answer, and is asked again behind the card."""

    @property
    def not_checked(self) -> list[str]:
        """Components that have not answered yet."""
        return [name for name, r in self.readiness.items() if r.status == "not_checked"]


class Plan(Value):
    """``captures``: what each restore and verify step works with, by component."""

    no: int
    body: PlanBody
    seen: Seen
    captures: dict[str, Capture] = Field(default_factory=dict)
    feature_doc: dict[str, object] = Field(default_factory=dict)

    @property
    def digest(self) -> str:
        """``sha256:`` + hex over the body."""
        return digest_of(self.body.model_dump(mode="json"))


def metrics(plan: Plan, live: Mapping[str, float]) -> list[str]:
    """Those recorded with the release that would be restored, beside those of the one that is live, one line each."""
    then = plan.seen.metrics
    return [f"{n}: {_number(then.get(n))} then, {_number(live.get(n))} now" for n in sorted({*then, *live})]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def plan_steps(acts: list[Act], resources: dict[str, str], captures: dict[str, Capture]) -> list[PlanStep]:
    """Numbered steps. Before each verify group stands a wait for what was written before it: a cache of 10
    minutes in one system must not hold up the restore of the next one."""
    steps: list[PlanStep] = []
    written: list[str] = []
    for act in acts:
        fresh = not any(s.group == 2 * act.group + 1 for s in steps)
        if act.verb == Verb.verify and fresh and written:
            again = [a for a in acts if a.group == act.group and a.component in written]
            steps += [_step(len(steps) + i, 2 * act.group, "wait", a, resources, captures) for i, a in enumerate(again)]
        if act.verb == Verb.restore:
            written.append(act.component)
        steps.append(_step(len(steps), 2 * act.group + 1, act.verb, act, resources, captures))
    return steps


def _step(n: int, group: int, verb: str, act: Act, resources: dict[str, str], captures: dict[str, Capture]) -> PlanStep:
    to = captures.get(act.component) if verb in ("restore", "verify", "wait", "enable") else None
    return PlanStep(
        n=n,
        group=group,
        verb=verb,
        component=act.component,
        kind=act.kind,
        resource=resources[act.component],
        to=f"{to.pointer}#{to.digest}" if to else None,
        timeout=act.timeout,
        retries=act.retries,
        on_failure=act.on_failure,
        stall_after=act.stall_after,
        ramp=act.ramp,
        every=act.every,
    )


def changed_since(old: PlanBody, new: PlanBody) -> list[str]:
    """In words, what differs between two plans of the same run: why approvals are void."""
    said = [
        _moved(name, was.split("#")[0], new.live.get(name, "?").split("#")[0])
        for name, was in old.live.items()
        if was != new.live.get(name)
    ]
    if old.from_version != new.from_version:
        said.append(f"the live release is now {new.from_version}")
    if (old.release_digest, old.moment_digest) != (new.release_digest, new.moment_digest):
        said.append("the captures to restore are others")
    if old.consumers != new.consumers:
        said.append(f"hits now {listed(new.consumers) or 'nobody'}")
    if old.shared != new.shared:
        said.append(f"shares now with {listed(new.shared) or 'nobody'}")
    if old.requirement != new.requirement:
        said.append(f"needs now {new.requirement.say()}")
    return said or ["the steps are others"]


def _moved(name: str, was: str, now: str) -> str:
    return f"{name} had not answered, and is {now}" if was == "?" else f"{name} is no longer {was} but {now}"


def blockers(steps: list[PlanStep], readiness: dict[str, Readiness], captures: dict[str, Capture]) -> list[str]:
    """Which components can't be restored, and why."""
    said: list[str] = []
    for name in dict.fromkeys(s.component for s in steps if s.verb in ("restore", "enable")):
        found = readiness.get(name)
        if name not in captures:
            said.append(f"{name}: this release holds no capture of it")
        elif found and found.status == "not_ready":
            said.append(f"{name}: {'; '.join(found.reasons) or 'not restorable'}")
    return said
