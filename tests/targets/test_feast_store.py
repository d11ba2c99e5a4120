"""Opening a Feast store: names and settings are checked in one line, and nothing is created by looking."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import Fault, TargetError, Unknown
from bot.core.target import Connection
from bot.targets.feast import SUPPORTED, FeastDefinition, met
from tests.targets.feast_stage import IGNORED, VIEW
from tests.targets.feast_world import DefinitionWorld

pytestmark = [pytest.mark.filterwarnings(w) for w in IGNORED]


def test_names_are_checked_before_anything_is_opened(tmp_path: Path) -> None:
    """A mistyped view, repository or registry is said in one line with what is near, and creates nothing."""
    world = DefinitionWorld(tmp_path)
    world.target = FeastDefinition(view="driver_stat")
    with pytest.raises(Unknown, match="Did you mean driver_stats"):
        world.target.inspect(world.call())
    missing = Connection(name="x", type="feast", settings={"repo": str(tmp_path / "no" / "feature_store.yaml")})
    world.connection = missing
    with pytest.raises(Fault, match="does not exist"):
        world.target.inspect(world.call())
    for path in (f"sqlite:///{tmp_path}/none.db", "none.db"):
        config = {**world.stage.config, "registry": {**world.stage.config["registry"], "path": path}}
        config["registry"]["registry_type"] = "sql" if "://" in path else "file"
        world.connection = Connection(name="x", type="feast", settings={"config": config})
        with pytest.raises(TargetError, match="there is no registry"):
            world.target.inspect(world.call())
    assert not list(tmp_path.glob("none*")) and not Path("none.db").exists()


def test_settings_are_checked() -> None:
    """Misspelt or missing settings are a fault that names the connection."""
    target = FeastDefinition(view=VIEW)
    with pytest.raises(Fault, match=r"connection x: give either repo: .* or config:"):
        target.resource(Connection(name="x", type="feast", settings={}))
    with pytest.raises(Fault, match="connection x: writer: "):
        target.resource(Connection(name="x", type="feast", settings={"repo": "/a.yaml", "writer": "only_rollbot"}))


def test_credentials_stay_out_of_the_resource() -> None:
    """The name that locks and logs show has no password in it."""
    registry = {"registry_type": "sql", "path": "postgresql+psycopg://bot:secret@db/feast"}
    connection = Connection(name="x", type="feast", settings={"config": {"project": "p1", "registry": registry}})
    assert FeastDefinition(view=VIEW).resource(connection) == "feast:postgresql+psycopg://db/feast:p1/driver_stats"


def test_the_feast_here_is_a_supported_one() -> None:
    """The range that is stated is the one that these tests ran with."""
    assert SUPPORTED == ">=0.67,<0.68"
    assert met().startswith("0.67.")
