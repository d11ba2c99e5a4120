"""A newcomer's first steps: help, init, check; and what check finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.__main__ import COMMANDS, loaded
from tests.cli.terminal import Terminal, with_model

HEAVY = ("sqlalchemy", "slack_bolt", "aiohttp", "alembic", "pydantic", "feast", "pandas")


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """What a person types first answers at once: no database, chat or HTTP library is loaded for it."""
    code = "import sys; sys.argv = ['rollbot', '--help']\nfrom bot.__main__ import main\ntry: main()\nfinally: "
    code += f"assert not set({HEAVY!r}) & set(sys.modules), set({HEAVY!r}) & set(sys.modules)"
    said = Terminal(tmp_path).python(code)

    assert said.code == 0, said.err
    assert all(name in said.out for name in COMMANDS)
    assert "Exit codes: 0 fine" in said.out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_of_help_says_what_the_command_says(name: str) -> None:
    """The line of help that is shown without importing a command is the first one of its own."""
    own = " ".join((loaded(name).help or "").split())

    assert own.startswith(COMMANDS[name][2].removesuffix("."))


def test_every_option_says_what_it_is() -> None:
    """No command, argument or option is without help."""
    silent = []
    for name in COMMANDS:
        top = loaded(name)
        for command in getattr(top, "commands", {name: top}).values():
            params = [p for p in command.params if not p.hidden]
            silent += [f"{name} {command.name} {p.name}" for p in params if not getattr(p, "help", None)]
            silent += [] if command.help else [f"{name} {command.name}"]

    assert silent == []


def test_a_folder_that_init_wrote_is_accepted_by_check(tmp_path: Path) -> None:
    """In an empty folder: init, check, done; exit 0 twice, and the version that was met is named."""
    terminal = Terminal(tmp_path)

    assert terminal("init").code == 0
    said = terminal("check")

    assert said.code == 0, said.out + said.err
    assert "all is well" in said.out
    assert "on for 100 %" in said.out
    assert "openfeature" in said.out


def test_init_never_overwrites(terminal: Terminal) -> None:
    """A folder with anything in it stays as it is."""
    before = {p: p.read_bytes() for p in terminal.folder.rglob("*.yaml")}
    said = terminal("init")

    assert said.code == 1
    assert "is not empty" in said.fault
    assert {p: p.read_bytes() for p in terminal.folder.rglob("*.yaml")} == before


FEATURE, TARGETS = "playbooks/features/example.yaml", "playbooks/targets.yaml"
STANDARD, POLICY = "playbooks/playbooks/standard.yaml", "playbooks/policy.yaml"
FAULTS = [
    (FEATURE, "tier: 1 ", "teir: 1 ", ("example.yaml:", "'teir'", "'tier'")),
    (FEATURE, "target: flags", "target: flgs", ("example.yaml:", "'flgs'", "flags")),
    (FEATURE, "flag: use_example", "flga: use_example", ("example.yaml:", "'flga'", "'flag'")),
    (FEATURE, "consumers: []", "consumers: [", ("example.yaml:",)),
    (FEATURE, "feature: example", "feature: exmaple", ("example.yaml:", "name both alike")),
    (FEATURE, "playbook: standard", "playbook: standart", ("'standart'", "standard")),
    (STANDARD, "- disable: flag", "- disabel: flag", ("standard.yaml:", "'disabel'", "'disable'")),
    (STANDARD, "- disable: flag", "- disable: falg", ("standard", "'falg'", "'flag'")),
    (POLICY, "request: [everyone]", "reqest: [everyone]", ("policy.yaml:", "'reqest'", "'request'")),
    (POLICY, "rules:", "page: pager.example\nrules:", ("policy.yaml:", "page:", "https://pager.example/rollbot")),
    (POLICY, "rules:", 'page: "${NOWHERE}"\nrules:', ("policy.yaml:", "NOWHERE", "not set")),
    (TARGETS, "flags: {type: flagd,", "flags: {type: flagdd,", ("flagdd", "flagd")),
    (TARGETS, "file: flags.json", 'file: "${NOWHERE}"', ("targets.yaml:", "NOWHERE", "not set")),
]


@pytest.mark.parametrize(("file", "old", "new", "words"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_check_names_file_line_and_the_word_that_was_meant(
    terminal: Terminal, file: str, old: str, new: str, words: tuple[str, ...]
) -> None:
    """One line per fault, with file, line and a suggestion where there is one; exit 1. No system is asked for it."""
    terminal.edit(file, old, new)
    said = terminal("check", "--offline")
    lines = [line for line in said.out.splitlines() if all(word in line for word in words)]

    assert said.code == 1, said.out
    assert len(lines) == 1, said.out
    assert "found" in said.fault
    assert not [line for line in said.out.splitlines() if "all is well" in line]


def test_the_line_is_the_one_of_the_fault(terminal: Terminal) -> None:
    """The number behind the file's name is that of the line to mend."""
    terminal.edit(FEATURE, "tier: 1 ", "teir: 1 ")
    number = next(n for n, text in enumerate(terminal.file(FEATURE).read_text().splitlines(), 1) if "teir" in text)

    assert f"example.yaml:{number}: " in terminal("check", "--offline").out


