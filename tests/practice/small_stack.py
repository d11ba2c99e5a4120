"""What the tests of the practice stack have in common."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML

from bot.practice.stack.stack import Stack

DRIVERS = 400
V12 = ["avg_trip_minutes", "trips_today", "acceptance_rate"]


def assert_served_is_source(stack: Stack) -> None:
    """Every cell that the live definition serves is the newest one of the Delta table."""
    columns = stack.definition()["features"]
    source = stack.read_dataset()
    served = stack.read_online(columns, source["driver_id"])
    for name in columns:
        assert served[name] == source[name], name


def feature_file(stack: Stack) -> dict[str, Any]:
    got: dict[str, Any] = YAML(typ="safe").load(stack.playbooks / "features" / "driver_stats.yaml")
    return got
