"""Any system that programs can speak for: argv lists instead of code, JSON in and out, one program per question.

It is also what holds a pipeline, and how a company connects a system without writing Python.
"""

from __future__ import annotations

import time
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.core.errors import Moved, TargetError
from bot.core.target import (
    Accuracy,
    Call,
    Capture,
    Connection,
    Diff,
    Json,
    Kind,
    Readiness,
    Receipt,
    State,
    Visibility,
    diff_facts,
    digest_of,
)
from bot.targets.command_ask import (
    Asking,
    Live,
    decoded,
    flag_version,
    not_understood,
    parsed,
    pipeline_version,
    truth,
)

Argv = Annotated[list[str], Field(min_length=1)]
MARGIN = 0.5
"""Seconds of a call's deadline kept back, to say in words that a program took too long."""


class Command(BaseModel):
    """Programs that speak for one component, each an argv list; no shell. Only ``inspect`` must be there.

    Each gets one JSON object on stdin: ``method, key, fence, now, place, context``, where there are any ``at``,
    ``capture`` and ``before``, and the bytes of the capture's ``blobs`` (name -> base64). Each answers one JSON
    object on stdout, at most 1 MiB. Exit code 75 means *try again later*, any other but 0 a failure whose last line
    on stderr is shown.

    ``inspect`` and ``capture`` answer ``facts`` (what makes the version), ``pointer`` (its name), ``observed`` (what
    may move meanwhile), and where needed ``digest``, ``warnings``, ``restoring`` (the key of a half-done restore);
    ``capture`` also ``data`` and ``blobs``. Without ``capture``, the facts are the capture. The others answer the
    fields of Receipt, Readiness, Diff, Visibility and Accuracy; ``restore`` also ``moved: true``, if it finds that
    what is live is not ``before``. A long job answers ``again_after`` (seconds) and is asked again with the same key.
    ``sandbox`` answers ``place``, which all programs of the sandbox then get; ``discard`` removes it.
    ``thing`` names what is behind it, for the lock; else the connection and the argv of ``inspect`` do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)
    kind: ClassVar[Kind]
    type: ClassVar[str] = "command"

    inspect_argv: Argv = Field(alias="inspect")
    capture_argv: Argv | None = Field(default=None, alias="capture")
    readiness_argv: Argv | None = Field(default=None, alias="readiness")
    diff_argv: Argv | None = Field(default=None, alias="diff")
    restore_argv: Argv | None = Field(default=None, alias="restore")
    visible_argv: Argv | None = Field(default=None, alias="visible")
    verify_argv: Argv | None = Field(default=None, alias="verify")
    sandbox_argv: Argv | None = Field(default=None, alias="sandbox")
    discard_argv: Argv | None = Field(default=None, alias="discard")
    thing: str = ""
    place: str = ""

    def resource(self, connection: Connection) -> str:
        thing = self.thing or f"{connection.name}:{digest_of(self.inspect_argv).removeprefix('sha256:')[:16]}"
        return f"command:{thing}" + (f":{self.place}" if self.place else "")

    def inspect(self, call: Call) -> State:
        live = self._live(self._asking(call))
        return State(
            kind=self.kind,
            resource=self.resource(call.connection),
            pointer=live.pointer,
            digest=live.digest,
            facts=live.facts,
            observed=live.observed,
            warnings=live.warnings,
        )

    def capture(self, call: Call, at: str | None = None) -> Capture:
        if at is not None and not self.capture_argv:
            raise TargetError(f"{self._name} has no capture program, so it can't capture version {at!r}")
        live = self._exact(self._asking(call), at)
        return Capture(
            kind=self.kind,
            resource=self.resource(call.connection),
            pointer=live.pointer,
            digest=live.digest,
            facts=live.facts,
            observed=live.observed,
            data=live.data,
            blobs={name: call.blobs.put(decoded(text, name), name) for name, text in live.blobs.items()},
            taken_at=call.now,
            expected=at is not None,
            warnings=live.warnings,
        )

    def readiness(self, call: Call, c: Capture) -> Readiness:
        try:
            argv = self._program(c)
            for ref in c.blobs.values():
                call.blobs.get(ref)
        except TargetError as error:
            return Readiness(status="not_checked" if error.retriable else "not_ready", reasons=[error.message])
        if not self.readiness_argv:
            return Readiness(status="ready", checked="content" if c.blobs else f"that there is a {argv[0]}")
        try:
            answer = self._asking(call).ask("readiness", self.readiness_argv, capture=c)
        except TargetError as error:
            return Readiness(status="not_checked", reasons=[error.message])
        return parsed(Readiness, answer, self.readiness_argv)

    def diff(self, call: Call, c: Capture) -> Diff:
        asking = self._asking(call)
        if self.diff_argv:
            return parsed(Diff, asking.ask("diff", self.diff_argv, capture=c), self.diff_argv)
        live = self._exact(asking)
        now = State(kind=c.kind, resource=c.resource, pointer=live.pointer, digest=live.digest, facts=live.facts)
        diff = diff_facts(now, c)
        return diff if diff.same or now.pointer != c.pointer else diff.model_copy(update={"summary": "changed"})

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        asking = self._asking(call)
        live = self._exact(asking)
        if live.same(c):
            return Receipt(changed=False, pointer=live.pointer, note="already there")
        argv = self._program(c)
        if not live.same(before) and live.restoring != (call.key or None):
            raise Moved(f"{self._name} moved from {before.pointer} to {live.pointer}: somebody else changed it")
        call.check()
        answer = asking.ask("restore", argv, capture=c, before=before)
        if answer.pop("moved", False):
            raise Moved(f"{self._name}: {answer.get('note') or 'somebody else changed it'}")
        # A program that answers with its state, as one for inspect does, is as good as one that says nothing.
        known = {k: v for k, v in answer.items() if k in {"note", "again_after"}}
        receipt = parsed(Receipt, {**known, "changed": True, "pointer": c.pointer}, argv)
        if receipt.again_after is None and not (now := self._exact(asking)).same(c):
            raise TargetError(f"{argv[0]} said it restored {c.pointer}, but {now.pointer} is there ({now.digest[:19]})")
        return receipt

    def visible(self, call: Call, c: Capture) -> Visibility:
        if not self.visible_argv:
            return Visibility(visible=True, note="nothing is configured that could tell")
        return parsed(Visibility, self._asking(call).ask("visible", self.visible_argv, capture=c), self.visible_argv)

    def verify(self, call: Call, c: Capture) -> Accuracy:
        asking = self._asking(call)
        if self.verify_argv:
            return parsed(Accuracy, asking.ask("verify", self.verify_argv, capture=c), self.verify_argv)
        live = self._exact(asking)
        if live.same(c):
            return Accuracy(matched=max(len(c.facts), 1), expected=max(len(c.facts), 1))
        wrong = [k for k in c.facts if live.facts.get(k) != c.facts[k]]
        missing, extra = [k for k in wrong if k not in live.facts], [k for k in live.facts if k not in c.facts]
        # The digest may see more than the facts tell: then one more thing is wrong than they say.
        expected = max(len(c.facts), 1) + (not wrong)
        told = [f"{k}: {live.facts.get(k)!r} instead of {c.facts[k]!r}" for k in wrong[:5]]
        matched = max(len(c.facts), 1) - len(wrong)
        return Accuracy(matched=matched, expected=expected, missing=len(missing), extra=len(extra), examples=told)

    def sandbox(self, call: Call) -> Self:
        if not self.sandbox_argv or not self.discard_argv:
            raise TargetError(f"{self._name} has no sandbox and discard programs: it can't be drilled")
        place = self._asking(call).ask("sandbox", self.sandbox_argv).get("place")
        if not isinstance(place, str) or not place or place == self.place:
            raise TargetError(f"{self.sandbox_argv[0]} did not answer with the place of a sandbox")
        return self.model_copy(update={"place": place})

    def discard(self, call: Call) -> None:
        if not self.place or not self.discard_argv:
            raise TargetError(f"{self._name} is not a sandbox of Rollbot's: not removed")
        self._asking(call).ask("discard", self.discard_argv)

    # -- parts ---------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self.thing or self.inspect_argv[0]

    def _asking(self, call: Call) -> Asking:
        return Asking(call, self.place, time.monotonic() + max(call.deadline - MARGIN, call.deadline / 2))

    def _program(self, c: Capture) -> list[str]:  # noqa: ARG002 - pipelines choose by it
        """The program that restores ``c``. Raises TargetError if there is none."""
        if not self.restore_argv:
            raise TargetError(f"{self._name} has no restore program")
        return self.restore_argv

    def _live(self, asking: Asking) -> Live:
        return self._understood(asking.ask("inspect", self.inspect_argv), self.inspect_argv)

    def _exact(self, asking: Asking, at: str | None = None) -> Live:
        """As exact as a capture is: by the capture program where there is one."""
        if not self.capture_argv:
            return self._live(asking)
        return self._understood(asking.ask("capture", self.capture_argv, at=at), self.capture_argv)

    def _understood(self, answer: dict[str, Json], argv: list[str]) -> Live:
        try:
            return Live.model_validate(self._version(answer))
        except (KeyError, TypeError, AttributeError) as error:
            reason = f"its answer lacks {error}" if isinstance(error, KeyError) else str(error)
            raise TargetError(f"{argv[0]} gave an answer that is not understood as a {self.kind}: {reason}") from error
        except ValidationError as error:
            raise not_understood(argv, error) from error

    def _version(self, answer: dict[str, Json]) -> dict[str, Json]:
        """The answer with the pointer and the digest that follow from it. Raises KeyError."""
        facts = answer["facts"] if "pointer" not in answer else answer.get("facts") or {}
        digest = answer.get("digest") or digest_of({"pointer": answer.get("pointer"), "facts": facts})
        return {**answer, "facts": facts, "digest": digest, "pointer": answer.get("pointer") or digest[-12:]}


class CommandDefinition(Command):
    kind: ClassVar[Kind] = Kind.definition


class CommandModel(Command):
    kind: ClassVar[Kind] = Kind.model


class CommandDataset(Command):
    kind: ClassVar[Kind] = Kind.dataset


class CommandOnline(Command):
    kind: ClassVar[Kind] = Kind.online


class CommandFlag(Command):
    """A flag. Its facts hold ``enabled`` (true or false) and, where it can serve a share, ``percent``; they alone
    make the version, so that *off* and *25 %* can be worked out from the present one."""

    kind: ClassVar[Kind] = Kind.flag

    def disabled(self, now: Capture) -> Capture:
        return _with(now, flag_version({**now.facts, "enabled": False}))

    def at(self, now: Capture, percent: int) -> Capture:
        if not 0 <= percent <= 100:
            raise TargetError(f"{percent} is no share: 0 to 100")
        if "percent" not in now.facts:
            raise TargetError(f"{self._name} has no 'percent' among its facts, so it can't serve a share")
        return _with(now, flag_version({**now.facts, "enabled": True, "percent": percent}))

    def _version(self, answer: dict[str, Json]) -> dict[str, Json]:
        return answer | flag_version({**answer["facts"], "enabled": truth("enabled", answer["facts"]["enabled"])})


class CommandPipeline(Command):
    """A pipeline, a schedule or CI. ``inspect`` answers ``held`` (true or false), alone or among ``facts``; what else
    it says outside them is observed. It is restored by ``restore``, or else by ``hold`` and ``lift``."""

    kind: ClassVar[Kind] = Kind.pipeline

    hold: Argv | None = None
    lift: Argv | None = None

    def held(self, now: Capture) -> Capture:
        return _with(now, pipeline_version({**now.facts, "held": True}))

    def lifted(self, now: Capture) -> Capture:
        return _with(now, pipeline_version({**now.facts, "held": False}))

    def _program(self, c: Capture) -> list[str]:
        held = c.facts.get("held")
        argv = self.restore_argv or (self.hold if held else self.lift)
        if not argv:
            verb = "hold" if held else "lift"
            raise TargetError(f"{self._name} has no {verb} program")
        return argv

    def _version(self, answer: dict[str, Json]) -> dict[str, Json]:
        rest = {k: v for k, v in answer.items() if k not in {*Live.model_fields, "held"}}
        facts = answer.get("facts") or {}
        held = answer["held"] if "held" in answer else facts["held"]
        observed = {"observed": {**rest, **(answer.get("observed") or {})}}
        return answer | observed | pipeline_version({**facts, "held": truth("held", held)})


def _with(now: Capture, version: dict[str, Json]) -> Capture:
    return now.model_copy(update=version)


TARGETS = (CommandDefinition, CommandModel, CommandFlag, CommandDataset, CommandOnline, CommandPipeline)
