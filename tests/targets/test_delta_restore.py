"""Restoring a Delta table: what survives, who else writes, what is gone, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from bot.core.errors import Moved, TargetError
from bot.core.target import Capture
from tests.targets.contract import assert_exact, digest_tree
from tests.targets.delta_world import (
    DeltaWorld,
    ForgottenWorld,
    UncopiedWorld,
    VacuumedWorld,
    made_anew,
    stats,
    use_deletion_vectors,
)


@pytest.fixture
def world(tmp_path: Path) -> DeltaWorld:
    return DeltaWorld(tmp_path)


def good_then_bad(world: DeltaWorld) -> tuple[Capture, Capture]:
    good = world.target.capture(world.call())
    world.change()
    return good, world.target.capture(world.call())


class TestSettings:
    def test_how_the_table_is_kept_survives(self, world: DeltaWorld) -> None:
        """The retention set after the good version still protects the way forward after the restore."""
        good, bad = good_then_bad(world)
        receipt = world.target.restore(world.call(), good, bad)
        assert world.open().metadata().configuration["delta.deletedFileRetentionDuration"] == "interval 21 days"
        assert receipt.note == "1 later commit discarded; settings put back: delta.deletedFileRetentionDuration"

    def test_what_the_data_is_goes_back(self, world: DeltaWorld) -> None:
        """Constraints and the team's own properties belong to the version, and are told in the diff."""
        good = world.target.capture(world.call())
        table = world.open()
        table.alter.add_constraint({"near": "driver_id < 1000000"})
        table.alter.set_table_properties({"team.release": "v13"}, raise_if_not_exists=False)
        bad = world.target.capture(world.call())
        told = {c.name: (c.before, c.after) for c in world.target.diff(world.call(), good).changes}
        assert told["property team.release"] == ("v13", None)
        assert told["property delta.constraints.near"] == ("driver_id < 1000000", None)
        assert world.target.verify(world.call(), good).ratio < 1.0
        world.target.restore(world.call(), good, bad)
        assert world.open().metadata().configuration == {}
        world.target.restore(world.call(key="back"), bad, world.target.capture(world.call()))
        assert world.open().metadata().configuration == {
            "team.release": "v13",
            "delta.constraints.near": "driver_id < 1000000",
        }

    def test_a_setting_that_comes_back_with_the_version_is_undone(self, world: DeltaWorld) -> None:
        """A retention of one hour that v12 had, and that was taken away since, does not return with v12."""
        world.open().alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 1 hours"})
        good = world.target.capture(world.call())
        write_deltalake(str(world.table), stats(5), mode="overwrite")
        world.open().alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 7 days"})
        world.target.restore(world.call(), good, world.target.capture(world.call()))
        assert world.open().metadata().configuration["delta.deletedFileRetentionDuration"] == "interval 7 days"

    def test_a_rollback_never_cleans_the_log(self, world: DeltaWorld) -> None:
        """Old log entries stay, also where the table would have them cleaned at each checkpoint."""
        world.open().alter.set_table_properties(
            {"delta.logRetentionDuration": "interval 0 days", "delta.checkpointInterval": "1"}
        )
        good, bad = good_then_bad(world)
        log = {p.name for p in (world.table / "_delta_log").glob("*.json")}
        world.target.restore(world.call(), good, bad)
        assert log < {p.name for p in (world.table / "_delta_log").glob("*.json")}


class Interference:
    """A ``Call.check`` during which somebody else writes, once, between the look at the table and our commit."""

    def __init__(self, *does: Callable[[], None], at: int = 1) -> None:
        self.does, self.at, self.asked = does, at, 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked == self.at:
            for do in self.does:
                do()


