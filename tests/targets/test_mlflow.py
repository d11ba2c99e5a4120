"""The model target against a real MLflow store."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from time import perf_counter

import pytest
from pydantic import ValidationError

from bot.core.errors import CorruptBlob, Moved, TargetError
from bot.core.target import Connection
from bot.targets.mlflow import MlflowModel
from tests.targets.contract import TargetContract
from tests.targets.mlflow_world import NOLOAD, ModelWorld, flip
from tests.targets.nursery import nursery_with

pytestmark = pytest.mark.filterwarnings(NOLOAD)


class TestMlflow(TargetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> ModelWorld:
        return ModelWorld(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    return ModelWorld(tmp_path)


def test_an_alias_of_a_version_whose_files_are_gone(world: ModelWorld) -> None:
    """MLflow would move the alias without a word; here readiness and restore name the missing files and since when."""
    good = world.target.capture(world.call())
    world.change()
    bad = world.target.capture(world.call())
    shutil.rmtree(world.folder_of("2"))
    reasons = world.target.readiness(world.call(), good).reasons
    assert reasons == [
        f"eta 2: MLmodel, weights/model.bin are gone (2 of 2 files; there at {good.taken_at:%Y-%m-%d %H:%M} UTC)"
    ]
    with pytest.raises(TargetError, match=r"MLmodel, weights/model\.bin are gone"):
        world.target.restore(world.call(), good, bad)
    assert world.content()[0] == "3"
    assert world.client.get_model_version("eta", "2").tags == {}


def test_one_flipped_byte_is_found(world: ModelWorld) -> None:
    """A file changed in place, same size, is named by readiness and fails the verify of what is live."""
    good = world.target.capture(world.call())
    flip(world.folder_of("2") / "weights" / "model.bin")
    readiness = world.target.readiness(world.call(), good)
    assert (readiness.status, len(readiness.reasons)) == ("not_ready", 1)
    assert readiness.reasons[0].startswith("eta 2: weights/model.bin is changed since")
    accuracy = world.target.verify(world.call(), good)
    assert (accuracy.ratio, accuracy.examples) == (0.0, readiness.reasons)


def test_a_file_that_was_added_is_said(world: ModelWorld) -> None:
    """An additional file does not block the way back, but is named."""
    good = world.target.capture(world.call())
    (world.folder_of("2") / "README.md").write_text("notes")
    readiness = world.target.readiness(world.call(), good)
    assert readiness.status == "ready"
    assert readiness.reasons == ["eta 2 has files that it had not at capture: README.md"]


def test_no_way_back_is_blocked_by_a_broken_live_model(world: ModelWorld) -> None:
    """The pre-image of a live version without files can be taken, says so, and the rollback goes through."""
    good = world.target.capture(world.call())
    world.change()
    shutil.rmtree(world.folder_of("3"))
    bad = world.target.capture(world.call())
    assert bad.warnings == ["eta 3: MLflow lists no files for it, so nobody can load it"]
    assert world.target.readiness(world.call(), bad).status == "not_ready"
    assert world.target.restore(world.call(), good, bad).changed
    assert world.content()[0] == "2"


def test_importing_a_version_without_files_is_refused(world: ModelWorld) -> None:
    """``at`` takes a version that the registry holds, with its files, and nothing else."""
    capture = world.target.capture(world.call(), at="1")
    assert (capture.pointer, capture.facts["metrics"]) == ("1", {"auc": 0.89})
    assert capture.facts["tags"] == {"feast.feature_views": "driver_stats"}
    shutil.rmtree(world.folder_of("1"))
    with pytest.raises(TargetError, match="lists no files"):
        world.target.capture(world.call(), at="1")
    with pytest.raises(TargetError, match="has no version 99; the newest it has: 1, 2"):
        world.target.capture(world.call(), at="99")


def test_a_move_between_look_and_write_is_refused(world: ModelWorld) -> None:
    """MLflow has no compare-and-set: an alias moved while the files were being read is seen right before the write."""
    good = world.target.capture(world.call(), at="1")
    before = world.target.capture(world.call())
    asked: list[str] = []

    def somebody_else() -> None:
        asked.append("check")
        if len(asked) == 2:
            world.release(0.99)

    with pytest.raises(Moved, match="now points to 3, not 2: somebody else moved it"):
        world.target.restore(world.call(check=somebody_else), good, before)
    assert world.content()[0] == "3"


def test_the_version_it_came_from_is_kept(world: ModelWorld) -> None:
    """MLflow has no history of an alias: the version left is kept as a tag on the version gone to."""
    good = world.target.capture(world.call(), at="1")
    world.target.restore(world.call(), good, world.target.capture(world.call()))
    assert world.client.get_model_version("eta", "1").tags == {"rollbot.previous.champion": "2"}


def test_killed_between_tag_and_alias(world: ModelWorld) -> None:
    """A kill -9 after the tag and before the alias leaves the old alias; the repetition ends exact."""
    good, bad = world.target.capture(world.call(), at="1"), world.target.capture(world.call())
    nursery = nursery_with(world.preload)
    assert nursery.restore(world.target, world.call(), good, bad, 2).killed
    assert world.content()[0] == "2"
    assert world.client.get_model_version("eta", "1").tags
    outcome = nursery.restore(world.target, world.call(), good, bad, 0)
    assert outcome.receipt
    assert (outcome.receipt.changed, outcome.asked) == (True, 2)
    assert world.content()[0] == "1"


def test_an_alias_that_did_not_exist(world: ModelWorld) -> None:
    """A pre-image without the alias is put back by removing it, and only from where we left it."""
    target = MlflowModel(model="eta", alias="shadow")
    state, nothing = target.inspect(world.call()), target.capture(world.call())
    assert (state.pointer, nothing.pointer) == ("none", "none")
    assert target.readiness(world.call(), nothing).status == "ready"
    one = target.capture(world.call(), at="1")
    target.restore(world.call(), one, nothing)
    assert target.diff(world.call(), nothing).summary == "1 -> none"
    assert target.restore(world.call(), nothing, target.capture(world.call())).changed
    assert world.client.get_registered_model("eta").aliases == {"champion": 2}
    assert target.verify(world.call(), nothing).ratio == 1.0
    assert target.restore(world.call(), nothing, one).changed is False


def test_a_number_given_out_again(world: ModelWorld) -> None:
    """In a model that was deleted and made again, the same number is not the version that was captured."""
    good = world.target.capture(world.call())
    runs = [world.client.get_model_version("eta", n).run_id for n in ("1", "2")]
    world.client.delete_registered_model("eta")
    world.client.create_registered_model("eta")
    assert [world.register(run) for run in runs] == ["1", "2"]
    reasons = world.target.readiness(world.call(), good).reasons
    assert reasons == ["eta 2 is not the version that was captured: it was made again"]


def test_a_deleted_version_and_run(world: ModelWorld) -> None:
    """A deleted version is not ready, in words; a deleted run is a warning, since its files go at the next clean-up."""
    good = world.target.capture(world.call())
    world.client.delete_run(world.client.get_model_version("eta", "2").run_id)
    readiness = world.target.readiness(world.call(), good)
    assert readiness.status == "ready"
    assert "mlflow gc" in readiness.reasons[0]
    assert world.target.inspect(world.call()).warnings == readiness.reasons
    world.change()
    world.client.delete_model_version("eta", "2")
    readiness = world.target.readiness(world.call(), good)
    assert readiness.reasons == ["model eta has no version 2; the newest it has: 1, 3"]
    assert readiness.status == "not_ready"


def test_a_damaged_capture_is_refused(world: ModelWorld) -> None:
    """A list of files that no longer has its digest is found by readiness and refused by restore."""
    good, bad = world.target.capture(world.call(), at="1"), world.target.capture(world.call())
    for data in ({}, {**good.data, "files": {}}):
        damaged = good.model_copy(update={"data": data})
        assert world.target.readiness(world.call(), damaged).status == "not_ready"
        with pytest.raises(CorruptBlob):
            world.target.restore(world.call(), damaged, bad)
    assert world.content()[0] == "2"


def test_the_diff_speaks_of_metrics(world: ModelWorld) -> None:
    """Metrics then and now, in the summary and line by line."""
    good = world.target.capture(world.call())
    world.release(0.71)
    diff = world.target.diff(world.call(), good)
    assert diff.summary == "3 -> 2, auc 0.71 -> 0.91"
    assert {c.name: (c.before, c.after) for c in diff.changes}["version"] == ("3", "2")
    assert {c.name: (c.before, c.after) for c in diff.changes}["auc"] == (0.71, 0.91)


def test_metrics_that_are_no_numbers_survive_json(world: ModelWorld) -> None:
    """A metric of NaN or infinity is shown as text, and the capture stays equal through the database."""
    world.release(float("nan"))
    capture = world.target.capture(world.call())
    assert capture.facts["metrics"] == {"auc": "nan"}
    assert type(capture).model_validate_json(capture.model_dump_json()) == capture


def test_models_logged_in_the_new_way(world: ModelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow 3's logged models (``models:/m-...``, files outside the run) are read and checked like any other."""
    logged = world.client.create_logged_model(world.experiment, name="eta")
    folder = world.folder / "new"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavor: none\n")
    world.client.log_model_artifacts(logged.model_id, str(folder))
    world.client.finalize_logged_model(logged.model_id, "READY")
    source = f"models:/{logged.model_id}"
    with monkeypatch.context() as patch:  # MLflow's own registry asks the global client for it
        patch.setenv("MLFLOW_TRACKING_URI", world.uri)
        mv = world.client.create_model_version("eta", source=source, model_id=logged.model_id)
    good = world.target.capture(world.call(), at=str(mv.version))
    assert list(good.data["files"]) == ["MLmodel"]
    world.target.restore(world.call(), good, world.target.capture(world.call()))
    assert world.target.verify(world.call(), good).ratio == 1.0
    file = next(world.artifacts.rglob(f"{logged.model_id}/**/MLmodel"))
    flip(file)
    assert world.target.readiness(world.call(), good).status == "not_ready"


