"""A model in MLflow's registry: the alias that consumers load is the pointer, and the files behind it are checked.

MLflow moves an alias to a version whose files are gone without a word, and keeps no history of where it pointed.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.core.errors import CorruptBlob, MissingExtra, Moved, TargetError
from bot.core.target import (
    Accuracy,
    Call,
    Capture,
    Change,
    Connection,
    Diff,
    Json,
    Kind,
    Readiness,
    Receipt,
    State,
    Visibility,
    digest_of,
)
from bot.targets.mlflow_files import Files, read
from bot.targets.mlflow_registry import (
    alias_of,
    doubts,
    facts_of,
    identity,
    registered,
    registry,
    run_of,
    uris,
    version,
    without_secrets,
)
from bot.targets.mlflow_serving import Answer, ask

NONE = "none"
"""The pointer when the alias does not exist."""

_SANDBOX = "rollbot-drill-"
_ASK_AGAIN = 5.0


class MlflowModel(BaseModel):
    """One alias of one registered model. ``serving``: URLs of model servers that say which version they run."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: ClassVar[Kind] = Kind.model

    model: str = Field(min_length=1)
    alias: str = Field(default="champion", pattern=r"^[A-Za-z0-9_-]{1,200}$")
    serving: list[str] = Field(default_factory=list)

    @field_validator("serving", mode="before")
    @classmethod
    def _list(cls, value: Json) -> Json:
        return [value] if isinstance(value, str) else value or []

    @field_validator("serving")
    @classmethod
    def _http(cls, value: list[str]) -> list[str]:
        for url in value:
            if not re.match(r"https?://[^/]", url):
                raise ValueError(f"{url} must begin with http:// or https://")
        return value

    @field_validator("alias")
    @classmethod
    def _free(cls, value: str) -> str:
        if value.lower() == "latest" or re.match(r"^[vV][0-9]+$", value):
            raise ValueError(f"MLflow reserves the alias {value}")
        return value

    def resource(self, connection: Connection) -> str:
        """``mlflow:`` + registry URI without secrets + ``#model@alias``."""
        return f"mlflow:{without_secrets(uris(connection)[1])}#{self.model}@{self.alias}"

    def inspect(self, call: Call) -> State:
        """The version behind the alias; files are not read here. An alias that is not there has the pointer none."""
        with registry(call) as client:
            found = registered(client, self.model)
            number = alias_of(found, self.alias)
            mv = version(client, self.model, number) if number else None
            run = run_of(client, mv) if mv else None
            return State(
                kind=self.kind,
                resource=self.resource(call.connection),
                pointer=number or NONE,
                digest=identity(mv) if mv else digest_of(NONE),
                facts=facts_of(client, mv, run) if mv else {},
                observed={"aliases": {a: str(v) for a, v in sorted(found.aliases.items()) if a != self.alias}},
                warnings=doubts(mv, run),
            )

    def capture(self, call: Call, at: str | None = None) -> Capture:
        """The live version, or version number ``at``, with the digest of each of its files (read, not copied).

        With ``at``, a version without readable files is a TargetError. The live one is captured with a warning, or
        there would be no way back from it; its readiness is then not_ready.
        """
        if at is not None and not re.fullmatch(r"[1-9][0-9]*", at):
            raise TargetError(f"model {self.model}: a version is a plain number such as 12, not {at}")
        with registry(call) as client:
            number = at or alias_of(registered(client, self.model), self.alias)
            if number is None:
                return self._captured(call, NONE, digest_of(NONE), {}, {}, [])
            mv = version(client, self.model, number)
            run = run_of(client, mv)
            files, faults = read(client, call, mv)
            if at and faults:
                raise TargetError(faults[0])
            return self._captured(
                call, number, identity(mv), facts_of(client, mv, run), files, faults + doubts(mv, run)
            )

    def _captured(
        self, call: Call, pointer: str, digest: str, facts: dict[str, Json], files: Files, warnings: list[str]
    ) -> Capture:
        return Capture(
            kind=self.kind,
            resource=self.resource(call.connection),
            pointer=pointer,
            digest=digest,
            facts=facts,
            data={"files": files, "total": digest_of(files)},
            taken_at=call.now,
            warnings=warnings,
        )

    def readiness(self, call: Call, c: Capture) -> Readiness:
        """Ready if the version is READY, the same as captured, and each of its files has the recorded digest."""
        try:
            with registry(call) as client:
                faults, notes = self._faults(client, call, c)
        except MissingExtra:
            raise
        except TargetError as error:
            status = "not_checked" if error.retriable else "not_ready"
            return Readiness.model_validate({"status": status, "reasons": [error.message]})
        return Readiness(status="not_ready" if faults else "ready", reasons=faults or notes)

    def diff(self, call: Call, c: Capture) -> Diff:
        """The version, its metrics then and now, and what it was trained on."""
        now = self.inspect(call)
        changes = _changes(now.facts, c.facts)
        same = (now.pointer, now.digest) == (c.pointer, c.digest)
        metrics = [f"{m.name} {_short(m.before)} -> {_short(m.after)}" for m in changes if m.name in _metrics(c.facts)]
        summary = ", ".join([f"{now.pointer} -> {c.pointer}", *metrics[:3]])
        return Diff(same=same, summary="no change" if same else summary, changes=[] if same else changes)

    def restore(self, call: Call, c: Capture, before: Capture) -> Receipt:
        """Moves the alias to ``c``'s version, after its files were read and found as captured, and reads it back.

        MLflow has no compare-and-set, so the alias is read right before it is set. The version that it comes from is
        kept as a tag on the version that it goes to (``rollbot.previous.ALIAS``), written first. Raises Moved,
        CorruptBlob for a damaged capture, and TargetError if the version can't be loaded any more.
        """
        with registry(call) as client:
            if self._is_there(client, c, before):
                return Receipt(changed=False, pointer=c.pointer, note="already there")
            faults, _ = self._faults(client, call, c)
            if faults:
                raise TargetError(faults[0])
            if c.pointer != NONE and not self.alias.startswith(_SANDBOX):
                call.check()
                tag = f"rollbot.previous.{self.alias}"
                client.set_model_version_tag(self.model, c.pointer, tag, before.pointer)
            call.check()
            if not self._is_there(client, c, before):
                self._set(client, c.pointer)
            live = alias_of(registered(client, self.model), self.alias) or NONE
            if live != c.pointer:
                raise TargetError(f"set {self.model}@{self.alias} to {c.pointer}, but read back {live}")
            return Receipt(changed=True, pointer=c.pointer)

    def visible(self, call: Call, c: Capture) -> Visibility:
        """The alias points there and, with ``serving``, so many of the servers run it."""
        with registry(call) as client:
            live = alias_of(registered(client, self.model), self.alias) or NONE
        total = max(1, len(self.serving))
        if live != c.pointer:
            return Visibility(visible=False, seen=0, total=total, note=f"the alias points to {live}")
        if not self.serving:
            return Visibility(visible=True, note="in the registry")
        said = self._ask(call)
        seen = sum(a.version == c.pointer for a in said)
        note = "; ".join([f"{seen} of {total} servers run {c.pointer}", *_others(said, c.pointer)])
        return Visibility(visible=seen == total, seen=seen, total=total, note=note, again_after=_ASK_AGAIN)

    def verify(self, call: Call, c: Capture) -> Accuracy:
        """Counts the servers that run ``c`` (without ``serving``: the registry alone), all wrong if the alias or a
        single file is: shares of files would let a broken model pass. A server that can't say is inconclusive.
        """
        with registry(call) as client:
            live = alias_of(registered(client, self.model), self.alias) or NONE
            faults = [] if live == c.pointer else [f"the alias points to {live}, not {c.pointer}"]
            faults += self._faults(client, call, c)[0]
        said = self._ask(call) if self.serving else []
        silent = [a.in_words() for a in said if a.version is None]
        right = sum(a.version == c.pointer for a in said) if said else 1
        return Accuracy(
            matched=0 if faults else right,
            expected=len(said) or 1,
            where="at consumers" if said else "in the store",
            examples=faults + _others(said, c.pointer),
            inconclusive="; ".join(silent) if silent and not faults else None,
        )

    def sandbox(self, call: Call) -> Self:
        """Another alias of the same model, at the live version: version numbers, and so captures, hold there too."""
        key = hashlib.sha256(call.key.encode()).hexdigest()[:12]
        made = self.model_copy(update={"alias": f"{_SANDBOX}{self.alias[:100]}-{key}", "serving": []})
        if call.context.get("to_remove"):
            return made
        with registry(call) as client:
            found = registered(client, self.model)
            live = alias_of(found, self.alias)
            if live and alias_of(found, made.alias) is None:
                call.check()
                client.set_registered_model_alias(self.model, made.alias, live)
        return made

    def discard(self, call: Call) -> None:
        """Removes a sandbox's alias. Raises TargetError for any other alias."""
        if not self.alias.startswith(_SANDBOX):
            raise TargetError(f"{self.model}@{self.alias} is no sandbox, it stays")
        with registry(call) as client:
            if alias_of(registered(client, self.model), self.alias) is not None:
                call.check()
                client.delete_registered_model_alias(self.model, self.alias)

    def _is_there(self, client: Any, c: Capture, before: Capture) -> bool:
        """True if the alias is at ``c`` already, False if it is at ``before``; raises Moved if at neither."""
        live = alias_of(registered(client, self.model), self.alias) or NONE
        if live not in (c.pointer, before.pointer):
            text = f"{self.model}@{self.alias} now points to {live}, not {before.pointer}: somebody else moved it"
            raise Moved(text)
        return live == c.pointer

    def _set(self, client: Any, pointer: str) -> None:
        if pointer == NONE:
            client.delete_registered_model_alias(self.model, self.alias)
        else:
            client.set_registered_model_alias(self.model, self.alias, pointer)

    def _faults(self, client: Any, call: Call, c: Capture) -> tuple[list[str], list[str]]:
        """Why ``c`` can't be restored, and what else is worth knowing. Raises CorruptBlob for a damaged capture."""
        recorded: Files = c.data.get("files") or {}
        if c.data.get("total") != digest_of(recorded):
            raise CorruptBlob(f"the capture of {self.model} {c.pointer} is damaged: its list of files has changed")
        if c.pointer == NONE:
            return [], []
        mv = version(client, self.model, c.pointer)
        if identity(mv) != c.digest:
            return [f"{self.model} {c.pointer} is not the version that was captured: it was made again"], []
        files, faults = read(client, call, mv, recorded, f"{c.taken_at:%Y-%m-%d %H:%M} UTC")
        extra = sorted(files.keys() - recorded.keys())
        notes = [f"{self.model} {c.pointer} has files that it had not at capture: {', '.join(extra)}"] if extra else []
        return faults, notes + doubts(mv, run_of(client, mv))

    def _ask(self, call: Call) -> list[Answer]:
        return ask(self.serving, max(1.0, min(5.0, call.deadline / 4)))


def _changes(before: dict[str, Json], after: dict[str, Json]) -> list[Change]:
    """Version, each metric and each tag that differs."""
    old, new = _flat(before), _flat(after)
    names = [*new, *[name for name in old if name not in new]]
    return [Change(name=n, before=old.get(n), after=new.get(n)) for n in names if old.get(n) != new.get(n)]


def _flat(facts: dict[str, Json]) -> dict[str, Json]:
    one = {name: facts[name] for name in ("version", "run_id") if name in facts}
    return {**one, **_metrics(facts), **facts.get("tags", {})}


def _metrics(facts: dict[str, Json]) -> dict[str, Json]:
    metrics: dict[str, Json] = facts.get("metrics", {})
    return metrics


def _short(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def _others(said: list[Answer], wanted: str) -> list[str]:
    return [answer.in_words() for answer in said if answer.version != wanted]


TARGETS = (MlflowModel,)
