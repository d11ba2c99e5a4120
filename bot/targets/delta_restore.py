"""Brings a captured version of a Delta table back, in writes that can each be the last one before a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bot.core.errors import Moved, TargetError
from bot.core.target import Call, Receipt
from bot.targets.delta_capture import Held, Limits, same_content
from bot.targets.delta_files import Storage, bytes_of, check, fault
from bot.targets.delta_log import (
    KEY,
    RESTORES,
    SINCE,
    Commit,
    DataFile,
    Table,
    answering,
    kept,
    lineage,
    open_table,
    versioned,
)

if TYPE_CHECKING:
    from deltalake import CommitProperties, PostCommitHookProperties

LATER_COMMITS = 1_000
"""If more came after the pre-image, nobody asks whose they are: the table moved."""


@dataclass(frozen=True)
class Restore:
    """One restore of one capture. ``before``: the pre-image."""

    call: Call
    uri: str
    options: dict[str, str]
    limits: Limits
    held: Held
    before: Held

    @cached_property
    def storage(self) -> Storage:
        return Storage(self.uri, self.options)

    def run(self) -> Receipt:
        """Raises Moved or TargetError before the first write, if it can't end well."""
        live = open_table(self.uri, self.options)
        self._refuse(live)
        later = self._later(live)
        mine = bool(later) and all(c.said.get(KEY) == self.call.key for c in later)
        if same_content(live, self.held, self.limits, self.call):
            changed, notes = self._finish(live, mine=mine)
            return Receipt(changed=changed, pointer=str(live.version), note="; ".join(notes) or "already there")
        if mine:
            raise TargetError(f"Delta table {self.uri} was restored by this step, but reads back as something else")
        if later:
            raise self._moved(live, later)
        return self._write(live)

    # -- what forbids it -----------------------------------------------------------------------------

    def _refuse(self, live: Table) -> None:
        if live.deletion_vectors:
            raise TargetError(f"Delta table {self.uri} uses deletion vectors: {NO_DELETION_VECTORS}")
        for held in (self.held, self.before):
            if held.table_id != live.id:
                raise TargetError(f"{self.uri} is another table than the one captured: made anew at the same place")

    def _later(self, live: Table) -> list[Commit]:
        """What was committed after the pre-image."""
        count = live.version - self.before.version
        if count < 0:
            raise Moved(
                f"Delta table {self.uri} is at version {live.version}, before the pre-image {self.before.version}"
            )
        if count > LATER_COMMITS:
            raise Moved(f"Delta table {self.uri} moved from version {self.before.version} to {live.version}")
        return live.commits(count) if count else []

    def _moved(self, live: Table, later: list[Commit]) -> Moved:
        """Retriable if only ordinary data came: the same plan holds, and wants a fresh pre-image."""
        ordinary = not any(c.rewrites(self.limits.ordinary) or c.restores is not None for c in later)
        what = "ordinary data came" if ordinary else f"{later[0].operation} by somebody else"
        text = f"Delta table {self.uri} moved from version {self.before.version} to {live.version}: {what}"
        return Moved(text, retriable=ordinary)

    # -- the writes ----------------------------------------------------------------------------------

    def _finish(self, live: Table, *, mine: bool) -> tuple[bool, list[str]]:
        """The version is live by name. Damaged files are mended; what this step left undone before is done."""
        names = {f.path for f in live.files}
        back = self._bring_back([f for f in self.held.files if f.path in names])
        changed, notes = self._keep_settings(live) if mine else (False, [])
        return changed or bool(back), back + notes

    def _write(self, live: Table) -> Receipt:
        discarded = self._discarded(live)  # before the handle moves on
        if in_log(live, self.held):
            notes = self._by_log(live)
        elif reason := why_not_anew(live, self.held):
            raise TargetError(f"Delta {self.held.version} of {self.uri} can't be restored: {reason}")
        else:
            notes = self._anew(live)
        now = self._read_back(live)
        return Receipt(changed=True, pointer=str(now.version), note="; ".join([*discarded, *notes]))

    def _discarded(self, live: Table) -> list[str]:
        """How many commits what was live descended from and is no longer there; as the plan counted them."""
        apart = max(0, live.version - self.held.version)
        commits = lineage(live.commits(min(self.limits.history, apart + 1)))
        lost = sum(c.version > self.held.version and c.brings_data for c in commits)
        return [f"{lost:,} later commits discarded" if lost != 1 else "1 later commit discarded"] if lost else []

    def _checked(self, files: list[DataFile]) -> list[DataFile]:
        """Reads the files; those that must be written again. Raises TargetError if one can't be."""
        checked = check(self.storage, files, self.held.refs, self.call.blobs, copies=False)
        if checked.lost:
            count = f"{len(checked.lost)} of {len(files)} files are lost"
            raise TargetError(f"Delta {self.held.version} of {self.uri} can't be restored, {count}: {checked.lost[0]}")
        return checked.bring_back

    def _bring_back(self, files: list[DataFile]) -> list[str]:
        again = self._checked(files)
        for file in again:
            self.call.check()
            self.storage.write(file.path, bytes_of(self.storage, file, self.held.refs, self.call.blobs))
            if wrong := fault(self.storage, file):
                raise TargetError(f"{file.path} was written to {self.uri} again, but {wrong}", retriable=True)
        return [f"brought back from copies: {len(again)} of {len(files)} files"] if again else []

    def _by_log(self, live: Table) -> list[str]:
        """First the files that vacuum took, then the restore, then the settings that it took back."""
        notes = self._bring_back(self.held.files)
        self.call.check()
        with answering(self.uri):
            # A handle that is behind the table makes this fail: the compare-and-set (measured).
            live.handle.restore(self.held.version, commit_properties=self._marks(), post_commithook_properties=_hooks())
        return notes + self._keep_settings(open_table(self.uri, self.options))[1]

    def _anew(self, live: Table) -> list[str]:
        """The log no longer holds the version: its files again, under new names, as one overwrite."""
        import pyarrow as pa
        from deltalake import Schema
        from deltalake.transaction import AddAction, RemoveAction

        self._checked(self.held.files)
        actions: list[AddAction | RemoveAction] = []
        for file in self.held.files:
            path = self._new_name(file)
            self.call.check()
            self.storage.write(path, bytes_of(self.storage, file, self.held.refs, self.call.blobs))
            stats = json.dumps({"numRecords": file.rows}) if file.rows is not None else "{}"
            values: Mapping[str, str | None] = dict(file.partition)
            stamp = int(self.call.now.timestamp() * 1000)
            actions.append(AddAction(path, file.size, values, stamp, True, stats))
        schema = Schema.from_json(json.dumps(self.held.capture.data["columns"]))
        self.call.check()
        with answering(self.uri):
            live.handle.create_write_transaction(
                actions,
                "overwrite",
                pa.schema(schema.to_arrow()),
                live.partition_by,
                commit_properties=self._marks(),
                post_commithook_properties=_hooks(),
            )
        return [f"version {self.held.version} is no longer in the log: written anew from its files"]

    def _new_name(self, file: DataFile) -> str:
        mark = hashlib.sha256(f"{self.call.key}/{file.path}".encode()).hexdigest()[:32]
        return f"part-restored-{mark}.parquet"

    def _keep_settings(self, now: Table) -> tuple[bool, list[str]]:
        """Settings as they were before the restore, which takes them back too (measured)."""
        wanted, have = kept(self.before.properties), kept(now.properties)
        changes = {k: v for k, v in wanted.items() if have.get(k) != v}
        notes = [f"{k} came with the version: deltalake can't unset it" for k in sorted(have) if k not in wanted]
        if not changes:
            return False, notes
        self.call.check()
        with answering(self.uri):
            now.handle.alter.set_table_properties(
                changes,
                raise_if_not_exists=False,
                commit_properties=self._marks(retries=3),
                post_commithook_properties=_hooks(),
            )
        have = kept(open_table(self.uri, self.options).properties)
        if wrong := sorted(k for k in changes if have.get(k) != changes[k]):
            text = f"Delta table {self.uri} did not take the setting {wrong[0]}={changes[wrong[0]]}"
            raise TargetError(text, retriable=True)
        return True, [*notes, f"settings put back: {', '.join(sorted(changes))}"]

    def _read_back(self, before: Table) -> Table:
        now = open_table(self.uri, self.options)
        if not same_content(now, self.held, self.limits, self.call):
            later = now.commits(now.version - before.version)
            others = [c for c in later if c.said.get(KEY) != self.call.key]
            if others:
                raise Moved(f"Delta table {self.uri} was restored, but {others[0].operation} by somebody else followed")
            raise TargetError(f"Delta table {self.uri} was restored, but reads back as something else than captured")
        return now

    def _marks(self, retries: int = 0) -> CommitProperties:
        """Who did this and what it stands for. No retries: deltalake would merge the restore with what others
        appended meanwhile (measured with create_write_transaction)."""
        from deltalake import CommitProperties

        said = {KEY: self.call.key, SINCE: self.held.since, RESTORES: str(self.held.version)}
        said |= {"rollbot.run": str(self.call.context["run"])} if "run" in self.call.context else {}
        return CommitProperties(custom_metadata=said, max_commit_retries=retries)


NO_DELETION_VECTORS = "Delta's restore would report success and bring nothing back (delta-rs issue 4613)"


def in_log(live: Table, held: Held) -> bool:
    """Does the log still hold this very version?"""
    try:
        then = live.at(held.version)
    except TargetError as error:
        if error.retriable:
            raise
        return False
    return [f.path for f in then.files] == [f.path for f in held.files]


def why_not_anew(live: Table, held: Held) -> str | None:
    """What keeps a version that the log no longer holds from being written anew; None if nothing does."""
    gone = f"version {held.version} is no longer in the log, and "
    if live.partition_by != held.capture.data["partition_by"]:
        return gone + "the table is partitioned in another way since"
    if versioned(live.properties) != versioned(held.properties):
        return gone + "the table's constraints or own properties changed since: set them by hand first"
    if any(k.startswith("delta.columnMapping") for k in held.properties):
        return gone + "its columns are mapped"
    if kept(live.properties)["delta.appendOnly"].lower() == "true":
        return gone + "the table takes nothing but appends (delta.appendOnly)"
    return None


def _hooks() -> PostCommitHookProperties:
    """A rollback must never be what cleans the log: the way forward is in it."""
    from deltalake import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
