"""rollbot run: a rollback from the terminal, by people who prove who they are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from bot.core.commands import Actor, Command, RunAnyway
from bot.store import inbox
from bot.store.write import open_store
from tests.cli.terminal import ANA, BEN, SAM, Terminal


def asked(terminal: Terminal, to: str = "v11", *words: str) -> str:
    """The name of a run that waits for approval."""
    said = terminal("run", "request", "example", "--to", to, "--json", *words, who=ANA)
    assert (said.code, said.json["waiting_for"]) == (0, "approval"), said.err
    return str(said.json["id"])


def live(terminal: Terminal) -> str:
    return terminal.file("models.json").read_text().split('"live": "')[1].split('"')[0]


def test_a_rollback_from_request_to_verified(models: Terminal) -> None:
    """Asked by one, approved by another: model and flag are back, read back, and everything that scripts read is
    there."""
    name = asked(models, "v11", "--because", "ETAs too long", "--incident", "INC-142")
    approved = models("run", "approve", name, who=BEN)
    shown = models("run", "show", name, "--json").json

    assert approved.code == 0, approved.err
    assert "succeeded" in approved.out
    assert (live(models), "targeting" in models.flag()) == ("11", False)
    assert {k: shown[k] for k in ("id", "feature", "mode", "status", "from_version", "to_version", "reason")} == {
        "id": name,
        "feature": "example",
        "mode": "live",
        "status": "succeeded",
        "from_version": "v12",
        "to_version": "v11",
        "reason": "ETAs too long",
    }
    assert shown["requested_by"] == ANA
    assert [(a["person"], a["yes"], a["digest"]) for a in shown["approvals"]] == [(BEN, True, shown["plan_digest"])]
    assert [(s["verb"], s["component"], s["status"]) for s in shown["steps"]] == [
        ("disable", "flag", "done"),
        ("restore", "model", "done"),
        ("wait", "model", "done"),
        ("verify", "model", "done"),
        ("enable", "flag", "done"),
        ("verify", "flag", "done"),
    ]
    assert {"attempts", "before", "after"} <= shown["steps"][1].keys()
    assert (shown["steps"][1]["before"], shown["steps"][1]["after"]) == ("12", "11")
    assert all(shown["clocks"][c] is not None for c in ("people_s", "applied_s", "visible_s", "verified_s"))
    known = {k: shown["accuracy"][k] for k in ("matched", "expected", "missing", "extra", "null", "where")}
    # the model's 4, and the flag as it is evaluated for 1,000 keys
    assert known == {"matched": 1004, "expected": 1004, "missing": 0, "extra": 0, "null": 0, "where": "in the store"}
    assert [item["what"] for item in shown["left_behind"]] == ["hold"]
    for_people = models("run", "show", name).out
    wanted = (
        "Asked for by T1/ANA",
        "Approved by T1/BEN",
        "1,004 of 1,004 match",
        "Left behind: example is held",
        "verified",
    )
    assert [words for words in wanted if words not in for_people] == []
    assert models("run", "list").out.splitlines()[1].split()[:3] == [name, "example", "rollback"]


def test_who_may_not_is_told_and_nothing_runs(two: Terminal) -> None:
    """No key, nobody's key, the requester, a stranger and a second yes: exit 4 in one line each, and a record."""
    name = asked(two, "v1")
    before = two.flag()
    answers = {
        "say who you are": two("run", "approve", name),
        "nobody's key": two("run", "approve", name, ROLLBOT_KEY="rb_x"),
        "somebody else must decide": two("run", "approve", name, who=ANA),
        "this needs 1 of @ml-oncall": two("run", "approve", name, who=SAM),
    }

    assert {said: a.code for said, a in answers.items()} == dict.fromkeys(answers, 4)
    assert all(said in a.fault for said, a in answers.items())
    assert two.flag() == before
    assert two("run", "show", name, "--json").json["waiting_for"] == "approval"
    assert two("run", "approve", name, who=BEN).code == 0
    again = two("run", "approve", name, who=BEN)
    assert (again.code, "already succeeded" in again.fault) == (4, True)


def test_a_policy_that_lets_only_some_ask(two: Terminal) -> None:
    """A request that policy refuses is exit 4 with its words, and stands in the list as refused."""
    two.edit("playbooks/policy.yaml", "request: [everyone]", 'request: ["@ml-oncall"]')
    said = two("run", "request", "example", "--to", "v1", who=SAM)

    assert said.code == 4
    assert "only @ml-oncall may ask" in said.fault
    assert [r["status"] for r in two("run", "list", "--json").json] == ["refused"]


def test_two_approvals_are_counted(two: Terminal) -> None:
    """After the first of two the command says that one more is needed, and nothing has run."""
    two.edit("playbooks/policy.yaml", "approve: 1", "approve: 2")
    name = asked(two, "v1")
    first = two("run", "approve", name, who=BEN)

    assert first.code == 0
    assert f"1 approval more needed: rollbot run approve {name}" in first.out
    assert "targeting" in two.flag()
    assert two("run", "approve", name, who="T1/CLEO").code == 0
    assert "targeting" not in two.flag()


