"""Files are read as YAML 1.2, and whatever is wrong is said with file, line and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from bot.core.errors import Fault
from bot.core.feature import Feature
from bot.core.playbook import Playbook
from bot.outside.yamlfile import LARGEST, Document, fault_of, parse

FILE = Path("playbooks/features/driver_stats.yaml")


def read(text: str | bytes) -> Document:
    return parse(FILE, text if isinstance(text, bytes) else text.encode())


def said(text: str | bytes) -> str:
    with pytest.raises(Fault) as raised:
        read(text)
    return raised.value.message.removeprefix(str(FILE) + ":")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("190:20:30", "190:20:30"),
        ("2026-11-22", "2026-11-22"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("v12", "v12"),
        ("=", "="),
        ("'12'", "12"),
        ('"true"', "true"),
        ("'null'", "null"),
        ("1" * 200, "1" * 200),
        ("[a, 1]", ["a", 1]),
        ("{b: no}", {"b": "no"}),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_values_mean_what_yaml_1_2_says(written, meant):
    """The words, octal numbers, times and dates of YAML 1.1 are plain text or plain numbers."""
    got = read(f"key: {written}\n").data["key"]
    assert got == meant and type(got) is type(meant)


def test_keys_are_always_text():
    """``on:``, ``no:``, ``1:`` and ``true:`` are keys that are called so."""
    assert read("on: 1\nno: 2\n1: 3\ntrue: 4\nnull: 5\n").data == {"on": 1, "no": 2, "1": 3, "true": 4, "null": 5}


def test_every_key_and_item_has_its_line():
    """Lines are known for nested keys and list items; for what is not there, of the nearest thing around it."""
    text = "# a comment\nfeature: x\ncomponents:\n  flag:\n    kind: flag\n\n"
    text += "  online: {target: a,\n    view: b}\nsteps:\n  - a\n  -\n    b: 1\n"
    document = read(text)
    expected = {
        ("feature",): 2,
        ("components", "flag"): 4,
        ("components", "flag", "kind"): 5,
        ("components", "online", "target"): 7,
        ("components", "online", "view"): 8,
        ("steps", 0): 10,
        ("steps", 1, "b"): 12,
        ("components", "flag", "absent", "more"): 4,
        ("absent",): 2,
    }
    assert {pointer: document.line(*pointer) for pointer in expected} == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "3: 'a' is here twice, first in line 1"),
        ("a:\n  b: 1\n  'b': 2\n", "3: 'b' is here twice, first in line 2"),
        ("a:\n\tb: 1\n", "2: a tab where YAML wants spaces: indent with spaces"),
        ("a: 1\n  b: 2\n", "2: not valid YAML: mapping values are not allowed here"),
        ("a: [1\nb: 2\n", "2: not valid YAML: expected ',' or ']', but got ':' (while parsing a flow sequence)"),
        ("a: 'x\n", "2: not valid YAML: found unexpected end of stream (while scanning a quoted scalar)"),
        ("a: @team\n", "1: not valid YAML: found character '@' that cannot start any token"),
        ("a: 1\nb: \x07\n", "2: a character that YAML does not allow"),
        (b"a: 1\nb: \xff\n", "2: not UTF-8"),
        (
            "a: 1\nb: !!python/object:os.system x\n",
            "2: tags like tag:yaml.org,2002:python/object:os.system are not read",
        ),
        ("a: !secret x\n", "1: tags like !secret are not read here"),
        ("a: 1\n---\nb: 2\n", "2: a second document ('---'); write one file each"),
        ("base: &b {x: 1}\nc:\n  <<: *b\n", "3: '<<' (merging) is not part of YAML 1.2; write the keys out"),
        ("a: 1\nb: *nobody\n", "2: *nobody stands before &nobody is complete"),
        ("a: &a [1, *a]\n", "1: *a stands before &a is complete"),
        ("a: 1\nb: .nan\n", "2: .nan is no number that can be stored"),
        ("a: -.inf\n", "1: -.inf is no number that can be stored"),
        ("a: 1e999\n", "1: 1e999 is no number that can be stored"),
        ("? [a, b]\n: c\n", "1: a key must be a word"),
        ("a: " + "[" * 60 + "]" * 60 + "\n", "1: nested deeper than 40 levels"),
    ],
)
def test_faults_have_file_line_and_words(text, words):
    """Malformed files are refused in one line that names the place."""
    assert said(text).startswith(words)


def test_aliases_repeat_but_can_not_explode():
    """An anchor can be used twice; a file that multiplies itself is refused before it takes memory."""
    assert read("a: &a {x: 1}\nb: *a\n").data == {"a": {"x": 1}, "b": {"x": 1}}
    bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    assert "more than 100,000 values in one file" in said(bomb)


def test_a_huge_file_is_refused():
    """What is larger than a megabyte is not parsed."""
    assert "at most 1,048,576 are read" in said(b"a: " + b"x" * LARGEST)


def test_an_empty_file_and_a_mark_at_its_start_are_read():
    """An empty file is nothing, and the byte order mark of some editors is ignored."""
    assert read("").data is None and read("# only a comment\n").data is None
    assert read(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


def test_data_is_plain(tmp_path):
    """Values are plain Python, not the parser's own classes: they can be stored as JSON and compared."""
    document = read("a: [1, {b: text}]\n")
    assert type(document.data) is dict and type(document.data["a"]) is list and type(document.data["a"][1]["b"]) is str


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    verify: list[str]
    on_failure: str = Field(default="stop", pattern="^(stop|continue)$")


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")
    notify: str


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    about: str = ""
    timeout: int = 0
    steps: list[Inner | Other] = []
    named: dict[str, Inner] = {}


