"""A terminal in a folder that a newcomer has made with ``rollbot init``, with people who have keys."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.terminal import ANA, BEN, CLEO, POLICY, SAM, Terminal, make_keys


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Made once; each test gets a copy."""
    terminal = Terminal(tmp_path_factory.mktemp("made"))
    assert terminal("init").code == 0
    terminal.file("playbooks/policy.yaml").write_text(POLICY)
    assert terminal("migrate").code == 0
    return replace(terminal, keys=make_keys(terminal.file("rollbot.db"), ANA, BEN, CLEO, SAM))


@pytest.fixture
def terminal(made: Terminal, tmp_path: Path) -> Terminal:
    """A sample folder, a database, and nothing captured."""
    folder = tmp_path / "team"
    shutil.copytree(made.folder, folder)
    return replace(made, folder=folder)


@pytest.fixture
def two(terminal: Terminal) -> Terminal:
    """v1 serves everybody; v2 a quarter, and is live."""
    assert terminal("release", "capture", "example", "v1", "--changelog", "first").code == 0
    terminal.share(25)
    assert terminal("release", "capture", "example", "v2").code == 0
    return terminal
