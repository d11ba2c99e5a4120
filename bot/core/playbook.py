"""A playbook: ordered steps, in YAML, that take any feature back."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.core.feature import Feature
from bot.core.ports import Component
from bot.core.target import Kind
from bot.core.text import Duration, near


class Verb(StrEnum):
    """What a step does. Everything that writes is a restore of some capture."""

    hold = "hold"
    lift = "lift"
    disable = "disable"
    enable = "enable"
    restore = "restore"
    verify = "verify"
    notify = "notify"


WRITES = frozenset({Verb.hold, Verb.lift, Verb.disable, Verb.enable, Verb.restore})
DONE = frozenset({*WRITES, Verb.verify, "wait"})
"""The verbs that this build can carry out. A stored plan may have others: another build made it."""
FITS: dict[Verb, frozenset[Kind]] = {
    Verb.hold: frozenset({Kind.pipeline}),
    Verb.lift: frozenset({Kind.pipeline}),
    Verb.disable: frozenset({Kind.flag}),
    Verb.enable: frozenset({Kind.flag}),
    Verb.restore: frozenset({Kind.definition, Kind.dataset, Kind.online, Kind.model}),
    Verb.verify: frozenset({Kind.definition, Kind.dataset, Kind.online, Kind.model, Kind.flag}),
}


class Step(BaseModel):
    """One step as written: exactly one verb with what it acts on, and the common fields.

    ``timeout`` and ``stall_after`` in seconds; ``stall_after`` counts while this step's own history is thin.
    ``ramp``: percent of the recorded rule, one after another, ``every`` so many seconds, before the rule itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verb: Verb
    on: list[str]
    timeout: Duration = 600.0
    stall_after: Duration | None = None
    retries: int = Field(default=2, ge=0, le=10)
    on_failure: Literal["stop", "continue"] = "stop"
    ramp: list[int] = Field(default_factory=list)
    every: Duration = 300.0

    @field_validator("ramp")
    @classmethod
    def _rising(cls, value: list[int]) -> list[int]:
        shares = value[:-1] if value[-1:] == [100] else value
        if any(not 1 <= share <= 99 for share in shares) or sorted(set(shares)) != shares:
            raise ValueError("a ramp is percent that rise, as [10, 50]; 100 comes by itself at its end")
        return shares

    @model_validator(mode="after")
    def _only_enable_ramps(self) -> Step:
        if self.verb != Verb.enable and {"ramp", "every"} & self.model_fields_set:
            raise ValueError(f"only enable takes ramp and every, not {self.verb}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _one_verb(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "verb" in data:
            return data
        verbs = [key for key in data if key in Verb.__members__]
        if len(verbs) != 1:
            raise ValueError(_verb_fault(data, verbs))
        rest = {key: value for key, value in data.items() if key != verbs[0]}
        on = data[verbs[0]]
        return {"verb": verbs[0], "on": on if isinstance(on, list) else [on], **rest}


def _verb_fault(data: dict[Any, Any], verbs: list[str]) -> str:
    if len(verbs) > 1:
        return f"one verb a step, not {' and '.join(verbs)}"
    word = str(next(iter(data), ""))
    guess = near(word, Verb)
    meant = f", did you mean {guess[0]!r}?" if guess else f"; a step is one of {', '.join(Verb)}"
    return f"unknown verb {word!r}{meant}"


class Playbook(BaseModel):
    """``playbooks/playbooks/NAME.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    playbook: str
    about: str = ""
    steps: list[Step] = Field(min_length=1)


class Act(BaseModel):
    """One verb on one component. Acts of the same ``group`` run together."""

    model_config = ConfigDict(frozen=True)

    group: int
    verb: Verb
    component: str
    kind: Kind
    timeout: float
    retries: int
    on_failure: Literal["stop", "continue"]
    stall_after: float | None = None
    ramp: list[int] = Field(default_factory=list)
    every: float = 0.0


class Misfit(BaseModel):
    """What of a playbook does not fit a feature. ``step`` and ``item`` say where in its ``steps`` that stands."""

    model_config = ConfigDict(frozen=True)

    text: str
    step: int
    verb: Verb
    item: int = 0


class Bound(BaseModel):
    """A playbook bound to a feature. ``skipped``: kinds that it lacks; ``unhandled``: components no step restores."""

    model_config = ConfigDict(frozen=True)

    acts: list[Act]
    skipped: list[str]
    unhandled: list[str]
    misfits: list[Misfit]

    @property
    def faults(self) -> list[str]:
        """The misfits in words."""
        return [misfit.text for misfit in self.misfits]


def bind(playbook: Playbook, feature: Feature, without: frozenset[str] = frozenset()) -> Bound:
    """Which verb meets which component, in order. Writes nothing, raises nothing: faults are listed."""
    acts: list[Act] = []
    skipped: list[str] = []
    misfits: list[Misfit] = []
    parts = feature.parts()
    for group, step in enumerate(playbook.steps):
        for item, word in enumerate(step.on):
            chosen, fault = _chosen(word, parts)
            if fault:
                misfits.append(Misfit(text=fault, step=group, verb=step.verb, item=item))
            if not chosen and not fault:
                skipped.append(f"{step.verb} {word}")
            for part in chosen:
                if part.kind not in FITS.get(step.verb, frozenset()):
                    text = f"{step.verb} does not fit {part.name} (a {part.kind})"
                    misfits.append(Misfit(text=text, step=group, verb=step.verb, item=item))
                elif part.name not in without:
                    acts.append(_act(group, step, part))
    handled = {act.component for act in acts if act.verb != Verb.verify} | without
    unhandled = [p.name for p in parts if p.name not in handled]
    return Bound(acts=acts, skipped=skipped, misfits=misfits + _unproved(acts), unhandled=unhandled)


def _unproved(acts: list[Act]) -> list[Misfit]:
    """What is restored and never verified, at the step that restores it first."""
    verified = {a.component for a in acts if a.verb == Verb.verify}
    first = {a.component: a.group for a in reversed(acts) if a.verb == Verb.restore and a.component not in verified}
    return [
        Misfit(text=f"{name} is restored and never verified", step=step, verb=Verb.restore)
        for name, step in sorted(first.items())
    ]


def _chosen(word: str, parts: list[Component]) -> tuple[list[Component], str | None]:
    if word.startswith("name:"):
        found = [p for p in parts if p.name == word[5:]]
        return found, None if found else f"no component is named {word[5:]!r}"
    if word not in Kind.__members__:
        guess = near(word, Kind)
        return [], f"unknown kind {word!r}" + (f", did you mean {guess[0]!r}?" if guess else "")
    return [p for p in parts if p.kind == word], None


def _act(group: int, step: Step, part: Component) -> Act:
    return Act(
        group=group,
        verb=step.verb,
        component=part.name,
        kind=part.kind,
        timeout=step.timeout,
        retries=step.retries,
        on_failure=step.on_failure,
        stall_after=step.stall_after,
        ramp=step.ramp,
        every=step.every if step.ramp else 0.0,
    )


def built_in(verb: Verb) -> Playbook:
    """The one-step playbook behind *Lift* and *Enable*: every outside write is a step of a run."""
    on = "pipeline" if verb in (Verb.hold, Verb.lift) else "flag"
    return Playbook(playbook=verb.value, about=f"{verb} only", steps=[Step(verb=verb, on=[on])])


def only_stops(acts: list[Act]) -> bool:
    """True if nothing but hold and disable is done: the plan that needs nobody's approval."""
    return bool(acts) and all(act.verb in (Verb.hold, Verb.disable) for act in acts)
