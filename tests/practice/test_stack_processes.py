"""The practice stack's processes: a busy pipeline that can be held and killed, servers, and nothing left behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from bot.practice.stack import job, models
from bot.practice.stack.build import make_stack
from bot.practice.stack.layout import ALIAS, MODEL
from bot.practice.stack.stack import Stack
from tests.practice.small_stack import DRIVERS, V12, assert_served_is_source, feature_file
from tests.targets.mlflow_world import NOLOAD


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A small platform with v11 live."""
    with make_stack(tmp_path / "stack", drivers=DRIVERS) as made:
        yield made


def get(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=20) as answer:  # noqa: S310
        got: dict[str, Any] = json.load(answer)
    return got


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=20) as answer:  # noqa: S310
        got: dict[str, Any] = json.load(answer)
    return got


def next_written(stack: Stack) -> dict[str, Any]:
    """The next round that wrote something."""
    assert stack.pipeline is not None
    while True:
        said = stack.pipeline.next(30)
        if not said.get("held"):
            return said


def run_job(stack: Stack, verb: str) -> dict[str, Any]:
    """The pipeline's own command, exactly as the playbooks name it."""
    argv = feature_file(stack)["components"]["pipeline"][verb]
    done = subprocess.run(argv, input="", capture_output=True, text=True, timeout=60, check=True)
    got: dict[str, Any] = json.loads(done.stdout)
    return got


def test_the_pipeline_appends_and_materializes_until_held(stack: Stack) -> None:
    """Rounds move the Delta table and what is served; after a hold nothing is written until it is lifted."""
    stack.publish("v12")
    before = stack.delta_version()
    stack.start_pipeline(every=0.05)
    rounds = [next_written(stack) for _ in range(3)]
    assert [r["delta"] for r in rounds] == [before + 1, before + 2, before + 3]
    assert run_job(stack, "hold")["held"] is True
    held = stack.delta_version()
    assert_served_is_source(stack)
    assert stack.pipeline is not None
    stack.pipeline.forget()
    assert all(stack.pipeline.next(30)["held"] for _ in range(3))
    assert stack.delta_version() == held
    assert run_job(stack, "hold")["hold"] == run_job(stack, "inspect")["hold"], "a second hold must change nothing"
    assert run_job(stack, "lift")["held"] is False
    assert next_written(stack)["delta"] == held + 1


def test_a_hold_waits_for_the_round_in_the_middle(stack: Stack) -> None:
    """While a round (or a release) is writing, hold does not answer, and the pipeline's next round waits as well."""
    before = stack.delta_version()
    with job.running(stack.layout.pipeline):
        child = stack.start_pipeline(every=0.0)
        with pytest.raises(TimeoutError, match="said nothing"):
            child.next(1.0)
        with pytest.raises(TimeoutError, match="a pipeline round has been running"):
            job.hold(stack.layout.pipeline, "test", patience=0.1)
    assert child.next(30)["held"] is True
    run_job(stack, "hold")
    assert stack.delta_version() == before


def test_a_killed_pipeline_leaves_nothing_half_done(stack: Stack) -> None:
    """Killed between the append and the end of the materialization, the next round serves what the table says."""
    stack.publish("v12")
    for _ in range(4):
        commit = stack.layout.lake / "_delta_log" / f"{stack.delta_version() + 1:020}.json"
        stack.start_pipeline(every=0.0)
        deadline = time.monotonic() + 30
        while not commit.exists():
            assert time.monotonic() < deadline, "no round within 30 s"
        stack.stop_pipeline(signal.SIGKILL)
        stack.run_rounds(1)
        assert_served_is_source(stack)


def test_the_pipeline_follows_the_live_definition(stack: Stack) -> None:
    """With v12's definition back, rounds compute v12's logic; CI's apply of v13 makes them v13's again."""
    stack.publish("v12")
    stack.publish("v13")
    stack.ci_apply("v12")
    assert stack.run_rounds(1)["release"] == "v12"
    stack.ci_apply()
    assert stack.definition()["features"] == [*V12, "rating"]
    assert stack.run_rounds(1)["release"] == "v13"


def test_servers_answer_with_what_is_live(stack: Stack) -> None:
    """Feature server and model server give the stored values and the champion; a new champion is loaded by itself."""
    stack.publish("v12")
    stack.start_serving()
    ids = [0, 7, DRIVERS + 999]
    body = {"features": [f"driver_stats:{name}" for name in V12], "entities": {"driver_id": ids}}
    got = post(f"{stack.features_url}/get-online-features", body)
    columns = dict(zip(got["metadata"]["feature_names"], got["results"], strict=True))
    stored = stack.read_online(V12, ids)
    assert all(columns[name]["values"] == stored[name] for name in V12) and stored["trips_today"][2] is None
    assert get(f"{stack.model_url}/version")["version"] == "2"
    good = get(f"{stack.model_url}/predict?driver_id=7")["minutes"]
    with pytest.raises(HTTPError, match="503"):
        get(f"{stack.model_url}/predict?driver_id={DRIVERS + 999}")
    stack.publish("v13")
    assert stack.serving is not None and stack.serving.next(30) == {"loaded": "3"}
    assert get(f"{stack.model_url}/version")["version"] == "3"
    assert get(f"{stack.model_url}/predict?driver_id=7")["minutes"] / good == pytest.approx(1.4, abs=0.15)
    components = feature_file(stack)["components"]
    assert components["online"]["serving"] == [stack.features_url]
    assert components["model"]["serving"] == f"{stack.model_url}/version"


@pytest.mark.filterwarnings(NOLOAD)
def test_a_model_waits_for_the_features_that_it_needs(stack: Stack) -> None:
    """A champion whose features aren't served leaves the old one answering, and is loaded as soon as they are."""
    stack.publish("v12")
    stack.publish("v13")
    stack.ci_apply("v12")
    mlflow = models.client(stack.layout)
    mlflow.set_registered_model_alias(MODEL, ALIAS, "2")
    stack.start_serving()
    mlflow.set_registered_model_alias(MODEL, ALIAS, "3")
    deadline = time.monotonic() + 30
    while "rating" not in (said := get(f"{stack.model_url}/version")).get("fault", ""):
        assert said["version"] == "2" and time.monotonic() < deadline
    assert get(f"{stack.model_url}/predict?driver_id=7")["version"] == "2"
    stack.ci_apply("v13")
    assert stack.serving is not None and stack.serving.next(30) == {"loaded": "3"}
    assert get(f"{stack.model_url}/predict?driver_id=7")["version"] == "3"


ORPHAN = """
import sys
from pathlib import Path
from bot.practice.stack.build import make_stack
stack = make_stack(Path(sys.argv[1]), drivers=50)
print(stack.start_pipeline(every=0.0).pid, stack.worker.pid, stack.host.pid, flush=True)
print(stack.host.scratch, flush=True)
sys.stdin.read()
"""


def test_everything_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    """A killed parent leaves no pipeline, no workshop, no host and no shared files behind."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "stack")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with parent:
        assert parent.stdout is not None
        handles = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        scratch = Path(parent.stdout.readline().decode().strip())
        assert scratch.is_dir()
        parent.kill()
        for handle in handles:
            assert select.select([handle], [], [], 30.0)[0], "still alive 30 s after its parent was killed"
            os.close(handle)
    assert not scratch.exists()
