"""Captures of a Delta table: earlier versions, how long they last, what is copied, and sizes at either end."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from bot.core.errors import MissingExtra, TargetError
from bot.targets.delta import DeltaDataset
from tests.targets.contract import assert_exact, settle
from tests.targets.delta_world import ROWS, DeltaWorld, UncopiedWorld, committed, stats


@pytest.fixture
def world(tmp_path: Path) -> DeltaWorld:
    return DeltaWorld(tmp_path)


class TestCaptures:
    def test_an_earlier_version(self, world: DeltaWorld) -> None:
        """``at`` captures a version that the log still holds, exactly, marked as expected."""
        content, version = world.content(), world.target.inspect(world.call()).version
        live = world.target.capture(world.call())
        world.change()
        earlier = world.target.capture(world.call(), at="1")
        assert (earlier.digest, earlier.pointer, earlier.expected) == (live.digest, "1", True)
        assert earlier.observed["as_of"] == committed(world, 1).isoformat()
        assert not live.expected
        settle(world, world.target, earlier, world.target.capture(world.call()), "k")
        assert_exact(world, earlier, version, content)

    def test_an_earlier_version_that_vacuum_took(self, world: DeltaWorld) -> None:
        """The log still has the version, the folder does not: an error that says so and since when."""
        world.change()
        world.vacuum()
        vacuumed = committed(world, world.open().version())
        said = rf"Delta 1 of .* 2 of its 2 files are gone, probably by the vacuum of {vacuumed:%Y-%m-%d %H:%M} UTC"
        with pytest.raises(TargetError, match=said):
            world.target.capture(world.call(), at="1")

    @pytest.mark.parametrize("at", ["v12", "-1", "2026-11-22", "1970-01-01T00:00:00Z", "1.0", " 1", "007", "٣", ""])
    def test_only_whole_numbers(self, world: DeltaWorld, at: str) -> None:
        """Whatever else deltalake would take for a date, and silently go back to version 0 for."""
        with pytest.raises(TargetError, match="no version of a Delta table: give a whole number such as 1"):
            world.target.capture(world.call(), at=at)

    def test_how_long_it_can_be_restored(self, tmp_path: Path) -> None:
        """Without copies: from the commit that replaced it, or now, for as long as vacuum spares files."""
        world = UncopiedWorld(tmp_path)
        now = datetime.now(UTC)
        live = world.target.capture(world.call(now=now))
        assert live.restorable_until == now + timedelta(days=7)
        assert live.warnings[0].startswith(
            f"files not copied: restorable until {now + timedelta(days=7):%Y-%m-%d %H:%M}"
        )
        assert world.target.readiness(world.call(), live).expires_at is None  # nothing that is live is vacuumed
        world.change()  # sets a retention of 21 days
        until = committed(world, 2) + timedelta(days=21)
        assert world.target.capture(world.call(), at="1").restorable_until == until
        assert world.target.readiness(world.call(), live).expires_at == until
        late = world.target.readiness(world.call(now=until - timedelta(days=1)), live)
        assert late.status == "ready"
        assert "vacuum may take them" in late.reasons[0]

    def test_copies_have_no_end(self, world: DeltaWorld) -> None:
        """With copies there is none, until one is damaged; then the table's own files count."""
        good = world.target.capture(world.call())
        assert (good.restorable_until, good.warnings) == (None, [])
        world.change()
        ref = next(r for n, r in good.blobs.items() if n.startswith("file:"))
        (copy,) = [p for p in world.blob_files(good) if ref.digest.endswith(p.name)]
        copy.unlink()
        readiness = world.target.readiness(world.call(), good)
        assert (readiness.status, readiness.expires_at) == ("ready", committed(world, 2) + timedelta(days=21))

    def test_moments_share_their_files(self, world: DeltaWorld) -> None:
        """The next moment's capture adds the new file only."""
        first = world.target.capture(world.call())
        world.append()
        second = world.target.capture(world.call())
        files = [{r.digest for n, r in c.blobs.items() if n.startswith("file:")} for c in (first, second)]
        assert files[0] < files[1]
        assert len(files[1] - files[0]) == 1

    def test_the_copy_is_a_choice(self, world: DeltaWorld) -> None:
        """``auto`` copies below a size, ``always`` and ``never`` do as they say."""
        for copy, below, copied in (
            ("auto", 1.0, True),
            ("auto", 0.0, False),
            ("always", 0.0, True),
            ("never", 1.0, False),
        ):
            target = DeltaDataset.model_validate({"uri": "data/driver_stats", "copy": copy, "copy_below_gib": below})
            blobs = target.capture(world.call()).blobs
            assert any(name.startswith("file:") for name in blobs) is copied

    def test_a_large_table_is_compared_by_files(self, world: DeltaWorld) -> None:
        """Above ``read_below_gib`` nothing is read, and verify says that it did not."""
        target = DeltaDataset.model_validate({"uri": "data/driver_stats", "copy": "never", "read_below_gib": 0})
        good = target.capture(world.call())
        assert target.readiness(world.call(), good).checked == "sizes"
        accuracy = target.verify(world.call(), good)
        assert (accuracy.matched, accuracy.expected, accuracy.sampled) == (ROWS + 10, ROWS + 10, True)
        world.change()
        accuracy = target.verify(world.call(), good)
        assert (accuracy.matched, accuracy.missing, accuracy.extra) == (0, ROWS + 10, ROWS + 50)
        settle(world, target, good, target.capture(world.call()), "k")
        assert target.verify(world.call(), good).ratio == 1.0

    def test_many_files_are_listed_in_a_blob(self, world: DeltaWorld) -> None:
        """A capture stays small: above 200 files their list is a blob of its own, and restores all the same."""
        many = stats(ROWS).append_column("part", pa.array([i % 201 for i in range(ROWS)]))
        write_deltalake(str(world.table), many, mode="overwrite", schema_mode="overwrite", partition_by=["part"])
        good = world.target.capture(world.call())
        assert good.data["files"] is None
        assert good.blobs["files"].size > 10_000
        content, version = world.content(), world.target.inspect(world.call()).version
        write_deltalake(str(world.table), many.slice(0, 5), mode="overwrite")
        settle(world, world.target, good, world.target.capture(world.call()), "k")
        assert_exact(world, good, version, content)

    def test_an_empty_table(self, world: DeltaWorld) -> None:
        """No rows are a content like any other, and restoring them counts as exact."""
        write_deltalake(str(world.table), stats(0), mode="overwrite")
        good, content = world.target.capture(world.call()), world.content()
        version = world.target.inspect(world.call()).version
        world.change()
        settle(world, world.target, good, world.target.capture(world.call()), "k")
        assert_exact(world, good, version, content)


def test_without_the_library(world: DeltaWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot runs without deltalake, and says which extra is missing where it is needed."""
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingExtra, match=r"rollbot\[delta\]"):
        world.target.inspect(world.call())
