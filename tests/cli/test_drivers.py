"""ROLLBOT_DRIVER as people set it: what is refused, and separate processes that do a rollback together."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from bot.store import keys, migrate
from bot.store.write import open_store
from tests.cli.terminal import ANA, BEN, Terminal
from tests.services import Postgres, absent, postgres_binaries

DBOS = {"ROLLBOT_DRIVER": "dbos"}


@pytest.mark.parametrize(
    ("env", "words", "said"),
    [
        (DBOS, ("serve",), "ROLLBOT_DRIVER: dbos needs PostgreSQL: set ROLLBOT_DATABASE_URL=postgresql://..."),
        (DBOS, ("run", "list"), "ROLLBOT_DRIVER: dbos needs PostgreSQL"),
        ({"ROLLBOT_DRIVER": "temporal"}, ("serve",), "ROLLBOT_DRIVER: Input should be 'embedded' or 'dbos'"),
    ],
)
def test_what_can_not_drive_is_refused(
    terminal: Terminal, env: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    """One line that names the variable and what to do, before anything is opened."""
    result = terminal(*words, **env)
    assert (result.code, said in result.fault) == (1, True), result.fault


@pytest.fixture
def team(terminal: Terminal, postgres_url: Callable[[], str]) -> Iterator[dict[str, str]]:
    """The environment of a team on PostgreSQL, with the driver still to be named; people have keys."""
    env = {"ROLLBOT_DATABASE_URL": postgres_url()}
    assert terminal("migrate", **env).code == 0
    kept, terminal.keys = terminal.keys, asyncio.run(_keys(env["ROLLBOT_DATABASE_URL"]))
    yield env
    terminal.keys = kept


async def _keys(url: str) -> dict[str, str]:
    store = open_store(url)
    await store.start()
    try:
        return {p: await store.write(lambda c, p=p: keys.make(c, p, datetime.now(UTC))) for p in (ANA, BEN)}
    finally:
        await store.stop()


def test_without_its_tables_dbos_is_refused(terminal: Terminal, team: dict[str, str]) -> None:
    """Our own tables are there, those of dbos are not: one line says how to make them, and serving ends with 1."""
    result = terminal.program("serve", PORT="0", **team, **DBOS)
    assert result.code == 1
    assert result.err.splitlines()[-1] == (
        "rollbot: the database has not what dbos keeps there: run 'rollbot migrate' with ROLLBOT_DRIVER=dbos first"
    )
    assert "Traceback" not in result.err


def test_without_the_extra_dbos_is_refused(terminal: Terminal, team: dict[str, str], tmp_path: Path) -> None:
    """A library that is not installed is named, with what to install."""
    (tmp_path / "dbos.py").write_text("raise ModuleNotFoundError(\"No module named 'dbos'\", name='dbos')")
    for words in (("migrate",), ("serve",)):
        result = terminal.program(*words, PORT="0", PYTHONPATH=str(tmp_path), **team, **DBOS)
        assert result.code == 1
        assert result.fault == "dbos is not installed: pip install 'rollbot[dbos]'"


def test_what_nobody_does_yet_is_kept_when_the_wait_is_stopped(terminal: Terminal, team: dict[str, str]) -> None:
    """On PostgreSQL without a worker the command says for how long it waits, and at Ctrl-C that what it asked for is
    stored."""
    with terminal.started("run", "hold", "example", "--because", "wrong", who=ANA, **team) as holding:
        waits = _heard(holding, "no worker")
        holding.send_signal(signal.SIGINT)
        _, err = holding.communicate(timeout=60)
    assert "; this waits for one up to 15 min, and what you asked for is kept" in waits
    assert (holding.returncode, err) == (
        1,
        "rollbot: stopped waiting; what you asked for is stored, and a worker does it\n",
    )
    assert [r["status"] for r in terminal("run", "list", "--json", **team).json] == ["planning"]


def test_a_file_that_was_moved_is_refused_by_every_command(terminal: Terminal, postgres_url: Callable[[], str]) -> None:
    """A shell that still has the address of the old file: what asks, what decides and what serves says where its place
    is now, CI's gate does not open, and the new database works."""
    old = {"ROLLBOT_DATABASE_URL": "sqlite:///moving.db"}
    new = {"ROLLBOT_DATABASE_URL": postgres_url()}
    assert terminal("migrate", **old).code == 0
    assert terminal("gate", "example", **old).code == 0
    moved = terminal("migrate", "--from", old["ROLLBOT_DATABASE_URL"], **new)
    assert moved.code == 0, moved.err
    for words in (("gate", "example"), ("run", "list"), ("run", "approve", "R-1"), ("check",), ("serve",)):
        said = terminal.program(*words, who="", PORT="0", **old)
        assert said.code == 1, words
        assert "this database was moved to" in said.err and "set ROLLBOT_DATABASE_URL to that one" in said.err, words
    assert terminal("gate", "example", **new).code == 0


