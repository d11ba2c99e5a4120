"""One feature view as the registry holds it: its version number, its canonical digest, its facts, its bytes.

Feast makes no version for a changed source, TTL, tag or owner, and raw proto bytes change at a no-op apply,
so the identity of a definition is computed here from everything a person would call a change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from bot.core.errors import TargetError
from bot.core.target import Json, canonical, digest_of
from bot.targets.feast_store import Opened, lib, unknown_view

PROTO = "feast.protos.feast.core."
TYPES = {
    "feature_view": ("feast.feature_view", "FeatureView", PROTO + "FeatureView_pb2", "FeatureView"),
    "stream_feature_view": (
        "feast.stream_feature_view",
        "StreamFeatureView",
        PROTO + "StreamFeatureView_pb2",
        "StreamFeatureView",
    ),
    "on_demand_feature_view": (
        "feast.on_demand_feature_view",
        "OnDemandFeatureView",
        PROTO + "OnDemandFeatureView_pb2",
        "OnDemandFeatureView",
    ),
}
DUMMY = "__dummy"


@dataclass(frozen=True)
class Definition:
    """A view with the registered sources and entities it names.

    ``number``: Feast's version number; None if none can be told (``base``). ``sources`` map a name to Feast's
    object, or to None where the registry has no such source.
    """

    type: str
    view: Any
    number: int | None
    sources: dict[str, Any]
    entities: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

    @property
    def pointer(self) -> str:
        return "base" if self.number is None else f"v{self.number}"

    @property
    def parts(self) -> dict[str, str]:
        """Digests of the three things that are written one after the other."""
        return {
            "view": digest_of(view_body(self.view)),
            "sources": digest_of({n: source_body(s) for n, s in self.sources.items()}),
            "entities": digest_of({n: [e.join_key, e.value_type.name] for n, e in self.entities.items()}),
        }

    @property
    def digest(self) -> str:
        return digest_of(self.parts)

    @property
    def version(self) -> str:
        return f"{self.pointer}#{self.digest}"


def read(opened: Opened, name: str) -> Definition:
    """The view as the registry holds it now. Raises Unknown, TargetError."""
    not_found = lib("feast.errors").FeastObjectNotFoundException
    try:
        view = opened.registry.get_any_feature_view(name, opened.project)
    except not_found:
        raise unknown_view(opened, name) from None
    number, warnings = _number(opened, view)
    return _with_registered(opened, view, number, warnings)


def read_version(opened: Opened, name: str, number: int) -> Definition:
    """A version that the registry still holds, with its own sources and the entities registered now."""
    found = _with_registered(opened, stored(opened, name, number), number, [])
    return replace(found, sources={s.name: s for s in _sources(found.view)})


def stored_numbers(opened: Opened, name: str) -> list[int]:
    """The version numbers in the registry's history, ascending. Empty for an unknown view, as in Feast."""
    try:
        listed = opened.registry.list_feature_view_versions(name, opened.project)
    except NotImplementedError:
        return []
    return sorted(int(v["version_number"]) for v in listed)


def stored(opened: Opened, name: str, number: int) -> Any:
    """The stored view of a version. The number must be one of ``stored_numbers``."""
    return opened.registry.get_feature_view_by_version(name, opened.project, number)


def same_schema(one: Any, other: Any) -> bool:
    """As Feast judges it at an apply: False means that applying makes a new version."""
    return not one._schema_or_udf_changed(other)  # noqa: SLF001 - no public call says what an apply will do


def _number(opened: Opened, view: Any) -> tuple[int | None, list[str]]:
    number = getattr(view, "current_version_number", None)
    if number is not None:
        return int(number), []
    numbers = stored_numbers(opened, view.name)
    first = not numbers or (0 in numbers and same_schema(view, stored(opened, view.name, 0)))
    if first and (not opened.versioned or numbers in ([], [0])):
        return 0, []
    newest = next((n for n in reversed(numbers) if same_schema(view, stored(opened, view.name, n))), None)
    if first and newest == 0:
        return 0, []
    if not opened.versioned:
        return newest, []
    shown = f"v{newest}'s" if newest is not None else "another"
    switched = (
        f"the registry shows {shown} schema but has no current version number, so reads go to v0's rows: "
        "a metadata-only apply does that. Materializing now overwrites v0's rows"
    )
    return (0 if first else None), [switched]


