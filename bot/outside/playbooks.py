"""The folder that a team edits: features, playbooks, policy and targets, read when asked for and again when changed."""

from __future__ import annotations

import copy
import heapq
import os
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from bot.core.errors import Fault, Unknown
from bot.core.target import Connection, Json
from bot.core.text import listed, near
from bot.outside.connections import connections, expanded
from bot.outside.yamlfile import Document, parse

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}")
_KEPT: Final = 2000
"""Documents kept in memory."""
_SETTLED: Final = 2.0
"""Seconds. Two changes within one tick of the file system's clock look alike, so a younger file is read each time, and
parsed again if it says something else."""

Stamp = tuple[int, int, int, int]


class Kept(NamedTuple):
    """``stamp``: None while the file is young."""

    stamp: Stamp | None
    raw: bytes
    found: Document | Fault


class PlaybookFiles:
    """``root`` and what is in it. Building it reads nothing. Documents are shared: don't change their data."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None) -> None:
        self.root, self._root = root, str(root)
        self._environ = os.environ if environ is None else environ
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._resolved: tuple[Document, dict[str, Connection], dict[str, Fault]] | None = None

    def feature_names(self) -> list[str]:
        """In order, from the folder's listing alone: no file is opened."""
        return self._names("features")

    def playbook_names(self) -> list[str]:
        """As ``feature_names``."""
        return self._names("playbooks")

    def drill_names(self) -> list[str]:
        """As ``feature_names``."""
        return self._names("drills")

    def feature_document(self, name: str) -> Document:
        """``features/NAME.yaml``. Raises Unknown with near misses or what there is, and Fault with file and line."""
        return self._named("features", "feature", name)

    def playbook_document(self, name: str) -> Document:
        """``playbooks/NAME.yaml``. Raises as ``feature_document``."""
        return self._named("playbooks", "playbook", name)

    def drill_document(self, name: str) -> Document:
        """``drills/NAME.yaml``. Raises as ``feature_document``."""
        return self._named("drills", "drill", name)

    def policy_document(self) -> Document:
        """``policy.yaml``. Raises Fault, also if there is none."""
        return self._mapping(self._read(self._place("policy")))

    def targets_document(self) -> Document:
        """``targets.yaml`` as written, variables unresolved. Raises Fault, also if there is none."""
        return self._mapping(self._read(self._place("targets")))

    def connections(self) -> dict[str, Connection]:
        """The configured systems that are fine; ``connection_faults`` has the others. Raises Fault if the file can't
        be read at all."""
        return self._connections()[0]

    def connection_faults(self) -> dict[str, Fault]:
        """What is wrong with the other entries of ``targets.yaml``, by name."""
        return {name: copy.copy(fault) for name, fault in self._connections()[1].items()}

    def resolved(self, document: Document, *at: str | int) -> Json:
        """The value at ``at`` with every ``${NAME}`` replaced. Raises Fault naming file, line and variable."""
        value = document.data
        for key in at:
            value = value[key]
        return expanded(document, value, at, self._environ)

    def in_memory(self, feature: str) -> bool:
        """Was this feature's file read already, and is it kept?"""
        kept = self._kept.get(self._place("features", feature))
        return kept is not None and kept.stamp is not None

    def strays(self) -> list[Fault]:
        """Files in the folders that nobody reads because of their names."""
        found = []
        for folder in ("features", "playbooks", "drills"):
            for name in sorted(self._listing(folder)):
                stem, dot, ending = name.rpartition(".")
                if not name.startswith(".") and not (dot and ending == "yaml" and _NAME.fullmatch(stem)):
                    place = str(self.root / folder / name)
                    found.append(
                        Fault("not read: a file here is named NAME.yaml (letters, digits, _ - . @)", file=place)
                    )
        return found

    # -- files --------------------------------------------------------------------------------------------------

    def _listing(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.root / folder)  # noqa: PTH208  10,000 Path objects take longer than the listing
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _names(self, folder: str) -> list[str]:
        stems = (name[:-5] for name in self._listing(folder) if name.endswith(".yaml"))
        return sorted(stem for stem in stems if _NAME.fullmatch(stem))

    def _named(self, folder: str, key: str, name: str) -> Document:
        place = self._place(folder, name)
        if not _NAME.fullmatch(name) or not os.path.isfile(place):  # noqa: PTH113  see _place
            names = self._names(folder)
            guesses = _near(name, names)
            raise Unknown(f"there is no {key} {name!r}.{'' if guesses else _there(names)}", near=guesses)
        document = self._mapping(self._read(place))
        if key in document.data and document.data[key] != name:
            message = f"the {key} here is {document.data[key]!r}, but the file is named {name}.yaml; name both alike"
            raise document.fault(message, key)
        return document

    def _mapping(self, document: Document) -> Document:
        if not isinstance(document.data, dict):
            raise document.fault("the file is empty" if document.data is None else "keys and values are expected here")
        return document

    def _place(self, *names: str) -> str:
        """As text, not as Path: every command looks files up before its ack."""
        return f"{'/'.join((self._root, *names))}.yaml"

    def _read(self, place: str) -> Document:
        """The document, from memory if the file is the one that was read. Raises Fault."""
        try:
            stamp = _stamp(os.stat(place))  # noqa: PTH116
            kept = self._kept.get(place)
            if kept is None or kept.stamp != stamp:
                kept = self._load(place)
        except FileNotFoundError as e:
            raise Fault("there is no such file", file=place) from e
        except OSError as e:
            raise Fault(f"can't be read: {e.strerror}", file=place) from e
        if isinstance(kept.found, Fault):
            raise copy.copy(kept.found)  # or each raise would add to the traceback of the one that is kept
        return kept.found

    def _load(self, place: str) -> Kept:
        path, before = Path(place), self._kept.pop(place, None)
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read()
        found = before.found if before and before.raw == raw else _parsed(path, raw)
        settled = time.time() - status.st_mtime > _SETTLED
        kept = self._kept[place] = Kept(_stamp(status) if settled else None, raw, found)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    def _connections(self) -> tuple[dict[str, Connection], dict[str, Fault]]:
        document = self.targets_document()
        if self._resolved is None or self._resolved[0] is not document:
            self._resolved = document, *connections(document, self._environ)
        return self._resolved[1], self._resolved[2]


def _parsed(path: Path, raw: bytes) -> Document | Fault:
    try:
        return parse(path, raw)
    except Fault as e:
        return e


def _there(names: list[str]) -> str:
    """What there is instead, where no name is near."""
    shown = [*names[:8], *(["more"] if len(names) > 8 else [])]
    return f" There {'is' if len(names) == 1 else 'are'} {listed(shown)}." if names else ""


def _near(word: str, names: list[str]) -> list[str]:
    """Comparing closely with 10,000 names takes a second; so only with those that share most pairs of letters."""
    pairs = _pairs(word)
    return near(
        word, heapq.nlargest(50, names, key=lambda name: len(pairs & _pairs(name)) - abs(len(name) - len(word)))
    )


def _pairs(word: str) -> set[str]:
    return {word[n : n + 2].lower() for n in range(len(word))}


def _stamp(status: os.stat_result) -> Stamp:
    # The change time, too: a copy that keeps times (tar, rsync, touch -r) may get the number of the file before it.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
