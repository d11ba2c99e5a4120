"""A feature view field by field, as a person reads it on a card."""

from __future__ import annotations

from typing import Any

from bot.core.target import Json, digest_of
from bot.targets.feast_definition import Definition, view_body


def facts(d: Definition) -> dict[str, Json]:
    """Short values by short names; what is empty or at its default is left out."""
    view, body = d.view, view_body(d.view)
    found: dict[str, Json] = {
        "version": d.pointer,
        "entities": [f"{n} ({e.join_key})" for n, e in d.entities.items()],
        **{f"feature {f.name}": str(f.dtype) for f in sorted(view.features, key=lambda f: str(f.name))},
        "ttl": _ttl(view),
        "source": _where(getattr(view, "batch_source", None)),
        "stream source": _where(getattr(view, "stream_source", None)),
        **{f"registered source {n}": _where(s) for n, s in d.sources.items()},
        "online": getattr(view, "online", None),
        "enabled": None if getattr(view, "enabled", True) else False,
        "tags": dict(view.tags) or None,
        "owner": view.owner or None,
        "description": view.description or None,
        "org": getattr(view, "org", "") or None,
        "mode": str(body.get("mode", "")) or None,
        "transformation": _transformation(body),
    }
    return {name: value for name, value in found.items() if value is not None}


def _ttl(view: Any) -> str | None:
    ttl = getattr(view, "ttl", None)
    return str(ttl) if ttl else None


def _where(source: Any) -> str | None:
    """The path, table or topic behind a source, whatever its kind calls it."""
    if source is None:
        return None
    for name in ("path", "table", "query", "topic"):
        found = getattr(source, name, None)
        if found:
            return str(found)
    options = getattr(source, "kafka_options", None) or getattr(source, "kinesis_options", None)
    return str(getattr(options, "topic", None) or getattr(options, "stream_name", None) or source.name)


def _transformation(body: dict[str, Json]) -> str | None:
    found = body.get("feature_transformation") or body.get("user_defined_function")
    return digest_of(found)[7:15] if found else None
