"""A Feast offline store that reads Delta tables at their current version.

Feast's own file store reads every parquet file in the folder, also those that Delta has removed, and its duckdb
store wants an extension from the network. Named in feature_store.yaml by this module's path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from feast.data_format import DeltaFormat
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import _get_requested_feature_views_to_features_dict
from typing_extensions import override

ENTITY_TIME = "event_timestamp"


class DeltaOfflineStoreConfig(FeastConfigBaseModel):
    """``offline_store: {type: bot.practice.stack.delta_offline.DeltaOfflineStore}``."""

    type: Literal["bot.practice.stack.delta_offline.DeltaOfflineStore"] = (
        "bot.practice.stack.delta_offline.DeltaOfflineStore"
    )


class DeltaRetrievalJob(RetrievalJob):
    """Reads when asked for the result, not before."""

    def __init__(
        self,
        read: Callable[[], pa.Table],
        *,
        full_feature_names: bool = False,
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._read = read
        self._full_feature_names = full_feature_names
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._metadata

    @override
    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._read().to_pandas()

    @override
    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        # Feast's local engine takes only the first chunk of a table when it turns rows into protos
        # (feast 0.67, utils._convert_arrow_fv_to_proto), so a table in chunks would lose rows.
        return self._read().combine_chunks()


class DeltaOfflineStore(OfflineStore):
    """Every read sees one Delta version: the newest at the moment of reading."""

    @override
    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """The newest row of each entity within the window."""
        order = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
        columns = [*join_key_columns, *feature_name_columns, *order]

        def read() -> pa.Table:
            table = _read(config, data_source, columns, timestamp_field, start_date, end_date)
            return latest(table, join_key_columns, order)

        return DeltaRetrievalJob(read)

    @override
    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """All rows within the window, oldest first: an online store that keeps the last write keeps the newest."""
        order = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
        columns = [*join_key_columns, *feature_name_columns, *order]

        def read() -> pa.Table:
            table = _read(config, data_source, columns, timestamp_field, start_date, end_date)
            return table.sort_by([(name, "ascending") for name in order])

        return DeltaRetrievalJob(read)

    @override
    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **kwargs: Any,
    ) -> RetrievalJob:
        """Point-in-time join: for each row of ``entity_df`` the newest features not after its event time."""
        if not isinstance(entity_df, pd.DataFrame) or ENTITY_TIME not in entity_df:
            raise ValueError(f"the Delta offline store needs a pandas entity_df with a column {ENTITY_TIME}")
        wanted, _ = _get_requested_feature_views_to_features_dict(feature_refs, feature_views, [])
        entities = entity_df

        def read() -> pa.Table:
            times = pd.to_datetime(entities[ENTITY_TIME], utc=True).dt.as_unit("us")  # as in Delta; they must agree
            joined = entities.assign(**{ENTITY_TIME: times}).sort_values(ENTITY_TIME, kind="stable")
            for view, features in wanted.items():
                joined = _join(config, view, list(features), joined, prefix=full_feature_names)
            return pa.Table.from_pandas(joined.sort_index(), preserve_index=False)

        keys = [name for name in entities.columns if name != ENTITY_TIME]
        window = entities[ENTITY_TIME].min(), entities[ENTITY_TIME].max()
        metadata = RetrievalMetadata(feature_refs, keys, *window)
        return DeltaRetrievalJob(read, full_feature_names=full_feature_names, metadata=metadata)


def latest(table: pa.Table, keys: Sequence[str], order: Sequence[str]) -> pa.Table:
    """The last row per key in the given order."""
    frame = table.to_pandas().sort_values(list(order), kind="stable").drop_duplicates(list(keys), keep="last")
    return pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)


def _join(
    config: RepoConfig, view: FeatureView, features: list[str], left: pd.DataFrame, *, prefix: bool
) -> pd.DataFrame:
    source = view.batch_source
    if source is None:
        raise ValueError(f"feature view {view.name} has no batch source to read from")
    keys = [column.name for column in view.entity_columns]
    time = source.timestamp_field
    table = _read(config, source, [*keys, *features, time], time, None, None)
    right = table.to_pandas().sort_values(time, kind="stable").rename(columns={time: "__feature_time"})
    if prefix:
        shown = view.projection.name_alias or view.projection.name
        right = right.rename(columns={name: f"{shown}__{name}" for name in features})
    ttl = view.ttl or timedelta(days=36_500)
    joined = pd.merge_asof(
        left, right, left_on=ENTITY_TIME, right_on="__feature_time", by=keys, tolerance=pd.Timedelta(ttl)
    )
    return joined.set_index(left.index).drop(columns="__feature_time")


def _read(
    config: RepoConfig,
    source: DataSource,
    columns: list[str],
    time: str,
    start: datetime | None,
    end: datetime | None,
) -> pa.Table:
    """Rows from ``start`` to ``end``, both included. Raises ValueError naming the columns that the table lacks."""
    if not isinstance(source, FileSource) or not isinstance(source.file_format, DeltaFormat):
        raise TypeError(f"data source {source.name} is no FileSource with file_format=DeltaFormat()")
    table = DeltaTable(FileSource.get_uri_for_file_path(config.repo_path, source.path))
    data = table.to_pyarrow_dataset()
    absent = [name for name in columns if name not in data.schema.names]
    if absent:
        raise ValueError(f"{source.path} at version {table.version()} has no column {', '.join(absent)}")
    window: ds.Expression | None = None
    for bound in [ds.field(time) >= start if start else None, ds.field(time) <= end if end else None]:
        if bound is not None:
            window = bound if window is None else window & bound
    return data.to_table(columns=columns, filter=window)