def test_a_faulty_feature_disables_only_itself(two: Terminal) -> None:
    """Another feature's broken file is named by check, and this one goes on."""
    two.file("playbooks/features/other.yaml").write_text("feature: other\ncomponents: {flag: {target: flags}\n")
    checked = two("check")
    planned = two("plan", "example", "v1")
    broken = two("plan", "other", "v1")

    assert checked.code == 1
    assert "other.yaml:" in checked.out
    assert "on for 25 %" in checked.out
    assert planned.code == 0, planned.err
    assert broken.code == 1
    assert "other.yaml:" in broken.fault


def test_check_asks_the_systems(terminal: Terminal) -> None:
    """A flag that is not in its file is a fault; a warning of a system is said, and is none."""
    flags = terminal.file("playbooks/flags.json")
    rule = {"state": "DISABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    flags.write_text(json.dumps({"flags": {"use_example": rule}}))
    warned = terminal("check", "--json")
    flags.write_text(json.dumps({"flags": {"other": rule}}))
    faulty = terminal("check", "--json")

    assert (warned.code, warned.json["ok"]) == (0, True)
    assert "DISABLED" in warned.json["warnings"][0]
    assert warned.json["components"][0] | {"system": "", "resource": ""} == {
        "feature": "example",
        "component": "flag",
        "system": "",
        "version": warned.json["components"][0]["version"],
        "resource": "",
    }
    assert (faulty.code, faulty.json["ok"]) == (1, False)
    assert "use_example" in faulty.json["faults"][0]


def test_a_missing_extra_is_named_in_one_line(terminal: Terminal, tmp_path: Path) -> None:
    """A component whose library is not installed says what to install; the other components are met."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    hidden.joinpath("deltalake.py").write_text("raise ModuleNotFoundError('no deltalake', name='deltalake')")
    terminal.edit(TARGETS, "# lake:", "lake:")
    terminal.edit(FEATURE, "  # dataset:    {target: lake, uri:", "  dataset: {target: lake, uri:")
    said = terminal.program("check", PYTHONPATH=str(hidden))

    assert said.code == 1, said.out + said.err
    assert [line for line in said.out.splitlines() if "pip install 'rollbot[delta]'" in line and "dataset" in line]
    assert "on for 100 %" in said.out


def test_a_policy_that_nobody_can_satisfy_is_a_fault(terminal: Terminal) -> None:
    """Three approvals of a group of two are refused before the night they are needed."""
    terminal.edit(POLICY, "approve: 1", "approve: 3")
    said = terminal("check")

    assert said.code == 1
    assert "nobody could approve" in said.out


def test_another_artifact_store_than_at_the_last_start_is_warned_of(terminal: Terminal) -> None:
    """An ephemeral disk loses captures without a word, so check says so."""
    assert terminal("check").code == 0
    said = terminal("check", ROLLBOT_ARTIFACTS="elsewhere")

    assert said.code == 0
    assert "Warning: the artifact store is not the one of the last start" in said.out


def test_another_database_than_at_the_last_start_is_warned_of(terminal: Terminal) -> None:
    """A database that was lost beside artifacts that are still there is said, each time, until it is back."""
    assert "Warning" not in terminal("check").out
    terminal.file("rollbot.db").rename(terminal.file("kept.db"))
    lost = [terminal("check"), terminal("check")]
    back = terminal("check", ROLLBOT_DATABASE_URL="sqlite:///kept.db")

    assert all("Warning: the database is not the one of the last start" in said.out for said in lost)
    assert [said.code for said in (*lost, back)] == [0, 0, 0]
    assert "Warning" not in back.out


def test_programs_of_ones_own_are_met_too(terminal: Terminal) -> None:
    """A component behind the command target is asked like any other."""
    with_model(terminal)
    said = terminal("check", "--json")

    assert said.code == 0, said.out
    assert [(c["component"], c["version"]) for c in said.json["components"]][1] == ("model", "12")
