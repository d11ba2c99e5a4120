"""One call to a component that programs speak for: what they are told, and what their answers mean."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import Field, ValidationError

from bot.core.errors import TargetError
from bot.core.target import Call, Capture, Json, Value, digest_of
from bot.targets.command_run import run_json

V = TypeVar("V", bound=Value)


class Live(Value):
    """What a program says is live. ``restoring``: the key of a restore that is half done. ``blobs`` in base64."""

    pointer: str
    digest: str
    facts: dict[str, Json]
    observed: dict[str, Json] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    restoring: str = ""
    data: dict[str, Json] = Field(default_factory=dict)
    blobs: dict[str, str] = Field(default_factory=dict)

    def same(self, c: Capture) -> bool:
        return (self.pointer, self.digest) == (c.pointer, c.digest)


@dataclass(frozen=True)
class Asking:
    """One call, in which programs are asked one after the other until its deadline (``ends``, monotonic)."""

    call: Call
    place: str
    ends: float

    def ask(self, method: str, argv: list[str], **about: Capture | str | None) -> dict[str, Json]:
        """One program's answer. Raises TargetError, CorruptBlob."""
        call, left = self.call, self.ends - time.monotonic()
        if left <= 0:
            raise TargetError(f"no time was left to ask {argv[0]}", retriable=True)
        c = about.get("capture")
        document = {
            "method": method,
            "key": call.key,
            "fence": call.fence,
            "now": call.now.isoformat(),
            "place": self.place,
            "context": call.context,
            **{k: v.model_dump(mode="json") if isinstance(v, Capture) else v for k, v in about.items()},
            "blobs": self._blobs(c) if isinstance(c, Capture) else {},
        }
        settings = call.connection.settings
        env = {str(k): str(v) for k, v in (settings.get("env") or {}).items()}
        return run_json(argv, document, timeout=left, cwd=settings.get("cwd"), env=env)

    def _blobs(self, c: Capture) -> dict[str, str]:
        return {name: base64.b64encode(self.call.blobs.get(ref)).decode() for name, ref in c.blobs.items()}


def decoded(text: str, name: str) -> bytes:
    """The bytes of a blob that a program gave in base64. Raises TargetError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise TargetError(f"blob {name} of the capture program is not base64: {error}") from error


def parsed(model: type[V], answer: Mapping[str, Json], argv: list[str]) -> V:
    """A program's answer as one of the contract's values. Raises TargetError."""
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise not_understood(argv, error) from error


def not_understood(argv: list[str], error: ValidationError) -> TargetError:
    """What is wrong with an answer, and whose it is."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return TargetError(f"{argv[0]} gave an answer that is not understood: {where}: {first['msg']}")


def flag_version(facts: dict[str, Json]) -> dict[str, Json]:
    """Pointer and digest that follow from a flag's facts alone."""
    share = f" {facts['percent']} %" if facts.get("percent") not in {None, 100} else ""
    return {"facts": facts, "digest": digest_of(facts), "pointer": f"on{share}" if facts["enabled"] else "off"}


def pipeline_version(facts: dict[str, Json]) -> dict[str, Json]:
    """Pointer and digest that follow from a pipeline's facts alone."""
    return {"facts": facts, "digest": digest_of(facts), "pointer": "held" if facts["held"] else "running"}


def truth(name: str, value: Json) -> bool:
    """``value``, if it is true or false and not a word for it. Raises TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false")
    return value
