"""``targets.yaml``: here ``${NAME}`` reads the environment (elsewhere only in ``page:`` of the policy), and relative
paths start at the file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bot.core.errors import Fault
from bot.core.target import Connection, Json
from bot.outside.faults import Pointer
from bot.outside.yamlfile import Document

PATHS: Final = frozenset({"repo", "file", "path", "uri", "root", "folder", "directory", "dir", "cwd"})
_PATH_ENDINGS: Final = ("_path", "_file", "_folder", "_dir")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_SQLITE: Final = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/)(.+)")


def connections(document: Document, environ: Mapping[str, str]) -> tuple[dict[str, Connection], dict[str, Fault]]:
    """The connections that are fine, and what is wrong with the others: one that misses its variable must not take
    the flags along in an incident. Raises Fault if the file as a whole is no mapping."""
    good: dict[str, Connection] = {}
    bad: dict[str, Fault] = {}
    for name in document.data or {}:
        try:
            good[name] = connection(document, name, environ)
        except Fault as e:
            bad[name] = e
    return good, bad


def connection(document: Document, name: str, environ: Mapping[str, str]) -> Connection:
    """One of them, with variables resolved and paths made absolute. Raises Fault with file and line."""
    entry = document.data[name]
    if not _NAME.fullmatch(name):
        raise document.fault(f"{name!r} is no name for a connection: letters, digits, _ - .", name)
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise document.fault(f"connection {name!r} needs 'type:', the type of system", name)
    settings = {
        key: absolute(key, expanded(document, value, (name, key), environ), document.path.absolute().parent)
        for key, value in entry.items()
        if key != "type"
    }
    return Connection(name=name, type=entry["type"], settings=settings, root=str(document.path.absolute().parent))


def expanded(document: Document, value: Json, at: Pointer, environ: Mapping[str, str]) -> Json:
    """``value`` with every ``${NAME}`` replaced; ``$${`` stands for ``${``. Raises Fault naming file, line and
    variable, never a value."""
    if isinstance(value, dict):
        return {key: expanded(document, item, (*at, key), environ) for key, item in value.items()}
    if isinstance(value, list):
        return [expanded(document, item, (*at, n), environ) for n, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if not match[0].endswith("}") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", match[1]):
            raise document.fault("write ${NAME} for an environment variable, or $${ for a plain ${", *at)
        if match[1] not in environ:
            raise document.fault(f"the environment variable {match[1]} is not set", *at)
        return environ[match[1]]

    return _VARIABLE.sub(variable, value)


def absolute(key: str, value: Json, base: Path) -> Json:
    """``value`` with relative paths, wherever the key says that it is one, starting at ``base``."""
    if isinstance(value, dict):
        return {name: absolute(name, item, base) for name, item in value.items()}
    if isinstance(value, list):
        return [absolute(key, item, base) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if match := _SQLITE.fullmatch(value):
        return value if match[2].startswith((":memory:", "file:")) else match[1] + os.path.normpath(base / match[2])
    if _URL.match(value) or not _is_path(key, value):
        return value
    # normpath: two spellings of one place would be two resources, and so two locks.
    return os.path.normpath(base / Path(value).expanduser())


def _is_path(key: str, value: str) -> bool:
    if key.endswith("_uri"):  # may also be a bare word, as mlflow's "databricks"
        return "/" in value or value.startswith((".", "~"))
    return key in PATHS or key.endswith(_PATH_ENDINGS)