def test_of_a_paused_run_a_step_is_left_out(two: Terminal) -> None:
    """Exit 0, the run stays paused, and who did it and why is shown with it."""
    ramp = "enable: flag, ramp: [50], every: 1h"
    two.edit("playbooks/playbooks/standard.yaml", "- enable: flag", "- {" + ramp + "}")
    name = asked(two, "v1")
    with two.started("run", "approve", name, who=BEN) as approving:
        assert approving.stdout is not None
        assert any("50 % since" in line for line in approving.stdout)
        approving.kill()
    two("run", "pause", name, "--because", "let me look", who=BEN)
    steps = two("run", "show", name, "--json").json["steps"]
    last = steps[-1]["n"]
    left_out = two("run", "skip", name, "--step", str(last), "--because", "known", who=BEN)

    assert (left_out.code, left_out.err) == (0, "")
    shown = two("run", "show", name).out
    assert f"{name} paused: let me look" in shown
    assert "paused it: " in shown and 'left out verify flag: "known"' in shown


def test_reject_and_abort_end_a_run(two: Terminal) -> None:
    """Both are exit 0 for who asked for it; nothing is changed, and the reason stands in the run."""
    before = two.flag()
    first = asked(two, "v1")
    rejected = two("run", "reject", first, "--because", "not now", who=BEN)
    second = asked(two, "v1")
    early, late = two("run", "pause", second, who=BEN), two("run", "resume", second, who=BEN)
    assert (early.code, late.code) == (4, 4)
    assert "nothing is at work that could be paused" in early.err and "is not paused: it is waiting" in late.err
    aborted = two("run", "abort", second, who=ANA)
    again = two("run", "abort", second, who=ANA)

    assert (rejected.code, aborted.code, again.code) == (0, 0, 4)
    assert [(r["status"], r["why"]) for r in two("run", "list", "--json").json] == [
        ("aborted", "aborted, nothing was changed"),
        ("rejected", "rejected: not now"),
    ]
    assert two.flag() == before


def test_stop_needs_nobody_and_put_back_brings_back_what_was(two: Terminal) -> None:
    """--stop switches the flag off at once; a rollback's put-back asks for approval and restores the pre-image."""
    stopped = two("run", "request", "example", "--stop", who=ANA)
    assert (stopped.code, two.flag()["defaultVariant"]) == (0, "off"), stopped.err
    two.share(25)
    name = asked(two, "v1")
    assert two("run", "approve", name, who=BEN).code == 0
    back = two("run", "put-back", name, "--json", who=ANA)
    assert (back.code, back.json["waiting_for"], back.json["purpose"]) == (0, "approval", "put_back")
    assert two("run", "approve", back.json["id"], who=BEN).code == 0
    assert two.flag()["targeting"] == {"fractional": [["on", 25], ["off", 75]]}


def test_a_dry_run_plans_and_ends(two: Terminal) -> None:
    """Nothing is changed, nobody is asked, the plan is printed; exit 3 for what can't be restored, as for a real one,
    which ends as refused."""
    before = two.flag()
    fine = two("run", "request", "example", "--to", "v1", "--dry-run", who=ANA)
    after = two.flag()
    two.file("playbooks/flags.json").write_text('{"flags": {}}')
    lost = two("run", "request", "example", "--to", "v1", "--dry-run", who=ANA)
    real = two("run", "request", "example", "--to", "v1", who=ANA)

    assert (fine.code, lost.code, real.code, after) == (0, 3, 3, before)
    assert "on for 25 % -> on for 100 %" in fine.out
    assert all("not restorable: flag" in said.fault for said in (lost, real))
    assert [r["status"] for r in two("run", "list", "--json").json] == ["refused", "succeeded", "succeeded"]


def test_a_verify_that_does_not_pass_is_a_fault_and_can_be_repeated(models: Terminal) -> None:
    """Exit 1, the flag stays off; retry goes on when the system is mended."""
    name = asked(models)
    models.models("12", broken=True)
    failed = models("run", "approve", name, who=BEN)
    off = models.flag()["defaultVariant"]
    models.models("11")
    retried = models("run", "retry", name, who=BEN)

    assert failed.code == 1
    assert "waiting" in failed.fault
    assert off == "off"
    assert retried.code == 0, retried.err
    assert models.flag()["defaultVariant"] == "on"


def test_a_moment_that_is_not_there_is_a_fault(two: Terminal) -> None:
    """A request that can't be planned is exit 1, not a refusal by policy."""
    said = two("run", "request", "example", "--to", "v1", "--at", "2020-01-01T00:00", who=ANA)

    assert said.code == 1
    assert "no moment" in said.fault


def test_a_time_to_come_is_refused_before_anything_is_written(two: Terminal) -> None:
    """Nobody can take data back to tomorrow: exit 2, and no run was made."""
    said = two("run", "request", "example", "--to", "v1", "--at", "2131-01-01T00:00", who=ANA)

    assert said.code == 2
    assert "'2131-01-01T00:00' is in the future" in said.fault
    assert two("run", "list", "--json").json == []


