"""What the documents say about files and commands is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.test_house import FILES, ROOT, name

DOCUMENTS = [p for p in FILES if p.suffix == ".md"]
RECIPES = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_to_files(path: Path) -> None:
    """Every relative link in a document names a file of this repository."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    inside = [link for link in links if not re.match(r"[a-z]+:", link)]

    assert [link for link in inside if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_named_files_exist(path: Path) -> None:
    """A file of ours that a document names in code is there; NAME and * stand for any."""
    named = re.findall(r"`((?:bot|docs|migrations|playbooks|tests)/[\w./*-]*)`", path.read_text())

    assert [text for text in named if not any(ROOT.glob(text.replace("NAME", "*").rstrip("/")))] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_named_make_commands_exist(path: Path) -> None:
    """A document that says ``make something`` in code means a recipe of the Makefile."""
    code = " ".join(re.findall(r"```.*?```|`[^`]+`", path.read_text(), re.DOTALL))

    assert set(re.findall(r"(?<![\w-])make ([a-z]+)", code)) - RECIPES == set()


def test_every_recipe_has_a_line_of_help() -> None:
    """``make help`` names everything that can be made."""
    text = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())

    assert phony == RECIPES
