"""A terminal in a folder that a newcomer has made with ``rollbot init``, with people who have keys."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.cli.terminal import ANA, BEN, CLEO, POLICY, SAM, Terminal, make_keys, with_model

Reset = Callable[[str], Terminal]


@pytest.fixture(scope="session")
def reset(tmp_path_factory: pytest.TempPathFactory) -> Reset:
    """Gives the folder in one of its states. What is captured names the place it was captured at, so the place stays
    the same, and each state is made once."""
    base = tmp_path_factory.mktemp("cli")
    terminal = Terminal(base / "team")
    makers = {"empty": _empty, "two": _two, "models": _models}

    def give(state: str) -> Terminal:
        kept = base / state
        if not kept.exists():
            if state == "empty":
                terminal.folder.mkdir()
            else:
                give("empty")
            makers[state](terminal)
            shutil.copytree(terminal.folder, kept)
        shutil.rmtree(terminal.folder)
        shutil.copytree(kept, terminal.folder)
        return terminal

    return give


def _empty(terminal: Terminal) -> None:
    assert terminal("init").code == 0
    terminal.file("playbooks/policy.yaml").write_text(POLICY)
    assert terminal("migrate").code == 0
    terminal.keys = make_keys(terminal.file("rollbot.db"), ANA, BEN, CLEO, SAM)


def _two(terminal: Terminal) -> None:
    assert terminal("release", "capture", "example", "v1", "--changelog", "first").code == 0
    terminal.share(25)
    assert terminal("release", "capture", "example", "v2").code == 0


def _models(terminal: Terminal) -> None:
    with_model(terminal)
    terminal.models("11")
    assert terminal("release", "capture", "example", "v11").code == 0
    terminal.models("12")
    terminal.share(25)
    assert terminal("release", "capture", "example", "v12").code == 0


@pytest.fixture
def terminal(reset: Reset) -> Terminal:
    """A sample folder as ``rollbot init`` writes it, people with keys, a database, and nothing captured."""
    return reset("empty")


@pytest.fixture
def two(reset: Reset) -> Terminal:
    """v1 serves everybody; v2 a quarter, and is live."""
    return reset("two")


@pytest.fixture
def models(reset: Reset) -> Terminal:
    """v11 has model 11 and the flag for all; v12 has model 12, a quarter, and is live."""
    return reset("models")
