"""What people see: the card word for word, every state of every view past the lint, and no untrusted text alive."""

from __future__ import annotations

import ast
import html
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.onward import to_skip, ways
from bot.core.plan import Plan
from bot.core.release import Release, Stint
from bot.core.run import Deed, Status
from bot.core.target import Accuracy, Capture
from bot.slack.lint import lint, lint_call
from bot.slack.presses import PRESSES
from bot.slack.render import safe
from bot.slack.views import buttons, form, lists
from bot.slack.views.alerts import broken_glass, drifted, reminder, stalled, still_left
from bot.slack.views.card import card, first_line
from bot.slack.views.details import details
from bot.slack.views.live import bar, live
from bot.slack.views.outcome import outcome
from bot.slack.views.words import Scene, Shown, clean, paragraphs, said
from tests.slack import scenes
from tests.slack.scenes import NAMES, all_states, at, plan, ran, run

STATES = all_states()


def alert(scene: Scene) -> dict[str, object]:
    """Of the step under way, if there is one."""
    step = next((s for s in scene.run.steps if s.status == "running" and s.started_at), None)
    since = step.started_at.isoformat() if step and step.started_at else ""
    return {"step": step.n if step else 0, "since": since, "after": 30.0, "usual": 12.0, "alert": 1}


MESSAGES: dict[str, Callable[[Scene], Shown]] = {
    "card": card,
    "live": live,
    "outcome": outcome,
    "reminder": reminder,
    "left": still_left,
    "glass": broken_glass,
    "stall": lambda scene: stalled(scene, alert(scene)),
    "drift": lambda scene: drifted(replace(scene, left=[{"what": "hold", "say": "held"}]), {"model": "13"}),
}
EVIL = "<!channel> <@U0ANA> *b* `x` ```\n\n& &lt; \u202eabc\u202c @here https://x.test/" + "<" * 400


def words(blocks: list[Any]) -> list[str]:
    """What a person reads, line by line; buttons as one line in brackets."""
    found: list[str] = []
    for block in blocks:
        if block["type"] == "actions":
            found.append(" ".join(f"[{e['text']['text']}]" for e in block["elements"]))
        elif block["type"] == "section":
            found += html.unescape(block["text"]["text"]).split("\n")
    return found


def test_the_card_is_the_designs_card() -> None:
    """Word for word, on a locked phone and in the channel."""
    shown = card(STATES["waiting"])
    assert html.unescape(shown.text) == ("driver_stats v13 -> v12 · PRODUCTION · needs 1 of @ml-oncall · until 04:02")
    assert words(shown.blocks) == [
        "*driver_stats v13 -> v12 · PRODUCTION · needs 1 of @ml-oncall · until 04:02*",
        '@ana 03:02: "ETAs 40 % too long" · INC-142',
        "Live: v13 since 01:10.  v12: live 12-22 Nov, never rolled back from",
        "Data as of 01:00 (2 h old); 41 later commits discarded",
        "Changes: dataset, definition, online (50,000 rows), model 13 -> 12, flag stays off until verified",
        "Hits: eta-service, pricing-batch · also takes back: rider_stats (same table)",
        "Doubts: serving caches up to 10 min",
        "About 40 s to applied, 11 min to verified",
        "[Approve] [Reject] [Stop the harm now] [Details]",
    ]


def test_another_day_is_said() -> None:
    """A time of day alone is only said of the last day: v13 since 01:10 is not v13 since Friday 01:10."""
    seen = plan(live_since=at("01:10") - timedelta(days=2), data_at=at("01:00") - timedelta(days=3))
    lines = words(card(Scene(run(), seen, at("03:02"), NAMES)).blocks)
    assert "Live: v13 since 20 Nov 01:10.  v12: live 12-22 Nov, never rolled back from" in lines
    assert "Data as of 19 Nov 01:00 (3 d old); 41 later commits discarded" in lines


