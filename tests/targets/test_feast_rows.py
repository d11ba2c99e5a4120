"""What a rollback of online rows must not do: pass over bad rows, serve nothing meanwhile, touch others' rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.errors import TargetError
from bot.core.target import Json
from bot.targets.feast import FeastDefinition, FeastOnline
from tests.targets.feast_stage import IGNORED, VIEW
from tests.targets.feast_world import OnlineWorld, redis_server

pytestmark = [pytest.mark.filterwarnings(w) for w in IGNORED]


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(params=["sqlite", "redis"])
def versioned(request: pytest.FixtureRequest, tmp_path: Path) -> OnlineWorld:
    """Online versioning on; on each kind of store."""
    port = request.getfixturevalue("redis_port") if request.param == "redis" else None
    return OnlineWorld(tmp_path, versioned=True, redis_port=port)


@pytest.fixture
def redis_world(tmp_path: Path, redis_port: int) -> OnlineWorld:
    return OnlineWorld(tmp_path, redis_port=redis_port)


@pytest.fixture
def sqlite_world(tmp_path: Path) -> OnlineWorld:
    return OnlineWorld(tmp_path)


def test_redis_keeps_bad_rows_after_a_plain_materialization(redis_world: OnlineWorld) -> None:
    """Feast writes nothing over newer event times and says success; capture and verify see it, restore mends it."""
    world = redis_world
    good, content = world.target.capture(world.call()), world.content()
    world.change()
    world.stage.by_hand()
    assert world.content()["avg_trip"] != content["avg_trip"]
    now = world.target.capture(world.call())
    assert any("not what the source says" in w and "20 too many" in w for w in now.warnings)
    assert now.observed["agreement"]["extra"] == 20
    accuracy = world.target.verify(world.call(), good)
    assert accuracy.ratio < 1.0 and accuracy.extra == 20
    assert world.target.restore(world.call(), good, now).changed
    assert world.content() == content
    client = world.redis()
    assert client.dbsize() == world.stage.drivers
    client.close()
    world.append()
    assert world.content()["avg_trip"] != content["avg_trip"], "later good data must not be refused as older"


def test_nothing_is_served_empty_on_the_way(tmp_path: Path, redis_port: int) -> None:
    """At every question before a write, every good driver still has every value it had."""
    for port in (None, redis_port):
        world = OnlineWorld(tmp_path / str(port), redis_port=port)
        good, content = world.target.capture(world.call()), world.content()
        world.change()
        bad = world.target.capture(world.call())
        seen: list[int] = []

        def look(world: OnlineWorld = world, content: Json = content, seen: list[int] = seen) -> None:
            now = world.content()
            for feature in ("avg_trip", "trips", "city"):
                had = [v is None for v in content[feature][: world.stage.drivers]]
                assert [v is None for v in now[feature][: world.stage.drivers]] == had
            seen.append(len(now))

        world.target.restore(world.call(check=look), good, bad)
        assert len(seen) >= 3
        assert world.content() == content


def test_other_views_of_the_same_entity_keep_their_rows(redis_world: OnlineWorld) -> None:
    """A Redis hash holds the rows of all views of an entity; only this view's fields are removed."""
    from feast import FeatureView, Field, FileSource
    from feast.types import Float64

    world, stage = redis_world, redis_world.stage
    good = world.target.capture(world.call())
    world.change()
    other = FeatureView(
        name="driver_ratings",
        entities=[stage.driver()],
        schema=[Field(name="rating1", dtype=Float64)],
        source=FileSource(name="rating_src", path="data/bad1.parquet", timestamp_field="event_timestamp"),
    )
    with stage.feast() as store:
        store.apply([other])
        store.materialize(stage.clock.replace(year=2025), stage.clock, feature_views=["driver_ratings"])
    world.target.restore(world.call(), good, world.target.capture(world.call()))
    with stage.feast() as store:
        rows = {"driver_id": [1000 + stage.drivers + 1]}
        answer = store.get_online_features(
            features=["driver_ratings:rating1", f"{VIEW}:avg_trip"], entity_rows=rows
        ).to_dict()
    assert answer["rating1"] == [1.0] and answer["avg_trip"] == [None]


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_feature_that_the_old_definition_lacks_is_put_back_too(
    tmp_path: Path, request: pytest.FixtureRequest, store: str
) -> None:
    """The pre-image of a run is taken after the definition's step; *put back* needs its unserved feature too."""
    port = request.getfixturevalue("redis_port") if store == "redis" else None
    world = OnlineWorld(tmp_path, redis_port=port)
    definition = FeastDefinition(view=VIEW)
    good, good_definition = world.target.capture(world.call()), definition.capture(world.call())
    world.change()
    bad_definition, bad = definition.capture(world.call()), world.stage.served(["avg_trip", "rating1"])
    assert None not in bad["rating1"][:220]
    definition.restore(world.call(), good_definition, bad_definition)
    pre_image = world.target.capture(world.call())
    assert pre_image.data["unserved"] == ["rating1"]
    world.target.restore(world.call(), good, pre_image)
    definition.restore(world.call(key="back"), bad_definition, good_definition)
    assert set(world.stage.served(["rating1"])["rating1"]) == {None}, "nothing of the bad release was left"
    definition.restore(world.call(key="again"), good_definition, bad_definition)
    world.target.restore(world.call(key="back"), pre_image, good)
    assert world.target.verify(world.call(), pre_image).ratio == 1.0
    definition.restore(world.call(key="back 2"), bad_definition, good_definition)
    assert world.stage.served(["avg_trip", "rating1"]) == bad


