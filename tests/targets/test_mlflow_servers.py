"""Servers around the model target, on real sockets: MLflow's own, dead or silent, and model servers that have not
reloaded (an alias that moved reloads nobody by itself).
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import mlflow
import pytest

from bot.core.errors import TargetError
from bot.core.target import Connection, Json
from bot.targets.mlflow import MlflowModel
from bot.targets.mlflow_registry import registry
from tests.targets.mlflow_world import NOLOAD, ModelWorld, model_server

pytestmark = pytest.mark.filterwarnings(NOLOAD)


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    return ModelWorld(tmp_path)


@pytest.mark.parametrize("scheme", ["sqlite:///{}", "file://{}", "{}"])
def test_a_store_that_is_not_there_is_not_made(world: ModelWorld, scheme: str) -> None:
    """A wrong path is an error in one line; MLflow by itself would create an empty store there."""
    place = world.folder / "typo"
    settings = {"tracking_uri": scheme.format(place)}
    call = replace(world.call(), connection=Connection(name="models", type="mlflow", settings=settings))
    with pytest.raises(TargetError, match="there is no MLflow store at"):
        world.target.inspect(call)
    assert not place.exists()


def test_nothing_goes_to_a_store_of_its_own(world: ModelWorld) -> None:
    """Whatever part of MLflow asks for "the" store while we call it gets the connection's; afterwards none is set."""
    with registry(world.call()):
        assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == (world.uri, world.uri)
    assert mlflow.get_tracking_uri() != world.uri
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_a_dead_server_is_noticed(world: ModelWorld) -> None:
    """A refused connection is a retriable error without the password in it, and readiness is not checked."""
    good = world.target.capture(world.call())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings: dict[str, Json] = {"tracking_uri": f"http://bot:secret@x@127.0.0.1:{port}"}
    dead = replace(world.call(), connection=Connection(name="models", type="mlflow", settings=settings))
    assert "secret" not in world.target.resource(dead.connection)
    with pytest.raises(TargetError, match="does not answer: Connection refused") as error:
        world.target.inspect(dead)
    assert error.value.retriable
    assert "secret" not in error.value.message
    begun = perf_counter()
    assert world.target.readiness(dead, good).status == "not_checked"
    sys.stdout.write(f"dead server noticed in {perf_counter() - begun:.2f} s\n")


def test_a_silent_server_is_given_up_inside_the_deadline(world: ModelWorld) -> None:
    """A server that accepts and never answers costs less than the call's deadline."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings: dict[str, Json] = {"tracking_uri": f"http://127.0.0.1:{server.getsockname()[1]}"}
        connection = Connection(name="models", type="mlflow", settings=settings)
        importlib.import_module("mlflow.tracking.request_header.registry")  # seconds: it imports feast's plugin
        begun = perf_counter()
        with pytest.raises(TargetError, match="does not answer: timed out"):
            world.target.inspect(replace(world.call(), connection=connection, deadline=5))
        assert perf_counter() - begun < 5


def test_a_server_that_still_runs_the_bad_version(world: ModelWorld) -> None:
    """One of two servers not reloaded: not visible, 1 of 2, and verify fails at consumers until it has reloaded."""
    good = world.target.capture(world.call(), at="1")
    with model_server('{"version": "1"}') as (one, _), model_server("2") as (two, said):
        target = MlflowModel(model="eta", serving=[one, two])
        target.restore(world.call(), good, target.capture(world.call()))
        visibility = target.visible(world.call(), good)
        assert (visibility.visible, visibility.seen, visibility.total) == (False, 1, 2)
        assert visibility.note == f"1 of 2 servers run 1; {two} runs 2"
        accuracy = target.verify(world.call(), good)
        assert (accuracy.matched, accuracy.expected, accuracy.where) == (1, 2, "at consumers")
        assert accuracy.examples == [f"{two} runs 2"]
        said["body"] = " 1\n"
        assert target.visible(world.call(), good).visible
        assert target.verify(world.call(), good).ratio == 1.0


def test_all_servers_right_and_the_alias_wrong(world: ModelWorld) -> None:
    """A server that runs the right version is no proof while the alias, and so the next restart, says another."""
    good = world.target.capture(world.call(), at="1")
    with model_server('{"version": 1, "model": "eta"}') as (url, _):
        target = MlflowModel(model="eta", serving=url)
        assert target.serving == [url]
        accuracy = target.verify(world.call(), good)
    assert (accuracy.ratio, accuracy.examples) == (0.0, ["the alias points to 2, not 1"])


def test_a_dead_server_is_inconclusive(world: ModelWorld) -> None:
    """A server that does not answer is never counted as right or wrong: nobody knows."""
    good = world.target.capture(world.call())
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/version"
    with model_server('{"version": "2"}') as (alive, _):
        target = MlflowModel(model="eta", serving=[alive, url])
        accuracy = target.verify(world.call(), good)
        visibility = target.visible(world.call(), good)
    assert accuracy.ratio == 0.0
    assert accuracy.inconclusive == f"{url} does not answer ([Errno 111] Connection refused)"
    assert (visibility.visible, visibility.seen, visibility.total) == (False, 1, 2)


@pytest.mark.parametrize("body", ["", "{}", "[1]", '{"version": null}', '{"version": true}', "<html>" * 100, "null"])
def test_an_answer_without_a_version_is_inconclusive(world: ModelWorld, body: str) -> None:
    """A page that is up but does not say its version is not taken for one."""
    good = world.target.capture(world.call())
    with model_server(body) as (url, _):
        accuracy = MlflowModel(model="eta", serving=url).verify(world.call(), good)
    assert "does not say its version" in (accuracy.inconclusive or "")


def test_a_server_in_trouble_is_inconclusive(world: ModelWorld) -> None:
    """An error status is no answer, whatever its body says, and a password in the URL is not repeated."""
    good = world.target.capture(world.call())
    with model_server('{"version": "2"}', status=503) as (url, _):
        accuracy = MlflowModel(model="eta", serving=url).verify(world.call(), good)
        secret = url.replace("http://", "http://bot:secret@")
        hidden = MlflowModel(model="eta", serving=secret).visible(world.call(), good).note
    assert "Service Unavailable" in (accuracy.inconclusive or "")
    assert "secret" not in hidden