FIRST_LINES = {
    "planning again": "planning again, approvals void",
    "one of two said yes": "needs 1 of @ml-oncall · 1 said yes · until 04:02",
    "starting": "starting",
    "working": "running, 3 of 9 steps",
    "parked": "running, 3 of 9 steps",
    "stuck": "WAITING FOR A PERSON",
    "paused": "paused by @ben",
    "done": "DONE 03:15, verified",
    "degraded": "DEGRADED 03:15",
    "aborted early": "ABORTED by @ana 03:30",
    "rejected": "REJECTED by @ben 03:30",
    "expired": "EXPIRED 03:30, nobody decided in time",
    "refused": "REFUSED 03:30",
    "not restorable": "NOT RESTORABLE 03:02",
    "dry run": "DRY RUN · dry run done 03:30, nothing was changed",
    "glass": "RUN WITHOUT APPROVAL · DONE 03:15, verified",
}


@pytest.mark.parametrize(("name", "ending"), FIRST_LINES.items())
def test_the_first_line_says_where_the_run_stands(name: str, ending: str) -> None:
    """In every state, with who and when."""
    assert first_line(STATES[name]) == f"driver_stats v13 -> v12 · PRODUCTION · {ending}"


def test_what_was_left_out_and_does_not_fit_is_said_to_the_end() -> None:
    """A verified rollback without a part says so in its first line; that its parts do not fit stands on both."""
    seen = plan(doubts=["MIXED: model 13 stays and may ask for what the definition will lack: rating"])
    part = replace(
        STATES["done"], plan=seen.model_copy(update={"body": seen.body.model_copy(update={"without": ["model"]})})
    )
    assert first_line(part).endswith("DONE 03:15, verified without model")
    for view in (card, outcome):
        assert seen.seen.doubts[0] in words(view(part).blocks)
        assert "MIXED" not in str(words(view(STATES["done"]).blocks))


def test_what_can_not_be_planned_has_its_details() -> None:
    """Also where nothing can be offered instead: the reasons stand there whole."""
    blocked = STATES["not restorable"]
    assert blocked.plan is not None
    nothing = blocked.plan.model_copy(update={"seen": blocked.plan.seen.model_copy(update={"offers": []})})
    assert [b["action_id"] for b in buttons.for_card(replace(blocked, plan=nothing))] == ["details"]


def test_what_was_undone_can_be_restored_again_while_it_is_held() -> None:
    """What is there now, and what the rollback had brought; the buttons stand as long as the hold."""
    scene = STATES["done, things left"]
    held = replace(scene, left=[*scene.left, {"what": "hold", "say": "held"}])
    shown = drifted(held, {"model": "13", EVIL: EVIL})
    assert words(shown.blocks)[:2] == [
        "*R-17: driver_stats is not v12 any more, somebody has changed it*",
        "- model is now 13; R-17 had brought 12",
    ]
    assert words(shown.blocks)[-1] == "[Restore again] [Stop the harm now]"
    assert lint_call("chat.postMessage", {"text": shown.text, "blocks": shown.blocks}) == []
    assert "[Restore again]" not in words(drifted(replace(scene, left=[]), {"model": "13"}).blocks)
    for status, verified_at, need in (
        (Status.succeeded, scene.now, "no new approval while the hold lasts"),
        (Status.degraded, None, "its own approval: R-17 was not verified"),
    ):
        run = scene.run.to(status=status, verified_at=verified_at)
        said = words(drifted(replace(held, run=run), {"model": "13"}).blocks)
        assert any(f"Restore again needs {need}." in line for line in said), said


BUTTONS = {
    "planning": [],
    "nobody can": ["approve", "reject", "stop_harm", "run_anyway", "details"],
    "working": ["pause", "put_back", "abort", "details"],
    "parked": ["pause", "skip", "put_back", "switch", "abort", "details"],
    "behind": ["pause", "unlock", "abort", "details"],
    "ramping": ["pause", "speed_0", "speed_1", "speed_2", "skip", "put_back", "switch", "abort", "details"],
    "paused": ["resume", "skip", "put_back", "switch", "abort", "details"],
    "stuck": ["retry", "skip", "put_back", "switch", "accept", "enable_anyway", "abort", "looking", "details"],
    "done": ["put_back"],
    "done, things left": ["put_back", "lift", "enable"],
    "aborted": ["put_back", "lift", "enable"],
    "aborted early": [],
    "rejected": [],
    "expired": [],
    "refused": [],
    "dry run": [],
    "drill": [],
    "not restorable": ["offer_0", "offer_1", "offer_2", "details"],
    "stop": ["put_back", "lift", "enable"],
    "lift": [],
}


