"""What is installed from a wheel is all that the bot needs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house.test_house import ROOT
from tests.services import absent


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    """Builds a wheel or an sdist of this checkout without any network."""
    if importlib.util.find_spec("hatchling") is None:
        absent("hatchling")

    def make(kind: str) -> Path:
        command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(tmp_path)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        (built,) = tmp_path.glob("*.whl" if kind == "wheel" else "*.tar.gz")
        return built

    return make


def tree(folder: str) -> set[str]:
    """All files of a shipped folder as git sees them."""
    return {
        p.relative_to(ROOT).as_posix()
        for p in (ROOT / folder).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }


def test_the_wheel_holds_what_a_user_starts_from(build: Callable[[str], Path]) -> None:
    """Migrations, sample playbooks, the manifest, the practice page and the licence are in the wheel; no tests are."""
    names = set(zipfile.ZipFile(build("wheel")).namelist())
    shipped = {f"bot/_shipped/{path}" for path in tree("migrations") | tree("playbooks") | {"manifest.json"}}

    assert shipped - names == set()
    assert tree("bot/practice/page/static") - names == set()
    assert "bot/core/audit.py" in names
    assert any(path.endswith("licenses/LICENSE") for path in names)
    assert {path.split("/")[0] for path in names if not path.startswith("rollbot-")} == {"bot"}


def test_the_sdist_can_be_built_again(build: Callable[[str], Path]) -> None:
    """The source archive holds what its own build needs."""
    with tarfile.open(build("sdist")) as archive:
        names = {path.partition("/")[2] for path in archive.getnames()}

    assert {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "manifest.json"} <= names