def _with_registered(opened: Opened, view: Any, number: int | None, warnings: list[str]) -> Definition:
    return Definition(
        type=type_of(view),
        view=view,
        number=number,
        sources={s.name: _registered_source(opened, s.name) for s in _sources(view)},
        entities={n: opened.registry.get_entity(n, opened.project) for n in sorted(view.entities) if n != DUMMY},
        warnings=warnings,
    )


def type_of(view: Any) -> str:
    """Which of ``TYPES`` a view is. Raises TargetError for a kind that Rollbot does not handle."""
    by_class = {"StreamFeatureView": "stream_feature_view", "OnDemandFeatureView": "on_demand_feature_view"}
    names = [c.__name__ for c in type(view).__mro__]
    for name in names:
        if name in by_class:
            return by_class[name]
    if "FeatureView" not in names:
        raise TargetError(f"{view.name} is a {names[0]}, which Rollbot does not handle")
    return "feature_view"


def _sources(view: Any) -> list[Any]:
    found = [getattr(view, "batch_source", None), getattr(view, "stream_source", None)]
    return [s for s in found if s is not None and s.name]


def _registered_source(opened: Opened, name: str) -> Any:
    try:
        return opened.registry.get_data_source(name, opened.project)
    except lib("feast.errors").FeastObjectNotFoundException:
        return None


# -- identity ------------------------------------------------------------------------------------------


def view_body(view: Any) -> dict[str, Json]:
    """Everything of a view that a person would call a change, independent of order and of time."""
    proto = view.to_proto()
    spec = type(proto.spec)()
    spec.CopyFrom(proto.spec)
    for name in ("project", "version"):
        spec.ClearField(name)
    for name in ("batch_source", "stream_source"):
        if name in spec.DESCRIPTOR.fields_by_name and spec.HasField(name):
            _without_times(getattr(spec, name))
    body = _as_dict(spec)
    keys = {c["name"] for c in body.get("entity_columns", [])}
    body["features"] = _by_name(f for f in body.get("features", []) if f["name"] not in keys)
    body["entity_columns"] = _by_name(body.get("entity_columns", []))
    body["entities"] = sorted(body.get("entities", []))
    for source in body.get("sources", {}).values():
        _drop_times(source)
    _without_pickles(body)
    return body


def source_body(source: Any) -> Json:
    """A registered data source, without times and project."""
    if source is None:
        return None
    proto = source.to_proto()
    _without_times(proto)
    return _as_dict(proto)


def _without_times(source: Any) -> None:
    source.ClearField("meta")
    source.ClearField("project")
    if source.HasField("batch_source"):
        _without_times(source.batch_source)


def _drop_times(value: Json) -> None:
    """For the sources of an on-demand view, whose protos nest; a tag called meta or project is a string."""
    if not isinstance(value, dict):
        return
    for name in ("meta", "project"):
        if name in value and (name == "project" or isinstance(value[name], dict)):
            del value[name]
    for name, inner in value.items():
        if name != "tags":
            _drop_times(inner)


def _without_pickles(value: Json) -> None:
    """A function's pickle differs at each serialization; its text says the same."""
    if isinstance(value, list):
        for inner in value:
            _without_pickles(inner)
    elif isinstance(value, dict):
        if value.get("body_text"):
            value.pop("body", None)
        for inner in value.values():
            _without_pickles(inner)


def _by_name(fields: Any) -> list[Json]:
    return sorted(fields, key=lambda f: str(f["name"]))


def _as_dict(message: Any) -> dict[str, Json]:
    found = lib("google.protobuf.json_format").MessageToDict(message, preserving_proto_field_name=True)
    plain: dict[str, Json] = json.loads(canonical(found))
    return plain