@pytest.mark.parametrize("name", ["live", "outcome", "card", "reminder"])
def test_a_drill_can_not_be_taken_for_anything_else(name: str) -> None:
    """Wherever it shows, its first words say so, and no environment is named; while it waits nobody can stop harm from
    its card, and what would be typed by hand is not shown."""
    scene = STATES["drill"]
    waits = replace(STATES["waiting"], run=STATES["waiting"].run.to(mode="drill"))
    shown = MESSAGES[name](scene if name != "reminder" else waits)

    assert "DRILL - production is not touched · driver_stats v13 -> v12" in html.unescape(shown.text)
    assert "PRODUCTION" not in shown.text
    assert [b["action_id"] for b in buttons.for_card(waits)] == ["approve", "reject", "details"]
    assert "By hand" not in str(details(waits)) and "By hand" in str(details(STATES["waiting"]))


@pytest.mark.parametrize(("name", "wanted"), BUTTONS.items())
def test_buttons_stand_only_where_they_do_something(name: str, wanted: list[str]) -> None:
    """A decided, expired or ended card has none but those for what is left behind."""
    assert [b["action_id"] for b in buttons.for_card(STATES[name])] == wanted


def test_enable_anyway_stands_only_where_a_flag_is_left_to_enable() -> None:
    """Once the flag is on, or a person has left it out, pressing it could only be refused."""
    scene = STATES["stuck"]
    flag = scene.run.steps[-1]
    for update in ({"status": "done"}, {"status": "skipped", "by": "T1/U0BEN"}):
        run = scene.run.with_step(flag.model_copy(update=update))
        shown = [b["action_id"] for b in buttons.for_card(replace(scene, run=run))]
        assert "accept" in shown and "enable_anyway" not in shown, update


def test_a_drill_that_is_ending_can_not_be_paused() -> None:
    """Its sandboxes are being removed; a press could only be refused."""
    scene = STATES["working"]
    drill = scene.run.to(mode="drill")
    ending = drill.to(ends_as=Status.aborted, ends_why="aborted")
    shown = [[b["action_id"] for b in buttons.for_card(replace(scene, run=r))] for r in (drill, ending)]

    assert ["pause" in ids for ids in shown] == [True, False]
    parked = ending.to(status=Status.waiting, waiting_for="time")
    assert "pause" not in [b["action_id"] for b in buttons.for_card(replace(scene, run=parked))]


def test_a_stuck_card_says_what_was_changed_and_what_was_not() -> None:
    """A step that failed in its write may have done half of it."""
    steps = [
        step.model_copy(update={"status": "done", "changed": True} if step.verb == "disable" else {})
        for step in STATES["stuck"].run.steps
    ]
    first = next(n for n, s in enumerate(steps) if s.verb == "restore")
    half = {"status": "failed", "attempts": 1, "before": ran().steps[first].before, "changed": None}
    steps = [s.model_copy(update=half) if n == first else s for n, s in enumerate(steps)]
    scene = replace(STATES["stuck"], run=STATES["stuck"].run.to(steps=steps))
    [said] = [line for line in words(card(scene).blocks) if line.startswith("Changed so far")]
    assert "flag" in said.split(".")[0] and f"{steps[first].component} (perhaps half)" in said


@pytest.mark.parametrize("name", STATES)
def test_every_state_of_every_view_passes_the_lint(name: str) -> None:
    """Nothing that a run can look like is refused by Slack, and the card never has more than twelve lines."""
    scene = STATES[name]
    for kind, view in MESSAGES.items():
        shown = view(scene)
        found = lint_call("chat.postMessage", {"text": shown.text, "blocks": shown.blocks, "channel": "C1"})
        found += lint_call("chat.update", {"text": shown.text, "blocks": shown.blocks, "channel": "C1"})
        assert not found, (kind, found)
    assert len(words(card(scene).blocks)) <= 12
    assert lint(details(scene, {"auc": 0.7}, '{"channel":"C1"}')) == []
    assert lint(form.run_anyway(scene, {"channel": "C1"})) == []
    assert lint(form.accept(scene.run, {}, enable=True)) == []
    assert lint(form.unlock(scene.run, {})) == []
    assert not to_skip(scene.run) or lint(form.skip(scene.run, {})) == []


