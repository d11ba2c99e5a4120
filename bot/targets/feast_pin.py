"""Brings a captured definition back, exactly, without ever making a version.

Feast's pin alone loses source, TTL and tags; applying alone makes a new version with empty rows; and a
pin of an unknown number silently creates it. So: resolve the number first, pin only where the schema
differs, then apply the captured proto under the captured number. Each step is checked before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.core.errors import Moved, TargetError
from bot.core.target import digest_of
from bot.targets import feast_definition as definition
from bot.targets.feast_definition import Definition
from bot.targets.feast_store import Opened

MATERIALIZING = "MATERIALIZING"


def unrestorable(opened: Opened, want: Definition) -> list[str]:
    """Why ``want`` could not be brought back now; empty if it can. Writes nothing."""
    reasons = []
    kind = opened.registry_type
    if kind == "file" and opened.settings.writers != "only_rollbot":
        reasons.append(
            "a file registry loses updates when two write it: use a SQL registry, or promise on the connection"
            " that nobody else writes it (writers: only_rollbot)"
        )
    elif kind not in ("file", "sql"):
        reasons.append(f"restoring is not supported with a {kind} registry: use a SQL registry")
    name = want.view.name
    live = definition.read(opened, name)
    history = definition.stored_numbers(opened, name)
    if kind == "file" and getattr(live.view.state, "name", "") == MATERIALIZING:
        reasons.append(f"{name} is being materialized, and a file registry loses one of two updates")
    if pin_number(opened, want) is None and (history or not definition.same_schema(live.view, want.view)):
        what = "no version" if want.number is None else f"no v{want.number}"
        reasons.append(f"the registry's history of {name} holds {what} with the captured schema (any more)")
    return reasons


def pin_number(opened: Opened, want: Definition) -> int | None:
    """The stored version to pin on the way to ``want``: its own number, else the newest of its schema."""
    name = want.view.name
    numbers = definition.stored_numbers(opened, name)
    wanted = list(reversed(numbers)) if want.number is None else [n for n in numbers if n == want.number]
    for number in wanted:
        if definition.same_schema(want.view, definition.stored(opened, name, number)):
            return number
    return None


def guard(opened: Opened, live: Definition, want: Definition, before: tuple[str, dict[str, str]]) -> None:
    """Compare-and-set. ``before``: pointer and parts of the pre-image.

    The live definition may be the pre-image, ``want``, or what a restore of ``want`` leaves when it is
    killed in between. Raises Moved.
    """
    pointer, parts = before
    stages = {(pointer, parts.get("view")), (want.pointer, want.parts["view"])}
    number = pin_number(opened, want)
    if number is not None:
        pinned = definition.stored(opened, want.view.name, number)
        stages.add((f"v{number}", digest_of(definition.view_body(pinned))))
    registered = all(live.parts[p] in (parts.get(p), want.parts[p]) for p in ("sources", "entities"))
    if (live.pointer, live.parts["view"]) not in stages or not registered:
        raise Moved(
            f"{live.view.name} is now {live.pointer}, and not as it was when this run looked ({pointer}): "
            "somebody else wrote the registry"
        )


def bring_back(opened: Opened, want: Definition, check: Callable[[], None]) -> bool:
    """Make the registry say ``want``; True if anything was written. ``check`` is asked before each write.

    Safe to repeat after a kill between any two writes. Raises TargetError if Feast does not do as told.
    """
    name = want.view.name
    live = definition.read(opened, name)
    if _done(live, want):
        return False
    reasons = unrestorable(opened, want)
    if reasons:
        raise TargetError(f"{name} can't be restored: {reasons[0]}")
    if live.parts["view"] != want.parts["view"] or live.number != want.number or _pinned(live.view):
        live = _pin_if_needed(opened, live, want, check)
    _registered(opened, live, want, check)
    _apply(opened, want, check)
    opened.registry.refresh(opened.project)
    now = definition.read(opened, name)
    if now.version != want.version:
        raise TargetError(f"{name}: Feast reported success, but the registry says {now.pointer}, not {want.pointer}")
    return True


def _done(live: Definition, want: Definition) -> bool:
    """A view left pinned is not done: the team's next apply, unpinned, would lose its version number."""
    return live.version == want.version and (not _pinned(live.view) or _pinned(want.view))


def _pinned(view: Any) -> bool:
    return str(view.version or "latest").lower() != "latest"


def _pin_if_needed(opened: Opened, live: Definition, want: Definition, check: Callable[[], None]) -> Definition:
    """Feast skips an apply that it takes for no change, and versions one that changes the schema."""
    if definition.same_schema(live.view, want.view) and live.view != _fresh(want):
        return live
    number = pin_number(opened, want)
    if number is None:
        return live  # no history at all: the first apply under this Feast
    check()
    view = live.view
    view.version = f"v{number}"  # resolved above: an unknown number would be created
    opened.registry.apply_feature_view(view, opened.project, commit=True)
    opened.registry.refresh(opened.project)
    return definition.read(opened, want.view.name)


def _registered(opened: Opened, live: Definition, want: Definition, check: Callable[[], None]) -> None:
    """Entities and data sources, which a pin does not take back."""
    for name, entity in want.entities.items():
        now = live.entities.get(name)
        if now is None or (now.join_key, now.value_type) != (entity.join_key, entity.value_type):
            check()
            opened.registry.apply_entity(entity, opened.project, commit=True)
    for name, source in want.sources.items():
        now = live.sources.get(name)
        if source is not None and definition.source_body(now) != definition.source_body(source):
            check()
            opened.registry.apply_data_source(source, opened.project, commit=True)


def _apply(opened: Opened, want: Definition, check: Callable[[], None]) -> None:
    live = definition.read(opened, want.view.name)
    if _done(live, want):
        return
    if not definition.same_schema(live.view, want.view) and pin_number(opened, want) is not None:
        raise Moved(f"{want.view.name} was changed while it was being restored")
    check()
    opened.registry.apply_feature_view(_fresh(want), opened.project, commit=True)


def _fresh(want: Definition) -> Any:
    """The captured view, to be applied as the latest under its own number."""
    view = type(want.view).from_proto(want.view.to_proto())
    view.version = "latest"
    view.current_version_number = want.number
    if view.state.name == MATERIALIZING:  # as captured; nobody would end it, and Feast would serve nothing
        view.state = type(view.state).AVAILABLE_ONLINE
    return view
