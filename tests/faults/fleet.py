"""Many small features on real systems: a flag file, a Delta table and an MLflow alias each, with two releases to go to
and fro between. What happens to them is counted from outside: restores in the table's history, moves of the alias by a
trigger of its database, renames over the flag file by the kernel."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import secrets
import shutil
import sqlite3
import struct
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from bot.core.commands import Actor, CaptureRelease, Command
from bot.flows.apply import Applier
from bot.store import inbox, migrate
from bot.store.inbox import Taken
from bot.store.write import Store
from bot.wiring import Settings, build, load_settings
from tests.targets.mlflow_world import ModelWorld

ANA, BEN = "T/ANA", "T/BEN"
PLAYBOOK = """\
playbook: standard
steps:
  - disable: flag
  - restore: dataset
  - restore: model
  - verify: [dataset, model]
  - enable: flag
  - verify: flag
"""
POLICY = """\
policy: 1
groups: {ml-oncall: [T/BEN]}
rules:
  - {name: one, approve: 1, from: "@ml-oncall"}
"""
FEATURE = """\
feature: {name}
owner: "@ml-oncall"
channel: "#ml"
consumers: [pricing]
components:
  flag: {{target: flags-{name}, flag: {name}}}
  dataset: {{target: lake, uri: {name}}}
  model: {{target: models-{name}, model: eta, alias: champion}}
"""
TRIGGERS = """\
CREATE TABLE moves (was TEXT, became TEXT);
CREATE TRIGGER moved AFTER UPDATE ON registered_model_aliases
  BEGIN INSERT INTO moves VALUES (OLD.version, NEW.version); END;
CREATE TRIGGER made AFTER INSERT ON registered_model_aliases
  BEGIN INSERT INTO moves VALUES (NULL, NEW.version); END;
"""
IN_MOVED_TO, IN_CREATE = 0x80, 0x100


class Renames:
    """Counts the renames into folders, as the kernel tells them: none is missed, and the bot is not asked. The file
    that is renamed is made first; without that event between, two renames in a row would be told as one."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK)
        self._names = {
            self._libc.inotify_add_watch(self._fd, bytes(p), IN_MOVED_TO | IN_CREATE): n for n, p in folders.items()
        }
        self._seen: Counter[str] = Counter()

    def seen(self) -> dict[str, int]:
        try:
            while data := os.read(self._fd, 1 << 16):
                self._count(data)
        except BlockingIOError:
            pass
        return {name: self._seen[name] for name in self._names.values()}

    def _count(self, data: bytes) -> None:
        while data:
            watch, mask, _, length = struct.unpack_from("iIII", data)
            self._seen[self._names[watch]] += mask == IN_MOVED_TO
            data = data[16 + length :]

    def close(self) -> None:
        os.close(self._fd)