@pytest.mark.parametrize("name", STATES)
def test_the_terminal_names_the_ways_that_the_card_has(name: str) -> None:
    """Where a run waits for a person or is paused: what helps it on, and nothing that is not there now."""
    scene = STATES[name]
    elsewhere = {buttons.STOP_HARM, buttons.RUN_ANYWAY, buttons.ENABLE_ANYWAY, buttons.LOOKING, buttons.DETAILS}
    pressable = [b["action_id"] for b in buttons.for_card(scene) if b["action_id"] not in elsewhere]
    rests = scene.run.status == Status.paused or scene.run.waiting_for in ("approval", "person")
    wanted = [action.replace("_", "-") for action in pressable] if rests and scene.run.open else []
    assert ways(scene.run) == wanted


def test_every_button_is_understood() -> None:
    """Whatever stands on a card or a list in any state is an action that a press knows, with a value it can read."""
    pages = [
        lists.history(lists.Past("f", [run()], {}, 3)),
        lists.versions(lists.Known("f", [], [], 10)),
    ]
    shown = [view(scene).blocks for scene in STATES.values() for view in MESSAGES.values()]
    shown += [details(scene)["blocks"] for scene in STATES.values()] + [page.blocks for page in pages]
    elements = [e for blocks in shown for b in blocks if b["type"] == "actions" for e in b["elements"]]
    numbered = ("offer_", "speed_")
    names = {e["action_id"].split("_")[0] if e["action_id"].startswith(numbered) else e["action_id"] for e in elements}
    assert names == {*PRESSES, "offer", "speed"}
    assert all(isinstance(json.loads(e["value"]), dict) for e in elements)


def texts(value: Any) -> list[str]:
    """Every mrkdwn text in a payload, and the notification text."""
    if isinstance(value, dict):
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [t for v in value.values() for t in texts(v)]
    return [t for v in value for t in texts(v)] if isinstance(value, list) else []


def evil_scene(evil: str) -> Scene:
    """Untrusted text everywhere where somebody else can write."""
    seen = plan(doubts=[evil] * 5, changelog=evil, blockers=[evil], target_live=evil, unsatisfiable=evil)
    body = seen.body.model_copy(update={"consumers": [evil], "shared": [evil], "playbook": evil})
    captures = {n: c.model_copy(update={"pointer": evil, "resource": evil}) for n, c in seen.captures.items()}
    evil_plan = Plan(no=1, body=body, seen=seen.seen, captures=captures)
    bad = Accuracy(matched=1, expected=2, examples=[evil])
    steps = [
        s.model_copy(update={"note": evil, "error": evil, "status": "failed", "accuracy": bad, "verb": "verify"})
        for s in ran().steps
    ]
    it = ran(Status.aborted, reason=evil, incident=evil, why=evil, steps=steps, to_version="v12")
    left = tuple({"what": "flag", "say": evil} for _ in range(9))
    return Scene(it, evil_plan, at("03:20"), {scenes.ANA: evil, scenes.BEN: evil}, left)


def alive(text: str) -> list[str]:
    """Whatever Slack would make a mention, a link or a date of."""
    return re.findall(r"<[^>]*>?", text)


def check_dead(scene: Scene) -> None:
    for view in MESSAGES.values():
        shown = view(scene)
        assert not [a for t in [shown.text, *texts(shown.blocks)] for a in alive(t)]
        assert not lint_call("chat.postMessage", {"text": shown.text, "blocks": shown.blocks})
        assert "\u202e" not in json.dumps(shown.blocks, ensure_ascii=False)
    modal = details(scene, {scene.run.reason[:30] or "m": 1.0})
    assert not [a for t in texts(modal) for a in alive(t)] and not lint(modal)


