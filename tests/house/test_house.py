"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAX_LINES = 300
FILLERS = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
NOT_OURS = {"LICENSE", "requirements.lock"}
IGNORED = {"__pycache__", "artifacts", "build", "dist", "practice-data"}


def files() -> list[Path]:
    """What git tracks or would track; in a copy without git, what looks like it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (ROOT / ".git").exists():
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return sorted(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())
    inside = (p for p in ROOT.rglob("*") if p.is_file())
    hidden = {".ci", ".gitignore", ".pre-commit-config.yaml"}
    return sorted(
        p
        for p in inside
        if not any(part in IGNORED or (part[0] == "." and part not in hidden) for part in p.parts[len(ROOT.parts) :])
    )


FILES = files()
MODULES = [p for p in FILES if p.suffix == ".py" and p.is_relative_to(ROOT / "bot")]
TESTS = [p for p in FILES if p.suffix == ".py" and p.is_relative_to(ROOT / "tests")]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of ours with its name, but this one, which has to spell out what is forbidden."""
    for path in FILES:
        if path.name in NOT_OURS or path == Path(__file__):
            continue
        try:
            yield name(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def found(pattern: str) -> list[str]:
    """``file:line: match`` of everything that looks like ``pattern``."""
    return [
        f"{where}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for where, text in texts()
        for match in re.finditer(pattern, text)
    ]


def test_no_file_is_longer_than_a_person_reads() -> None:
    """A module has at most 300 lines; the one that everybody edits is the one that grows."""
    lengths = {name(p): len(p.read_text().splitlines()) for p in MODULES}

    assert {where: n for where, n in lengths.items() if n > MAX_LINES} == {}


def test_every_module_says_why_it_exists() -> None:
    """Each module and package begins with a docstring."""
    assert [name(p) for p in MODULES if not ast.get_docstring(ast.parse(p.read_text()))] == []


def test_names_are_words_of_the_product() -> None:
    """No module or folder carries a filler name that says nothing."""
    parts = {part for p in MODULES for part in p.relative_to(ROOT).with_suffix("").parts}

    assert parts & FILLERS == set()


def test_nothing_is_left_for_later_in_the_code() -> None:
    """Neither code nor documents hold notes of unfinished work."""
    assert found(r"\b(TODO|FIXME|XXX)\b") == []


def test_no_path_of_somebodys_machine() -> None:
    """Paths below a person's home or a build machine's workspace work nowhere else."""
    assert found(r"(?<![\w.~-])/(root|home/\w+|Users/\w+|work)/[\w.-]+") == []


def test_no_address_of_a_registry() -> None:
    """Where packages come from is the business of the machine that installs them."""
    assert (
        found(r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|deb\.debian\.org|--(extra-)?index-url|--find-links") == []
    )


def test_no_secret() -> None:
    """Nothing that looks like a real token of Slack or a private key stands in a file."""
    assert (
        found(r"xox[abp]-\d{8,}-\d{8,}-\w{20,}|xapp-\d-[A-Z0-9]{9,}-\d{10,}-[0-9a-f]{60}|-----BEGIN [A-Z ]*PRIVATE KEY")
        == []
    )


def test_the_lock_pins_and_hashes_everything() -> None:
    """Each requirement has one exact version and at least one hash, and no line names a place to fetch from."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pin, digest = (
        re.compile(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^ ;]+( ; [^\\]+)? \\"),
        re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?"),
    )

    assert [line for line in lines if not pin.fullmatch(line) and not digest.fullmatch(line)] == []
    assert [
        one for one, next_one in pairwise([*lines, ""]) if pin.fullmatch(one) and not digest.fullmatch(next_one)
    ] == []


def test_the_lock_holds_what_the_project_asks_for() -> None:
    """Nothing was added to pyproject.toml without make lock."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    asked = [*PROJECT["project"]["dependencies"], *(requirement for extra in extras for requirement in extra)]
    names = {re.split(r"[\[><=~!; ]", text, maxsplit=1)[0].replace(".", "-") for text in asked} - {"rollbot"}
    locked = set(re.findall(r"^([a-z0-9._-]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    assert names - locked == set()


def test_imports_keep_their_direction() -> None:
    """The import contracts in pyproject.toml hold."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-logo",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def imports(path: Path) -> set[str]:
    """The modules that a file names in its imports, also inside functions."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def family(module: str) -> str:
    """The type of system that a file of bot/targets belongs to: feast_rows to feast, flag_rule to flagd."""
    types = PROJECT["project"]["entry-points"]["rollbot.targets"]
    return next((kind for kind in types if kind.startswith(module.partition("_")[0])), "")


TARGETS = [p for p in MODULES if p.parent == ROOT / "bot" / "targets" and p.stem != "__init__"]


@pytest.mark.parametrize("path", TARGETS, ids=lambda p: p.stem)
def test_a_target_uses_no_file_of_another(path: Path) -> None:
    """Each file in bot/targets is named after its type of system and imports only files of the same."""
    used = {match.group(1) for text in imports(path) if (match := re.match(r"bot\.targets\.(\w+)", text))}

    assert family(path.stem), f"{name(path)}: name it after the type of system that it belongs to"
    assert {family(module) for module in used} <= {family(path.stem)}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_test_says_what_is_guaranteed() -> None:
    """Each test has a docstring."""
    silent = [
        f"{name(p)}:{f.lineno}: {f.name}"
        for p in TESTS
        for f in functions(p)
        if f.name.startswith("test_") and not ast.get_docstring(f)
    ]

    assert silent == []


def sleeps(path: Path) -> Iterator[int]:
    """Lines that wait for time to pass; ``asyncio.sleep(0)`` only lets others run."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    for call in calls:
        if ast.unparse(call.func) in {"time.sleep", "asyncio.sleep", "sleep"} and ast.unparse(call.args[0]) != "0":
            yield call.lineno


def test_no_test_sleeps() -> None:
    """Tests wait for what they need, never for a while."""
    assert [f"{name(p)}:{line}" for p in TESTS if "bench" not in p.parts for line in sleeps(p)] == []
