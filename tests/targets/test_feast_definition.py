"""The definition of a feature view: captured whole, brought back whole, and no version made by accident."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import Moved, TargetError, Unknown
from bot.targets.feast import FeastDefinition
from tests.targets.contract import TargetContract, World
from tests.targets.feast_stage import IGNORED, VIEW, Stage
from tests.targets.feast_world import DefinitionWorld

pytestmark = [pytest.mark.timeout(300), *(pytest.mark.filterwarnings(w) for w in IGNORED)]


class TestDefinition(TargetContract):
    """The contract, against a real SQL registry."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        return DefinitionWorld(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> DefinitionWorld:
    return DefinitionWorld(tmp_path)


def test_source_ttl_and_tags_come_back_without_a_new_version(world: DefinitionWorld) -> None:
    """What Feast makes no version for is restored all the same, and the history stays as it was."""
    good, content = world.target.capture(world.call()), world.content()
    stage, numbers = world.stage, world.stage.versions()
    stage.apply(stage.view(stage.source("other.parquet"), ttl=9, tags={"team": "other"}))
    bad = world.target.capture(world.call())
    assert stage.versions() == numbers
    changes = {c.name: (c.before, c.after) for c in world.target.diff(world.call(), good).changes}
    assert changes["ttl"] == ("9 days, 0:00:00", "2 days, 0:00:00")
    assert changes["source"] == changes["registered source driver_src"] == ("data/other.parquet", "data/good.parquet")
    assert world.target.restore(world.call(), good, bad).changed
    assert world.content() == content
    assert stage.versions() == numbers


def test_restoring_an_older_schema_makes_no_version(world: DefinitionWorld) -> None:
    """Back and forth over a schema change leaves the history with the team's own versions only."""
    good = world.target.capture(world.call())
    world.change()
    bad = world.target.capture(world.call())
    numbers = world.stage.versions()
    world.target.restore(world.call(), good, bad)
    world.target.restore(world.call(key="k-2"), bad, world.target.capture(world.call()))
    assert world.stage.versions() == numbers == [0, 1]


def test_a_metadata_only_apply_is_seen_and_taken_back(tmp_path: Path) -> None:
    """With online versioning such an apply unsets the version number: said at capture, and restored exactly."""
    world = DefinitionWorld(tmp_path, versioned=True)
    world.change()
    good, version = world.target.capture(world.call()), world.target.inspect(world.call()).version
    assert good.pointer == "v1" and not good.warnings
    stage = world.stage
    stage.apply(stage.view("data/bad1.parquet", extra=["rating1"], ttl=77, tags={"try": "1"}))
    bad = world.target.capture(world.call())
    assert bad.pointer == "base"
    assert any("metadata-only apply" in w for w in bad.warnings)
    world.target.restore(world.call(), good, bad)
    with stage.feast() as store:
        assert store.get_feature_view(VIEW).current_version_number == 1
    assert world.target.inspect(world.call()).version == version
    assert stage.versions() == [0, 1]
    world.target.restore(world.call(key="back"), bad, good)
    assert world.target.inspect(world.call()).pointer == "base"


def test_only_the_number_lost_is_noticed_and_mended(tmp_path: Path) -> None:
    """Feast takes a view that differs in its number only for unchanged; the restore forces it through."""
    world = DefinitionWorld(tmp_path, versioned=True)
    world.change()
    good = world.target.capture(world.call())
    stage = world.stage
    for tags in ({"try": "x"}, {"try": "1"}):
        stage.apply(stage.view("data/bad1.parquet", extra=["rating1"], ttl=3, tags=tags))
    bad = world.target.capture(world.call())
    assert (bad.digest, bad.pointer) == (good.digest, "base")
    assert not world.target.diff(world.call(), good).same
    assert world.target.restore(world.call(), good, bad).changed
    assert world.target.inspect(world.call()).pointer == "v1"


def test_a_version_of_the_history_can_be_captured(world: DefinitionWorld) -> None:
    """``at`` takes what the registry holds, says that it is expected only, and can be restored."""
    world.change()
    bad = world.target.capture(world.call())
    for at in ("v0", "0"):
        old = world.target.capture(world.call(), at=at)
        assert (old.pointer, old.expected) == ("v0", True)
    world.target.restore(world.call(), old, bad)
    assert world.content()["source"] == world.content()["registered"] == "data/good.parquet"
    with pytest.raises(Unknown, match=r"no version 'v9'; the registry holds v0, v1"):
        world.target.capture(world.call(), at="v9")


def test_a_lost_history_is_found_before_restore(world: DefinitionWorld) -> None:
    """Deleting a view deletes its versions: not ready, and a restore makes no new one."""
    world.change()
    good = world.target.capture(world.call())
    with world.stage.feast() as store:
        store.delete_feature_view(VIEW)
    gone = world.target.readiness(world.call(), good)
    assert gone.status == "not_ready" and "has no feature view" in gone.reasons[0]
    world.stage.apply(world.stage.view("data/good.parquet"))
    now = world.target.capture(world.call())
    readiness = world.target.readiness(world.call(), good)
    assert readiness.status == "not_ready"
    assert "holds no v1" in readiness.reasons[0]
    with pytest.raises(TargetError, match="holds no v1"):
        world.target.restore(world.call(), good, now)
    assert world.stage.versions() == [0]


def test_a_missing_source_is_found_before_restore(world: DefinitionWorld) -> None:
    """Feast would apply it without a word and fail at the next materialization."""
    good = world.target.capture(world.call())
    world.change()
    (world.stage.folder / "data" / "good.parquet").unlink()
    readiness = world.target.readiness(world.call(), good)
    assert readiness.status == "not_ready"
    assert "driver_src can't be read" in readiness.reasons[0]