def test_no_untrusted_text_is_alive() -> None:
    """A channel-wide mention, a link or a bidirectional override in anything that somebody else wrote is plain text."""
    check_dead(evil_scene(EVIL))


@given(st.text(max_size=400))
def test_any_text_passes_the_lint_dead(text: str) -> None:
    """Whatever stands in reasons, doubts, names, pointers and errors: Slack takes it, and nothing in it is alive."""
    check_dead(evil_scene(text))


@given(st.text(max_size=600), st.integers(min_value=1, max_value=300))
def test_cut_text_is_whole(text: str, most: int) -> None:
    """Cut and escaped text fits, has no half entity, and says how it begins."""
    cut = said(text, most)
    assert len(cut) <= most
    assert re.sub(r"&(amp|lt|gt);", "", cut).count("&") == 0
    assert html.unescape(cut).rstrip("…") == clean(text)[: len(html.unescape(cut).rstrip("…"))]


def test_a_card_is_never_lost_for_one_block() -> None:
    """What Slack would refuse is left out; the first line and the sound buttons stay."""
    good = card(STATES["waiting"])
    bad = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    assert safe(good) is good
    assert safe(Shown(good.text, [*good.blocks, bad])).blocks == good.blocks
    buttons_only = safe(Shown(good.text, [bad, good.blocks[1]]))
    assert words(buttons_only.blocks) == [html.unescape(good.text), "[Approve] [Reject] [Stop the harm now] [Details]"]
    too_many = safe(Shown(good.text, [good.blocks[0]] * 51))
    assert words(too_many.blocks) == [html.unescape(good.text)]


def test_private_words_keep_their_lines() -> None:
    """Several lines stay several lines, dead, and what does not fit is left out with a sign."""
    assert paragraphs("a <!here>\nDoubt: b") == "a &lt;!here&gt;\nDoubt: b"
    long = paragraphs("\n".join(["<" * 900] * 9))
    assert len(long) <= 2900 and long.endswith("\n…") and not alive(long)


def test_a_ramp_is_said_before_it_is_approved() -> None:
    """The card says which shares of the flag come back, and how far apart."""
    scene = STATES["waiting"]
    assert scene.plan is not None
    steps = [
        s.model_copy(update={"ramp": [25, 50], "every": 300.0}) if s.verb == "enable" else s
        for s in scene.plan.body.steps
    ]
    ramped = scene.plan.model_copy(update={"body": scene.plan.body.model_copy(update={"steps": steps})})
    said = "\n".join(words(card(replace(scene, plan=ramped)).blocks))
    assert "flag stays off until verified, then 25 %, 50 % and all of its rule, 5 min apart" in said


def test_a_features_name_keeps_its_case() -> None:
    """It is what one types."""
    why = "driver_stats has no earlier release"
    scene = replace(STATES["refused"], run=STATES["refused"].run.to(why=why))
    assert why in words(card(scene).blocks)


def test_the_live_view_shows_every_step() -> None:
    """Each step has its mark, its time, and a bar where it says how far it is."""
    assert words(live(STATES["working"]).blocks) == [
        "*R-17: driver_stats v13 -> v12 · PRODUCTION · running, 3 of 9 steps*",
        "✓ disable flag 60 s · on for 100 % -> on for 100 %",
        "✓ restore dataset 60 s · 38 -> 38",
        "✓ restore definition 60 s · v7 -> v7",
        "▸ restore online · ██████░░░░ 60 % · rows",
        "· restore model",
        "▸ wait online · 3 of 5 see it",
        "· verify dataset",
        "· verify online",
        "· enable flag",
    ]


def test_the_live_view_says_who_did_what_and_why() -> None:
    """Below the steps, the newest; a step that was left out has its reason and not what had been wrong with it."""
    scene = STATES["working"]
    left_out = scene.run.steps[3].model_copy(update={"status": "skipped", "note": "skipped: no need", "error": "gone"})
    ben = scene.run.yes[0]
    deeds = [
        Deed(person=ben, at=scene.now, what="paused it", why="graphs first"),
        Deed(person=ben, at=scene.now, what="let it go on"),
    ]
    run = scene.run.with_step(left_out).to(deeds=deeds)
    shown = words(live(replace(scene, run=run)).blocks)
    assert shown[4] == "– restore online · skipped: no need"
    at = f"{scene.now:%H:%M}"
    assert shown[-2:] == [f'@ben {at} paused it: "graphs first"', f"@ben {at} let it go on"]