@contextlib.contextmanager
def process(terminal: Terminal, role: str, env: dict[str, str]) -> Iterator[tuple[Popen[str], str]]:
    with terminal.started("serve", "--role", role, PORT="0", **env) as started:
        assert started.stdout
        said = started.stdout.readline()
        assert said.startswith("rollbot is ready"), said + started.communicate()[1]
        yield started, said.split()[-1]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("driver", ["embedded", "dbos"])
def test_separate_processes_roll_back_together(terminal: Terminal, team: dict[str, str], driver: str) -> None:
    """One web and two workers as the guide starts them; a worker is killed, and the rollback is done all the same. They
    talk to nobody but the database, and end at SIGTERM with nothing said that is a fault."""
    env = {**team, "ROLLBOT_DRIVER": driver}
    assert terminal("migrate", **env).code == 0
    with (
        process(terminal, "web", env) as (web, url),
        process(terminal, "worker", env) as (first, _),
        process(terminal, "worker", env) as (second, _),
    ):
        for version, share in (("v1", 100), ("v2", 25)):
            terminal.share(share)
            captured = terminal("release", "capture", "example", version, **env)
            assert captured.code == 0, captured.err
        name = terminal("run", "request", "example", "--to", "v1", "--json", who=ANA, **env).json["id"]
        first.send_signal(signal.SIGKILL)
        approved = terminal("run", "approve", name, who=BEN, **env)
        assert approved.code == 0, approved.err
        with urllib.request.urlopen(f"{url}/healthz", timeout=20) as answer:  # noqa: S310  our own server
            assert answer.status == 200
        peers = {address for pid in (web.pid, second.pid) for address in connected_to(pid)}
        ends = [_end(p) for p in (second, web)]
    assert "targeting" not in terminal.flag()
    assert terminal("run", "show", name, "--json", **env).json["status"] == "succeeded"
    assert peers <= {"127.0.0.1"}
    assert [code for code, _ in ends] == [0, 0]
    assert not [err for _, err in ends if "Traceback" in err or "ERROR" in err], ends


def connected_to(pid: int) -> set[str]:
    """Where a process has connections to, over IPv4."""
    mine = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    remote = [row[2].split(":")[0] for row in rows if f"socket:[{row[9]}]" in mine and row[3] == "01"]
    return {".".join(str(byte) for byte in reversed(bytes.fromhex(address))) for address in remote}


def _end(started: Popen[str]) -> tuple[int, str]:
    started.send_signal(signal.SIGTERM)
    _, err = started.communicate(timeout=60)
    return started.returncode, err


@pytest.fixture
def passing_server() -> Iterator[Postgres]:
    """A PostgreSQL that the test may kill."""
    binaries = postgres_binaries()
    server = Postgres(binaries) if binaries else absent("PostgreSQL")
    server.start()
    yield server
    server.remove()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("driver", ["embedded", "dbos"])
