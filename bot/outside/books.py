"""A team's files as the flows read them: validated, with file and line for what is wrong, and the last good policy."""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bot.core.drill import Drill, Walls
from bot.core.errors import Fault, RollbotError, Unknown, Usage
from bot.core.feature import Feature
from bot.core.playbook import Playbook, Verb, bind
from bot.core.policy import ADDRESS, LAST_RESORT, Policy
from bot.core.ports import Component
from bot.core.target import Connection
from bot.core.text import is_address, listed, near
from bot.outside import crontab
from bot.outside.playbooks import PlaybookFiles
from bot.outside.registry import Registry
from bot.outside.yamlfile import Document, fault_of

M = TypeVar("M", bound=BaseModel)
MOST_FAULTY = 50
EFFORT, READING = 400, 20
"""One look at the features: 400 files that are in memory (measured: 0.1 ms each), or 20 to be read (8 ms each)."""
FEW = 3
"""Features named behind a fault of a playbook that they share."""


class TeamBooks:
    """``flows.world.Books`` over a folder. A faulty feature disables only itself."""

    def __init__(self, root: Path, registry: Registry) -> None:
        self.files = PlaybookFiles(root)
        self._registry = registry
        self._models: dict[str, tuple[Document, BaseModel]] = {}
        self._checked: dict[str, tuple[Document, Document]] = {}
        self._schedules: dict[str, Walls] = {}
        self._good_policy: Policy | None = None
        self._faulty: dict[str, None] = {}
        self._looked_at = ""

    def feature_names(self) -> list[str]:
        return self.files.feature_names()

    def feature(self, name: str) -> Feature:
        """Validated with the parameters of every component. Raises Fault with file and line, Unknown."""
        try:
            found = self._feature(name)
        except Fault:
            self._faulty[name] = None
            raise
        self._faulty.pop(name, None)
        return found

    def _feature(self, name: str) -> Feature:
        document = self.files.feature_document(name)
        feature = self._model(document, Feature)
        targets, known = self.files.targets_document(), self._checked.get(name)
        if known is None or known[0] is not document or known[1] is not targets:
            for part in feature.parts():
                self._check_part(document, part)
            self._checked[name] = document, targets
        return feature

    def known_faults(self) -> list[str]:
        """What is wrong with drills' files, and with features', one line each: with those that were faulty when they
        were last read, and with the next few of all. Costs the same whether there are ten of them or ten thousand."""
        said: dict[str, None] = dict.fromkeys(self._drill_faults())
        for name in dict.fromkeys((*islice(self._faulty, MOST_FAULTY), *self._next_few())):
            try:
                self.feature(name)
            except Unknown:  # its file is gone
                self._faulty.pop(name, None)
            except Fault as e:
                said[e.message] = None
        return list(said)

    def _next_few(self) -> Iterator[str]:
        """Going on behind the one where the last look ended: many of the files in memory, or a few others."""
        names = self.feature_names()
        start, effort = bisect_right(names, self._looked_at), EFFORT
        for name in (*names[start:], *names[:start]):
            if effort <= 0:
                return
            effort -= 1 if self.files.in_memory(name) else READING
            self._looked_at = name
            yield name

    def playbook(self, name: str) -> Playbook:
        return self._model(self.files.playbook_document(name), Playbook)

    def playbook_names(self) -> list[str]:
        return self.files.playbook_names()

    def drill_names(self) -> list[str]:
        return self.files.drill_names()

    def drill(self, name: str) -> Drill:
        """Validated with its schedule, and its feature is there if it is enabled. Raises Fault with file and line."""
        document = self.files.drill_document(name)
        drill = self._model(document, Drill)
        self._walls(document, drill)
        try:
            if drill.enabled:
                self.files.feature_document(drill.feature)
        except Unknown as e:
            raise document.fault(e.message, "feature") from e
        except Fault:  # the feature's own: said there
            return drill
        return drill

    def walls(self, drill: Drill) -> Walls:
        """When its schedule says so, on the wall clock."""
        return self._walls(self.files.drill_document(drill.drill), drill)

    def _walls(self, document: Document, drill: Drill) -> Walls:
        if drill.schedule not in self._schedules:
            try:
                self._schedules[drill.schedule] = crontab.walls(drill.schedule)
            except Usage as e:
                raise document.fault(e.message, "schedule") from e
        return self._schedules[drill.schedule]

    def policy(self) -> Policy:
        """The present one, else the last good one, else the one of last resort: stopping must work in any case. A
        variable that is not set costs the page only: who may approve must not hang on a pager."""
        with contextlib.suppress(Fault):
            self._good_policy = self._policy()
        return self._good_policy or LAST_RESORT

    def policy_fault(self) -> str | None:
        try:
            self._model(self.files.policy_document(), Policy)
        except Fault as e:
            return e.message
        return None

    def _policy(self) -> Policy:
        document = self.files.policy_document()
        read = self._model(document, Policy)
        try:
            page = self._page(document)
        except Fault:
            page = ""
        return read if read.page == page else read.model_copy(update={"page": page})

    def _page(self, document: Document) -> str:
        """Where to page, with its variables. Raises Fault, which says nothing of their values."""
        if not self._model(document, Policy).page:
            return ""
        address = str(self.files.resolved(document, "page"))
        if not is_address(address):
            raise document.fault(f"page: what its variables make is no address: {ADDRESS}", "page")
        return address

    def page_fault(self) -> str | None:
        if self.policy_fault() is None:
            try:
                self._page(self.files.policy_document())
            except Fault as e:
                return e.message
        return None

    def connections(self) -> dict[str, Connection]:
        return self.files.connections()

    def connection_faults(self) -> dict[str, Fault]:
        return self.files.connection_faults()

    def _model(self, document: Document, model: type[M]) -> M:
        """Validated once per document: the files hand out the same document until it changes."""
        key = str(document.path)
        known = self._models.get(key)
        if known is not None and known[0] is document and isinstance(known[1], model):
            return known[1]
        try:
            made = model.model_validate(document.data)
        except ValidationError as e:
            raise fault_of(document, e, model) from e
        self._models[key] = (document, made)
        return made

    def _check_part(self, document: Document, part: Component) -> None:
        connections = self.files.connections()
        if part.target not in connections:
            if fault := self.files.connection_faults().get(part.target):
                raise fault
            guess = near(part.target, connections)
            meant = f" Did you mean {' or '.join(guess)}?" if guess else ""
            message = f"there is no connection {part.target!r} in targets.yaml.{meant}"
            raise document.fault(message, "components", part.name, "target")
        try:
            found = self._registry.problems(part, connections[part.target])
        except (Fault, Unknown) as e:
            raise document.fault(e.message, "components", part.name) from e
        if found:
            raise document.fault(found[0].text, "components", part.name, *found[0].where)

    def faults(self) -> Iterator[str]:
        """Everything that is wrong in the folder, one line each (for ``rollbot check``)."""
        yield from (f.message for f in self.files.strays())
        try:
            yield from (f.message for f in self.files.connection_faults().values())
        except Fault as e:
            yield e.message
        if fault := self.policy_fault() or self.page_fault():
            yield fault
        needed: dict[str, list[str]] = {}
        for name in self.files.playbook_names():
            try:
                self.playbook(name)
            except RollbotError as e:
                needed[e.message] = []
        for name in self.feature_names():
            try:
                yield from self._feature_faults(name, needed)
            except RollbotError as e:
                yield e.message
        yield from self._drill_faults()
        for message, features in needed.items():
            yield message + (f" (needed by {_few(features)})" if features else "")

    def _drill_faults(self) -> Iterator[str]:
        """There are few drills, and a faulty one disables only itself."""
        for name in self.drill_names():
            try:
                self.drill(name)
            except RollbotError as e:
                yield e.message

    def _feature_faults(self, name: str, needed: dict[str, list[str]]) -> Iterator[str]:
        """Those of its own file. Those of its playbook go to ``needed``, with the features that need it. Raises as
        ``feature``."""
        feature, document = self.feature(name), self.files.feature_document(name)
        try:
            playbook, steps = self.playbook(feature.playbook), self.files.playbook_document(feature.playbook)
        except Unknown as e:
            yield document.fault(e.message, "playbook").message
            return
        except Fault as e:
            needed.setdefault(e.message, []).append(name)
            return
        bound = bind(playbook, feature)
        for m in bound.misfits:
            needed.setdefault(steps.fault(m.text, "steps", m.step, m.verb.value, m.item).message, []).append(name)
        restores = any(s.verb == Verb.restore for s in playbook.steps)
        for part in bound.unhandled if restores else []:
            message = f"no step of {steps.path} handles {part}, so a rollback would leave it as it is"
            yield document.fault(message, "components", part).message


def _few(names: list[str]) -> str:
    return listed(names) if len(names) <= FEW else f"{', '.join(names[:FEW])} and {len(names) - FEW:,} more"