@pytest.mark.parametrize(("done", "total", "shown"), [(0, 0, "0 %"), (1, 3, "33 %"), (5, 3, "100 %"), (-1, 3, "0 %")])
def test_a_bar_never_leaves_its_frame(done: float, total: float, shown: str) -> None:
    """Ten cells, 0 to 100 %, whatever a target reports."""
    drawn = bar(done, total)
    assert len(drawn.split(" ")[0]) == 10 and drawn.endswith(f" {shown}")


def test_a_long_run_fits_one_message() -> None:
    """Two hundred steps with long notes still make a message that Slack takes, with the step at work in it."""
    one = ran().steps[0]
    many = [one.model_copy(update={"n": n, "note": "x" * 500}) for n in range(150)]
    many += [one.model_copy(update={"n": n, "status": "pending", "component": f"c{n}"}) for n in range(150, 200)]
    shown = live(Scene(ran(Status.running, steps=many), plan(), at("03:20"), NAMES))
    assert not lint_call("chat.postMessage", {"text": shown.text, "blocks": shown.blocks})
    assert any("c150" in line for line in words(shown.blocks))


def test_the_outcome_says_everything_that_counts() -> None:
    """Times apart, accuracy and where it was read, what was left behind."""
    assert words(outcome(STATES["done, things left"]).blocks) == [
        "*R-17: driver_stats v13 -> v12 · PRODUCTION · DONE 03:15, verified*",
        "Applied after 60 s · visible after 10 min · verified after 11 min; people took 2 min",
        (
            "Read back at consumers: 100 %, 400,000 of 400,000 match, 0 missing, 0 extra, 0 null "
            "(200,000 of them in the store only)"
        ),
        "Now: dataset 38, definition v7, online v7, model 12, flag on for 100 %",
        "Left behind: pipeline is held; flag is off",
        "[Put v13 back] [Lift] [Enable]",
    ]


def test_what_was_not_read_at_consumers_is_said() -> None:
    """A read-back in the store alone never looks like one at consumers."""
    steps = [
        s.model_copy(update={"accuracy": s.accuracy.model_copy(update={"where": "in the store"})}) if s.accuracy else s
        for s in ran().steps
    ]
    shown = words(outcome(Scene(ran(steps=steps), plan(), at("03:20"), NAMES)).blocks)
    assert "Read back in the store only: 100 %, 400,000 of 400,000 match, 0 missing, 0 extra, 0 null" in shown


def test_a_near_miss_is_never_100_percent() -> None:
    """One wrong cell of a million is not rounded away."""
    steps = [
        s.model_copy(update={"accuracy": Accuracy(matched=999_999, expected=1_000_000, where="in the store")})
        if s.verb == "verify"
        else s
        for s in ran().steps
    ]
    line = next(x for x in words(outcome(Scene(ran(steps=steps), plan(), at("03:20"))).blocks) if "Read back" in x)
    assert "100 %" not in line and "1,999,998 of 2,000,000" in line


def test_details_name_the_commands_by_hand() -> None:
    """Full pointers and digests, a command that a shell takes where the system has one, metrics then and now, field by
    field."""
    text = "\n".join(html.unescape(t) for t in texts(details(STATES["waiting"], {"auc": 0.7})))
    programs = [shlex.split(line)[2] for line in text.splitlines() if line.startswith("python -c")]
    assert [ast.unparse(ast.parse(program)).splitlines()[-1] for program in programs] == [
        "DeltaTable('/x/data').restore(38)",
        "MlflowClient(registry_uri='sqlite:////x/m.db').set_registered_model_alias('eta', 'champion', '12')",
    ]
    assert "in /x/flags.json set the flag 'use_driver_stats' to:" in text and '"variants": {"on": true}' in text
    assert "sha256/bb/" + "b" * 64 in text and "- trips_7d: Int64 -> none" in text
    assert "- auc: 0.91 then, 0.7 now" in text