def complaint(text: str, model: type[BaseModel], *, tell: bool = True) -> str:
    document = read(text)
    try:
        model.model_validate(document.data)
    except ValueError as e:
        return fault_of(document, e, model if tell else None).message.removeprefix(str(FILE) + ":")
    raise AssertionError("the text is valid")


def test_a_misspelt_key_gets_its_line_and_a_suggestion():
    """Also inside lists, mappings and unions, and it comes before the faults that follow from it."""
    text = "about: x\nsteps:\n  - verify: [a]\n    on_failure: stop\n  - verfiy: [b]\n"
    assert complaint(text, Outer).startswith("5: unknown key 'verfiy', did you mean 'verify'?")
    assert complaint("named:\n  a:\n    verfiy: [b]\n", Outer) == "3: unknown key 'verfiy', did you mean 'verify'?"
    assert complaint("abuot: x\ntimeout: soon\n", Outer).startswith(
        "1: unknown key 'abuot', did you mean 'about'? (and 1"
    )


def test_a_required_misspelt_key_is_found_without_the_model():
    """The missing key beside the unknown one is the suggestion."""
    text = "named:\n  a:\n    verfiy: [b]\n"
    assert complaint(text, Outer, tell=False) == "3: unknown key 'verfiy', did you mean 'verify'?"


def test_an_unknown_key_without_likeness_lists_what_there_is():
    """Where nothing is near, the known keys are named."""
    assert complaint("zzz: 1\n", Outer) == "1: unknown key 'zzz'; known are about, timeout, steps and named"


def test_a_wrong_value_is_said_with_its_line():
    """The key, what is expected and what stands there."""
    text = "about: x\ntimeout: soon\n"
    assert complaint(text, Outer).startswith("2: timeout: input should be a valid integer")
    assert complaint(text, Outer).endswith(", not 'soon'")
    assert complaint("named:\n  a: {}\n", Outer) == "2: 'named.a.verify' is missing"


def test_real_features_and_playbooks_are_explained():
    """The models of features and playbooks give the same quality of line."""
    feature = "feature: x\nowner: a\ncomponents:\n  flag: {kind: flagg, target: flags}\n"
    assert complaint(feature, Feature).startswith("4: components.flag.kind: input should be 'definition'")
    assert complaint(feature, Feature).endswith("not 'flagg', did you mean 'flag'?")
    assert complaint("feature: x\nconsumer: [a]\n", Feature).startswith(
        "2: unknown key 'consumer', did you mean 'consumers'?"
    )
    steps = "playbook: p\nsteps:\n  - restore: dataset\n    timout: 5m\n"
    assert complaint(steps, Playbook) == "4: unknown key 'timout', did you mean 'timeout'?"
    verb = complaint("playbook: p\nsteps:\n  - verfiy: [a]\n", Playbook)
    assert verb.startswith("3: unknown verb 'verfiy', did you mean") and "verify" in verb


def test_a_part_of_a_document_can_be_validated_alone():
    """``at`` says where the validated part begins."""
    document = read("a:\n  b:\n    verfiy: [x]\n")
    with pytest.raises(ValueError, match="verfiy") as raised:
        Inner.model_validate(document.data["a"]["b"])
    assert fault_of(document, raised.value, Inner, ("a", "b")).line == 3


def test_no_shell_or_module_is_reachable():
    """Nothing in a file is run."""
    said("a: !!python/object/apply:os.system ['touch made-by-yaml']\n")
    assert not os.path.lexists("made-by-yaml")
