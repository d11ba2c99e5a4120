"""A company's table in small: a JSON file with its versions, and the program that speaks for it to the command target.

``table.json``: ``live``, the time of each version under ``versions``, and perhaps ``warnings``, ``wrong`` (what is read
back is not what should be there) and ``broken`` (why nothing is answered).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def state(table: dict[str, Any], at: str) -> dict[str, Any]:
    if at not in table["versions"]:
        sys.exit(f"the table holds no version {at}")
    told = {"pointer": at, "facts": {"version": at}, "observed": {"as_of": table["versions"][at]}}
    return {**told, "warnings": table.get("warnings", [])}


def main(verb: str, file: Path) -> dict[str, Any]:
    asked, table = json.load(sys.stdin), json.loads(file.read_text())
    if table.get("broken"):
        sys.exit(table["broken"])
    if verb == "restore":
        file.write_text(json.dumps({**table, "live": asked["capture"]["pointer"]}))
        return {}
    if verb == "verify":
        return {"matched": 0 if table.get("wrong") else 1, "expected": 1}
    return state(table, asked.get("at") or table["live"])


if __name__ == "__main__":
    json.dump(main(sys.argv[1], Path(sys.argv[2])), sys.stdout)
