"""A private copy of one view's part of a Feast store, in which every capture taken here stays valid.

Registry and SQLite rows go to a folder of this machine, Redis rows under another project of the same server.
Production is only read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from itertools import islice
from pathlib import Path

from bot.core.errors import LostOwnership, TargetError
from bot.core.target import Call
from bot.targets import feast_definition as definition
from bot.targets import feast_pin, feast_tables
from bot.targets.feast_definition import Definition
from bot.targets.feast_store import Opened, drill_folder, lib, opened

COMPLETE = "complete"


def name(call: Call, resource: str) -> str:
    """The same for every repetition of one step."""
    return hashlib.sha256(f"{call.key}\0{resource}".encode()).hexdigest()[:12]


def make(call: Call, view: str, drill: str, *, rows: bool) -> None:
    """Make the copy; does nothing if it is complete already, or only to be removed. Raises TargetError."""
    home = drill_folder(drill)
    if (home / COMPLETE).exists() or call.context.get("to_remove"):
        return
    call.check()
    discard(call, drill)
    home.mkdir(mode=0o700)
    try:
        _fill(call, view, drill, rows=rows)
    except LostOwnership:
        raise  # whoever has taken over is at work there
    except Exception:
        discard(call, drill)  # a sandbox that can't be made leaves nothing
        raise
    (home / COMPLETE).touch()


def _fill(call: Call, view: str, drill: str, *, rows: bool) -> None:
    home = drill_folder(drill)
    with opened(call.connection) as real:
        live = definition.read(real, view)
        _empty_registry(home)
        with opened(call.connection, drill) as copy:
            _copy_definition(real, copy, live)
            if rows:
                _copy_rows(call, real, copy, live)


def discard(call: Call, drill: str) -> None:
    """Remove the copy; harmless if it is gone. Raises TargetError if this is no sandbox."""
    if not drill:
        raise TargetError("this is the real thing, not a sandbox: nothing was removed")
    home = drill_folder(drill)
    with opened(call.connection, drill, registry=False) as copy:
        if copy.config.online_store is not None and "RedisOnlineStore" in _kinds(copy):
            _flush_redis(copy)
    if home.is_dir() and home.stat().st_uid == os.getuid():
        shutil.rmtree(home)


def _kinds(copy: Opened) -> set[str]:
    return {c.__name__ for c in type(copy.online).__mro__}


def _empty_registry(home: Path) -> None:
    sql = lib("feast.infra.registry.sql")
    config = sql.SqlRegistryConfig(registry_type="sql", path=f"sqlite:///{home / 'registry.db'}")
    sql.SqlRegistry(config, "unused", None).write_engine.dispose()


def _copy_definition(real: Opened, copy: Opened, live: Definition) -> None:
    """Same objects, same version numbers: applying an absent ``vN`` makes just that version."""
    for entity in live.entities.values():
        copy.registry.apply_entity(entity, copy.project)
    for source in live.sources.values():
        if source is not None:
            copy.registry.apply_data_source(source, copy.project)
    history = definition.stored_numbers(real, live.view.name)
    for number in history:
        view = definition.stored(real, live.view.name, number)
        view.version = f"v{number}"
        copy.registry.apply_feature_view(view, copy.project)
    if not history:
        copy.registry.apply_feature_view(live.view, copy.project)
    copy.registry.refresh(copy.project)
    feast_pin.bring_back(copy, live, lambda: None)


def _copy_rows(call: Call, real: Opened, copy: Opened, live: Definition) -> None:
    numbers: set[int | None] = {live.number}
    if real.versioned:
        numbers |= set(definition.stored_numbers(real, live.view.name))
    for number in sorted(numbers, key=lambda n: n or 0):
        source, goal = (feast_tables.table(o, live, number) for o in (real, copy))
        if not source.lists:
            raise TargetError("a sandbox of online rows needs a SQLite or Redis online store")
        goal.create()
        keys, done = source.stored_keys(), 0
        while batch := list(islice(keys, feast_tables.BATCH)):
            done += len(batch)
            if done > real.settings.max_rows:
                raise TargetError(f"{live.view.name} has more than max_rows ({real.settings.max_rows:,}) rows to copy")
            call.check()
            goal.write(source.read(batch))
            call.progress(done, done, f"rows of {source.view.name} copied")


def _flush_redis(copy: Opened) -> None:
    """The sandbox's project name is random, so every key that ends with it is the sandbox's."""
    client = copy.online._get_client(copy.config.online_store)  # noqa: SLF001 - Feast's own connection
    suffix = copy.project.encode()
    found = client.scan_iter(match=b"*" + feast_tables.literal(suffix), count=feast_tables.BATCH)
    while batch := list(islice(found, feast_tables.BATCH)):
        client.unlink(*[k for k in batch if bytes(k).endswith(suffix)])
