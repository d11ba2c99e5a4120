"""Puts what a user starts from into the wheel. An editable install has no copy: it reads the checkout itself."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = ("migrations", "playbooks", "manifest.json")


class ShippedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Adds each of SHIPPED under bot/_shipped."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            build_data["force_include"].update({name: f"bot/_shipped/{name}" for name in SHIPPED})
