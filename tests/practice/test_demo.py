"""``rollbot demo``, run as its users run it: with the real bot, and with nothing left behind."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.practice.place import ANA, PLATFORM, open_place

DRIVERS = "300"
PATIENCE = 440
REAL = "xapp-of-a-real-workspace"
pytestmark = pytest.mark.timeout(480)


def environment(tmp: Path) -> dict[str, str]:
    """With a real bot's settings in it, which a practice must not touch."""
    real = {"SLACK_APP_TOKEN": REAL, "SLACK_BOT_TOKEN": REAL, "ROLLBOT_DATABASE_URL": "sqlite:///x/y.db"}
    root = str(Path(__file__).parents[2])
    return {**os.environ, **real, "TMPDIR": str(tmp), "PYTHONPATH": root, "COLUMNS": "60"}


def run(argv: list[str], tmp: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment(tmp), cwd=tmp
    )


def demo(tmp: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Plays the script; whatever comes of it, no file is left where temporary files are made."""
    argv = [sys.executable, "-m", "bot", "demo", "--script", "--drivers", DRIVERS, *words]
    played = run(argv, tmp)
    assert list(tmp.iterdir()) == [], played.stderr
    return played


def test_the_incident_is_played_and_verified(tmp_path: Path) -> None:
    """Exit 0 after the whole incident on the real stack, over HTTP: typed, refused, stopped, approved, proven."""
    played = demo(tmp_path)
    text = played.stdout
    assert played.returncode == 0, text + played.stderr
    marks = [
        "/rollback driver_stats to v12 because ETAs 40 % too long incident INC-142",
        "R-1: planning driver_stats to v12",
        "| driver_stats v13 -> v12 · PRODUCTION · needs 1 of @ml-oncall",
        "| [Approve] [Reject] [Stop the harm now] [Details]",
        "only @sam sees: Not done: this needs 1 of @ml-oncall.",
        "only @ana sees: Not done: you asked for this, so somebody else must decide.",
        "2 more commits meanwhile",
        "is off in the flag file",
        "✓ restore dataset",
        "✓ verify online",
        "✓ enable flag",
        " · DONE ",
        "R-1 succeeded",
        "0 missing, 0 extra, 0 null",
        "measured apart from the bot: ETAs are right on average",
        "the flag is on; GET /gate/driver_stats: 423",
        "left behind: pipeline is held",
        "Verified: v12 is live again",
    ]
    at = 0
    for mark in marks:  # in this order
        assert mark in text[at:], (mark, text)
        at = text.index(mark, at)
    assert "accuracy 1.0000, at consumers" in text and REAL not in text


@pytest.mark.parametrize(
    ("lost", "transport", "why"),
    [
        ("model", "socket", r"not restorable: model: eta 2: eta\.json is gone"),
        ("delta", "http", r"not restorable: dataset: .* is gone from the table, and it was not copied"),
    ],
)
def test_what_is_gone_is_said_and_no_success(tmp_path: Path, lost: str, transport: str, why: str) -> None:
    """With v12's model files or Delta files deleted beforehand the demo fails, says why, and shows what is offered."""
    played = demo(tmp_path, "--break", lost, "--transport", transport)
    component = "dataset" if lost == "delta" else lost
    assert played.returncode == 1, played.stdout + played.stderr
    (line,) = played.stderr.strip().splitlines()
    assert re.search(why, line), line
    assert f"hears Slack by {transport}" in played.stdout and "NOT RESTORABLE" in played.stdout
    assert f"[v12 without {component}] [v11 (all ready)] [Stop the harm] [Details]" in played.stdout
    assert "[Approve]" not in played.stdout and "Verified" not in played.stdout


@contextmanager
def left_running(tmp: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "bot", "demo", "--drivers", DRIVERS, "--port", "0", "--folder", str(folder)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp), cwd=tmp
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def test_it_can_be_left_running_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a script it says what to do and does that, whatever is set for a real bot; Ctrl-C ends every process, and
    the wanted folder stays."""
    monkeypatch.setenv("ROLLBOT_DRIVER", "dbos")
    tmp, folder = tmp_path / "tmp", tmp_path / "kept"
    tmp.mkdir()
    with left_running(tmp, folder) as running:
        assert running.stdout is not None and running.stderr is not None
        said = ""
        while "Ctrl-C ends it" not in said:
            line = running.stdout.readline()
            assert line, running.stderr.read()
            said += line
        assert re.findall(r"https?://\S+", said) == re.findall(r"practice page: (http://127\.0\.0\.1:\d+/)\n", said)
        assert (
            said.index("practice page") < said.index("== Set-up")
            and f"{folder}/ana run request driver_stats --to v12" in said
        )
        known = run([str(folder / "ana"), "release", "list", "driver_stats", "--json"], tmp)
        assert [v in known.stdout for v in ("v11", "v12", "v13")] == [True] * 3 and json.loads(known.stdout)
        found = re.search(r"rollbot serve on \S+, process (\d+)", said)
        assert found is not None
        bot = os.pidfd_open(int(found[1]))
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
        assert select.select([bot], [], [], 30.0)[0], "the bot outlived the demo"
        os.close(bot)
    assert (folder / "stack" / "flags.json").is_file() and list(tmp.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """Nobody's files are mixed with a practice's."""
    (tmp_path / "mine").write_text("mine")
    argv = [sys.executable, "-m", "bot", "demo", "--script", "--folder", str(tmp_path)]
    refused = run(argv, tmp_path)
    assert refused.returncode == 1 and "not an empty folder" in refused.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


async def test_the_practice_goes_on_after_the_bot_was_killed(tmp_path: Path) -> None:
    """Killed, started again and asked to end in the middle of captures, the bot answers and ends as it should."""
    async with open_place(tmp_path, 50, "http", 0, lambda *_: None) as place:
        capture = "capture driver_stats v11"
        assert (await place.slack.slash("/rollback", capture, ANA, PLATFORM)).ok
        place.bot.kill()
        await place.bot.stop()
        assert not place.bot.alive
        await place.bot.start()
        await place.connect()

        def heard() -> list[str]:
            told = [m.text for m in place.slack.ephemerals(ANA, PLATFORM) if m.via != "ack"]
            return [text for text in told if text.startswith("Captured driver_stats v11")]

        assert await place.until(heard, "what was asked for before the kill did not happen")
        for n in range(3):
            assert (await place.slack.slash("/rollback", f"{capture} again {n}", ANA, PLATFORM)).ok
        assert await place.bot.stop() == 0
