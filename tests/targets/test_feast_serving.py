"""What is read at consumers: through a real Feast feature server, over HTTP, for every type of value."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.core.errors import CorruptBlob
from bot.core.target import Call
from bot.targets import feast_rows, feast_serving
from bot.targets.feast import FeastOnline
from bot.targets.feast_rows import Row, Rows
from bot.targets.feast_store import opened
from tests.targets.contract import FolderBlobs
from tests.targets.feast_stage import IGNORED, VIEW, Stage

pytestmark = [pytest.mark.filterwarnings(w) for w in IGNORED]

SERVER = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import uvicorn
from feast import FeatureStore
from feast.feature_server import get_app
from feast.repo_config import load_repo_config
folder = Path(sys.argv[1])
store = FeatureStore(repo_path=str(folder), config=load_repo_config(folder, folder / "feature_store.yaml"))
uvicorn.run(get_app(store, registry_ttl_sec=1), fd=int(sys.argv[2]), log_level="error")
"""


@contextmanager
def feature_server(folder: Path) -> Iterator[str]:
    """A real one on a free port; the socket is ours, so a request before it is up just waits."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        argv = [sys.executable, "-c", SERVER, str(folder), str(listening.fileno())]
        server = subprocess.Popen(argv, pass_fds=[listening.fileno()])
    try:
        urllib.request.urlopen(url + "/health", timeout=90).close()  # noqa: S310
        yield url
    finally:
        server.terminate()
        server.wait(20)


def call_of(stage: Stage, folder: Path) -> Call:
    return Call(connection=stage.connection(), blobs=FolderBlobs(folder / "blobs"), now=datetime.now(UTC), key="k")


def test_consumers_are_asked_over_http(tmp_path: Path) -> None:
    """Not visible while a server has bad rows, visible after the restore, verified there; a dead server is no pass."""
    stage = Stage(tmp_path / "feast", drivers=60)
    stage.good()
    call = call_of(stage, tmp_path)
    good = FeastOnline(view=VIEW).capture(call)
    stage.bad()
    with feature_server(stage.folder) as url:
        target = FeastOnline(view=VIEW, serving=(url,))
        bad = target.capture(call)
        assert not target.visible(call, good).visible
        wrong = target.verify(call, good)
        assert wrong.where == "at consumers"
        assert 0 < wrong.matched < wrong.expected == 180
        assert "instead of" in wrong.examples[0]
        target.restore(call, good, bad)
        until = time.monotonic() + 30
        while not (seen := target.visible(call, good)).visible:
            assert time.monotonic() < until, seen
        assert (seen.seen, seen.total) == (1, 1)
        right = target.verify(call, good)
        assert (right.matched, right.expected, right.missing, right.extra, right.null) == (180, 180, 0, 0, 0)
        assert (right.where, right.inconclusive) == ("at consumers", None)
        with stage.feast() as store:
            online = store._get_provider().online_store
            with online._get_conn(store.config) as connection:
                connection.execute(
                    "DELETE FROM p1_driver_stats WHERE entity_key = (SELECT min(entity_key) FROM p1_driver_stats)"
                )
                connection.execute("UPDATE p1_driver_stats SET value = x'' WHERE feature_name = 'city'")
        gaps = target.verify(call, good)
        assert gaps.missing == 1 and gaps.null == 59
        both = FeastOnline(view=VIEW, serving=(url, url)).verify(call, good)
        assert both.expected == 2 * 180
    dead = target.verify(call, good)
    assert dead.inconclusive and dead.ratio == 0.0
    assert not target.visible(call, good).visible


class Odd(BaseHTTPRequestHandler):
    """Answers 200 with something else."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"results": []}).encode())

    def log_message(self, *args: Any) -> None:
        """Quiet."""


def test_an_answer_of_another_shape_is_no_pass(tmp_path: Path) -> None:
    """An address that answers but is no feature server is an error that names it."""
    stage = Stage(tmp_path / "feast", drivers=10)
    stage.good()
    call = call_of(stage, tmp_path)
    good = FeastOnline(view=VIEW).capture(call)
    server = HTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        target = FeastOnline(view=VIEW, serving=(url,))
        assert "another shape" in target.visible(call, good).note
        accuracy = target.verify(call, good)
        assert url in (accuracy.inconclusive or "")
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_an_address_must_be_one() -> None:
    """A path or another scheme is refused with the parameters."""
    with pytest.raises(ValidationError, match="no address of a feature server"):
        FeastOnline(view=VIEW, serving=("file:///etc/passwd",))


# -- values --------------------------------------------------------------------------------------------


def everything(stage: Stage) -> Any:
    """A view with two entities and one feature of each kind of type."""
    import pandas as pd
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, String, UnixTimestamp

    frame = pd.DataFrame(
        {
            "city": ["köln", "a|b", "*"],
            "hour": [1, 2, 3],
            "flag": [True, False, None],
            "raw": [b"\x00\xff", b"", None],
            "half": pd.array([0.1, float("nan"), None], dtype="float32"),
            "small": pd.array([1, -2, None], dtype="Int32"),
            "name": ["ä", "", None],
            "when": pd.to_datetime(["2026-01-01", "2026-02-01", None], utc=True),
            "vector": [[1.0, 2.5], [], None],
            "words": [["x", "y"], ["z"], None],
            "event_timestamp": [stage.clock] * 3,
        }
    )
    frame.to_parquet(stage.folder / "data" / "everything.parquet")
    entities = [
        Entity(name="town", join_keys=["city"], value_type=ValueType.STRING),
        Entity(name="time", join_keys=["hour"], value_type=ValueType.INT64),
    ]
    types = {"flag": Bool, "raw": Bytes, "half": Float32, "small": Int32, "name": String, "when": UnixTimestamp}
    types |= {"vector": Array(Float64), "words": Array(String)}
    view = FeatureView(
        name="everything",
        entities=entities,
        ttl=timedelta(days=1),
        schema=[Field(name=n, dtype=t) for n, t in types.items()],
        source=FileSource(name="all_src", path="data/everything.parquet", timestamp_field="event_timestamp"),
    )
    return [*entities, view.batch_source, view]


