"""A company's model registry in small: a JSON file, and the program that speaks for it to the command target."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def live(models: dict[str, Any]) -> dict[str, Any]:
    return {"pointer": models["live"], "facts": {"version": models["live"]}}


def capture(models: dict[str, Any], at: str | None) -> dict[str, Any]:
    wanted = at or models["live"]
    if wanted not in models["held"]:
        sys.exit(f"the registry holds no version {wanted}")
    return {"pointer": wanted, "facts": {"version": wanted}}


def verify(models: dict[str, Any], wanted: str) -> dict[str, Any]:
    same = models["live"] == wanted and not models.get("broken")
    return {"matched": 4 if same else 3, "expected": 4}


def readiness(models: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Held or not, and which other captures of the release were told with the question."""
    beside = sorted(asked["context"].get("siblings", {}))
    held = asked["capture"]["pointer"] in models["held"]
    return {"status": "ready" if held else "not_ready", "reasons": [f"beside {', '.join(beside)}"]}


def main(verb: str, file: Path) -> dict[str, Any]:
    asked = json.load(sys.stdin)
    models = json.loads(file.read_text())
    wanted = asked.get("capture", {}).get("pointer", "")
    if verb == "restore":
        file.write_text(json.dumps(models | {"live": wanted}))
        return {"changed": models["live"] != wanted, "pointer": wanted}
    if verb == "readiness":
        return readiness(models, asked)
    if verb == "verify":
        return verify(models, wanted)
    return capture(models, asked.get("at")) if verb == "capture" else live(models)


if __name__ == "__main__":
    json.dump(main(sys.argv[1], Path(sys.argv[2])), sys.stdout)
