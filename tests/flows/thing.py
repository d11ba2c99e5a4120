"""A company's own system in one file: a model registry and a pipeline, and somebody who interferes.

``thing.py VERB FOLDER``. After a verb has been answered, what ``on_VERB.json`` names ({path: text}) is written once:
somebody else is at work. A pre-image waits on the pipe ``gate`` while there is one, a look at consumers on ``look``.
While there is a file ``half``, restoring writes half and ends with the exit code that the file names. What a file
``says_VERB`` holds is the answer, and nothing is done.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path


def main(verb: str, folder: Path) -> dict[str, object]:
    asked = json.load(sys.stdin)
    live = folder / "model.json"
    if verb == "model" and asked["context"].get("pre_image"):
        with contextlib.suppress(FileNotFoundError):
            (folder / "gate").read_bytes()
    if verb == "visible":
        with contextlib.suppress(FileNotFoundError):
            (folder / "look").read_bytes()
    if (said := folder / f"says_{verb}").exists():
        return dict(json.loads(said.read_text()))
    if verb == "restore" and (folder / "half").exists():
        live.write_text(json.dumps({"number": -1}))
        raise SystemExit(int((folder / "half").read_text()))
    if verb == "restore":
        live.write_text(json.dumps(asked["capture"]["facts"]))
    if verb in ("hold", "lift"):
        (folder / "held").write_text(verb)
    if verb in ("pipeline", "hold", "lift"):
        return {"held": (folder / "held").read_text() == "hold"}
    facts = json.loads(live.read_text())
    if verb == "visible":
        return {"visible": not (folder / "unseen").exists(), "seen": 0, "total": 1}
    if verb == "verify":
        same = facts == asked["capture"]["facts"]
        return {"matched": int(same), "expected": 1, "where": "at consumers"}
    return {"pointer": str(facts["number"]), "facts": facts}


def interfere(verb: str, folder: Path) -> None:
    wish = folder / f"on_{verb}.json"
    if wish.exists():
        for path, text in json.loads(wish.read_text()).items():
            Path(path).write_text(text)
        wish.unlink()


if __name__ == "__main__":
    answer = main(sys.argv[1], Path(sys.argv[2]))
    interfere(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(json.dumps(answer))
