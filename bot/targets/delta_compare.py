"""How a Delta table differs from a captured version: before -> after for the card, and the share that matches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bot.core.errors import TargetError
from bot.core.target import Accuracy, Call, Change, Diff, Json
from bot.targets.delta_capture import Held, Limits, content_of, facts
from bot.targets.delta_log import Commit, Table, lineage
from bot.targets.delta_rows import Comparison, Rows, compare

SEARCHED = 1_000
"""Commits below the older version that are searched for where the two part."""


@dataclass(frozen=True)
class Difference:
    """Between a table now and a captured version of it."""

    live: Table
    held: Held
    limits: Limits
    call: Call

    @cached_property
    def rows(self) -> Rows | None:
        """All rows of now, read once; None if they are too many to be read."""
        return content_of(self.live, self._key, self.limits, self.call)

    @cached_property
    def comparison(self) -> Comparison | None:
        """Row by row; None where either side has too many."""
        then = self.held.hashes
        if then is None or self.live.rows > self.limits.rows or self.rows is None or self.rows.hashes is None:
            return None
        return compare(then, self.rows.hashes)

    @property
    def _key(self) -> list[str]:
        """A table without the key's columns can only be compared by whole rows, so nothing of it matches."""
        names = {f["name"] for f in self.live.columns["fields"]}
        return self.held.key if names.issuperset(self.held.key) else []

    def diff(self) -> Diff:
        """What restoring the captured version would change."""
        discarded, again = self._commits()
        counts = {"commits_discarded": discarded, "rows_before": self.live.rows, "rows_after": self.held.rows}
        words = [_n(discarded, "later commit") + " discarded"] if discarded else []
        words += [_n(again, "commit") + " brought back"] if again else []
        if self.comparison:
            c = self.comparison
            counts |= {"rows_added": c.missing, "rows_removed": c.extra, "rows_changed": c.changed}
            told = ((c.missing, "added"), (c.extra, "removed"), (c.changed, "changed"))
            words += [f"{_n(n, 'row')} {what}" for n, what in told if n]
        else:
            words.append(f"{self.live.rows:,} -> {self.held.rows:,} rows (not compared one by one)")
        return Diff(same=False, summary=f"{self._arrow()}: {', '.join(words)}", changes=self._changes(), counts=counts)

    def _arrow(self) -> str:
        return f"Delta {self.live.version} -> {self.held.version}"

    def _changes(self) -> list[Change]:
        then, as_of = self.held.capture, self.held.capture.observed.get("as_of")
        changes = [
            Change(name="version", before=self.live.version, after=self.held.version),
            Change(name="data as of", before=self.live.committed and self.live.committed.isoformat(), after=as_of),
            Change(name="rows", before=self.live.rows, after=self.held.rows),
        ]
        now = facts(self.live)
        for part, word in (("columns", "column"), ("properties", "property")):
            changes += _fields(word, now[part], then.facts.get(part, {}))
        changes.append(
            Change(name="partitioned by", before=now["partitioned by"], after=then.facts.get("partitioned by"))
        )
        return [c for c in changes if c.before != c.after]

    def _commits(self) -> tuple[int, int]:
        """Commits of now's descent that the captured version lacks, and the other way round."""
        here = self._descent(self.live)
        try:
            there = self._descent(self.live.at(self.held.version))
        except TargetError:
            there = []
        if not here or not there:
            return sum(c.version > self.held.version for c in here if c.brings_data), 0
        # Below the shorter of the two lists nobody looked.
        floor = max(here[-1].version, there[-1].version)
        one, two = ({c.version for c in side if c.brings_data and c.version >= floor} for side in (here, there))
        return len(one - two), len(two - one)

    def _descent(self, table: Table) -> list[Commit]:
        apart = abs(self.live.version - self.held.version)
        return list(lineage(table.commits(min(self.limits.history, apart + SEARCHED))))

    def accuracy(self) -> Accuracy:
        """What is there now, against what the captured version holds."""
        expected = max(self.held.rows, 1)
        examples = [f"{c.name}: {c.before} instead of {c.after}" for c in self._changes() if _defines(c)]
        if self.rows is None or self.held.content is None:
            return self._by_files(expected, examples)
        if self.rows.total == self.held.content and self.rows.count == self.held.rows:
            return Accuracy(matched=expected - bool(examples), expected=expected, examples=examples[:5])
        null = max(0, self.rows.nulls - int(self.held.capture.data["nulls"]))
        c = self.comparison
        if c is None:
            reason = f"the content differs; too many rows ({self.live.rows:,}) to say how many"
            return Accuracy(matched=0, expected=expected, null=null, examples=examples[:5], inconclusive=reason)
        unseen = examples and not (c.missing or c.extra or c.changed)  # the same rows, but not the same table
        matched = c.matched - bool(unseen)
        examples = [*examples, f"{_n(c.changed, 'row')} with other values"] if c.changed else examples
        return Accuracy(
            matched=matched, expected=expected, missing=c.missing, extra=c.extra, null=null, examples=examples[:5]
        )

    def _by_files(self, expected: int, examples: list[str]) -> Accuracy:
        """Too large to be read: files by name and size, which says nothing about their bytes."""
        now, then = set(self.live.files), {f.path: f for f in self.held.files}
        names = {f.path for f in now}
        missing = sum(f.rows or 0 for p, f in then.items() if p not in names)
        extra = sum(f.rows or 0 for f in now if f.path not in then)
        matched = expected - missing - (1 if examples and not missing else 0)
        told = [*examples, "compared by the names of files only: larger than read_below_gib"]
        return Accuracy(
            matched=max(matched, 0), expected=expected, missing=missing, extra=extra, sampled=True, examples=told[:5]
        )


def _defines(change: Change) -> bool:
    return change.name.startswith(("column ", "property ", "partitioned"))


def _fields(word: str, before: Json, after: Json) -> list[Change]:
    names = [*before, *[n for n in after if n not in before]]
    return [Change(name=f"{word} {n}", before=before.get(n), after=after.get(n)) for n in names]


def _n(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
