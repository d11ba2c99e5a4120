"""The folder that a team edits is read when asked for, again when changed, and one fault disables one thing only."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bot.core.errors import Fault, Unknown
from bot.outside.playbooks import PlaybookFiles

TARGETS = """
feast-prod: {type: feast, repo: feature_store.yaml}
lake:
  type: delta
  storage_options: {}
models: {type: mlflow, tracking_uri: "${MLFLOW_TRACKING_URI}"}
flags: {type: flagd, file: sub/flags.json}
"""


@pytest.fixture
def root(tmp_path):
    """A small playbooks folder, old enough to be remembered."""
    root = tmp_path / "playbooks"
    for folder in ("features", "playbooks"):
        (root / folder).mkdir(parents=True)
    write(root / "targets.yaml", TARGETS)
    write(root / "policy.yaml", "request: everyone\n")
    write(root / "features" / "driver_stats.yaml", "feature: driver_stats\nowner: a\n")
    write(root / "features" / "driver_stats@staging.yaml", "feature: driver_stats@staging\n")
    write(root / "playbooks" / "standard.yaml", "playbook: standard\nsteps: []\n")
    return root


def write(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (time.time() - 60, time.time() - 60))


def files(root: Path, **environ: str) -> PlaybookFiles:
    return PlaybookFiles(root, {"MLFLOW_TRACKING_URI": "http://mlflow:5000"} | environ)


def test_names_come_from_the_listing(root):
    """Features and playbooks are named by their files, in order; what nobody reads is said."""
    for stray in ("notes.txt", "old.yml", "a b.yaml", ".hidden.yaml"):
        (root / "features" / stray).write_text("not: read")
    made = files(root)
    assert made.feature_names() == ["driver_stats", "driver_stats@staging"] and made.playbook_names() == ["standard"]
    strays = [fault.message for fault in made.strays()]
    assert [text.split(":")[0].rpartition("/")[2] for text in strays] == ["a b.yaml", "notes.txt", "old.yml"]


def test_documents_are_read_with_lines(root):
    """All four sorts of documents come with their data and lines."""
    made = files(root)
    assert made.feature_document("driver_stats").line("owner") == 2
    assert made.feature_document("driver_stats@staging").data == {"feature": "driver_stats@staging"}
    assert made.playbook_document("standard").data["steps"] == []
    assert made.policy_document().data == {"request": "everyone"}
    assert made.targets_document().data["models"]["tracking_uri"] == "${MLFLOW_TRACKING_URI}"


@pytest.mark.parametrize("name", ["../policy", "..", "/etc/passwd", "a/b", "", ".", "a\0b", "-x", "a\nb", "x" * 200])
def test_a_name_is_never_a_path(root, name):
    """Names with anything of a path in them are unknown, and read nothing."""
    (root / "a").mkdir()
    with pytest.raises(Unknown, match="there is no feature"):
        files(root).feature_document(name)


def test_where_no_name_is_near_what_there_is_is_said(root):
    """Up to eight names, and that there are more; nothing where there are none."""
    with pytest.raises(Unknown, match=r"there is no drill 'nope'\.$"):
        files(root).drill_document("nope")
    (root / "drills").mkdir()
    for n in range(9):
        (root / f"drills/weekly{n}.yaml").write_text("drill: x")
    with pytest.raises(Unknown, match=r"there is no drill 'nope'\. There are weekly0, .*, weekly7 and more\.$"):
        files(root).drill_document("nope")


def test_a_near_miss_is_suggested(root):
    """An unknown name carries what may have been meant."""
    with pytest.raises(Unknown) as raised:
        files(root).feature_document("driver_stat")
    assert raised.value.near[0] == "driver_stats" and "Did you mean driver_stats" in raised.value.message


def test_a_file_must_be_named_after_its_feature(root):
    """A feature in another's file is refused with its line."""
    write(root / "features" / "rider_stats.yaml", "# copied\nfeature: driver_stats\n")
    with pytest.raises(Fault, match=r"rider_stats.yaml:2: the feature here is 'driver_stats', but the file is named"):
        files(root).feature_document("rider_stats")