def test_a_silent_switch_of_rows_is_said_and_taken_back(versioned: OnlineWorld) -> None:
    """A metadata-only apply serves another version's rows: capture says so, restore serves the right ones."""
    world, stage = versioned, versioned.stage
    world.change()
    good, content = world.target.capture(world.call()), world.content()
    assert good.pointer.startswith("v1 ") and not good.warnings
    served = stage.served(["avg_trip"])
    stage.apply(stage.view("data/bad1.parquet", extra=["rating1"], ttl=30, tags={"try": "1"}))
    if stage.served(["avg_trip"]) == served:  # Redis switches one apply later
        stage.apply(stage.view("data/bad1.parquet", extra=["rating1"], ttl=31, tags={"try": "1"}))
    bad = world.target.capture(world.call())
    assert any("metadata-only apply" in w for w in bad.warnings)
    assert any("not what the source says" in w for w in bad.warnings)
    assert world.target.restore(world.call(), good, bad).changed
    assert world.content() == content
    assert stage.versions() == [0, 1]


def test_put_back_in_any_order(versioned: OnlineWorld) -> None:
    """A pre-image taken under the old definition does not bring that definition back when the run restores another."""
    world, definition = versioned, FeastDefinition(view=VIEW)
    good, good_definition = world.target.capture(world.call()), definition.capture(world.call())
    world.change()
    bad_definition, content = definition.capture(world.call()), world.content()
    definition.restore(world.call(), good_definition, bad_definition)
    pre_image = world.target.capture(world.call())
    world.target.restore(world.call(), good, pre_image)
    definition.restore(world.call(key="back"), bad_definition, good_definition)
    world.context = {"siblings": {"definition": bad_definition.model_dump(mode="json")}}
    world.target.restore(world.call(key="back"), pre_image, world.target.capture(world.call()))
    assert world.content() == content
    assert world.target.diff(world.call(), pre_image).same
    accuracy = world.target.verify(world.call(), pre_image)
    assert (accuracy.ratio, accuracy.extra) == (1.0, 0)


def test_a_pipeline_that_writes_meanwhile_is_no_disagreement(sqlite_world: OnlineWorld) -> None:
    """Rows newer than the last recorded materialization are right if the source has just them, and else are not."""
    import pandas as pd

    world, stage = sqlite_world, sqlite_world.stage
    written = []
    for factor, drivers in ((1.2, slice(0, 30)), (1.4, slice(30, 35))):
        stage.tick()
        stage.source("good.parquet", factor=factor)
        frame = pd.read_parquet(stage.folder / "data" / "good.parquet")
        written.append(frame[frame["event_timestamp"] == stage.clock].iloc[drivers])
    news = pd.concat(written)
    with stage.feast() as store:
        store.write_to_online_store(VIEW, news)
    agreement = world.target.capture(world.call()).observed["agreement"]
    assert (agreement["matched"], agreement["expected"]) == (600, 600)
    with stage.feast() as store:
        store.write_to_online_store(VIEW, news.head(10).assign(avg_trip=-5.0))
    wrong = world.target.capture(world.call())
    assert wrong.observed["agreement"]["matched"] < 600
    assert any("not what the source says" in w for w in wrong.warnings)


def test_views_without_rows_of_their_own_are_refused(sqlite_world: OnlineWorld) -> None:
    """Push, on-demand and offline-only views: refused with the reason, before anything is read or written."""
    from feast import FeatureView, Field, FileSource, PushSource
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Float64

    world, stage = sqlite_world, sqlite_world.stage
    batch = FileSource(name="pushed_batch", path="data/good.parquet", timestamp_field="event_timestamp")
    schema = [Field(name="avg_trip", dtype=Float64)]
    pushed = FeatureView(
        name="pushed", entities=[stage.driver()], schema=schema, source=PushSource(name="push", batch_source=batch)
    )
    hidden = FeatureView(name="hidden", entities=[stage.driver()], schema=schema, source=batch, online=False)

    def computed(inputs: dict) -> dict:
        return {"twice": [v * 2 for v in inputs["avg_trip"]]}

    twice = on_demand_feature_view(
        sources=[stage.view("data/good.parquet")], schema=[Field(name="twice", dtype=Float64)], mode="python"
    )(computed)
    with stage.feast() as store:
        store.apply([pushed, hidden, twice])
    for view, why in (
        ("pushed", "stream or by pushes"),
        ("computed", "computed when"),
        ("hidden", "not served online"),
    ):
        target = FeastOnline(view=view)
        for method in (target.inspect, target.capture):
            with pytest.raises(TargetError, match=why):
                method(world.call())


def test_rows_alone_of_another_definition_are_refused(sqlite_world: OnlineWorld) -> None:
    """If a person leaves the definition out, rows of another version are not written under it."""
    world = sqlite_world
    good = world.target.capture(world.call())
    world.change()
    bad, before = world.target.capture(world.call()), world.fingerprint()
    world.context = {"without": ["definition"]}
    with pytest.raises(TargetError, match="restore the definition too"):
        world.target.restore(world.call(), good, bad)
    assert world.fingerprint() == before


def test_rows_come_back_under_a_file_registry_that_needs_no_change(tmp_path: Path) -> None:
    """Only a definition that moved makes a file registry an obstacle."""
    world = OnlineWorld(tmp_path, registry="file")
    good, content = world.target.capture(world.call()), world.content()
    world.append()
    assert world.content() != content
    assert world.target.readiness(world.call(), good).status == "ready"
    assert world.target.restore(world.call(), good, world.target.capture(world.call())).changed
    assert world.content() == content
    world.change()
    readiness = world.target.readiness(world.call(), good)
    assert readiness.status == "not_ready" and "only_rollbot" in readiness.reasons[0]
