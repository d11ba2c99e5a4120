"""rollbot as people start it: programs of their own, their exit codes, their signals, and what a server does."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from subprocess import Popen

import pytest

from bot.store import engines
from tests.cli.terminal import ANA, BEN, Terminal

NO_SLACK = {"SLACK_BOT_TOKEN": "xoxb-very-secret", "SLACK_SIGNING_SECRET": "s", "SLACK_API_URL": "http://127.0.0.1:1/"}


@contextmanager
def serving(terminal: Terminal, **env: str) -> Iterator[tuple[Popen[str], str]]:
    """A server that is ready, and its address."""
    with terminal.started("serve", PORT="0", **env) as process:
        assert process.stdout
        said = process.stdout.readline()
        assert said.startswith("rollbot is ready on http://127.0.0.1:"), said + process.communicate()[1]
        yield process, said.split()[-1]


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310  always our own server
            return int(answer.status)
    except urllib.error.HTTPError as e:
        return e.code


def test_a_server_works_for_the_terminal_and_ends_at_a_signal(two: Terminal) -> None:
    """Ready although Slack is dead; a second server on the same file is refused in one line; what the terminal asks
    for is done by the server; SIGTERM is exit 0, the lock is free, and no secret was logged."""
    with serving(two, ROLLBOT_HOOK_TOKENS="ci=hush-hush", **NO_SLACK) as (process, url):
        assert [status(f"{url}/{path}") for path in ("healthz", "gate/example", "metrics")] == [200, 200, 200]
        second = two.program("serve", PORT="0")
        name = two("run", "request", "example", "--to", "v1", "--json", who=ANA).json["id"]
        approved = two("run", "approve", name, who=BEN)
        held = status(f"{url}/gate/example")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)

    assert (second.code, "another rollbot works on" in second.fault) == (1, True)
    assert approved.code == 0, approved.err
    assert "targeting" not in two.flag()
    assert held == 423
    assert process.returncode == 0, err
    assert not [word for word in ("Traceback", "hush-hush", NO_SLACK["SLACK_BOT_TOKEN"]) if word in out + err]
    with two.file("rollbot.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("lost", ["database", "artifact store"])
def test_a_server_says_that_it_has_lost_its_disk(two: Terminal, lost: str) -> None:
    """Started again beside another database or other artifacts than at its last start, it warns of that one."""
    assert two("check").code == 0
    other = {"database": {"ROLLBOT_DATABASE_URL": "sqlite:///new.db"}, "artifact store": {"ROLLBOT_ARTIFACTS": "new"}}
    with serving(two, **other[lost]) as (process, _):
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)

    said = [line for line in err.splitlines() if "is not the one of the last start" in line]
    assert len(said) == 1, err
    assert said[0].startswith(f"rollbot: the {lost} is not the one of the last start")


def test_ctrl_c_is_one_line_and_the_run_goes_on_later(two: Terminal) -> None:
    """While a system hangs: exit 1, no traceback, the run stays open, and the next command that works goes on with
    it."""
    flags = two.file("playbooks/flags.json")
    text = flags.read_text()
    flags.unlink()
    os.mkfifo(flags)  # whoever reads it waits for ever
    with two.started("run", "request", "example", "--to", "v1", who=ANA) as process:
        assert process.stdout
        assert process.stdout.readline() == "R-1 planning\n"
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    flags.unlink()
    flags.write_text(text)
    again = two("run", "request", "example", "--to", "v1", "--json", who=ANA)

    assert process.returncode == 1
    assert err == "rollbot: stopped; R-1 stays as it is and goes on where a worker runs\n"
    assert (again.json["id"], again.json["waiting_for"]) == ("R-1", "approval")


def test_a_command_takes_over_from_a_worker_that_went_away(two: Terminal) -> None:
    """Two commands at once: the one that waits for the other's worker does the work itself once that has ended."""
    with two.file("rollbot.db.lock").open("w") as worker:
        fcntl.flock(worker, fcntl.LOCK_EX)
        with two.started("release", "capture", "example", "v2") as process:
            assert process.stderr
            waiting = process.stderr.readline()
            worker.close()
            out, err = process.communicate(timeout=60)

    assert waiting.startswith("rollbot: still waiting: ")
    assert (process.returncode, err) == (0, "")
    assert out.startswith("Another moment of example v2")


