"""From a component in YAML to a target: entry points say which classes there are, and ``TargetPort`` calls them in
children. Our own targets are listed exactly like a stranger's."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError

from bot.core.errors import Fault, RollbotError, TargetError, Unknown
from bot.core.ports import Clock, Component, Errand
from bot.core.target import (
    Accuracy,
    Capture,
    Connection,
    Diff,
    Holdable,
    Json,
    Kind,
    Readiness,
    Receipt,
    State,
    Switchable,
    Target,
    Value,
    Visibility,
)
from bot.core.text import listed, near
from bot.outside.child import Children, Request
from bot.outside.faults import Problem, folded, problems
from bot.outside.wire import one_line
from bot.outside.work import METHODS

GROUP: Final = "rollbot.targets"
_CONTRACT: Final = ("resource", *METHODS)
V = TypeVar("V", bound=Value)


class Registry:
    """The types of system there are. ``extra``: classes by type, beside (and before) those of installed packages."""

    def __init__(self, extra: Mapping[str, Iterable[Any]] | None = None) -> None:
        self._found = {name: _by_kind(name, list(given)) for name, given in (extra or {}).items()}
        self._points: dict[str, list[EntryPoint]] | None = None

    def types(self) -> list[str]:
        """All names, in order; no target is imported."""
        return sorted({*self._found, *self._entry_points()})

    def classes(self, type_: str) -> dict[Kind, type[Target]]:
        """The classes of a type of system, by kind. Raises Unknown with near misses, Fault if they can't be loaded."""
        if type_ not in self._found:
            points = self._entry_points().get(type_)
            if not points:
                known = f"; known are {listed(self.types())}." if not near(type_, self.types()) else "."
                raise Unknown(f"there is no type of system {type_!r}{known}", near=near(type_, self.types()))
            self._found[type_] = _by_kind(type_, _load(type_, points))
        return self._found[type_]

    def build(self, component: Component, connection: Connection) -> Target:
        """The target of a component. Raises Fault in one line that names the component and the key."""
        cls = self._class(component, connection)
        try:
            return cast("Target", cls.model_validate(component.params))
        except ValidationError as e:
            raise Fault(f"component {component.name}: {folded(e, cls)}") from e

    def problems(self, component: Component, connection: Connection) -> list[Problem]:
        """What is wrong with the parameters, each with the way to its key, so that a caller who has the file can say
        the line. Raises as ``classes`` does."""
        cls = self._class(component, connection)
        try:
            cls.model_validate(component.params)
        except ValidationError as e:
            return problems(e, cls)
        return []

    def reference(self, component: Component, connection: Connection) -> str:
        """``module:Class``, from which a child finds the class again."""
        cls = self._class(component, connection)
        return f"{cls.__module__}:{cls.__qualname__}"

    def _class(self, component: Component, connection: Connection) -> type[BaseModel]:
        found = self.classes(connection.type)
        if component.kind not in found:
            has = f"a {connection.type} connection has {listed(found)}"
            raise Fault(f"component {component.name}: {connection.name} can't be used for a {component.kind}; {has}")
        return cast("type[BaseModel]", found[component.kind])

    def _entry_points(self) -> dict[str, list[EntryPoint]]:
        if self._points is None:
            self._points = {}
            for point in entry_points(group=GROUP):
                self._points.setdefault(point.name, []).append(point)
        return self._points


def _load(type_: str, points: list[EntryPoint]) -> list[Any]:
    """What the one entry point names, as a list of classes."""
    if len(points) > 1:
        owners = listed(sorted(p.dist.name if p.dist else p.value for p in points))
        raise Fault(f"the type {type_!r} is offered by {owners}: uninstall all but one")
    point = points[0]
    try:
        found = point.load()
    except Exception as e:
        owner = point.dist.name if point.dist else "a package"
        reason = one_line(f"{type(e).__name__}: {e}")
        raise Fault(f"the type {type_!r} of {owner} can't be loaded from {point.value}: {reason}") from e
    if isinstance(found, Mapping):
        return list(found.values())
    return list(found) if isinstance(found, list | tuple | set | frozenset) else [found]


def _by_kind(type_: str, classes: list[Any]) -> dict[Kind, type[Target]]:
    found: dict[Kind, type[Target]] = {}
    for cls in classes:
        name = getattr(cls, "__name__", repr(cls))
        kind = getattr(cls, "kind", None)
        if not (inspect.isclass(cls) and issubclass(cls, BaseModel)) or kind not in list(Kind):
            raise Fault(f"the type {type_!r} lists {name}, which is no pydantic class with a 'kind'")
        if lacking := [method for method in _CONTRACT if not callable(getattr(cls, method, None))]:
            raise Fault(f"the type {type_!r} lists {name}, which lacks {listed(lacking)}")
        if Kind(kind) in found:
            raise Fault(f"the type {type_!r} lists two classes for a {kind}")
        found[Kind(kind)] = cast("type[Target]", cls)
    if not found:
        raise Fault(f"the type {type_!r} lists no target class")
    return found


