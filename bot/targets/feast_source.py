"""What should be served, computed from the view's batch source: the latest row of each entity at a time.

It reads as Feast's materialization reads, but writes nothing and changes no materialization interval.
"""

# ruff: noqa: SLF001 - Feast has no public call that computes rows without writing them
from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.core.errors import TargetError
from bot.targets.feast_definition import DUMMY, Definition
from bot.targets.feast_rows import Row, Rows, cell, key_values
from bot.targets.feast_store import Opened, lib

CHUNK = 20_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def latest(opened: Opened, d: Definition, until: datetime, delta_version: int | None = None) -> Any:
    """An arrow table with the latest row of each entity up to ``until``, under the view's own names.

    ``delta_version`` reads a source that is a Delta table as of that version. Raises TargetError.
    """
    source = d.view.batch_source
    if getattr(d.view, "feature_transformation", None) is not None:
        raise TargetError(f"{d.view.name} transforms its source: its rows can't be computed here")
    join_keys, features, time, created = lib("feast.utils")._get_column_names(d.view, list(d.entities.values()))
    if delta_version is None:
        found = opened.offline.pull_latest_from_table_or_query(
            config=opened.config,
            data_source=source,
            join_key_columns=join_keys,
            feature_name_columns=features,
            timestamp_field=time,
            created_timestamp_column=created,
            start_date=EPOCH,
            end_date=until,
        ).to_arrow()
    else:
        columns = [*join_keys, *features, time, *([created] if created else [])]
        found = _of_delta(opened, source, delta_version, columns, join_keys, [time, *([created] if created else [])])
    mapping = dict(source.field_mapping or {})
    return found.rename_columns([mapping.get(n, n) for n in found.column_names])


def _of_delta(opened: Opened, source: Any, version: int, columns: list[str], keys: list[str], order: list[str]) -> Any:
    path = delta_path(opened, source)
    if path is None:
        raise TargetError(f"source {source.name} is no Delta table: it can't be read as of version {version}")
    frame = lib("deltalake").DeltaTable(path, version=version).to_pyarrow_table(columns=columns).to_pandas()
    frame = frame.sort_values(order, kind="stable").drop_duplicates(keys, keep="last")
    return lib("pyarrow").Table.from_pandas(frame, preserve_index=False)


def delta_path(opened: Opened, source: Any) -> str | None:
    """The folder of a source that is a local Delta table, or its address elsewhere; None for anything else."""
    path = str(getattr(source, "path", "") or "")
    if re.match(r"^[a-z0-9]+://", path):
        return path if "Delta" in type(getattr(source, "file_format", None)).__name__ else None
    folder = Path(path) if Path(path).is_absolute() else Path(opened.config.repo_path or ".") / path
    return str(folder) if (folder / "_delta_log").is_dir() else None


def all_rows(d: Definition, table: Any) -> Rows:
    """The rows that a materialization of ``table`` would write."""
    found = Rows([f.name for f in d.view.features])
    for chunk in rows_of(d, table):
        found.rows.update(chunk.rows)
    return found


def rows_of(d: Definition, table: Any) -> Iterator[Rows]:
    """The same in chunks.

    Feast converts only the first batch of a chunked table, so batches are handed to it one by one.
    """
    features = [f.name for f in d.view.features]
    for batch in _batches(table):
        yield Rows(features, dict(_converted(d, batch)))


def between(
    opened: Opened, d: Definition, keys: Collection[bytes], start: datetime, end: datetime
) -> Iterator[tuple[bytes, Row]]:
    """Every row of these keys that the source has from ``start`` to ``end``, also those that others followed."""
    names, features, time, created = lib("feast.utils")._get_column_names(d.view, list(d.entities.values()))
    found = opened.offline.pull_all_from_table_or_query(
        config=opened.config,
        data_source=d.view.batch_source,
        join_key_columns=names,
        feature_name_columns=features,
        timestamp_field=time,
        created_timestamp_column=created,
        start_date=start,
        end_date=end,
    ).to_arrow()
    mapping = dict(d.view.batch_source.field_mapping or {})
    found = found.rename_columns([mapping.get(n, n) for n in found.column_names])
    for batch in _batches(narrow(d, found, keys)):
        yield from _converted(d, batch)


