"""The practice feature store: Feast with a SQL registry over the Delta table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import feast.feature_store
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.data_format import DeltaFormat
from feast.repo_config import load_repo_config
from feast.types import Float64, Int64
from feast.value_type import ValueType

from bot.practice.stack.layout import Layout
from bot.practice.stack.world import KEY, LOGICS, TIME, VIEW, Logic

LOGIC_TAG = "logic"
TYPES = {"trips_today": Int64}

# materialize() prints its progress and takes no option to stop; stdout belongs to the protocol with the parent.
setattr(feast.feature_store, "print", lambda *_words, **_options: None)  # noqa: B010


def open_store(layout: Layout, *, serving: bool = False) -> FeatureStore:
    """The stack's feature store, from its own YAML file as a user would open it."""
    file = layout.serving_store if serving else layout.feature_store
    return FeatureStore(config=load_repo_config(layout.folder, file))


def definition(layout: Layout, logic: Logic) -> list[Any]:
    """What a release's repository declares: entity, source and feature view."""
    entity = Entity(name="driver", join_keys=[KEY], value_type=ValueType.INT64, description="A driver of the fleet")
    source = FileSource(
        name="driver_stats_source", path=str(layout.lake), file_format=DeltaFormat(), timestamp_field=TIME
    )
    schema = [Field(name=name, dtype=TYPES.get(name, Float64)) for name in logic.features]
    view = FeatureView(
        name=VIEW,
        entities=[entity],
        ttl=timedelta(days=logic.ttl_days),
        schema=[Field(name=KEY, dtype=Int64), *schema],
        source=source,
        description=logic.about,
        tags={LOGIC_TAG: logic.release},
        owner="ml-platform@example.com",
    )
    return [entity, source, view]


def refresh(store: Any) -> None:
    """See the registry as it is now (``Any``: this method of Feast has no types)."""
    store.refresh_registry()


def apply(store: FeatureStore, layout: Layout, logic: Logic) -> None:
    """``feast apply`` of the release's repository."""
    store.apply(definition(layout, logic))
    refresh(store)


def live_logic(store: FeatureStore) -> Logic:
    """The logic that the live definition names: pipelines follow the registry, also after a rollback."""
    refresh(store)
    return LOGICS[store.get_feature_view(VIEW).tags[LOGIC_TAG]]


def materialize(store: FeatureStore, start: datetime, end: datetime) -> None:
    """Newest row of each driver within the window into the online store."""
    refresh(store)
    store.materialize(start, end, feature_views=[VIEW])


def read_online(store: FeatureStore, features: Sequence[str], ids: Sequence[int]) -> dict[str, list[Any]]:
    """Online values by column, in the order of ``ids``; None where nothing is served."""
    refresh(store)
    refs = [f"{VIEW}:{name}" for name in features]
    return store.get_online_features(features=refs, entity_rows=[{KEY: i} for i in ids]).to_dict()
