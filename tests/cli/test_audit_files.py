"""rollbot audit: an export can be verified anywhere, and what was changed in it is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.terminal import ANA, BEN, Terminal

SIGNED = ("--checkpoint", "rollbot-audit.checkpoint", "--key", "rollbot-audit.key.pub")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the export of a rollback's log is kept, with the checkpoint and key that were made with it."""
    return tmp_path_factory.mktemp("log")


@pytest.fixture
def exported(two: Terminal, log: Path, tmp_path: Path) -> Terminal:
    """A terminal somewhere else: it has the export, the checkpoint and the public key, and no database."""
    if not list(log.iterdir()):
        because = ("--because", "naïve – “ETAs”")
        name = two("run", "request", "example", "--to", "v1", *because, "--json", who=ANA).json["id"]
        assert two("run", "approve", name, who=BEN).code == 0
        assert two("audit", "export", "log.jsonl").code == 0
        for file in ("log.jsonl", "rollbot-audit.checkpoint", "rollbot-audit.key.pub"):
            shutil.copy(two.file(file), log / file)
    shutil.copytree(log, tmp_path / "auditor")
    return Terminal(tmp_path / "auditor")


def test_a_true_export_verifies_with_no_database(exported: Terminal) -> None:
    """With checkpoint and key all events are covered; without, the command says that this proves little."""
    full, bare = exported("audit", "verify", "log.jsonl", *SIGNED), exported("audit", "verify", "log.jsonl")

    assert (full.code, bare.code) == (0, 0), full.err + bare.err
    assert "it covers all events" in full.out
    assert "chain consistent only: no checkpoint given" in bare.out


def test_a_changed_line_is_named_once(exported: Terminal) -> None:
    """The first bad line stands in the one line of the fault, once, and in the JSON."""
    lines = exported.file("log.jsonl").read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace("example", "exbmple", 1)
    exported.file("bad.jsonl").write_text("".join(lines))
    said = exported("audit", "verify", "bad.jsonl", *SIGNED)
    as_json = exported("audit", "verify", "bad.jsonl", "--json")

    assert said.code == 1
    assert said.fault.count("line 4") == 1, said.fault
    assert said.fault.startswith("bad.jsonl: line 4")
    assert (as_json.json["ok"], as_json.json["line"]) == (False, 4)
    assert as_json.json["trust"].startswith("none")


def test_changed_line_ends_are_noticed(exported: Terminal) -> None:
    """An export is bytes: a tool that rewrote its line ends has changed it."""
    lines = exported.file("log.jsonl").read_bytes().splitlines()
    exported.file("dos.jsonl").write_bytes(b"\r\n".join(lines) + b"\r\n")

    assert exported("audit", "verify", "dos.jsonl").code == 1


def test_a_cut_tail_and_a_foreign_key_are_found(exported: Terminal) -> None:
    """A checkpoint of more events than there are, and one signed by another log's key, are faults."""
    lines = exported.file("log.jsonl").read_text().splitlines(keepends=True)
    exported.file("cut.jsonl").write_text("".join(lines[:-1]))
    exported.edit("rollbot-audit.key.pub", "rollbot+", "another+")

    assert exported("audit", "verify", "cut.jsonl").code == 1
    assert exported("audit", "verify", "log.jsonl", *SIGNED).code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.jsonl",), "nowhere.jsonl: No such file"),
        (("log.jsonl", "--key", "nowhere.pub"), "nowhere.pub: No such file"),
        (("log.jsonl", "--key", "latin1.txt"), "latin1.txt: this is no text in UTF-8"),
        (("log.jsonl", "--checkpoint", "latin1.txt"), "latin1.txt: this is no text in UTF-8"),
        (("log.jsonl", "--checkpoint", "rollbot-audit.checkpoint"), "public key"),
        (("latin1.txt",), "line 1"),
    ],
)
def test_what_cannot_be_read_is_one_line(exported: Terminal, words: tuple[str, ...], said: str) -> None:
    """A missing or unreadable file is named; there is never a traceback."""
    exported.file("latin1.txt").write_bytes("façade".encode("latin-1"))
    result = exported("audit", "verify", *words)

    assert result.code == 1
    assert said in result.fault


def test_an_export_replaces_the_last_one_only_when_it_is_complete(two: Terminal) -> None:
    """Into a folder that is not there: one line, and nothing is left lying about."""
    assert two("audit", "export", "log.jsonl").code == 0
    before = two.file("log.jsonl").read_bytes()
    missing = two("audit", "export", "nowhere/log.jsonl")

    assert missing.code == 1
    assert "nowhere" in missing.fault
    assert two("audit", "export", "log.jsonl").code == 0
    assert two.file("log.jsonl").read_bytes() == before
    assert list(two.folder.glob("*.new")) == []