@pytest.mark.parametrize(("text", "words"), [("", "the file is empty"), ("- a\n", "keys and values are expected here")])
def test_a_file_that_is_no_mapping_is_a_fault(root, text, words):
    """An empty file or a list is said."""
    write(root / "features" / "driver_stats.yaml", text)
    with pytest.raises(Fault, match=words):
        files(root).feature_document("driver_stats")


def test_a_faulty_file_disables_itself_only(root):
    """Other features go on, the fault is the same at every look, and is gone when the file is mended."""
    path = root / "features" / "driver_stats.yaml"
    write(path, "feature: driver_stats\nowner: [\n")
    made = files(root)
    for _ in range(2):
        with pytest.raises(Fault, match=r"driver_stats.yaml:3: not valid YAML") as raised:
            made.feature_document("driver_stats")
        assert raised.value.line == 3
    assert made.feature_document("driver_stats@staging").data
    write(path, "feature: driver_stats\nowner: mended\n")
    assert made.feature_document("driver_stats").data["owner"] == "mended"


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(root):
    """The same document is handed out until the file changes, also if its size stays the same."""
    made = files(root)
    path = root / "features" / "driver_stats.yaml"
    first = made.feature_document("driver_stats")
    assert made.feature_document("driver_stats") is first
    path.write_text("feature: driver_stats\nowner: b\n")
    assert made.feature_document("driver_stats").data["owner"] == "b"
    path.write_text("feature: driver_stats\nowner: c\n")
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    assert made.feature_document("driver_stats").data["owner"] == "c"
    path.unlink()
    with pytest.raises(Unknown):
        made.feature_document("driver_stats")


def test_a_change_that_keeps_size_and_time_is_seen(root):
    """A file put there by what keeps times (tar, rsync, touch -r) is read, in place or anew under the old number."""
    made = files(root)
    path = root / "features" / "driver_stats.yaml"
    for way, owner in (("in place", "b"), ("anew", "c")):
        made.feature_document("driver_stats")
        then = path.stat()
        if way == "anew":
            path.unlink()
        path.write_text(f"feature: driver_stats\nowner: {owner}\n")
        os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
        assert made.feature_document("driver_stats").data["owner"] == owner, way


def test_a_missing_folder_or_file_is_a_clear_answer(tmp_path):
    """No folder means no features; a missing policy is a fault with its path."""
    made = files(tmp_path / "nowhere")
    assert made.feature_names() == [] and made.strays() == []
    with pytest.raises(Fault, match=r"nowhere/policy.yaml: there is no such file"):
        made.policy_document()
    with pytest.raises(Fault, match=r"nowhere/targets.yaml: there is no such file"):
        made.connections()


def test_connections_are_resolved(root):
    """Variables come from the environment, and relative paths start at the file."""
    found = files(root).connections()
    assert found["feast-prod"].type == "feast" and found["feast-prod"].settings["repo"] == str(
        root / "feature_store.yaml"
    )
    assert found["models"].settings == {"tracking_uri": "http://mlflow:5000"}
    assert found["flags"].settings["file"] == str(root / "sub/flags.json")
    assert found["lake"].root == str(root) and found["lake"].settings == {"storage_options": {}}


def test_a_missing_variable_disables_its_connection_only(root):
    """The fault has file and line and names the variable; the other connections stand."""
    made = PlaybookFiles(root, {})
    assert sorted(made.connections()) == ["feast-prod", "flags", "lake"]
    (fault,) = made.connection_faults().values()
    assert fault.message == f"{root}/targets.yaml:6: the environment variable MLFLOW_TRACKING_URI is not set"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${HOST}:${PORT}", "db:5432"),
        ("$${HOST}", "${HOST}"),
        ("$HOST", "$HOST"),
        ("100 %", "100 %"),
        ("${EMPTY}", ""),
        ("${NESTED}", "${HOST}"),
    ],
)
def test_variables(root, written, meant):
    """``${NAME}`` is replaced once, ``$${`` is a way to write it, anything else stays."""
    write(root / "targets.yaml", f"a: {{type: x, nested: [{{value: '{written}'}}]}}\n")
    found = files(root, HOST="db", PORT="5432", EMPTY="", NESTED="${HOST}").connections()
    assert found["a"].settings["nested"][0]["value"] == meant