@pytest.mark.parametrize("versioned", [False, True])
def test_every_type_of_value_and_key_comes_back(tmp_path: Path, versioned: bool) -> None:
    """Strings, bytes, NaN, null, lists and composite keys are captured, restored and compared bit by bit."""
    stage = Stage(tmp_path / "feast", versioned=versioned)
    call, target = call_of(stage, tmp_path), FeastOnline(view="everything")
    with stage.feast() as store:
        store.apply(everything(stage))
        store.materialize(stage.clock - timedelta(days=1), stage.clock, feature_views=["everything"])
    good = target.capture(call)
    assert good.observed["agreement"] == {"matched": 24, "expected": 24, "missing": 0, "extra": 0, "null": 0}
    assert target.verify(call, good).ratio == 1.0
    with stage.feast() as store:
        connection = store._get_provider().online_store._get_conn(store.config)
        with connection:
            connection.execute("UPDATE p1_everything SET value = x'' WHERE feature_name IN ('raw', 'vector')")
            connection.execute("DELETE FROM p1_everything WHERE feature_name = 'when'")
    bad = target.verify(call, good)
    assert 0 < bad.null == bad.expected - bad.matched
    assert target.restore(call, good, good).changed
    assert target.verify(call, good).ratio == 1.0
    assert target.capture(call).digest == good.digest
    assert not target.restore(call, good, good).changed


def test_kept_rows_are_readable_by_anybody(tmp_path: Path) -> None:
    """The evidence is plain parquet: join keys, event time, and features by their names and types."""
    import io

    import pyarrow.parquet as pq

    stage = Stage(tmp_path / "feast", drivers=5)
    stage.good()
    call = call_of(stage, tmp_path)
    good = FeastOnline(view=VIEW).capture(call)
    frame = pq.read_table(io.BytesIO(call.blobs.get(good.blobs["served"]))).to_pandas()
    assert sorted(frame["driver_id"]) == [1000, 1001, 1002, 1003, 1004]
    assert {str(frame[c].dtype) for c in ("avg_trip",)} == {"float64"}
    assert set(frame["city"]) == {f"city {i}" for i in range(5)}
    assert set(frame["__event_time"].dt.tz_convert("UTC")) == {stage.clock}


def test_kept_rows_that_are_no_parquet_are_corrupt() -> None:
    """Wrong bytes are said to be, not raised through."""
    with pytest.raises(CorruptBlob):
        feast_rows.decode(b"PAR1 but not really")
    with pytest.raises(CorruptBlob):
        feast_rows.keys_of(b"PAR1 but not really")


def test_some_rows_are_those_of_all() -> None:
    """Of encoded rows any part can be read alone, and it is what it is in the whole; unknown keys are left out."""
    from feast.protos.feast.types.Value_pb2 import Value

    rows = {
        _key(n): Row(
            n, (Value(double_val=n).SerializeToString(), b"" if n % 3 else Value(int64_val=1).SerializeToString())
        )
        for n in range(50)
    }
    data = feast_rows.encode(Rows(["a", "b"], rows))
    some = feast_serving.some(rows, 7, "seed")

    assert feast_rows.keys_of(data) == sorted(rows)
    assert len(some) == 7
    assert some == feast_serving.some(reversed(list(rows)), 7, "seed")
    assert feast_rows.decode(data, some) == feast_rows.decode(data).pick(sorted(some))
    assert not feast_rows.decode(data, [_key(99)])
    assert not feast_rows.decode(data, [])


def test_rows_compare_by_value() -> None:
    """Equal, changed, null, missing: each counted once, and a feature that is gone is null."""
    from feast.protos.feast.types.Value_pb2 import Value

    one, two, nan = (Value(double_val=v).SerializeToString() for v in (1.0, 2.0, float("nan")))
    whole = Value(int64_val=1).SerializeToString()
    keys = [_key(n) for n in range(4)]
    want = Rows(["a", "b"], {keys[0]: Row(1, (one, nan)), keys[1]: Row(1, (one, two)), keys[2]: Row(1, (one, b""))})
    live = Rows(["b", "a"], {keys[0]: Row(9, (nan, one)), keys[1]: Row(1, (b"", whole)), keys[3]: Row(1, (one, one))})
    found = feast_rows.compare(want, live)
    assert (found.matched, found.expected, found.missing, found.null, found.changed) == (2, 6, 1, 1, 1)
    assert found.examples[0].startswith("driver_id=1 a: 1 instead of 1.0")
    assert want.digest() == Rows(["b", "a"], {k: Row(7, r.cells[::-1]) for k, r in want.rows.items()}).digest()


def _key(n: int) -> bytes:
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return bytes(serialize_entity_key(EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=n)]), 3))


def test_two_readings_of_a_registry_are_told_apart(tmp_path: Path) -> None:
    """What Feast remembers of one opening is never taken for what another one read."""
    stage = Stage(tmp_path / "feast", drivers=2)
    stage.good()
    seen = []
    for _ in range(2):
        with opened(call_of(stage, tmp_path).connection) as feast:
            seen.append(feast.store.registry.cached_registry_proto.version_id)

    assert len(set(seen)) == 2
    assert all(seen)
