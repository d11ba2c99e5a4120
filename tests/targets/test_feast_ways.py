"""The ways back for online rows: the first that fits is taken, and what can't be done is said before."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.errors import Fault, TargetError
from bot.core.target import Call, Capture, Connection, Kind
from bot.targets import feast_rebuild
from bot.targets.feast import FeastOnline
from bot.targets.feast_rebuild import Rebuild
from tests.targets.contract import FolderBlobs, assert_exact
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
def sqlite_world(tmp_path: Path) -> OnlineWorld:
    return OnlineWorld(tmp_path)


def test_a_pin_is_enough_where_the_rows_are_still_there(versioned: OnlineWorld) -> None:
    """With online versioning and rows too many to keep, the version's own rows are checked, then pinned."""
    world = versioned
    world.connection = world.stage.connection(keep_rows=50, sample_rows=40)
    good, content = world.target.capture(world.call()), world.content()
    assert good.data["complete"] is False and good.observed["rows_kept"] == 40 and good.data["keys"] == 200
    world.change()
    bad = world.target.capture(world.call())
    assert world.target.readiness(world.call(), good).status == "ready"
    receipt = world.target.restore(world.call(), good, bad)
    assert (receipt.changed, receipt.note) == (True, "v0 is served")
    assert world.content() == content
    accuracy = world.target.verify(world.call(), good)
    assert (accuracy.ratio, accuracy.sampled, accuracy.expected) == (1.0, True, 120)


def test_overwritten_rows_of_a_version_are_not_relied_on(versioned: OnlineWorld) -> None:
    """If a later materialization wrote other rows under the old version, the source is asked instead."""
    world = versioned
    world.connection = world.stage.connection(keep_rows=50, sample_rows=40)
    good, content = world.target.capture(world.call()), world.content()
    world.change()
    spoil(world)
    bad = world.target.capture(world.call())
    assert world.target.readiness(world.call(), good).status == "ready"
    assert world.target.restore(world.call(), good, bad).note == "200 rows written, 0 removed"
    assert world.content() == content


def spoil(world: OnlineWorld) -> None:
    """What a materialization after a metadata-only apply does: other rows under version 0."""
    stage = world.stage
    with stage.feast() as store:
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey
        from feast.protos.feast.types.Value_pb2 import Value

        old = store.registry.get_feature_view_by_version(VIEW, "p1", 0)
        keys = [EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=1000 + i)]) for i in range(200)]
        data = [(k, {"avg_trip": Value(double_val=-1.0)}, stage.clock, None) for k in keys]
        store._get_provider().online_store.online_write_batch(store.config, old, data, None)


def test_rows_of_a_version_are_right_before_it_is_served(versioned: OnlineWorld) -> None:
    """At every question before a write, the old version is either not served yet, or served exactly."""
    world, stage = versioned, versioned.stage
    good, content = world.target.capture(world.call()), world.content()
    world.change()
    spoil(world)
    bad, seen = world.target.capture(world.call()), []

    def look() -> None:
        now = world.content()
        seen.append("rating1" in now["features"])
        assert seen[-1] or now == content

    assert world.target.restore(world.call(check=look), good, bad).changed
    assert True in seen
    assert world.content() == content
    assert stage.versions() == [0, 1]


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_rows_too_many_to_keep_are_computed_from_the_source(
    tmp_path: Path, request: pytest.FixtureRequest, store: str
) -> None:
    """As of the captured moment, on Redis too, with the bad release's rows removed, and nothing on repetition."""
    port = request.getfixturevalue("redis_port") if store == "redis" else None
    world = OnlineWorld(tmp_path, redis_port=port)
    world.connection = world.stage.connection(keep_rows=50, sample_rows=40)
    good, content = world.target.capture(world.call()), world.content()
    world.change()
    world.stage.source("good.parquet", factor=9.0)  # later rows of the same source, after the moment
    bad = world.target.capture(world.call())
    intervals = len(_intervals(world))
    receipt = world.target.restore(world.call(), good, bad)
    assert receipt.note == "200 rows written, 20 removed" if port else "written, 20 removed" in receipt.note
    assert world.content() == content
    assert world.target.restore(world.call(key="k-2"), good, bad).changed is False
    assert len(_intervals(world)) <= intervals, "no materialization interval is added"


def _intervals(world: OnlineWorld) -> list[object]:
    with world.stage.feast() as store:
        return list(store.get_feature_view(VIEW).materialization_intervals)


def test_more_than_max_rows_is_refused(sqlite_world: OnlineWorld) -> None:
    """What is too big for this process is not ready, says what to do, and is not begun."""
    world = sqlite_world
    world.connection = world.stage.connection(keep_rows=50, sample_rows=40, max_rows=100)
    good = world.target.capture(world.call())
    assert any("above max_rows" in w for w in good.warnings)
    world.change()
    bad, before = world.target.capture(world.call()), world.fingerprint()
    readiness = world.target.readiness(world.call(), good)
    assert readiness.status == "not_ready"
    assert any("200 rows are above max_rows (100)" in r for r in readiness.reasons)
    with pytest.raises(TargetError, match="above max_rows"):
        world.target.restore(world.call(), good, bad)
    assert world.fingerprint() == before


JOB = """
import json, pathlib, sys
order = json.load(sys.stdin)
log = pathlib.Path(sys.argv[1])
with log.open("a") as f:
    f.write(json.dumps(order) + "\\n")
again = len(log.read_text().splitlines()) < 2
print(json.dumps({"again_after": 5, "note": "filling"} if again else {"note": "filled"}))
"""