def test_names_that_do_not_exist(world: ModelWorld) -> None:
    """A misspelt model names near misses; parameters and connections say what is wrong."""
    with pytest.raises(TargetError, match="no registered model etta; did you mean eta"):
        MlflowModel(model="etta").inspect(world.call())
    with pytest.raises(TargetError, match="no registered model zzz; it has eta"):
        MlflowModel(model="zzz").inspect(world.call())
    for bad in ({"alias": "latest"}, {"alias": "v12"}, {"alias": "a b"}, {"serving": "file:///etc"}, {"als": "x"}):
        with pytest.raises(ValidationError):
            MlflowModel(model="eta", **bad)
    with pytest.raises(TargetError, match="tracking_uri is missing"):
        world.target.resource(Connection(name="models", type="mlflow"))


def test_timings(world: ModelWorld) -> None:
    """Prints what each method costs with 20 MB of model; a rollback's own share stays far below its promise."""
    world.release(0.92, big=os.urandom(20_000_000))
    good = world.target.capture(world.call())
    world.release(0.4)
    bad = world.target.capture(world.call())
    spent = {}
    for name, act in {
        "inspect": lambda: world.target.inspect(world.call()),
        "readiness": lambda: world.target.readiness(world.call(), good),
        "restore": lambda: world.target.restore(world.call(), good, bad),
        "verify": lambda: world.target.verify(world.call(), good),
    }.items():
        begun = perf_counter()
        act()
        spent[name] = perf_counter() - begun
    sys.stdout.write(", ".join(f"{name} {1000 * s:.0f} ms" for name, s in spent.items()) + "\n")
    assert spent["restore"] < 10
