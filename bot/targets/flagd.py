"""Feature flags in a flagd flag file: one flag's whole rule is the version.

The rule is spliced into the file's text and the file is replaced atomically, so other flags keep every byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from bot.core.errors import CorruptBlob, MissingExtra, Moved, TargetError
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
    canonical,
    diff_facts,
)
from bot.targets.flag_file import Answer, answers, locked, replaced, scratch, shares, spoken
from bot.targets.flag_rule import (
    DISABLED,
    Found,
    Rule,
    disabled,
    facts_of,
    find,
    in_words,
    inlined,
    off_variant,
    rule_digest,
    share,
    spliced,
)

_SAMPLE = 1000
_ALIKE = 0.99
_ATTEMPTS = 5


class FlagdFlag(BaseModel):
    """One flag of a flagd flag file (JSON).

    ``off_variant`` names the variant that means off where that is not plain. ``evaluate_as``: attributes of
    the evaluation context that the rule asks for; a ``targetingKey`` in it is tried beside the sampled ones.
    ``poll``: seconds after which every consumer has read the file again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: ClassVar[Kind] = Kind.flag

    flag: str = Field(min_length=1)
    off_variant: str | None = None
    evaluate_as: dict[str, Json] = Field(default_factory=dict)
    poll: float | None = Field(default=None, gt=0, le=3600)
    copy_named: str | None = Field(default=None, pattern="^[0-9a-f]{12}$")
    """Set in a sandbox: its file is a copy beside the real one."""

    def resource(self, connection: Connection) -> str:
        """``flagd:`` + path + ``#`` + flag. Raises TargetError if the connection names no absolute .json file."""
        return f"flagd:{_file_of(connection, self.copy_named)}#{self.flag}"

    def inspect(self, call: Call) -> State:
        found, path = self._look(call)
        pointer = in_words(found.resolved, self.off_variant)
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
        return State(
            kind=self.kind,
            resource=self.resource(call.connection),
            pointer=pointer,
            digest=rule_digest(found.resolved),
            facts=facts_of(found.resolved),
            observed={"file_changed": changed, "flags_in_file": found.flags},
            warnings=_warnings(pointer),
        )

    def capture(self, call: Call, at: str | None = None) -> Capture:
        """The live rule, with its exact text. Raises TargetError for any ``at``: the file keeps no history."""
        if at is not None:
            raise TargetError(f"flag {self.flag}: a flag file keeps no old versions, so {at} can't be looked up in it")
        found, _ = self._look(call)
        pointer = in_words(found.resolved, self.off_variant)
        return Capture(
            kind=self.kind,
            resource=self.resource(call.connection),
            pointer=pointer,
            digest=rule_digest(found.resolved),
            facts=facts_of(found.resolved),
            data={"rule": found.rule, "evaluators": found.evaluators, "text": found.source},
            taken_at=call.now,
            warnings=_warnings(pointer),
        )

    def readiness(self, call: Call, c: Capture) -> Readiness:
        """Ready if the capture is whole, flagd can evaluate its rule, and the file holds the flag and is writable."""
        try:
            rule = _resolved(c)
            _, path = self._look(call)
            faults = [] if os.access(path.parent, os.W_OK) else [f"{path.parent} is not writable for this process"]
            errors = {a[2] for a in self._evaluate(rule, None) if a[2]}
            faults += [f"flagd can't evaluate the captured rule: {', '.join(sorted(errors))}"] if errors else []
        except MissingExtra:
            raise
        except TargetError as error:
            faults = [error.message]
        return Readiness(status="not_ready" if faults else "ready", reasons=faults)

    def diff(self, call: Call, c: Capture) -> Diff:
        return diff_facts(self.inspect(call), c)

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        """Replaces the file with one that has ``c``'s rule for this flag, and reads it back.

        One atomic rename is the only write. Raises Moved if the flag is neither ``before`` nor ``c``.
        """
        rule = _resolved(c)
        with locked(self._file(call), call.deadline):
            for _ in range(_ATTEMPTS):
                found, path = self._look(call)
                live = rule_digest(found.resolved)
                if live == c.digest:
                    return Receipt(changed=False, pointer=c.pointer, note="already there")
                if live != before.digest:
                    words = in_words(found.resolved, self.off_variant)
                    raise Moved(f"flag {self.flag} is now {words!r}, not {before.pointer!r}: somebody else changed it")
                if replaced(call, path, found, _written(found, c, rule)):
                    return self._read_back(call, c)
        raise TargetError(f"{path} is being rewritten all the time; try again", retriable=True)

    def visible(self, call: Call, c: Capture) -> Visibility:
        """The file holds the rule, and ``poll`` seconds have passed since the file was written."""
        found, path = self._look(call)
        if rule_digest(found.resolved) != c.digest:
            note = f"the file says {in_words(found.resolved, self.off_variant)!r}"
            return Visibility(visible=False, seen=0, note=note, again_after=self.poll or 1.0)
        left = (self.poll or 0.0) - max(0.0, call.now.timestamp() - path.stat().st_mtime)
        if self.poll and left > 0:
            note = f"consumers read the file every {self.poll:g} s"
            return Visibility(visible=False, seen=0, note=note, again_after=left)
        return Visibility(visible=True, note="in the file")

    def verify(self, call: Call, c: Capture) -> Accuracy:
        """Evaluates the live file through OpenFeature for 1,000 targeting keys, against the captured rule.

        Inconclusive if the file holds another rule that nearly all these keys can't tell from the captured one.
        """
        rule = _resolved(c)
        found, path = self._look(call)
        want, got = self._evaluate(rule, None), self._evaluate(rule, path)
        same = sum(w == g for w, g in zip(want, got, strict=True))
        other = rule_digest(found.resolved) != c.digest
        alike = f"the file holds another rule, but {same} of {len(want)} sampled keys can't tell; set evaluate_as"
        return Accuracy(
            matched=same,
            expected=len(want),
            null=sum(1 for w, g in zip(want, got, strict=True) if g[0] is None and w[0] is not None),
            sampled=True,
            examples=[] if same == len(want) else [f"should be {shares(want)}; is {shares(got)}"],
            inconclusive=alike if other and same >= _ALIKE * len(want) else None,
        )

    def disabled(self, now: Capture) -> Capture:
        """Off for everybody, as a rule that says so. Raises TargetError where no variant is plainly off."""
        rule = _resolved(now)
        return self._made(now, disabled(rule, off_variant(rule, self.off_variant)))

    def at(self, now: Capture, percent: int) -> Capture:
        """``now``'s rule for this share of the targeting keys, off for the rest; 100 is ``now`` itself."""
        rule = _resolved(now)
        off = off_variant(rule, self.off_variant)
        return now if percent == 100 else self._made(now, share(rule, off, percent))

    def sandbox(self, call: Call) -> Self:
        """A copy of the whole flag file beside the real one, hidden, named after the call's key."""
        name = hashlib.sha256(call.key.encode()).hexdigest()[:12]
        made = self.model_copy(update={"copy_named": name, "poll": None})
        source, copy = self._file(call), Path(_file_of(call.connection, name))
        if not copy.exists() and not call.context.get("to_remove"):
            call.check()
            part = copy.with_name(copy.name + ".new")
            try:
                with spoken(part, "write"):
                    shutil.copy2(source, part)
                    part.replace(copy)
            finally:
                part.unlink(missing_ok=True)
        return made

    def discard(self, call: Call) -> None:
        """Removes a sandbox's file. Raises TargetError for the real one."""
        if self.copy_named is None:
            raise TargetError(f"flag {self.flag}: {_file_of(call.connection)} is no sandbox, it stays")
        copy = Path(_file_of(call.connection, self.copy_named))
        call.check()
        for path in (copy, scratch(copy), copy.with_name(copy.name + ".new")):
            path.unlink(missing_ok=True)

    def _file(self, call: Call) -> Path:
        # A mounted Kubernetes config map is a chain of links; replacing the link itself would cut it off.
        return Path(os.path.realpath(_file_of(call.connection, self.copy_named)))

    def _look(self, call: Call) -> tuple[Found, Path]:
        path = self._file(call)
        with spoken(path, "read"):
            raw = path.read_bytes()
        return find(raw, self.flag, str(path)), path

    def _read_back(self, call: Call, c: Capture) -> Receipt:
        found, path = self._look(call)
        if rule_digest(found.resolved) != c.digest:
            words = in_words(found.resolved, self.off_variant)
            raise TargetError(f"wrote {c.pointer!r} to {path}, but read back {words!r}: somebody else writes this file")
        return Receipt(changed=True, pointer=c.pointer)

    def _made(self, now: Capture, rule: Rule) -> Capture:
        pointer = in_words(rule, self.off_variant)
        made = {"pointer": pointer, "digest": rule_digest(rule), "facts": facts_of(rule)}
        data = {"rule": rule, "evaluators": {}, "text": None}
        return now.model_copy(update={**made, "data": data, "warnings": _warnings(pointer)})

    def _evaluate(self, rule: Rule, path: Path | None) -> list[Answer]:
        """What the live file answers, or (without ``path``) what ``rule`` alone would."""
        keys, attributes = _sampled(self.evaluate_as)
        if path is not None:
            return answers(path, self.flag, rule, keys, attributes)
        with tempfile.TemporaryDirectory(prefix="rollbot-flag-") as folder:
            alone = Path(folder, "rule.json")
            alone.write_text(canonical({"flags": {self.flag: rule}}))
            return answers(alone, self.flag, rule, keys, attributes)