def test_a_huge_plan_fits_the_details() -> None:
    """Sixty components with long names and rules still make a modal that Slack opens."""
    base = plan()
    steps = [base.body.steps[1].model_copy(update={"n": n, "component": f"part{n}" + "x" * 60}) for n in range(60)]
    long = Capture(**{**scenes.capture("flag").model_dump(), "data": {"text": "<" * 9000}})
    captures = {s.component: long for s in steps}
    states = {s.component: base.seen.states["flag"] for s in steps}
    huge = Plan(
        no=1,
        body=base.body.model_copy(update={"steps": steps}),
        seen=base.seen.model_copy(update={"states": states}),
        captures=captures,
    )
    assert lint(details(Scene(run(), huge, at("03:20"), NAMES))) == []


def release(version: str, **more: Any) -> Release:
    return Release(feature="f", version=version, digest="sha256:1", created_at=at("01:00"), **more)


def test_lists_are_paged_and_say_what_is_live() -> None:
    """Ten to a page, the next page behind a button, and the live release named."""
    many = [release(f"v{n}", changelog=EVIL, metrics={"auc": 0.9}, warnings=[EVIL] * 4) for n in range(10)]
    stints = [
        Stint(version="v1", since=at("00:10"), until=at("01:10"), rolled_back=True),
        Stint(version="v0", since=at("01:10")),
    ]
    shown = lists.versions(lists.Known("f", many, stints, 10))
    assert not lint_call("chat.postMessage", {"text": shown.text, "blocks": shown.blocks})
    lines = words(shown.blocks)
    assert "v0 LIVE since 22 Nov 01:10" in lines and "v1 live 22 Nov-22 Nov, rolled back from" in lines
    assert lines[-1] == "[Older]" and not [a for t in texts(shown.blocks) for a in alive(t)]
    past = lists.history(lists.Past("f", [ran(reason=EVIL)] * 10, {scenes.ANA: EVIL}, 7))
    assert not lint_call("chat.postMessage", {"text": past.text, "blocks": past.blocks})


def test_status_says_what_is_going_on() -> None:
    """Open runs by their first line, holds, what was left behind, and the fault of a broken policy."""
    now = lists.Standing(
        "f",
        "v12",
        [STATES["working"]],
        LEFT_ROWS,
        {"run": "R-3", "reason": "x"},
        ["policy.yaml:3: no"],
        mixed=["a", "b"],
    )
    assert words(lists.status(now).blocks) == [
        "*f*: v12 is live",
        "MIXED: a and b hold another release's data since a rollback: no moments are recorded",
        "R-17 driver_stats v13 -> v12 · PRODUCTION · running, 3 of 9 steps",
        "Held (R-3): x",
        "Left behind by R-17: driver_stats, pipeline is held",
        "Left behind by R-17: driver_stats, flag is off",
        "Fault: policy.yaml:3: no",
    ]
    assert lint(lists.home(now, ["/rollback help - this list"] * 20)) == []


LEFT_ROWS = scenes.LEFT


@pytest.mark.parametrize(
    "choice",
    [
        form.Choice([]),
        form.Choice(["a"]),
        form.Choice([f"f{n}" for n in range(100)], "f99", [f"v{n}" for n in range(500)], "v3", ["flag"]),
        form.Choice(None),
        form.Choice(None, "x" * 111, ["v1"], None, []),
        form.Choice(["a"], "a", []),
        form.Choice(["a"], "b", fault="a.yaml:3: " + EVIL),
    ],
    ids=["none", "one", "hundred", "many", "long", "no releases", "faulty"],
)
@pytest.mark.parametrize("where", [{}, {"channel": "C1", "response_url": "https://hooks.slack.com/x"}])
def test_every_form_passes_the_lint(choice: form.Choice, where: dict[str, str]) -> None:
    """With no features, many, a faulty one, and from a place without a channel."""
    assert lint(form.form(choice, where)) == []
