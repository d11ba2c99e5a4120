"""What the delta target says of a table: its version, what would change, where it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake

from bot.core.errors import Fault, TargetError
from bot.core.target import Connection
from bot.targets.delta import DeltaDataset
from bot.targets.delta_log import retention
from tests.targets.contract import settle
from tests.targets.delta_world import ROWS, DeltaWorld, committed, sandboxes, stats


@pytest.fixture
def world(tmp_path: Path) -> DeltaWorld:
    return DeltaWorld(tmp_path)


class TestVersions:
    def test_appends_are_observed(self, world: DeltaWorld) -> None:
        """The version stays "since 0" while version number, rows and commits since then are told as observed."""
        state = world.target.inspect(world.call())
        assert (state.pointer, state.observed["version"], state.observed["rows"]) == ("0", 1, ROWS + 10)
        for _ in range(3):
            world.append()
        state = world.target.inspect(world.call())
        assert (state.pointer, state.observed["version"], state.observed["rows"]) == ("0", 4, ROWS + 40)
        assert state.observed["commits since"] == 4
        assert state.observed["last commit"] == committed(world, 4).isoformat()

    def test_upkeep_is_no_new_version(self, world: DeltaWorld) -> None:
        """Compaction, vacuum, checkpoints and settings leave version and content as they are, also to a restore."""
        good, version = world.target.capture(world.call()), world.target.inspect(world.call()).version
        world.open().optimize.compact()
        world.vacuum()
        world.open().create_checkpoint()
        world.open().alter.set_table_properties({"delta.logRetentionDuration": "interval 60 days"})
        assert world.open().version() > 2
        assert world.target.inspect(world.call()).version == version
        assert world.target.capture(world.call()).digest == good.digest
        assert world.target.diff(world.call(), good).same
        before = world.fingerprint()
        assert not world.target.restore(world.call(), good, good).changed
        assert world.fingerprint() == before

    @pytest.mark.parametrize("what", ["delete", "update", "merge", "overwrite", "schema", "restore"])
    def test_what_is_a_new_version(self, world: DeltaWorld, what: str) -> None:
        """Everything that changes what was there, or its schema."""
        world.append()
        version = world.target.inspect(world.call()).version
        table = world.open()
        if what == "delete":
            table.delete("driver_id = 5")
        elif what == "update":
            table.update({"avg_trip": "1.0"}, predicate="driver_id = 5")
        elif what == "merge":
            source = stats(3, factor=2.0)
            table.merge(source, "s.driver_id = t.driver_id", "s", "t").when_matched_update_all().execute()
        elif what == "overwrite":
            write_deltalake(str(world.table), stats(ROWS), mode="overwrite")
        elif what == "schema":
            write_deltalake(str(world.table), stats(5, x=[1.0] * 5), mode="append", schema_mode="merge")
        else:
            write_deltalake(str(world.table), stats(ROWS), mode="overwrite")
            moved = world.target.inspect(world.call()).version
            world.open().restore(1)  # by hand: that is the way back
            assert world.target.inspect(world.call()).version == version
            version = moved
        assert world.target.inspect(world.call()).version != version

    def test_upserts_may_be_ordinary(self, world: DeltaWorld) -> None:
        """A table whose data arrives by MERGE says so, and its version stays."""
        target = world.target.model_copy(update={"ordinary": ["MERGE"]})  # type: ignore[attr-defined]
        version = target.inspect(world.call()).version
        merge = world.open().merge(stats(3, factor=2.0), "s.driver_id = t.driver_id", "s", "t")
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
        assert target.inspect(world.call()).version == version != world.target.inspect(world.call()).version

    def test_the_search_in_the_history_is_bounded(self, world: DeltaWorld) -> None:
        """Beyond ``history`` commits the version counts as 0, with a warning; it is still stable."""
        write_deltalake(str(world.table), stats(5), mode="overwrite")
        for _ in range(4):
            world.append()
        target = world.target.model_copy(update={"history": 4})  # type: ignore[attr-defined]
        first, second = target.inspect(world.call()), world.target.inspect(world.call())
        assert (first.pointer, second.pointer) == ("0", "2")
        assert "among the last 4" in first.warnings[0]
        assert not second.warnings


class TestDiffs:
    def test_what_would_change(self, world: DeltaWorld) -> None:
        """Commits, rows by their key, columns, rows and age, in numbers and in one line."""
        good = world.target.capture(world.call())
        as_of = committed(world, 1).isoformat()
        world.append()
        world.change()
        diff = world.target.diff(world.call(), good)
        changed = ROWS + 50 - 50 - 10 + 10  # every driver there is in both: the new column alone makes it another row
        assert diff.counts == {
            "commits_discarded": 2,
            "rows_before": ROWS + 50,
            "rows_after": ROWS + 10,
            "rows_added": 10,
            "rows_removed": 50,
            "rows_changed": changed,
        }
        assert diff.summary == (
            "Delta 4 -> 1: 2 later commits discarded, 10 rows added, 50 rows removed, 1,000 rows changed"
        )
        told = {c.name: (c.before, c.after) for c in diff.changes}
        assert told["column rating"] == ("double", None)
        assert told["version"] == (4, 1)
        assert told["data as of"] == (committed(world, 4).isoformat(), as_of)

    def test_later_appends_are_what_goes(self, world: DeltaWorld) -> None:
        """Within one version the diff is the data that came since."""
        good = world.target.capture(world.call())
        world.append()
        world.append()
        diff = world.target.diff(world.call(), good)
        assert diff.summary == "Delta 3 -> 1: 2 later commits discarded, 20 rows removed"

    def test_put_back_brings_commits_back(self, world: DeltaWorld) -> None:
        """After a rollback, what was discarded comes back; the rollback's own commits are not counted."""
        good = world.target.capture(world.call())
        world.change()
        bad = world.target.capture(world.call())
        settle(world, world.target, good, bad, "k")
        diff = world.target.diff(world.call(), bad)
        assert diff.counts["commits_discarded"] == 0
        assert diff.summary.startswith("Delta 5 -> 3: 1 commit brought back, 50 rows added, 10 rows removed")

    def test_without_a_key_rows_come_and_go(self, world: DeltaWorld) -> None:
        """A row that nobody can name is not *changed*; it is another row."""
        target = DeltaDataset.model_validate({"uri": "data/driver_stats"})
        good = target.capture(world.call())
        world.open().update({"avg_trip": "7.5"}, predicate="driver_id < 20")
        counts = target.diff(world.call(), good).counts
        assert (counts["rows_added"], counts["rows_removed"], counts["rows_changed"]) == (20, 20, 0)

    def test_too_many_rows_to_compare(self, world: DeltaWorld) -> None:
        """Above ``compare_rows`` the totals are told, and verify still knows equal from different."""
        target = DeltaDataset.model_validate({"uri": "data/driver_stats", "compare_rows": 100})
        good = target.capture(world.call())
        assert target.verify(world.call(), good).ratio == 1.0
        world.change()
        diff = target.diff(world.call(), good)
        assert "1,050 -> 1,010 rows (not compared one by one)" in diff.summary
        assert "rows_changed" not in diff.counts
        accuracy = target.verify(world.call(), good)
        assert "too many rows (1,050) to say how many" in (accuracy.inconclusive or "")

    def test_a_lost_key_column(self, world: DeltaWorld) -> None:
        """If the bad release dropped the key's column, the diff still works; a wrong key is said at capture."""
        good = world.target.capture(world.call())
        bad = stats(ROWS).drop_columns(["driver_id"])
        write_deltalake(str(world.table), bad, mode="overwrite", schema_mode="overwrite")
        assert {c.name for c in world.target.diff(world.call(), good).changes} >= {"column driver_id"}
        with pytest.raises(TargetError, match="no column 'driver_id': correct the key"):
            world.target.capture(world.call())

    def test_nulls_that_should_not_be(self, world: DeltaWorld) -> None:
        """Verify counts null cells beyond those that the captured version has."""
        good = world.target.capture(world.call())
        world.open().update({"avg_trip": "null"}, predicate="driver_id > 10 and driver_id < 21")
        accuracy = world.target.verify(world.call(), good)
        assert (accuracy.null, accuracy.expected - accuracy.matched) == (10, 10)
        assert (accuracy.missing, accuracy.extra) == (0, 0)