def _file_of(connection: Connection, copy_named: str | None = None) -> str:
    path = connection.settings.get("file")
    if not isinstance(path, str) or not path.endswith(".json") or not Path(path).is_absolute():
        raise TargetError(f"connection {connection.name}: file must be the absolute path of a flagd .json file")
    real = Path(os.path.normpath(path))
    return str(real.with_name(f".{real.stem}.rollbot-{copy_named}.json") if copy_named else real)


def _warnings(pointer: str) -> list[str]:
    return ["the flag is DISABLED: every app falls back to its own default"] if pointer == DISABLED else []


def _resolved(c: Capture) -> Rule:
    """The captured rule as it is evaluated. Raises CorruptBlob if it isn't what was captured."""
    rule, shared = c.data.get("rule"), c.data.get("evaluators")
    text = c.data.get("text")
    if isinstance(rule, dict) and isinstance(shared, dict) and (text is None or _means(text, rule)):
        resolved: Rule = inlined(rule, shared)
        if rule_digest(resolved) == c.digest:
            return resolved
    raise CorruptBlob(f"the captured rule ({c.pointer}) is damaged: it no longer has the digest {c.digest}")


def _means(text: Json, rule: Rule) -> bool:
    try:
        return bool(json.loads(text) == rule)
    except (TypeError, ValueError):
        return False


def _written(found: Found, c: Capture, rule: Rule) -> bytes:
    """The new file: the captured text itself where it still means the same, else the rule with shared rules put in."""
    if all(found.shared.get(name) == value for name, value in c.data["evaluators"].items()):
        return spliced(found, c.data["rule"], c.data.get("text"))
    return spliced(found, rule, None)


def _sampled(evaluate_as: dict[str, Json]) -> tuple[list[str], dict[str, Json]]:
    """Targeting keys to try, and the other attributes of the evaluation context."""
    attributes = {name: value for name, value in evaluate_as.items() if name != "targetingKey"}
    own = evaluate_as.get("targetingKey")
    return [f"rollbot-{n:04}" for n in range(_SAMPLE)] + ([str(own)] if own is not None else []), attributes


TARGETS = (FlagdFlag,)