def test_another_playbook_may_be_named(models: Terminal) -> None:
    """The run takes its steps from the one that was asked for; one that is not there is said before anything is
    written."""
    steps = "steps:\n  - restore: model\n  - verify: model\n  - disable: flag\n"
    models.file("playbooks/playbooks/quick.yaml").write_text(f"playbook: quick\n{steps}")
    missing = models("run", "request", "example", "--to", "v11", "--playbook", "quik", who=ANA)
    name = asked(models, "v11", "--playbook", "quick")
    shown = models("run", "show", name, "--json").json

    assert (missing.code, "'quik'" in missing.fault, "quick" in missing.fault) == (1, True, True)
    assert name == "R-1"
    assert [s["verb"] for s in shown["steps"]] == ["restore", "wait", "verify", "disable"]


def test_a_run_without_approval_is_shown_as_one(two: Terminal) -> None:
    """Who broke the glass, and why, stand in the text and in the JSON; null for a run that was approved."""
    first = asked(two, "v1")
    before = two("run", "show", first, "--json").json
    anyway = RunAnyway(run=1, digest=before["plan_digest"], version="v1", reason="nobody is awake")
    asyncio.run(press(two, anyway, BEN))
    assert two("run", "retry", first, who=BEN).code == 4  # it works for nobody; its worker takes the press before it
    shown, for_people = two("run", "show", first, "--json").json, two("run", "show", first).out

    glass = shown["without_approval"]
    assert (glass["person"], glass["reason"], shown["approvals"]) == (BEN, "nobody is awake", [])
    assert "Run WITHOUT APPROVAL by T1/BEN: nobody is awake" in for_people
    assert before["without_approval"] is None


async def press(terminal: Terminal, command: Command, who: str) -> None:
    """As a button in Slack does: into the inbox, for whoever is the next worker."""
    store = open_store(f"sqlite:///{terminal.file('rollbot.db')}")
    await store.start()
    actor, now = Actor(kind="person", id=who, via="slack"), datetime.now(UTC)
    await store.intake(lambda c: inbox.take(c, "press", actor, command, "", now))
    await store.stop()


def test_the_list_pages_and_filters(two: Terminal) -> None:
    """--before gives the next page, --feature only one feature's runs."""
    for _ in range(2):
        two("run", "abort", asked(two, "v1"), who=ANA)

    assert [r["id"] for r in two("run", "list", "--json").json] == ["R-2", "R-1"]
    assert [r["id"] for r in two("run", "list", "--before", "R-2", "--json").json] == ["R-1"]
    assert two("run", "list", "--feature", "other", "--json").json == []


def test_a_drill_from_the_terminal(two: Terminal) -> None:
    """Asked, approved, verified in its sandbox; the flag file has the same bytes and nothing lies beside it."""
    before = two.file("playbooks/flags.json").read_bytes()
    asked_ = two("drill", "example", "v1", "--json", who=ANA)
    assert (asked_.code, asked_.json["mode"], asked_.json["waiting_for"]) == (0, "drill", "approval"), asked_.err
    approved = two("run", "approve", str(asked_.json["id"]), who=BEN)

    assert approved.code == 0, approved.err
    assert two.file("playbooks/flags.json").read_bytes() == before
    assert not [p for p in two.file("playbooks").iterdir() if p.name.startswith(".")]
    assert two("gate", "example").code == 0
    shown = two("run", "show", str(asked_.json["id"])).out
    assert "DRILL - production is not touched" in shown
    assert "Production has the versions that it had before: 1 part of 1" in shown
    assert "rollback (drill)" in two("run", "list").out
    assert two("run", "put-back", str(asked_.json["id"]), who=BEN).fault.startswith("R-1 was a drill")


def test_which_drills_are_scheduled(two: Terminal) -> None:
    """With the next time, or what is wrong and where; ``check`` says that, too."""
    assert "example to previous, not enabled" in two("drill", "list").out
    two.edit("playbooks/drills/example.yaml", "enabled: false", "enabled: true ")
    assert "next Tue " in two("drill", "list").out
    two.edit("playbooks/drills/example.yaml", "* * tue", "* * tues")
    assert "'tues' is not understood" in two("drill", "list").out.replace("\n", " ")
    assert "example.yaml:9: schedule" in two("check", "--offline").out
    assert two("drill", "example", who=ANA).code == 2


def test_a_database_is_not_moved_into_itself(two: Terminal) -> None:
    """Whoever forgot to name the new one is told so, and not of a lock; the runs are where they were."""
    name = asked(two, "v1")
    said = two("migrate", "--from", f"sqlite:///{two.folder}/rollbot.db")
    assert (said.code, said.fault.partition(": ")[2]) == (2, "set ROLLBOT_DATABASE_URL to the new one")
    assert [r["id"] for r in two("run", "list", "--json").json] == [name]