def _batches(table: Any) -> Any:
    return table.combine_chunks().to_batches(max_chunksize=CHUNK)


def _converted(d: Definition, batch: Any) -> Iterator[tuple[bytes, Row]]:
    convert, aware = lib("feast.utils")._convert_arrow_to_proto, lib("feast.utils").make_tzaware
    serialize = lib("feast.infra.key_encoding_utils").serialize_entity_key
    types = {c.name: c.dtype.to_value_type() for c in d.view.entity_columns}
    features = [f.name for f in d.view.features]
    for key, values, time, _ in convert(batch, d.view, types):
        yield serialize(key, 3), Row(int(aware(time).timestamp()), tuple(cell(values[f]) for f in features))


def keys_of(d: Definition, table: Any) -> set[bytes]:
    """The serialised entity keys of a source's table."""
    serialize = lib("feast.infra.key_encoding_utils").serialize_entity_key
    key_proto = lib("feast.protos.feast.types.EntityKey_pb2").EntityKey
    to_protos = lib("feast.type_map").python_values_to_proto_values
    columns = {
        c.name: to_protos(table.column(c.name).to_numpy(zero_copy_only=False), c.dtype.to_value_type())
        for c in d.view.entity_columns
    }
    names = list(columns)
    return {
        serialize(key_proto(join_keys=names, entity_values=list(v)), 3) for v in zip(*columns.values(), strict=True)
    }


def choose(keys: Collection[bytes], size: int, seed: str) -> list[bytes]:
    """At most ``size`` keys, the same ones also after others came."""
    if len(keys) <= size:
        return sorted(keys)
    salt = seed.encode()
    return sorted(sorted(keys, key=lambda k: hashlib.sha256(salt + k).digest())[:size])


def refusal(d: Definition) -> str | None:
    """Why the rows of such a view are not for this target; None if they are."""
    if d.type == "on_demand_feature_view":
        return f"{d.view.name} is computed when it is asked for: it has no rows, only its definition is restored"
    if d.type == "stream_feature_view" or getattr(d.view, "stream_source", None) is not None:
        return (
            f"{d.view.name} is fed by a stream or by pushes: its rows can't be taken back to a moment, "
            "because what was pushed since would be lost and what comes would overwrite them"
        )
    if getattr(d.view, "batch_source", None) is None:
        return f"{d.view.name} has no batch source"
    if not [e for e in d.view.entities if e != DUMMY]:
        return f"{d.view.name} has no entity: its single row can't be read by key"
    if not d.view.online:
        return f"{d.view.name} is not served online (online: false)"
    return None


def narrow(d: Definition, table: Any, keys: Collection[bytes]) -> Any:
    """The rows of a source's table that have one of these keys."""
    pa = lib("pyarrow")
    names = [c.name for c in d.view.entity_columns]
    wanted = pa.table({n: pa.array(v) for n, v in key_values(keys).items()})
    wanted = wanted.select(names).cast(pa.schema([table.schema.field(n).remove_metadata() for n in names]))
    index = table.select(names).append_column("__at", pa.array(range(table.num_rows), pa.int64()))
    found = index.join(wanted, keys=names, join_type="left semi")
    return table.take(found.column("__at"))


def readable(opened: Opened, d: Definition) -> None:
    """Raises TargetError if the view's source isn't there; apply and pin don't look."""
    source = getattr(d.view, "batch_source", None)
    if source is None or d.type == "on_demand_feature_view":
        return
    try:
        list(source.get_table_column_names_and_types(opened.config))
    except NotImplementedError:
        return
    except Exception as error:  # every kind of source raises its own
        text = " ".join(str(error).split())[:200]
        raise TargetError(f"source {source.name} can't be read: {type(error).__name__}: {text}") from error