def test_a_worker_ends_though_its_database_is_away(terminal: Terminal, passing_server: Postgres, driver: str) -> None:
    """SIGTERM while PostgreSQL is gone, with nothing due: the process ends within half a minute, as a deploy expects,
    and says in words what is away."""
    env = {"ROLLBOT_DATABASE_URL": passing_server.new_database(), "ROLLBOT_DRIVER": driver}
    assert terminal("migrate", **env).code == 0
    with process(terminal, "worker", env) as (worker, _):
        passing_server.end(signal.SIGKILL)
        _heard(worker, "database")
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=30)
        assert worker.returncode == 0


@pytest.mark.timeout(120)
def test_a_worker_ends_that_is_asking_for_a_wake_up_as_its_database_goes(
    terminal: Terminal, passing_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is due, and PostgreSQL dies under the request for its wake-up, which dbos would repeat for ever: SIGTERM
    ends the process within half a minute nevertheless."""
    _dies_under(terminal, passing_server, monkeypatch, "insert into%workflow_st%", begun=False)


@pytest.mark.timeout(120)
def test_a_worker_ends_that_has_done_its_work_as_its_database_goes(
    terminal: Terminal, passing_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL dies as dbos writes down that a wake-up is over, which it would repeat for ever in a thread of its
    own: no such thread keeps a process that was told to end."""
    _dies_under(terminal, passing_server, monkeypatch, "with updated%update dbos.workflow_status%", begun=True)


def _dies_under(
    terminal: Terminal, server: Postgres, monkeypatch: pytest.MonkeyPatch, statement: str, *, begun: bool
) -> None:
    """A rollback is approved, and the server is killed under this statement of a worker, which is then told to end.
    ``begun``: its wake-up was taken before."""
    env = {"ROLLBOT_DATABASE_URL": server.new_database(), **DBOS}
    assert terminal("migrate", **env).code == 0
    monkeypatch.setattr(terminal, "keys", asyncio.run(_keys(env["ROLLBOT_DATABASE_URL"])))
    with process(terminal, "worker", env) as (worker, _):
        for version, share in (("v1", 100), ("v2", 25)):
            terminal.share(share)
            assert terminal("release", "capture", "example", version, **env).code == 0
        name = terminal("run", "request", "example", "--to", "v1", "--json", who=ANA, **env).json["id"]
        engine = migrate.engine_for(env["ROLLBOT_DATABASE_URL"])
        with contextlib.ExitStack() as stack:
            if begun:
                stack.enter_context(terminal.started("run", "approve", name, who=BEN, **env))
                _until(engine, "SELECT 1 FROM dbos.workflow_status WHERE status = 'PENDING'")
            stack.enter_context(_held(engine))
            if not begun:
                stack.enter_context(terminal.started("run", "approve", name, who=BEN, **env))
            _until(engine, WAITS, statement)
            server.end(signal.SIGKILL)
        engine.dispose()
        _heard(worker, "database")
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=30)
        assert worker.returncode == 0


@contextlib.contextmanager
def _held(engine: Engine) -> Iterator[None]:
    """Nothing that dbos writes goes through, until the server has died."""
    with contextlib.suppress(DBAPIError), engine.connect() as conn:
        conn.execute(text("LOCK TABLE dbos.workflow_status IN SHARE MODE"))
        yield


WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE :like"


def _until(engine: Engine, holds: str, like: str = "") -> None:
    """Asks until this finds a row."""
    deadline = time.monotonic() + 30
    with engine.connect() as conn:
        while conn.execute(text(holds), {"like": like} if like else {}).first() is None:
            conn.rollback()  # or it would see what it saw at first
            assert time.monotonic() < deadline, holds


def _heard(worker: Popen[str], word: str) -> str:
    """Reads what it says until ``word`` is in a line: that line."""
    assert worker.stderr
    while (line := worker.stderr.readline()) and word not in line:
        pass
    assert line, "it ended by itself"
    return line
