"""A small outside system on files, run as ``system.py VERB FOLDER``: what the command target's tests stand on.

Only the standard library, as a company's own program would be. ``FOLDER/PLACE/thing.json`` is what is live,
``history.log`` beside it grows with every write.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

Thing = dict[str, Any]


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read(place: Path) -> Thing:
    found: Thing = json.loads((place / "thing.json").read_text())
    return found


def write(place: Path, thing: Thing) -> None:
    place.mkdir(parents=True, exist_ok=True)
    part = place / f".thing.{os.getpid()}"
    part.write_text(json.dumps(thing))
    part.replace(place / "thing.json")
    with (place / "history.log").open("a") as log:
        log.write(json.dumps(thing["facts"]) + "\n")


def inspect(place: Path, _: Thing) -> Thing:
    """The version is the facts; what arrives is only observed."""
    thing = read(place)
    return {"pointer": thing["facts"]["name"], "facts": thing["facts"], "observed": {"rows": len(thing["rows"])}}


def capture(place: Path, given: Thing) -> Thing:
    """Exact: also the rows."""
    thing = read(place)
    if given.get("at") not in (None, thing["facts"]["name"]):
        sys.exit(f"there is no version {given['at']!r}")
    content = base64.b64encode(json.dumps(thing).encode()).decode()
    return inspect(place, given) | {"digest": digest(thing), "blobs": {"thing": content}}


def restore(place: Path, given: Thing) -> Thing:
    """From the bytes of the capture."""
    if digest(read(place)) != given["before"]["digest"]:
        return {"moved": True, "note": "somebody wrote a moment ago"}
    write(place, json.loads(base64.b64decode(given["blobs"]["thing"])))
    return {"note": "as it was"}


def configure(place: Path, given: Thing) -> Thing:
    """For kinds whose facts are everything."""
    write(place, {"facts": given["capture"]["facts"], "rows": read(place)["rows"]})
    return {}


def facts(place: Path, _: Thing) -> Thing:
    thing = read(place)
    return {"facts": thing["facts"], "rows": len(thing["rows"])}


def hold(place: Path, _: Thing) -> Thing:
    thing = read(place)
    write(place, {**thing, "facts": {**thing["facts"], "held": True}})
    return {}


def sandbox(place: Path, given: Thing) -> Thing:
    made = "sandbox-" + digest(given["key"])[:8]
    if not (place.parent / made).exists():
        shutil.copytree(place, place.parent / made)
    return {"place": made}


def discard(place: Path, _: Thing) -> Thing:
    if not place.name.startswith("sandbox-"):
        sys.exit("this is not a sandbox")
    shutil.rmtree(place, ignore_errors=True)
    return {}


def main() -> None:
    given = json.load(sys.stdin)
    verb, folder = sys.argv[1], Path(sys.argv[2])
    answer = globals()[verb](folder / (given["place"] or "live"), given)
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