def test_the_companys_own_job_is_started_and_followed(sqlite_world: OnlineWorld, tmp_path: Path) -> None:
    """It gets view, version, moment and key; the rows are its own; once they are there it isn't asked again."""
    world, log = sqlite_world, tmp_path / "job.log"
    world.connection = world.stage.connection(keep_rows=50, sample_rows=40, max_rows=100)
    world.target = FeastOnline(view=VIEW, rebuild={"argv": [sys.executable, "-c", JOB, str(log)]})
    good, content = world.target.capture(world.call()), world.content()
    world.stage.bad(drivers=0)
    bad = world.target.capture(world.call())
    assert world.target.readiness(world.call(), good).status == "ready"
    first = world.target.restore(world.call(), good, bad)
    assert (first.again_after, first.note) == (5.0, "filling")
    world.stage.by_hand()
    orders = [json.loads(line) for line in log.read_text().splitlines()]
    assert {k: orders[0][k] for k in ("method", "view", "version", "key")} == {
        "method": "rebuild",
        "view": VIEW,
        "version": "v0",
        "key": "k-1",
    }
    assert orders[0]["as_of"] == "2026-11-01T00:00:00+00:00"
    assert world.content() == content
    assert world.target.restore(world.call(), good, bad).again_after is None


def test_a_failing_job_fails_the_step(sqlite_world: OnlineWorld) -> None:
    """Its exit code decides, and its last words are shown; 75 may be tried again."""
    world = sqlite_world
    world.connection = world.stage.connection(keep_rows=50, sample_rows=40, max_rows=100)
    good = world.target.capture(world.call())
    world.change()
    bad = world.target.capture(world.call())
    for code, retriable in ((3, False), (75, True)):
        program = f"import sys; print('no cluster', file=sys.stderr); sys.exit({code})"
        world.target = FeastOnline(view=VIEW, rebuild={"argv": [sys.executable, "-c", program]})
        with pytest.raises(TargetError, match=f"ended with {code}: no cluster") as error:
            world.target.restore(world.call(), good, bad)
        assert error.value.retriable is retriable


def test_a_job_gets_the_surroundings_of_a_command_connection_and_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``target`` names whose folder and environment it runs in; nothing else of the bot's environment is passed on."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    program = "import json, os; print(json.dumps({'note': os.getcwd() + ' ' + ' '.join(sorted(os.environ))}))"
    jobs = Connection(name="jobs", type="command", settings={"cwd": str(tmp_path), "env": {"CLUSTER": "a"}})
    now = datetime.now(UTC)
    c = Capture(kind=Kind.online, resource="r", pointer="p", digest="d", taken_at=now)
    call = Call(connection=jobs, connections={"jobs": jobs}, blobs=FolderBlobs(tmp_path / "b"), now=now)
    again, note = feast_rebuild.run(Rebuild(argv=[sys.executable, "-c", program], target="jobs"), call, VIEW, c)
    assert again is None and note.startswith(str(tmp_path)) and "CLUSTER" in note and "SLACK" not in note
    with pytest.raises(Fault, match="there is no connection cluster"):
        feast_rebuild.run(Rebuild(argv=["true"], target="cluster"), call, VIEW, c)


def test_a_moment_can_be_computed_from_the_source(sqlite_world: OnlineWorld) -> None:
    """An import is marked as expected, equals what was served then, and restores exactly."""
    world, stage = sqlite_world, sqlite_world.stage
    live, content = world.target.capture(world.call()), world.content()
    version = world.target.inspect(world.call()).version
    stage.tick()
    stage.source("good.parquet", factor=4.0)
    stage.materialize()
    now = world.target.capture(world.call())
    then = stage.clock.replace(hour=0)
    imported = world.target.capture(world.call(now=stage.clock), at=then.isoformat())
    assert imported.expected and imported.digest == live.digest
    assert not world.target.diff(world.call(), imported).same
    assert world.target.restore(world.call(), imported, now).changed
    assert_exact(world, imported, version, content)


def test_a_moment_can_be_computed_from_a_delta_version(sqlite_world: OnlineWorld) -> None:
    """``delta:N``, and ``dataset`` = the version in the same release's captured dataset."""
    import pandas as pd
    from deltalake import write_deltalake

    world, stage = sqlite_world, sqlite_world.stage
    content = world.content()
    table = stage.folder / "data" / "delta"
    rows = pd.read_parquet(stage.folder / "data" / "good.parquet")
    late = rows.assign(
        avg_trip=-1.0, event_timestamp=stage.clock - timedelta(days=1), created=stage.clock.replace(day=3)
    )
    write_deltalake(table, pd.concat([late, rows, late], ignore_index=True))  # written later, but about an earlier time
    stage.apply(stage.view("data/delta"))
    stage.tick()
    stage.source("later.parquet", factor=6.0)
    write_deltalake(table, pd.read_parquet(stage.folder / "data" / "later.parquet"), mode="append")
    call = world.call(now=stage.clock)
    old, new = (world.target.capture(call, at=f"delta:{n}") for n in (0, 1))
    dataset = Capture(kind=Kind.dataset, resource="delta:x", pointer="0", digest="d", taken_at=call.now)
    world.context = {"siblings": {"dataset": dataset.model_dump(mode="json")}}
    assert world.target.capture(world.call(now=stage.clock), at="dataset").digest == old.digest != new.digest
    before = world.target.capture(world.call())
    world.target.restore(world.call(), new, before)
    assert world.content() != content
    world.target.restore(world.call(key="k-2"), old, before)
    assert {**world.content(), "features": 0} == {**content, "features": 0}
