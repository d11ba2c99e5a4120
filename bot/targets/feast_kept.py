"""A definition as bytes: the protos of a view and of what it names, kept with a capture and checked when read."""

from __future__ import annotations

import base64
import json
from typing import Any

from bot.core.errors import CorruptBlob
from bot.core.target import BlobRef, Call, Capture, Kind, canonical
from bot.targets.feast_definition import PROTO, TYPES, Definition
from bot.targets.feast_store import lib


def encode(d: Definition) -> bytes:
    """The protos of view, sources and entities, in one document."""
    document = {
        "format": 1,
        "type": d.type,
        "view": _text(d.view),
        "sources": {n: None if s is None else _text(s) for n, s in d.sources.items()},
        "entities": {n: _text(e) for n, e in d.entities.items()},
    }
    return canonical(document).encode()


def decode(data: bytes, number: int | None) -> Definition:
    """The inverse of ``encode``. Raises CorruptBlob."""
    try:
        document = json.loads(data)
        module, cls, proto_module, proto = TYPES[document["type"]]
        source = lib("feast.data_source").DataSource.from_proto
        source_proto = lib(PROTO + "DataSource_pb2").DataSource
        entity, entity_proto = lib("feast.entity").Entity.from_proto, lib(PROTO + "Entity_pb2").Entity
        return Definition(
            type=document["type"],
            view=getattr(lib(module), cls).from_proto(
                getattr(lib(proto_module), proto).FromString(base64.b64decode(document["view"]))
            ),
            number=number,
            sources={
                n: None if t is None else source(source_proto.FromString(base64.b64decode(t)))
                for n, t in document["sources"].items()
            },
            entities={n: entity(entity_proto.FromString(base64.b64decode(t))) for n, t in document["entities"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptBlob(f"the captured definition can't be read: {error}") from error


def load(c: Capture, blobs: Any) -> Definition:
    """The captured definition, checked against its digest. Raises CorruptBlob."""
    ref = c.blobs.get("definition")
    if not isinstance(ref, BlobRef) or "parts" not in c.data:
        raise CorruptBlob("the capture holds no definition")
    number = c.data.get("number")
    found = decode(blobs.get(ref), None if number is None else int(number))
    if found.parts != c.data["parts"]:
        raise CorruptBlob("the captured definition is not what its digest says")
    return found


def sibling(call: Call, name: str) -> Definition | None:
    """The definition of this view among the captures that the same run restores. Raises CorruptBlob."""
    for each in (call.context.get("siblings") or {}).values():
        c = Capture.model_validate(each)
        if c.kind == Kind.definition and "parts" in c.data and "definition" in c.blobs:
            found = load(c, call.blobs)
            if found.view.name == name:
                return found
    return None


def _text(thing: Any) -> str:
    return base64.b64encode(thing.to_proto().SerializeToString(deterministic=True)).decode()