class TargetPort:
    """``core.ports.Targets``: each call in a child of its own; what is pure in this process.

    ``connections`` and ``faults`` (of the connections that are not among them) are asked at every call, so that an
    edited ``targets.yaml`` counts at once.
    """

    def __init__(
        self,
        registry: Registry,
        children: Children,
        connections: Callable[[], Mapping[str, Connection]],
        clock: Clock,
        faults: Callable[[], Mapping[str, Fault]] = dict,
    ) -> None:
        self._registry = registry
        self._children = children
        self._connections = connections
        self._clock = clock
        self._faults = faults

    def resource(self, c: Component) -> str:
        """Raises Fault for a component that is wrong, Unknown for a connection that is not there."""
        target, connection = self._target(c)
        return target.resource(connection)

    def fault(self, c: Component) -> str | None:
        """One line saying what is wrong with the component's parameters or connection; None if nothing is."""
        try:
            self.resource(c)
        except RollbotError as e:
            return one_line(e.message)
        except Exception as e:  # noqa: BLE001  a stranger's resource() must not end `check`
            return one_line(f"component {c.name}: {type(e).__name__}: {e}")
        return None

    async def inspect(self, c: Component, errand: Errand) -> State:
        return _parsed(State, c, await self._call(c, "inspect", errand))

    async def capture(self, c: Component, errand: Errand, at: str | None = None) -> Capture:
        return _parsed(Capture, c, await self._call(c, "capture", errand, at))

    async def readiness(self, c: Component, errand: Errand, capture: Capture) -> Readiness:
        return _parsed(Readiness, c, await self._call(c, "readiness", errand, capture))

    async def diff(self, c: Component, errand: Errand, capture: Capture) -> Diff:
        return _parsed(Diff, c, await self._call(c, "diff", errand, capture))

    async def restore(self, c: Component, errand: Errand, capture: Capture, before: Capture) -> Receipt:
        return _parsed(Receipt, c, await self._call(c, "restore", errand, capture, before))

    async def visible(self, c: Component, errand: Errand, capture: Capture) -> Visibility:
        return _parsed(Visibility, c, await self._call(c, "visible", errand, capture))

    async def verify(self, c: Component, errand: Errand, capture: Capture) -> Accuracy:
        return _parsed(Accuracy, c, await self._call(c, "verify", errand, capture))

    async def sandbox(self, c: Component, errand: Errand) -> Component:
        """The component whose target is a sandbox, made now, in which every capture of ``c`` is valid."""
        return replace(c, params=await self._call(c, "sandbox", errand))

    async def discard(self, c: Component, errand: Errand) -> None:
        """Remove a sandbox; harmless if it is gone."""
        await self._call(c, "discard", errand)

    def disabled(self, c: Component, now: Capture) -> Capture:
        """Raises TargetError if this type of system can't switch."""
        return self._switchable(c).disabled(now)

    def at(self, c: Component, now: Capture, percent: int) -> Capture:
        """Raises as ``disabled``."""
        return self._switchable(c).at(now, percent)

    def held(self, c: Component, now: Capture) -> Capture:
        """Raises TargetError if this type of system can't be held."""
        return self._holdable(c).held(now)

    def lifted(self, c: Component, now: Capture) -> Capture:
        """Raises as ``held``."""
        return self._holdable(c).lifted(now)

    def _switchable(self, c: Component) -> Switchable:
        target, connection = self._sound(c)
        if not isinstance(target, Switchable):
            raise TargetError(
                f"component {c.name}: a {c.kind} in {connection.type} can't be disabled or set to a share"
            )
        return target

    def _holdable(self, c: Component) -> Holdable:
        target, connection = self._sound(c)
        if not isinstance(target, Holdable):
            raise TargetError(f"component {c.name}: a {c.kind} in {connection.type} can't be held or lifted")
        return target

    def _connection(self, c: Component) -> Connection:
        known = self._connections()
        if c.target in known:
            return known[c.target]
        if fault := self._faults().get(c.target):
            raise copy.copy(fault)
        message = f"component {c.name}: there is no connection {c.target!r} in targets.yaml."
        raise Unknown(message, near=near(c.target, known))

    def _sound(self, c: Component) -> tuple[Target, Connection]:
        try:
            return self._target(c)
        except Fault as e:
            raise TargetError(e.message) from e

    def _target(self, c: Component) -> tuple[Target, Connection]:
        connection = self._connection(c)
        return self._registry.build(c, connection), connection

    async def _call(self, c: Component, method: str, errand: Errand, *args: Capture | str | None) -> Json:
        try:
            request = self._request(c, method, errand, args)
            return await self._children.run(
                request,
                timeout=errand.timeout,
                on_progress=errand.progress,
                check=errand.check,
                urgent=errand.urgent,
            )
        except Fault as e:  # a step that meets one has failed like any other
            raise TargetError(e.message) from e

    def _request(self, c: Component, method: str, errand: Errand, args: tuple[Capture | str | None, ...]) -> Request:
        _, connection = self._target(c)
        return Request(
            type=connection.type,
            target=self._registry.reference(c, connection),
            params=c.params,
            method=method,
            connection=connection,
            now=self._clock.now(),
            args=[a.model_dump(mode="json") if isinstance(a, Capture) else a for a in args],
            connections=dict(self._connections()),
            key=errand.key,
            fence=errand.fence,
            context=errand.context or {},
        )


def _parsed(model: type[V], c: Component, answer: Json) -> V:
    try:
        return model.model_validate(answer)
    except ValidationError as e:
        words = one_line(folded(e, values=False))
        raise TargetError(f"component {c.name}: its target's answer is no {model.__name__}: {words}") from e