class TestOthersWrite:
    @pytest.mark.parametrize("kind", [DeltaWorld, ForgottenWorld])
    def test_a_commit_in_the_last_moment(self, tmp_path: Path, kind: type[DeltaWorld]) -> None:
        """What comes between the check and our commit makes the commit fail: nothing is lost, nothing is mixed."""
        world = kind(tmp_path)
        good, bad = good_then_bad(world)
        last = world.kills - 1 if kind is DeltaWorld else world.kills
        with pytest.raises(Moved, match="somebody else committed at the same time") as error:
            world.target.restore(world.call(check=Interference(world.append, at=last)), good, bad)
        assert error.value.retriable
        assert world.open().version() == int(bad.pointer) + 1
        assert world.open().to_pyarrow_table().num_rows == bad.data["rows"] + 10

    def test_ordinary_data_after_the_pre_image(self, world: DeltaWorld) -> None:
        """An append leaves the plan as it is: Moved is retriable, and with a fresh pre-image it goes through."""
        version, content = world.target.inspect(world.call()).version, world.content()
        good, bad = good_then_bad(world)
        world.append()
        with pytest.raises(Moved, match="from version 3 to 4: ordinary data came") as error:
            world.target.restore(world.call(), good, bad)
        assert error.value.retriable
        world.target.restore(world.call(), good, world.target.capture(world.call()))
        assert_exact(world, good, version, content)

    def test_another_release_after_the_pre_image(self, world: DeltaWorld) -> None:
        """An overwrite is for people to judge: Moved, and not retriable."""
        good, bad = good_then_bad(world)
        write_deltalake(str(world.table), stats(7, rating=[1.0] * 7), mode="overwrite")
        with pytest.raises(Moved, match="WRITE by somebody else") as error:
            world.target.restore(world.call(), good, bad)
        assert not error.value.retriable

    def test_an_append_between_restore_and_settings(self, world: DeltaWorld) -> None:
        """The settings are put back all the same, and the receipt is an error that says what followed."""
        good, bad = good_then_bad(world)
        with pytest.raises(Moved, match="was restored, but WRITE by somebody else followed"):
            world.target.restore(world.call(check=Interference(world.append, at=2)), good, bad)
        assert world.open().metadata().configuration["delta.deletedFileRetentionDuration"] == "interval 21 days"
        accuracy = world.target.verify(world.call(), good)
        assert (accuracy.matched, accuracy.expected, accuracy.extra) == (1010, 1010, 10)

    def test_the_same_key_is_not_a_free_pass(self, world: DeltaWorld) -> None:
        """A step that finds its own restore with other data on top does not restore over it."""
        good, bad = good_then_bad(world)
        world.target.restore(world.call(key="k"), good, bad)
        world.append()
        with pytest.raises(Moved):
            world.target.restore(world.call(key="k"), good, bad)

    def test_a_table_made_anew(self, world: DeltaWorld) -> None:
        """Version numbers of another table at the same place mean nothing: not ready, refused."""
        good, bad = good_then_bad(world)
        made_anew(world)
        assert "another table" in world.target.readiness(world.call(), good).reasons[-1]
        with pytest.raises(TargetError, match="another table than the one captured"):
            world.target.restore(world.call(), good, bad)