class TestPlaces:
    def test_names_are_canonical(self) -> None:
        """However the same place is written, it is one resource, hence one lock."""
        at = Connection(name="lake", type="delta", settings={"root": "/lake/"})
        names = {
            DeltaDataset(uri=u).resource(at) for u in ("a/b", "a/./b/", "/lake/a/b", "file:///lake/a/b", "a/x/../b")
        }
        assert names == {"delta:/lake/a/b"}
        assert DeltaDataset(uri="s3://bucket/a//b/").resource(at) == "delta:s3://bucket/a/b"

    def test_a_relative_place_needs_a_root(self) -> None:
        """The error says what to give."""
        with pytest.raises(Fault, match="'data/x' is relative and connection 'lake' has no root"):
            DeltaDataset(uri="data/x").resource(Connection(name="lake", type="delta"))

    def test_nothing_there(self, world: DeltaWorld) -> None:
        """An error in one line that names the place; readiness says no."""
        good = world.target.capture(world.call())
        lost = world.target.model_copy(update={"uri": "data/nowhere"})  # type: ignore[attr-defined]
        with pytest.raises(TargetError, match=r"Delta table .*/data/nowhere: there is none"):
            lost.inspect(world.call())
        assert lost.readiness(world.call(), good).status == "not_ready"

    def test_a_store_that_does_not_answer(self, world: DeltaWorld) -> None:
        """*Not checked*, and a retriable error: nobody knows."""
        good = world.target.capture(world.call())
        options = {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_REGION": "eu-west-1",
            "max_retries": "0",
            "connect_timeout": "1s",
        }
        world.connection = Connection(name="s3", type="delta", settings={"storage_options": options})
        far = DeltaDataset(uri="s3://bucket/driver_stats")
        assert far.readiness(world.call(), good).status == "not_checked"
        with pytest.raises(TargetError) as error:
            far.inspect(world.call())
        assert error.value.retriable
        assert "\n" not in error.value.message

    def test_a_half_made_sandbox_is_finished(self, world: DeltaWorld) -> None:
        """Killed in the middle of the copy and repeated with the same key, the sandbox is whole."""
        good = world.target.capture(world.call())
        sandbox = world.target.sandbox(world.call(key="drill"))
        (folder,) = sandboxes(world)
        (folder / ".rollbot-complete").unlink()
        victim = next(folder.glob("part-*.parquet"))
        victim.write_bytes(b"half")
        world.append()
        again = world.target.sandbox(world.call(key="drill"))
        assert again == sandbox
        earlier = again.capture(world.call(), at="1")
        assert earlier.digest == good.digest
        assert sandboxes(world) == [folder]

    @pytest.mark.parametrize("whole", [True, False])
    def test_a_sandbox_is_found_without_its_table(self, world: DeltaWorld, whole: bool) -> None:
        """The table is gone when it is asked for again: a whole sandbox is told, so that it can be removed, and of half
        of one nothing stays, since nobody would be told where it is."""
        sandbox = world.target.sandbox(world.call(key="drill"))
        (folder,) = sandboxes(world)
        world.table.rename(world.lake / "elsewhere")
        if whole:
            assert world.target.sandbox(world.call(key="drill")) == sandbox
            sandbox.discard(world.call())
        else:
            (folder / ".rollbot-complete").unlink()
            with pytest.raises(TargetError):
                world.target.sandbox(world.call(key="drill"))
        assert sandboxes(world) == []

    @pytest.mark.parametrize(
        ("text", "days"),
        [
            ("interval 30 days", 30),
            ("interval 2 weeks", 14),
            ("interval 1 days 12 hours", 1.5),
            ("nonsense", 7),
            (None, 7),
        ],
    )
    def test_intervals(self, text: str | None, days: float) -> None:
        """As Delta writes them."""
        properties = {"delta.deletedFileRetentionDuration": text} if text else {}
        assert retention(properties) == timedelta(days=days)


def test_a_hundred_thousand_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every call works on 100,000 rows; how long each took is printed, not judged."""
    world = DeltaWorld(tmp_path)
    write_deltalake(str(world.table), stats(100_000), mode="overwrite")
    took: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = work()
        took[name] = time.perf_counter() - begin
        return result

    target, call = world.target, world.call()
    good = target.capture(call)
    timed("capture", lambda: target.capture(call))
    write_deltalake(str(world.table), stats(101_000, factor=1.5), mode="overwrite")
    bad = target.capture(call)
    timed("inspect", lambda: target.inspect(call))
    timed("readiness", lambda: target.readiness(call, good))
    timed("diff", lambda: target.diff(call, good))
    timed("restore", lambda: target.restore(call, good, bad))
    accuracy = timed("verify", lambda: target.verify(call, good))
    timed("sandbox", lambda: target.sandbox(call).discard(call))
    with capsys.disabled():
        print("\n100,000 rows:", ", ".join(f"{name} {s * 1000:,.0f} ms" for name, s in took.items()))  # noqa: T201
    assert accuracy == target.verify(call, good)
    assert accuracy.ratio == 1.0
    assert DeltaTable(str(world.table)).count() == 100_000