@dataclass
class Fleet:
    """``database``: a PostgreSQL URL with the newest schema. ``wanted``: the release that each feature shall get."""

    folder: Path
    database: str
    names: list[str]
    store: Store
    renames: Renames
    wanted: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that works on it."""
        return {
            "ROLLBOT_DATABASE_URL": self.database,
            "ROLLBOT_PLAYBOOKS": str(self.folder / "playbooks"),
            "ROLLBOT_ARTIFACTS": str(self.folder / "artifacts"),
            "ROLLBOT_AUDIT_KEY_FILE": str(self.folder / "audit.key"),
        }

    async def say(self, command: Command, who: str) -> Taken:
        actor, now = Actor(kind="person", id=who, via="slack"), datetime.now(UTC)
        return await self.store.intake(lambda c: inbox.take(c, secrets.token_hex(8), actor, command, "{run}", now))

    def flag(self, name: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(flag_file(self.folder, name).read_text())["flags"][name]
        return found

    def effects(self) -> dict[str, dict[str, int]]:
        """What was done to each feature so far: table restores, alias moves, and writes of the flag file."""
        flags = self.renames.seen()
        return {n: {"dataset": self._restores(n), "model": self._moves(n), "flag": flags[n]} for n in self.names}

    def _restores(self, name: str) -> int:
        history = DeltaTable(str(self.folder / "lake" / name)).history()
        return [h["operation"] for h in history].count("RESTORE")

    def _moves(self, name: str) -> int:
        with closing(sqlite3.connect(model_file(self.folder, name))) as conn:
            return int(conn.execute("SELECT count(*) FROM moves").fetchone()[0])

    def serves(self, name: str) -> str:
        """The release whose values are there; ``mixed`` if they are of two."""
        rows = DeltaTable(str(self.folder / "lake" / name)).to_pyarrow_table().column("fare").to_pylist()
        with closing(sqlite3.connect(model_file(self.folder, name))) as conn:
            alias = str(conn.execute("SELECT version FROM registered_model_aliases").fetchone()[0])
        found = {f"v{int(rows[0])}", f"v{alias}", "v2" if "targeting" in self.flag(name) else "v1"}
        return found.pop() if len(found) == 1 else "mixed"


def flag_file(folder: Path, name: str) -> Path:
    return folder / "flags" / name / "flags.json"


def model_file(folder: Path, name: str) -> Path:
    return folder / "models" / f"{name}.db"


def settings_of(folder: Path, database: str) -> Settings:
    return load_settings(
        database_url=database,
        playbooks=folder / "playbooks",
        artifacts=str(folder / "artifacts"),
        audit_key_file=folder / "audit.key",
    )


async def make_fleet(folder: Path, database: str, size: int) -> Fleet:
    """``size`` features at release v2, with v1 to go back to. Takes half a minute."""
    names = [f"fares{n}" for n in range(size)]
    await asyncio.to_thread(_build, folder, names)
    await asyncio.to_thread(migrate.migrate, database)
    parts = build(settings_of(folder, database), warm=("delta", "mlflow", "flagd"))
    await parts.start()
    renames = Renames({name: flag_file(folder, name).parent for name in names})
    fleet = Fleet(folder, database, names, parts.store, renames)
    await parts.children.warmed()
    applier = Applier(parts.world)
    for release in (1, 2):
        for name in names:
            await asyncio.to_thread(_ship, folder, name, release)
        taken = [await fleet.say(CaptureRelease(feature=name, version=f"v{release}"), ANA) for name in names]
        await applier.apply_all()
        await applier.idle()
        for row in taken:
            result = await parts.store.read(lambda c, row=row: inbox.result_of(c, row.id))
            assert result and result["ok"], result
    await parts.children.stop()
    return fleet


async def close_fleet(fleet: Fleet) -> None:
    fleet.renames.close()
    await fleet.store.stop()


def _build(folder: Path, names: list[str]) -> None:
    books = folder / "playbooks"
    for sub in ("features", "playbooks"):
        (books / sub).mkdir(parents=True)
    (folder / "models").mkdir()
    world = ModelWorld(folder / "models")  # one store with two versions; each feature gets a copy of it
    with closing(sqlite3.connect(world.db)) as conn:
        conn.executescript(TRIGGERS)
    targets = [f"lake: {{type: delta, root: {json.dumps(str(folder / 'lake'))}}}"]
    for name in names:
        shutil.copyfile(world.db, model_file(folder, name))
        flag_file(folder, name).parent.mkdir(parents=True)
        (books / f"features/{name}.yaml").write_text(FEATURE.format(name=name))
        targets.append(f"flags-{name}: {{type: flagd, file: {json.dumps(str(flag_file(folder, name)))}}}")
        uri = json.dumps(f"sqlite:///{model_file(folder, name)}")
        targets.append(f"models-{name}: {{type: mlflow, tracking_uri: {uri}}}")
    (books / "targets.yaml").write_text("\n".join(targets) + "\n")
    (books / "policy.yaml").write_text(POLICY)
    (books / "playbooks/standard.yaml").write_text(PLAYBOOK)
    (books / "playbooks/stop.yaml").write_text("playbook: stop\nsteps:\n  - disable: flag\n")


def _ship(folder: Path, name: str, release: int) -> None:
    """What a team does: the table, the alias and the flag of this release."""
    fares = pa.table({"driver_id": list(range(50)), "fare": [float(release)] * 50})
    write_deltalake(str(folder / "lake" / name), fares, mode="overwrite")
    rule: dict[str, object] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    if release > 1:
        rule["targeting"] = {"fractional": [["on", 25], ["off", 75]]}
    flag_file(folder, name).write_text(json.dumps({"flags": {name: rule}}))
    with closing(sqlite3.connect(model_file(folder, name))) as conn, conn:
        conn.execute("UPDATE registered_model_aliases SET version = ?", (release,))
        conn.execute("DELETE FROM moves")
