"""Programs that speak for a small system on files, in three kinds, for the command target's tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

from bot.core.target import Connection, Json
from bot.targets.command import CommandDataset, CommandFlag, CommandPipeline
from tests.targets import system
from tests.targets.world import World, digest_tree

PROGRAM = [sys.executable, "-I", "-S", str(Path(system.__file__))]


class CommandWorld(World):
    """A dataset whose bytes are in the capture."""

    kind = CommandDataset
    verbs: ClassVar[dict[str, str]] = {
        "inspect": "inspect",
        "capture": "capture",
        "restore": "restore",
        "sandbox": "sandbox",
        "discard": "discard",
    }
    facts: ClassVar[dict[str, Json]] = {"name": "v12"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.system = folder / "system"
        self.connection = Connection(name="jobs", type="command")
        argv = {name: [*PROGRAM, verb, str(self.system)] for name, verb in self.verbs.items()}
        self.target = self.kind.model_validate(argv)
        self.changes = 0
        system.write(self.system / "live", {"facts": self.facts, "rows": [1, 2, 3]})

    def thing(self) -> dict[str, Any]:
        found: dict[str, Any] = system.read(self.system / "live")
        return found

    def put(self, **facts: Json) -> None:
        thing = self.thing()
        system.write(self.system / "live", {**thing, "facts": {**thing["facts"], **facts}})

    def change(self) -> None:
        self.changes += 1
        self.put(name=f"bad {self.changes}", schedule=self.changes)

    def append(self) -> None:
        thing = self.thing()
        system.write(self.system / "live", {**thing, "rows": [*thing["rows"], len(thing["rows"])]})

    def content(self) -> Json:
        return self.thing()

    def fingerprint(self) -> str:
        return digest_tree(self.system)


FACTS_ARE_ALL = "what is captured are the facts themselves, which stand in the capture: nothing can be lost"


class FactsWorld(CommandWorld):
    """Without a capture program."""

    verbs: ClassVar[dict[str, str]] = CommandWorld.verbs | {"inspect": "facts", "capture": "", "restore": "configure"}
    skips: ClassVar[dict[str, str]] = {"test_a_lost_capture_is_found_before_restore": FACTS_ARE_ALL}

    def __init__(self, folder: Path) -> None:
        self.verbs = {k: v for k, v in self.verbs.items() if v}  # type: ignore[misc]
        super().__init__(folder)


class PipelineWorld(FactsWorld):
    """A pipeline with a schedule."""

    kind = CommandPipeline  # type: ignore[assignment]
    facts: ClassVar[dict[str, Json]] = {"held": False, "schedule": 0}

    def stopped(self) -> bool:
        return bool(self.thing()["facts"]["held"])


class FlagWorld(FactsWorld):
    """A flag of the company's own system."""

    kind = CommandFlag  # type: ignore[assignment]
    facts: ClassVar[dict[str, Json]] = {"enabled": True, "percent": 40}

    def stopped(self) -> bool:
        return not self.thing()["facts"]["enabled"]


def program(tmp_path: Path, text: str) -> list[str]:
    """A program made on the spot."""
    path = tmp_path / "program.py"
    path.write_text(f"import json, os, sys, time\n{text}\n")
    return [sys.executable, "-I", "-S", str(path)]
