"""A feature: what a team ships and rolls back as one, as its YAML file says it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.core.ports import Component
from bot.core.target import Kind
from bot.core.text import Duration

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}(@[A-Za-z0-9][A-Za-z0-9_-]{0,30})?$")
VERSION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\Z")


class ComponentSpec(BaseModel):
    """One component as written. Keys besides ``kind`` and ``target`` belong to the target class, which checks them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    target: str
    kind: Kind | None = None


class Slo(BaseModel):
    """What a rollback of this feature must reach. ``applied`` and ``verified`` in seconds after the approval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    applied: Duration = 60.0
    verified: Duration = 900.0
    accuracy: float = Field(default=0.999, ge=0.0, le=1.0)


class Feature(BaseModel):
    """``playbooks/features/NAME.yaml``. ``tier`` 1 is the highest; ``moments`` in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature: str
    about: str = ""
    environment: str = "production"
    owner: str = ""
    channel: str = ""
    tier: int = Field(default=1, ge=1, le=5)
    consumers: list[str] = Field(default_factory=list)
    playbook: str = "standard"
    moments: Duration = 3600.0
    components: dict[str, ComponentSpec] = Field(min_length=1)
    slo: Slo = Field(default_factory=Slo)

    @field_validator("feature")
    @classmethod
    def _name(cls, value: str) -> str:
        if not NAME.match(value):
            raise ValueError("a feature's name has letters, digits, _ - . and perhaps @environment")
        return value

    @model_validator(mode="after")
    def _kinds(self) -> Feature:
        for name, spec in self.components.items():
            kind_of(name, spec)
        return self

    def parts(self) -> list[Component]:
        """The components in the order of the file."""
        return [
            Component(name=name, kind=kind_of(name, spec), target=spec.target, params=dict(spec.model_extra or {}))
            for name, spec in self.components.items()
        ]

    def part(self, name: str) -> Component:
        """One component by name. Raises KeyError."""
        return next(iter([c for c in self.parts() if c.name == name] or _missing(name)))


def _missing(name: str) -> list[Component]:
    raise KeyError(name)


def kind_of(name: str, spec: ComponentSpec) -> Kind:
    """The written kind, else the kind whose name the component has. Raises ValueError."""
    if spec.kind is not None:
        return spec.kind
    if name in Kind.__members__:
        return Kind(name)
    raise ValueError(f"component {name!r} needs 'kind:' (one of {', '.join(Kind)})")


def as_document(feature: Feature) -> dict[str, Any]:
    """The feature as plain JSON, to be stored with a run."""
    return feature.model_dump(mode="json")