@pytest.mark.parametrize("written", ["${HOST", "${}", "${a-b}", "${1A}", "${ HOST }"])
def test_a_malformed_variable_is_a_fault(root, written):
    """What looks like a variable and is none is said, not passed on."""
    write(root / "targets.yaml", f"a:\n  type: x\n  value: '{written}'\n")
    made = files(root, HOST="db")
    assert made.connections() == {}
    assert "targets.yaml:3: write ${NAME} for an environment variable" in made.connection_faults()["a"].message


@pytest.mark.parametrize(
    ("key", "written", "starts_here"),
    [
        ("repo", "feature_store.yaml", True),
        ("path", "./x", True),
        ("uri", "data/t", True),
        ("uri", "s3://bucket/t", False),
        ("path", "/abs/x", False),
        ("tls_cert_path", "certs/ca.pem", True),
        ("tracking_uri", "databricks", False),
        ("tracking_uri", "./mlruns", True),
        ("tracking_uri", "http://mlflow", False),
        ("host", "data/t", False),
        ("file", "", False),
    ],
)
def test_relative_paths_start_at_the_file(root, key, written, starts_here):
    """Settings that are paths become absolute; URLs, bare words and everything else stay as written."""
    write(root / "targets.yaml", f"a:\n  type: x\n  deep:\n    {key}: '{written}'\n")
    got = files(root).connections()["a"].settings["deep"][key]
    assert got == (str(root / written) if starts_here else written)


def test_relative_sqlite_urls_start_at_the_file(root):
    """SQLite's three slashes are a relative path; its four and a memory database are not."""
    urls = ["sqlite:///m.db", "sqlite+pysqlite:///d/m.db", "sqlite:////abs/m.db", "sqlite:///:memory:"]
    write(root / "targets.yaml", f"a: {{type: x, urls: {urls}}}\n")
    here = [f"sqlite:///{root}/m.db", f"sqlite+pysqlite:///{root}/d/m.db", *urls[2:]]
    assert files(root).connections()["a"].settings["urls"] == here


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: {repo: x}\n", ":1: connection 'a' needs 'type:'"),
        ("b: {type: x}\na: text\n", ":2: connection 'a' needs 'type:'"),
        ("a: {type: [x]}\n", ":1: connection 'a' needs 'type:'"),
    ],
)
def test_a_connection_without_a_type_is_a_fault(root, text, words):
    """Each connection says what type of system it is."""
    write(root / "targets.yaml", text)
    assert words in files(root).connection_faults()["a"].message


def test_values_of_variables_are_in_no_document(root):
    """Secrets stay out of what is kept, shown or stored: only connections hold them."""
    made = files(root, MLFLOW_TRACKING_URI="http://ana:hunter2@mlflow")
    assert "hunter2" in made.connections()["models"].settings["tracking_uri"]
    assert "hunter2" not in repr(made.targets_document())


def test_an_edited_targets_file_counts_at_once(root):
    """Connections are resolved again when the file changes, and not before."""
    made = files(root)
    assert made.connections() is made.connections()
    write(root / "targets.yaml", "only: {type: x}\n")
    assert list(made.connections()) == ["only"]


def test_ten_thousand_features_do_not_slow_the_start(tmp_path):
    """Listing names opens no file: 10,000 faulty files are listed, and one good one is read, in well under a second."""
    folder = tmp_path / "features"
    folder.mkdir()
    for n in range(10_000):
        (folder / f"f{n}.yaml").write_text("[")
    (folder / "good.yaml").write_text("feature: good\n")
    made = files(tmp_path)
    began = time.perf_counter()
    names = made.feature_names()
    listed = time.perf_counter() - began
    began = time.perf_counter()
    with pytest.raises(Unknown, match="Did you mean good"):
        made.feature_document("goodd")
    guessed = time.perf_counter() - began
    assert made.feature_document("good").data and len(names) == 10_001
    sys.stdout.write(f"10,000 feature files listed in {listed * 1000:.0f} ms, near miss in {guessed * 1000:.0f} ms\n")
    assert listed < 1.0 and guessed < 2.0
