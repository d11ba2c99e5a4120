"""rollbot release, plan and gate: what a person and CI see of what can be taken back."""

from __future__ import annotations

import pytest

from tests.cli.terminal import ANA, BEN, Terminal, with_model, with_table


def test_a_capture_is_listed_shown_and_ready(terminal: Terminal) -> None:
    """What was captured can be read back with changelog, metrics and commit, and is the live release."""
    words = ("--changelog", "new <!channel> fares", "--metric", "auc=0.91", "--commit", "abc123")
    said = terminal("release", "capture", "example", "v1", *words, "--json")
    listed = terminal("release", "list", "example", "--json").json
    shown = terminal("release", "show", "example", "v1", "--json").json
    ready = terminal("release", "ready", "example", "v1", "--json")

    assert (said.code, said.json["ok"], said.json["components"]) == (0, True, {"flag": "on for 100 %"})
    assert [(r["version"], r["live"], r["metrics"], r["commit"]) for r in listed] == [
        ("v1", True, {"auc": 0.91}, "abc123")
    ]
    assert shown["captures"]["flag"]["pointer"] == "on for 100 %"
    assert shown["changelog"] == "new <!channel> fares"
    assert (ready.code, ready.json["flag"]["status"]) == (0, "ready")


def test_tables_say_the_same_for_people(two: Terminal) -> None:
    """Without --json the same facts are there, as lines that grep can use."""
    listed = two("release", "list", "example").out.splitlines()
    shown = two("release", "show", "example", "v1").out

    assert [line.split()[0] for line in listed[1:]] == ["v2", "v1"]
    assert "(live)" in listed[1]
    assert "first" in listed[2]
    assert "on for 100 %" in shown


def test_another_code_side_under_the_same_name_is_refused(two: Terminal) -> None:
    """A release is immutable: exit 4, and the captured one stays."""
    two.share(50)
    said = two("release", "capture", "example", "v2")

    assert said.code == 4
    assert "immutable" in said.fault
    assert two("release", "show", "example", "v2", "--json").json["captures"]["flag"]["pointer"] == "on for 25 %"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("capture", "example", "v 1"), "no version name"),
        (("capture", "example", "previous"), "can't be named 'previous'"),
        (("capture", "example", "v3", "--metric", "auc"), "NAME=NUMBER"),
        (("capture", "example", "v3", "--metric", "auc=nan"), "NAME=NUMBER"),
        (("import", "example", "v3", "flag"), "COMPONENT=POINTER"),
        (("import", "example", "v3", "flag=1", "flag=2"), "each component once"),
        (("import", "example", "v3", "flga=1"), "no component 'flga'"),
        (("import", "example", "v3", "flag=7"), "keeps no old versions"),
    ],
)
def test_off_words_are_said_and_nothing_is_stored(terminal: Terminal, words: tuple[str, ...], said: str) -> None:
    """A name, a number or a pointer that can't be meant ends in one line, and no release is made."""
    result = terminal("release", *words)

    assert result.code in (1, 2)
    assert said in result.fault
    assert terminal("release", "list", "example", "--json").json == []


def test_a_release_is_made_from_what_a_system_still_holds(terminal: Terminal) -> None:
    """Installed on Tuesday, needed on Wednesday: model 11 is imported while 12 is live, as expected, not observed."""
    with_model(terminal)
    times = ("--live-from", "2026-11-12T09:00", "--live-to", "2026-11-14T09:00")
    said = terminal("release", "import", "example", "v11", "model=11", *times)
    shown = terminal("release", "show", "example", "v11", "--json").json
    gone = terminal("release", "import", "example", "v9", "model=9")

    assert said.code == 0, said.err
    assert (shown["captures"]["model"]["pointer"], shown["expected"], shown["live"]) == ("11", True, False)
    assert gone.code == 1
    assert "holds no version 9" in gone.fault


def test_an_import_says_of_when_its_data_is_and_that_nobody_saw_it(terminal: Terminal) -> None:
    """An old dataset's own time is the moment's, and *expected, not observed* stands wherever the release is shown."""
    with_table(terminal)
    said = terminal("release", "import", "example", "v11", "dataset=37")
    listed, shown = terminal("release", "list", "example"), terminal("release", "show", "example", "v11")
    told = terminal("release", "import", "example", "v11", "dataset=37", "--live-to", "2026-11-14T09:00", "--json")
    captured = terminal("release", "capture", "example", "v12")

    start = (
        "Imported example v11, expected, not observed: flag on for 100 %, dataset 37. Data as of 2026-11-12 09:00 UTC."
    )
    assert said.out.splitlines()[0] == start
    assert listed.out.splitlines()[1].startswith("v11 (expected, not observed)")
    assert shown.out.splitlines()[0].startswith("example v11 (expected, not observed)")
    assert [r.split() for r in shown.out.splitlines() if "dataset 37" in r] == [
        ["2026-11-12", "09:00", "dataset", "37", "expected,", "not", "observed"]
    ]
    assert told.json["data_at"] == "2026-11-14T09:00:00+00:00"
    assert captured.out.splitlines()[0] == "Captured example v12: flag on for 100 %, dataset 38."