FAULTS = [
    ({"PORT": "http"}, ("serve",), 1, "environment: PORT"),
    ({"ROLLBOT_DATABASE_URL": "mysql://x"}, ("run", "list"), 1, "ROLLBOT_DATABASE_URL: write sqlite:///"),
    ({"ROLLBOT_DATABASE_URL": "postgresql://u@127.0.0.1:1/x"}, ("run", "list"), 1, "the database can't be"),
    ({"ROLLBOT_DATABASE_URL": "postgresql://u@127.0.0.1:1/x"}, ("migrate",), 1, "the database can't be migrated"),
    ({"ROLLBOT_DATABASE_URL": "sqlite:///nowhere.db"}, ("run", "list"), 1, "there is no database"),
    ({"ROLLBOT_DATABASE_URL": "sqlite:///playbooks/policy.yaml"}, ("run", "list"), 1, "not a database"),
    ({"ROLLBOT_DATABASE_URL": "sqlite:////proc/none/x.db"}, ("migrate",), 1, "/proc/none"),
    ({"ROLLBOT_PLAYBOOKS": "nowhere"}, ("gate", "example"), 1, "there is no folder nowhere: write one with"),
    ({"ROLLBOT_PLAYBOOKS": "nowhere"}, ("plan", "example", "v1"), 1, "there is no folder nowhere: write one with"),
    ({"ROLLBOT_PLAYBOOKS": "nowhere"}, ("serve",), 1, "there is no folder nowhere: write one with"),
    ({}, ("serve", "--role", "web"), 1, "separate web and worker roles need PostgreSQL"),
    ({}, ("run", "show", "R-99"), 1, "there is no run 'R-99'"),
    ({}, ("run", "request", "example"), 2, "--to v12"),
    ({}, ("run", "request", "example", "--to", "v1", "--stop"), 2, "--to v12"),
    ({}, ("run", "request", "example", "--stop", "--playbook", "standard"), 2, "leave --playbook out"),
    ({}, ("run", "list", "--before", "tomorrow"), 2, "no run's name"),
    ({}, ("plan", "example", "previous", "--at", "2131-01-01T00:00"), 2, "is in the future"),
    ({}, ("run", "request", "example", "--to", "v1"), 4, "say who you are"),
]


@pytest.mark.parametrize(("env", "words", "code", "said"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_every_fault_is_one_line_and_its_code(
    terminal: Terminal, env: dict[str, str], words: tuple[str, ...], code: int, said: str
) -> None:
    """What is wrong in the environment, in a name or in the words of a command: one line on stderr, an exit code
    that scripts can rely on, and nothing on stdout that could be taken for an answer."""
    result = terminal(*words, **env)

    assert result.code == code, result.err
    assert said in result.fault
    assert result.out == ""


@pytest.mark.parametrize("words", [("gaet",), ("gate",), ("gate", "example", "--nope"), ("run", "shwo", "R-1")])
def test_wrong_usage_is_exit_code_2(terminal: Terminal, words: tuple[str, ...]) -> None:
    """An unknown command or option, or a missing argument, says how it is meant."""
    result = terminal(*words)

    assert result.code == 2
    assert "Usage: rollbot" in result.err


def test_the_same_exit_codes_as_a_program(two: Terminal) -> None:
    """A shell sees what the tests in this process see."""
    two.file("playbooks/flags.json").write_text('{"flags": {}}')

    assert [two.program(*words).code for words in (("gate",), ("plan", "example", "v1"))] == [2, 3]


def test_a_reader_that_goes_away_is_no_fault(two: Terminal) -> None:
    """``rollbot ... | head -1``: no traceback."""
    with two.started("release", "show", "example", "v1", "--json") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_migrate_can_be_repeated_and_refuses_a_newer_database(terminal: Terminal) -> None:
    """Made from nothing, then at the newest; a database of a newer rollbot is refused in one line, unchanged."""
    url = {"ROLLBOT_DATABASE_URL": "sqlite:///deep/in/new.db"}
    first, second = terminal("migrate", **url), terminal("migrate", **url)
    with closing(sqlite3.connect(terminal.file("deep/in/new.db"))) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    newer = terminal("migrate", **url)

    assert (first.code, second.code, newer.code) == (0, 0, 1)
    assert "(it was at nothing)" in first.out
    assert "(it was" not in second.out
    assert "newer rollbot" in newer.fault


def test_a_locked_database_is_one_line(two: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else writes and does not end: reading works, and what must be stored is refused after a while (here
    after a tenth of it)."""
    monkeypatch.setattr(engines, "PRAGMAS", tuple(p.replace("=10000", "=1000") for p in engines.PRAGMAS))
    with closing(sqlite3.connect(two.file("rollbot.db"), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        gate = two("gate", "example")
        stored = two("release", "capture", "example", "v3")
        db.execute("ROLLBACK")

    assert gate.code == 0
    assert stored.code == 1
    assert "database is locked" in stored.fault


def test_check_says_what_is_wrong_with_slack(terminal: Terminal) -> None:
    """A token that leads nowhere is a fault of one line, beside what was found of the other systems."""
    said = terminal("check", **NO_SLACK)

    assert said.code == 1
    assert [line for line in said.out.splitlines() if line.startswith("Slack: auth.test")], said.out
    assert "on for 100 %" in said.out