class TestWhatIsGone:
    def test_vacuumed_files_come_back_from_copies(self, tmp_path: Path) -> None:
        """Vacuum really took them; readiness says where they come from; the restored table has the very bytes."""
        world = VacuumedWorld(tmp_path)
        bytes_of = {p.name: p.read_bytes() for p in world.table.glob("*.parquet")}
        good, bad = good_then_bad(world)
        assert not world.files_of(good)
        readiness = world.target.readiness(world.call(), good)
        assert (readiness.status, readiness.expires_at) == ("ready", None)
        assert readiness.reasons == ["2 files are gone or damaged in the table and come back from their copies"]
        assert "brought back from copies: 2 of 2 files" in world.target.restore(world.call(), good, bad).note
        assert {p.name: p.read_bytes() for p in world.files_of(good)} == bytes_of

    def test_vacuumed_files_without_copies(self, tmp_path: Path) -> None:
        """Each lost file is named, the restore is refused, and the table is as it was."""
        world = UncopiedWorld(tmp_path)
        good, bad = good_then_bad(world)
        world.vacuum()
        bad = world.target.capture(world.call())
        before = digest_tree(world.lake)
        readiness = world.target.readiness(world.call(), good)
        assert readiness.status == "not_ready"
        assert len(readiness.reasons) == 2
        said = "is gone from the table, and it was not copied, probably by the vacuum of "
        assert all(r.split(" ", 1)[1].startswith(said) for r in readiness.reasons)
        with pytest.raises(TargetError, match=r"Delta 1 of .* can't be restored, 2 of 2 files are lost: part-"):
            world.target.restore(world.call(), good, bad)
        assert digest_tree(world.lake) == before

    def test_truncated_files(self, tmp_path: Path) -> None:
        """Half a file is found by its size."""
        world = UncopiedWorld(tmp_path)
        good, _ = good_then_bad(world)
        path = world.files_of(good)[0]
        path.write_bytes(path.read_bytes()[:-100])
        (reason,) = world.target.readiness(world.call(), good).reasons
        size = good.data["files"][0]["size"]
        assert f"has {size - 100:,} bytes instead of {size:,}" in reason

    def test_a_version_that_the_log_forgot(self, tmp_path: Path) -> None:
        """It is written anew from its copies, and later restores see that nothing is left to do."""
        world = ForgottenWorld(tmp_path)
        good, bad = good_then_bad(world)
        with pytest.raises(Exception, match="No files in log segment"):
            DeltaTable(str(world.table), version=int(good.pointer))
        receipt = world.target.restore(world.call(), good, bad)
        assert "no longer in the log: written anew" in receipt.note
        partitions = {a["partition"]["shard"] for a in pa.table(world.open().get_add_actions()).to_pylist()}
        assert partitions == {"s 0/x", "s 1/x"}

    def test_a_forgotten_version_with_other_properties(self, tmp_path: Path) -> None:
        """Properties can't be unset by an overwrite: readiness and restore say so before anything is written."""
        world = ForgottenWorld(tmp_path)
        good, _ = good_then_bad(world)
        world.open().alter.set_table_properties({"team.release": "v13"}, raise_if_not_exists=False)
        (reason,) = world.target.readiness(world.call(), good).reasons
        assert "no longer in the log, and the table's constraints or own properties changed since" in reason
        with pytest.raises(TargetError, match="set them by hand first"):
            world.target.restore(world.call(), good, world.target.capture(world.call()))

    def test_damage_in_what_is_live_is_mended(self, world: DeltaWorld) -> None:
        """The version is there by name, but a file has rotted: verify finds it, restore writes it from its copy."""
        good, content = world.target.capture(world.call()), world.content()
        version = world.target.inspect(world.call()).version
        path = max(world.files_of(good), key=lambda p: p.stat().st_size)
        bytes_now = bytearray(path.read_bytes())
        bytes_now[100 : len(bytes_now) // 2] = bytes(len(bytes_now) // 2 - 100)  # data pages come first
        path.write_bytes(bytes_now)
        with pytest.raises(TargetError):
            world.target.verify(world.call(), good)
        receipt = world.target.restore(world.call(), good, good)
        assert (receipt.changed, receipt.note) == (True, "brought back from copies: 1 of 2 files")
        assert_exact(world, good, version, content)


class TestRefused:
    def test_deletion_vectors(self, world: DeltaWorld) -> None:
        """Everything but restore: it would report success and bring nothing back."""
        use_deletion_vectors(world)
        good = world.target.capture(world.call())
        assert "can't be restored" in good.warnings[0]
        write_deltalake(str(world.table), stats(7), mode="overwrite")
        bad = world.target.capture(world.call())
        assert world.target.inspect(world.call()).observed["rows"] == 7
        assert not world.target.diff(world.call(), good).same
        assert world.target.verify(world.call(), bad).ratio == 1.0
        readiness = world.target.readiness(world.call(), good)
        assert readiness.status == "not_ready"
        assert "deletion vectors" in readiness.reasons[0]
        before = digest_tree(world.lake)
        with pytest.raises(TargetError, match="uses deletion vectors"):
            world.target.restore(world.call(), good, bad)
        assert digest_tree(world.lake) == before

    def test_a_commit_that_reads_back_as_something_else(
        self, world: DeltaWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A library that reports success for nothing is not believed."""
        good, bad = good_then_bad(world)
        monkeypatch.setattr(DeltaTable, "restore", lambda *_, **__: {"numRestoredFile": 0})
        with pytest.raises(TargetError, match="reads back as something else than captured"):
            world.target.restore(world.call(), good, bad)