def test_readiness_knows_what_stands_beside(models: Terminal) -> None:
    """Each component is asked with the captures of its siblings, as from Slack and as on a plan."""
    ready = models("release", "ready", "example", "v11", "--json")

    assert ready.code == 0, ready.err
    assert ready.json["model"] == ready.json["model"] | {"status": "ready", "reasons": ["beside flag, model"]}


def test_names_that_are_not_there_get_suggestions(two: Terminal) -> None:
    """An unknown feature or version is said with what was probably meant: exit 1, and nothing is written."""
    before = two("run", "list", "--json").json
    answers = [
        two("plan", "exmaple", "v1"),
        two("release", "show", "exmaple", "v1"),
        two("release", "capture", "exmaple", "v1"),
        two("gate", "exmaple"),
        two("run", "request", "exmaple", "--to", "v1", who=ANA),
    ]
    versions = [
        two("plan", "example", "v11"),
        two("release", "ready", "example", "v11"),
        two("run", "request", "example", "--to", "v11", who=ANA),
    ]

    assert [a.code for a in answers + versions] == [1] * 8
    assert all("Did you mean example?" in a.fault for a in answers)
    assert all("v1" in a.fault.split("Did you mean")[1] for a in versions)
    assert two("run", "list", "--json").json == before == []


def test_a_plan_says_what_would_change_and_changes_nothing(two: Terminal) -> None:
    """Before and after, steps, who must approve; the flag file and the log stay as they were. The digest is that of a
    run which is asked for next."""
    before = two.flag()
    said = two("plan", "example", "v1")
    made = two("plan", "example", "previous", "--json").json

    assert said.code == 0, said.err
    assert "on for 25 % -> on for 100 %" in said.out
    assert "Needs 1 of @ml-oncall (one of us)" in said.out
    assert (made["body"]["from_version"], made["body"]["to_version"]) == ("v2", "v1")
    assert made["digest"].startswith("sha256:")
    assert two.flag() == before
    assert two("run", "list", "--json").json == []
    run = two("run", "request", "example", "--to", "v1", "--json", who=ANA).json
    assert run["plan_digest"] == made["digest"]


def test_what_cannot_be_restored_is_exit_code_3(two: Terminal) -> None:
    """The component and the reason are named; with --json the document is there as well."""
    two.file("playbooks/flags.json").write_text('{"flags": {}}')
    said, as_json = two("plan", "example", "v1"), two("release", "ready", "example", "v1", "--json")

    assert (said.code, as_json.code) == (3, 3)
    assert "flag" in said.fault
    assert as_json.json["flag"]["status"] == "not_ready"


def test_the_gate_is_shut_while_a_feature_is_held(two: Terminal) -> None:
    """After a rollback CI gets exit 4 and why, until a fixed release is captured; a broken file lifts nothing."""
    free = two("gate", "example", "--json")
    run = two("run", "request", "example", "--to", "v1", "--json", who=ANA).json
    two("run", "approve", run["id"], who=BEN)
    held, as_json = two("gate", "example"), two("gate", "example", "--json")
    two.edit("playbooks/features/example.yaml", "tier: 1 ", "teir: 1 ")
    broken = two("gate", "example")
    two.edit("playbooks/features/example.yaml", "teir: 1 ", "tier: 1 ")
    two.share(50)
    two("release", "capture", "example", "v3")

    assert (free.code, free.json["held"]) == (0, False)
    assert (held.code, as_json.code, broken.code) == (4, 4, 4)
    assert f"rolled back to v1 by {run['id']}" in held.fault
    assert (as_json.json["held"], as_json.json["hold"]["run"]) == (True, run["id"])
    assert two("gate", "example").code == 0


def test_the_gate_opens_for_no_database(terminal: Terminal) -> None:
    """CI in the wrong folder, or with the wrong URL, is told so: an empty database would always say free."""
    said = terminal("gate", "example", ROLLBOT_DATABASE_URL="sqlite:///elsewhere.db")

    assert said.code == 1
    assert "there is no database" in said.fault
    assert not terminal.file("elsewhere.db").exists()


def test_a_plan_shows_the_metrics_then_and_now(terminal: Terminal) -> None:
    """Those recorded with the release stand beside those of the one that is live; one that only one has is unknown
    for the other."""
    first = ("--metric", "auc=0.91", "--metric", "mae=0.3")
    assert terminal("release", "capture", "example", "v1", *first).code == 0
    terminal.share(25)
    assert terminal("release", "capture", "example", "v2", "--metric", "auc=0.7").code == 0
    said, made = terminal("plan", "example", "v1").out, terminal("plan", "example", "v1", "--json").json

    assert "Metric auc: 0.91 then, 0.7 now\nMetric mae: 0.3 then, unknown now\n" in said
    assert (made["seen"]["metrics"], made["live_metrics"]) == ({"auc": 0.91, "mae": 0.3}, {"auc": 0.7})
