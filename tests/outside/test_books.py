"""What is wrong in a team's folder is said at the line where it is to be mended."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bot.core.errors import Fault
from bot.outside.books import TeamBooks
from bot.outside.registry import Registry
from bot.targets import flagd

FLAG = "feature: {name}\nplaybook: {playbook}\ncomponents:\n  flag: {{target: flags, flag: x}}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("features", "playbooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "policy.yaml").write_text("policy: 1\n")
    (tmp_path / "targets.yaml").write_text("flags: {type: flagd, file: flags.json}\n")
    write_playbook(tmp_path, "standard", "  - disable: flag")
    return tmp_path


def write_playbook(root: Path, name: str, *steps: str) -> None:
    (root / f"playbooks/{name}.yaml").write_text("\n".join((f"playbook: {name}", "steps:", *steps, "")))


def write_feature(root: Path, name: str, playbook: str = "standard") -> None:
    (root / f"features/{name}.yaml").write_text(FLAG.format(name=name, playbook=playbook))


def faults(root: Path) -> list[str]:
    found = TeamBooks(root, Registry({"flagd": flagd.TARGETS})).faults()
    return [said.removeprefix(f"{root}/") for said in found]


MISFITS = [
    (("  - disable: flag", "  - disable: falg"), 4, "unknown kind 'falg', did you mean 'flag'?"),
    (("  - restore: name:gone", "  - disable: flag"), 3, "no component is named 'gone'"),
    (("  - disable: [", "      flag,", "      name:flga]"), 5, "no component is named 'flga'"),
    (("  - disable: flag", "  - restore: flag"), 4, "restore does not fit flag (a flag)"),
]


@pytest.mark.parametrize(("steps", "line", "said"), MISFITS)
def test_what_does_not_fit_is_named_where_the_playbook_says_it(
    root: Path, steps: tuple[str, ...], line: int, said: str
) -> None:
    """One line with the playbook's file and line, however many features need it, and which these are."""
    write_playbook(root, "careful", *steps)
    for n in range(5):
        write_feature(root, f"f{n}", "careful")
    write_feature(root, "other")

    assert faults(root) == [f"playbooks/careful.yaml:{line}: {said} (needed by f0, f1, f2 and 2 more)"]


def test_a_broken_playbook_is_named_once_with_who_needs_it(root: Path) -> None:
    """Its own fault is not repeated for each feature; one that nobody needs is named too."""
    write_playbook(root, "careful", "  - disabel: flag")
    write_playbook(root, "spare", "  - {}")
    write_feature(root, "fares", "careful")

    careful, spare = faults(root)
    assert careful.startswith("playbooks/careful.yaml:3: ")
    assert careful.endswith(" (needed by fares)")
    assert spare.startswith("playbooks/spare.yaml:3: ")
    assert "needed by" not in spare


def test_a_playbook_that_is_not_there_is_named_where_it_is_asked_for(root: Path) -> None:
    """That is the feature's file and line."""
    write_feature(root, "fares", "standart")

    (said,) = faults(root)
    assert said.startswith("features/fares.yaml:2: there is no playbook 'standart'")


def test_faulty_features_are_known_a_few_reads_at_a_time(root: Path) -> None:
    """However many files there are, one look reads 20 that were not read yet; what was faulty is looked at again."""
    for n in range(50):
        write_feature(root, f"f{n:02}")
    for name in ("f03", "f48"):
        (root / f"features/{name}.yaml").write_text(f"feature: {name}\ncomponents: []\n")
    settle(root)
    books = TeamBooks(root, Registry({"flagd": flagd.TARGETS}))
    looks = [(books.known_faults(), sum(books.files.in_memory(name) for name in books.feature_names()))]
    looks += [(books.known_faults(), sum(books.files.in_memory(name) for name in books.feature_names())) for _ in "ab"]
    write_feature(root, "f03")
    write_feature(root, "f07", "no: playbook: at all")

    assert [read for _, read in looks] == [20, 40, 50]
    assert [[said.split("/")[-1].split(":")[0] for said in faults] for faults, _ in looks] == [
        ["f03.yaml"],
        ["f03.yaml"],
        ["f03.yaml", "f48.yaml"],
    ]
    assert [said.split("/")[-1].split(":")[0] for said in books.known_faults()] == ["f48.yaml", "f07.yaml"]


def settle(root: Path) -> None:
    """Files that were written a while ago."""
    for path in root.rglob("*.yaml"):
        os.utime(path, (time.time() - 60, time.time() - 60))


def test_a_feature_is_checked_again_when_either_file_has_changed(root: Path) -> None:
    """A connection that goes, comes back or is misspelt is noticed at once, though the feature's file is as it was."""
    write_feature(root, "fares")
    books, targets = TeamBooks(root, Registry({"flagd": flagd.TARGETS})), root / "targets.yaml"
    settle(root)
    assert books.feature("fares") is books.feature("fares")

    for text, fault in (("other: {type: flagd, file: f.json}\n", "flags"), ("flags: {type: falgd}\n", "falgd")):
        targets.write_text(text)
        with pytest.raises(Fault, match=fault):
            books.feature("fares")
        targets.write_text("flags: {type: flagd, file: flags.json}\n")
        assert books.feature("fares").feature == "fares"
    write_feature(root, "fares", playbook="another")
    assert books.feature("fares").playbook == "another"