def test_a_change_after_our_pin_is_refused(world: DefinitionWorld) -> None:
    """If the run died after its pin and somebody applied since, the repetition does not write over it."""
    good = world.target.capture(world.call())
    world.change()
    bad = world.target.capture(world.call())
    with world.stage.feast() as store:
        view = store.get_feature_view(VIEW)
        view.version = "v0"
        store.registry.apply_feature_view(view, "p1")
    world.stage.apply(world.stage.view("data/bad1.parquet", ttl=50))
    before = world.fingerprint()
    with pytest.raises(Moved):
        world.target.restore(world.call(), good, bad)
    assert world.fingerprint() == before


def test_a_file_registry_is_restored_only_if_nobody_else_writes_it(tmp_path: Path) -> None:
    """It captures, plans and verifies; restoring needs the promise on the connection."""
    world = DefinitionWorld(tmp_path, registry="file")
    good, content = world.target.capture(world.call()), world.content()
    world.change()
    bad = world.target.capture(world.call())
    readiness = world.target.readiness(world.call(), good)
    assert readiness.status == "not_ready" and "writers: only_rollbot" in readiness.reasons[0]
    assert not world.target.diff(world.call(), good).same
    assert world.target.verify(world.call(), good).ratio < 1.0
    registry = world.stage.folder / "registry.db"
    before = registry.read_bytes()
    with pytest.raises(TargetError, match="file registry"):
        world.target.restore(world.call(), good, bad)
    assert registry.read_bytes() == before
    world.connection = world.stage.connection(writers="only_rollbot")
    assert world.target.readiness(world.call(), good).status == "ready"
    assert world.target.restore(world.call(), good, bad).changed
    assert world.content() == content
    assert world.target.verify(world.call(), good).ratio == 1.0
    assert not world.target.restore(world.call(), good, bad).changed


def test_a_capture_taken_during_a_materialization_does_not_stop_serving(tmp_path: Path) -> None:
    """Feast serves nothing of a view that is being materialized, so that state is not brought back."""
    from feast.feature_view import FeatureViewState

    world = DefinitionWorld(tmp_path, registry="file")
    world.connection = world.stage.connection(writers="only_rollbot")
    stage = world.stage

    def state(now: FeatureViewState) -> None:
        with stage.feast() as store:
            view = store.get_feature_view(VIEW)
            view.state = now
            store.registry.apply_feature_view(view, "p1")

    state(FeatureViewState.MATERIALIZING)
    good = world.target.capture(world.call())
    world.change()
    state(FeatureViewState.MATERIALIZING)
    bad = world.target.capture(world.call())
    assert "is being materialized" in world.target.readiness(world.call(), good).reasons[0]
    state(FeatureViewState.AVAILABLE_ONLINE)
    assert world.target.readiness(world.call(), good).status == "ready"
    world.target.restore(world.call(), good, bad)
    with stage.feast() as store:
        assert store.get_feature_view(VIEW).state == FeatureViewState.AVAILABLE_ONLINE


def on_demand(stage: Stage, factor: int, tags: dict[str, str]) -> Any:
    """A view that is computed when it is asked for."""
    from feast import Field
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Float64

    source = stage.view("data/good.parquet")
    body = {1: _single, 2: _double}[factor]
    return on_demand_feature_view(
        sources=[source], schema=[Field(name="long_trip", dtype=Float64)], mode="python", tags=tags
    )(body)


def _single(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"long_trip": [v * 1.0 for v in inputs["avg_trip"]]}


def _double(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"long_trip": [v * 2.0 for v in inputs["avg_trip"]]}


_double.__name__ = _single.__name__ = "trip_length"


def test_an_on_demand_view_comes_back(world: DefinitionWorld) -> None:
    """Its function and tags are restored, and what it computes is what it computed."""
    stage = world.stage
    with stage.feast() as store:
        store.apply([on_demand(stage, 1, {"a": "1"})])
    world.target = FeastDefinition(view="trip_length")
    good = world.target.capture(world.call())
    assert world.target.capture(world.call()).digest == good.digest
    with stage.feast() as store:
        store.apply([on_demand(stage, 2, {"a": "2"})])
    bad = world.target.capture(world.call())
    assert bad.facts["transformation"] != good.facts["transformation"]
    assert world.target.readiness(world.call(), good).status == "ready"
    assert world.target.restore(world.call(), good, bad).changed
    assert world.target.verify(world.call(), good).ratio == 1.0
    with stage.feast() as store:
        view = store.get_on_demand_feature_view("trip_length")
        assert view.feature_transformation.udf({"avg_trip": [3.0]}) == {"long_trip": [3.0]}
        assert view.tags == {"a": "1"}


def test_the_serving_cache_is_said(world: DefinitionWorld) -> None:
    """The registry has it at once; how long serving processes may not is in the note."""
    good = world.target.capture(world.call())
    seen = world.target.visible(world.call(), good)
    assert seen.visible and "up to 1 s" in seen.note
    world.connection = world.stage.connection(cache_ttl=300)
    assert "up to 300 s" in world.target.visible(world.call(), good).note


def test_later_materializations_survive_a_restore_of_the_same_rows(world: DefinitionWorld) -> None:
    """The captured intervals come back with the definition, so an incremental run goes on from the moment."""
    stage = world.stage
    stage.materialize()
    good = world.target.capture(world.call())
    stage.bad()
    world.target.restore(world.call(), good, world.target.capture(world.call()))
    with stage.feast() as store:
        assert store.get_feature_view(VIEW).most_recent_end_time == stage.clock - timedelta(hours=1)
