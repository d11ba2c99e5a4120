"""Feast: the definition of a feature view, and (``feast_online``) the rows it serves.

Feast's own pin restores neither source, TTL nor tags, and creates a version that it does not know; this
target brings a captured definition back field by field and reads it back.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from bot.core.errors import TargetError, Unknown
from bot.core.target import (
    Accuracy,
    Call,
    Capture,
    Change,
    Connection,
    Diff,
    Kind,
    Readiness,
    Receipt,
    State,
    Visibility,
    diff_facts,
)
from bot.targets import feast_definition as definition
from bot.targets import feast_kept, feast_pin, feast_sandbox, feast_source
from bot.targets.feast_definition import Definition
from bot.targets.feast_facts import facts
from bot.targets.feast_online import FeastOnline
from bot.targets.feast_store import SUPPORTED, Opened, met, opened, place, version_warnings

__all__ = ["SUPPORTED", "TARGETS", "FeastDefinition", "FeastOnline", "met"]


class FeastDefinition(BaseModel):
    """The registered definition of one feature view, on-demand views included.

    ``drill`` is set by ``sandbox`` only: the name of a private copy of the registry.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: ClassVar[Kind] = Kind.definition

    view: str = Field(min_length=1)
    drill: str = ""

    def resource(self, connection: Connection) -> str:
        suffix = f"#{self.drill}" if self.drill else ""
        return f"feast:{place(connection)}/{self.view}{suffix}"

    def inspect(self, call: Call) -> State:
        """Raises Unknown (no such view), TargetError."""
        with opened(call.connection, self.drill) as feast:
            live = definition.read(feast, self.view)
            return State(
                kind=self.kind,
                resource=self.resource(call.connection),
                pointer=live.pointer,
                digest=live.digest,
                facts=facts(live),
                observed=_observed(feast, self.view),
                warnings=[*version_warnings(), *live.warnings],
            )

    def capture(self, call: Call, at: str | None = None) -> Capture:
        """``at``: a version that the registry still holds, as ``v7`` or ``7``. Raises Unknown for any other."""
        with opened(call.connection, self.drill) as feast:
            found = definition.read(feast, self.view)
            if at is not None:
                found = definition.read_version(feast, self.view, self._resolve(feast, at))
            return Capture(
                kind=self.kind,
                resource=self.resource(call.connection),
                pointer=found.pointer,
                digest=found.digest,
                facts=facts(found),
                observed=_observed(feast, self.view),
                data={"number": found.number, "parts": found.parts},
                blobs={"definition": call.blobs.put(feast_kept.encode(found), f"{self.view}-{found.pointer}.json")},
                taken_at=call.now,
                expected=at is not None,
                warnings=[*version_warnings(), *found.warnings, *_import_warnings(at, found)],
            )

    def readiness(self, call: Call, c: Capture) -> Readiness:
        """Bytes, history, registry and source; writes nothing."""
        try:
            with opened(call.connection, self.drill) as feast:
                want = feast_kept.load(c, call.blobs)
                reasons = feast_pin.unrestorable(feast, want)
                feast_source.readable(feast, want)
        except (TargetError, Unknown) as error:
            silent = isinstance(error, TargetError) and error.retriable
            return Readiness(status="not_checked" if silent else "not_ready", reasons=[error.message])
        return Readiness(status="not_ready" if reasons else "ready", reasons=reasons)

    def diff(self, call: Call, c: Capture) -> Diff:
        state = self.inspect(call)
        found = diff_facts(state, c)
        if not found.same and not found.changes:
            # what no fact shows, as a feature's description
            change = Change(name="definition", before=state.digest[7:15], after=c.digest[7:15])
            return found.model_copy(update={"changes": [change]})
        return found

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        """Raises Moved, CorruptBlob, TargetError. Makes no version in Feast's history."""
        with opened(call.connection, self.drill) as feast:
            want = feast_kept.load(c, call.blobs)
            live = definition.read(feast, self.view)
            feast_pin.guard(feast, live, want, (before.pointer, dict(before.data.get("parts", {}))))
            changed = feast_pin.bring_back(feast, want, call.check)
            note = f"{live.pointer} -> {want.pointer}" if changed else "already there"
            return Receipt(changed=changed, pointer=want.pointer, note=note)

    def visible(self, call: Call, c: Capture) -> Visibility:
        """In the registry at once; serving processes ask it again after their cache's life."""
        with opened(call.connection, self.drill) as feast:
            live = definition.read(feast, self.view)
            ttl = feast.cache_ttl
        there = live.version == f"{c.pointer}#{c.digest}"
        cached = f"serving processes cache the registry up to {ttl} s" if ttl else "serving processes never re-read"
        return Visibility(visible=there, seen=int(there), note=cached)

    def verify(self, call: Call, c: Capture) -> Accuracy:
        """Field by field, the digest included, read anew from the registry."""
        state = self.inspect(call)
        want = {**c.facts, "digest": c.digest}
        live = {**state.facts, "digest": state.digest}
        wrong = [n for n in [*want, *[n for n in live if n not in want]] if live.get(n) != want.get(n)]
        return Accuracy(
            matched=sum(1 for n in want if live.get(n) == want[n]),
            expected=len(want),
            missing=sum(1 for n in want if n not in live),
            extra=sum(1 for n in live if n not in want),
            examples=[f"{n}: {live.get(n)!r} instead of {want.get(n)!r}" for n in wrong[:5]],
        )

    def sandbox(self, call: Call) -> Self:
        """A private SQLite copy of this view's part of the registry, on this machine."""
        if self.drill:
            raise TargetError("this is a sandbox already")
        name = feast_sandbox.name(call, self.resource(call.connection))
        feast_sandbox.make(call, self.view, name, rows=False)
        return self.model_copy(update={"drill": name})

    def discard(self, call: Call) -> None:
        """Raises TargetError for anything that is no sandbox."""
        feast_sandbox.discard(call, self.drill)

    def _resolve(self, feast: Opened, at: str) -> int:
        """A typo ends here: Feast would create the version."""
        numbers = definition.stored_numbers(feast, self.view)
        match = re.fullmatch(r"v?(\d+)", at.strip())
        if match and int(match[1]) in numbers:
            return int(match[1])
        held = ", ".join(f"v{n}" for n in numbers[-8:]) or "none"
        raise Unknown(f"{self.view} has no version {at[:40]!r}; the registry holds {held}")


def _observed(feast: Opened, view: str) -> dict[str, Any]:
    """Who would be hit: the feature services that serve the view."""
    services = feast.registry.list_feature_services(feast.project)
    return {
        "feature_services": sorted(s.name for s in services if any(p.name == view for p in s.feature_view_projections)),
        "feast": met(),
        "cache_s": feast.cache_ttl,
    }


def _import_warnings(at: str | None, found: Definition) -> list[str]:
    if at is None:
        return []
    made = f"{found.pointer} is as Feast stored it when the version was made"
    return [f"{made}: a source, TTL or tag that changed later under the same version is not in it"]


TARGETS = (FeastDefinition, FeastOnline)
