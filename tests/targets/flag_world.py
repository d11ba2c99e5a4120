"""A real flag file with five flags, evaluated through OpenFeature: the world of the flag target's tests."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from bot.core.target import Capture, Connection, Json
from bot.targets.flag_file import answers
from bot.targets.flagd import FlagdFlag
from tests.targets.world import World, digest_tree

FILE = """{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "$evaluators": {"inside": {"ends_with": [{"var": "email"}, "@example.com"]}},
  "flags": {
    "use_driver_stats": {
      "state":   "ENABLED",
      "variants": {"on": true, "off": false},
      "defaultVariant": "off",
      "targeting": {"fractional": [["on", 40], ["off", 60]]}
    },
    "banner":{"state":"ENABLED","variants":{"red":"#f00","blue":"#00f"},"defaultVariant":"red"},
    "staff_only": {
      "state": "ENABLED",
      "variants": {"on": true, "off": false},
      "defaultVariant": "off",
      "targeting": {"if": [{"$ref": "inside"}, "on"]}
    },
    "ranking": {
      "state": "ENABLED",
      "variants": {"a": 1, "b": 2, "none": 0},
      "defaultVariant": "a",
      "targeting": {"fractional": [["a", 30], ["b", 30], ["none", 40]]}
    },
    "née": {"state": "DISABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}
  }
}
"""
RULE: dict[str, Json] = json.loads(FILE)["flags"]["use_driver_stats"]
KEYS = [f"driver-{n}" for n in range(2000)]


class FlagWorld(World):
    """A flag file with five flags in a folder of its own."""

    preload = ("openfeature.contrib.provider.flagd", "bot.targets.flagd")
    absent = ("12", "latest", "2026-01-01")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "flags" / "flags.json"
        self.file.parent.mkdir()
        self.file.write_text(FILE)
        self.connection = Connection(name="flags", type="flagd", settings={"file": str(self.file)})
        self.target = self.flag("use_driver_stats")
        self.changes = 0

    def flag(self, name: str, **params: Json) -> FlagdFlag:
        return FlagdFlag(flag=name, **params)

    def beside(self) -> list[str]:
        """Names of all files in the flag file's folder."""
        return sorted(path.name for path in self.file.parent.iterdir())

    def rewrite(self, name: str, rule: Json) -> None:
        """As a deploy would: the whole file from its own data, in another layout."""
        document = json.loads(self.file.read_text())
        if rule is None:
            del document["flags"][name]
        else:
            document["flags"][name] = rule
        self.file.write_text(json.dumps(document, indent=4))

    def change(self) -> None:
        self.changes += 1
        self.rewrite("use_driver_stats", {**RULE, "targeting": {"fractional": [["on", 99], ["off", self.changes]]}})

    def append(self) -> None:
        self.rewrite(f"other-{len(self.file.read_text())}", RULE)

    def content(self) -> Json:
        rule = json.loads(self.file.read_text())["flags"]["use_driver_stats"]
        return [rule, self.served("use_driver_stats", RULE)]

    def served(self, name: str, like: Json, **attributes: Json) -> Json:
        return dict(Counter(v or "default" for v, _, _ in answers(self.file, name, like, KEYS, attributes)))

    def fingerprint(self) -> str:
        return digest_tree(self.file.parent)

    def corrupt(self, capture: Capture) -> bool:
        capture.data["rule"]["defaultVariant"] = "on"
        return True

    def lose(self, capture: Capture) -> None:
        self.rewrite("use_driver_stats", None)

    def stopped(self) -> bool:
        return bool(self.served("use_driver_stats", RULE) == {"off": len(KEYS)})


def put(world: FlagWorld, target: FlagdFlag, c: Capture) -> None:
    target.restore(world.call(), c, target.capture(world.call()))
