"""Modals, filled in as people do it, over both transports; and buttons that ask for a reason first."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import urlencode

from bot.core.run import Status
from bot.practice.slack_server import Message, View
from bot.slack.views import form
from bot.store import runs
from tests.flows.house import write_flag
from tests.slack.office import ANA, BEN, INC, SAM, SECRET, Office, actions, key_of


async def opened(office: Office, who: str = ANA) -> View:
    """The modal that this person has before them now."""
    await office.app.desk.idle()
    view = office.slack.view_of(who)
    assert view is not None
    return view


async def pick(office: Office, view: View, feature: str, who: str = ANA) -> View:
    await office.slack.fill(view.id, form.FEATURE, who, feature)
    return await opened(office, who)


def block(view: View, action: str) -> Any:
    return next(b["element"] for b in view.blocks if b.get("element", {}).get("action_id") == action)


async def test_a_bare_command_opens_the_form(both: Office) -> None:
    """Feature, then its versions, then a plan; the card appears where the command was typed."""
    await both.two_releases()
    ack = await both.typed("")
    assert ack.ok and ack.body is None
    view = await opened(both)
    assert [o["value"] for o in block(view, form.FEATURE)["options"]] == ["fares"]
    view = await pick(both, view, "fares")
    versions = block(view, form.VERSION)["options"]
    assert [(o["value"], o.get("description", {}).get("text")) for o in versions] == [
        ("previous", "the release before, never rolled back from"),
        ("v2", "live now"),
        ("v1", None),
    ]
    filled = {form.FEATURE: "fares", form.VERSION: "v1", form.REASON: "ETAs <!here>", form.INCIDENT: "INC-1"}
    ack = await both.slack.submit(view.id, filled, ANA)
    assert ack.ok and ack.body == {"response_action": "clear"} and both.slack.view_of(ANA) is None
    await both.settle()
    run = await both.run(1)
    assert (run.to_version, run.reason, run.incident, run.channel) == ("v1", "ETAs <!here>", "INC-1", INC)
    assert "<!here>" not in str(both.card().blocks) and "R-1: planning fares to v1" in both.told(ANA)


async def test_a_form_with_faults_stays(office: Office) -> None:
    """What is wrong stands beside the input it is about; nothing was written; then it is taken."""
    await office.two_releases()
    await office.typed("fares")
    view = await opened(office)
    assert block(view, form.FEATURE)["initial_option"]["value"] == "fares"
    ack = await office.slack.submit(view.id, {form.VERSION: "v1", form.AT: "yesterday"}, ANA)
    assert ack.body["response_action"] == "errors" and "is no time" in ack.body["errors"]["at"]
    ack = await office.slack.submit(view.id, {form.AT: "2031-01-01"}, ANA)
    assert "in the future" in ack.body["errors"]["at"]
    (office.house.folder / "playbooks/features/fares.yaml").write_text("feature: fares\n")
    ack = await office.slack.submit(view.id, {form.AT: None}, ANA)
    assert "fares.yaml" in ack.body["errors"]["feature"]
    assert await office.house.store.read(runs.newest) == []


async def test_a_version_is_never_taken_for_another_features(office: Office) -> None:
    """Who picks another feature and submits before its versions are shown is told to wait."""
    await office.two_releases()
    other = (office.house.folder / "playbooks/features/fares.yaml").read_text().replace("fares\n", "tolls\n", 1)
    (office.house.folder / "playbooks/features/tolls.yaml").write_text(other)
    await office.typed("fares")
    view = await opened(office)
    view.values.setdefault("feature", {})[form.FEATURE] = {
        "type": "static_select",
        "selected_option": {"text": {"type": "plain_text", "text": "tolls"}, "value": "tolls"},
    }
    ack = await office.slack.submit(view.id, {form.VERSION: "v1"}, ANA)
    assert "its versions are not shown yet" in ack.body["errors"]["feature"]


async def test_the_shortcut_asks_for_a_channel(office: Office) -> None:
    """Started from anywhere, the form asks where the card shall stand."""
    await office.two_releases()
    assert (await office.slack.shortcut("start_rollback", ANA)).ok
    view = await pick(office, await opened(office), "fares")
    ack = await office.slack.submit(view.id, {form.VERSION: "v1", form.CHANNEL: INC, form.DRY: ["dry_run"]}, ANA)
    assert ack.ok
    await office.settle()
    assert (await office.run(1)).mode == "dry_run" and "DRY RUN" in office.card(INC).text


async def test_a_form_from_a_closed_channel(office: Office) -> None:
    """Submitted from a channel that the bot can't enter, the requester still hears where the card is."""
    await office.two_releases()
    await office.typed("fares", ANA, SECRET)
    view = await opened(office)
    await office.slack.submit(view.id, {form.VERSION: "v1"}, ANA)
    await office.settle()
    assert any("stands in #ml-platform" in t for t in office.told(ANA, SECRET))


async def test_a_faulty_feature_is_said_in_the_form(office: Office) -> None:
    """Picked, it shows its file and line instead of versions, and can't be submitted."""
    (office.house.folder / "playbooks/features/torn.yaml").write_text("feature: torn\ncomponents: {a: [\n")
    await office.typed("")
    view = await pick(office, await opened(office), "torn")
    assert "torn.yaml:" in json.dumps(view.blocks)
    ack = await office.slack.submit(view.id, {}, ANA)
    assert "torn.yaml" in ack.body["errors"]["feature"]


async def test_many_features_are_asked_for_as_one_types(office: Office) -> None:
    """Past a hundred the list is searched: names that begin with what was typed come first."""
    for n in range(120):
        text = (office.house.folder / "playbooks/features/fares.yaml").read_text().replace("fares", f"f{n}", 1)
        (office.house.folder / f"playbooks/features/f{n}.yaml").write_text(text)
    await office.typed("")
    assert block(await opened(office), form.FEATURE)["type"] == "external_select"
    body = {
        "type": "block_suggestion",
        "action_id": form.FEATURE,
        "block_id": "feature",
        "value": "F11",
        "team": {"id": "T0PRACTICE"},
        "user": {"id": ANA, "team_id": "T0PRACTICE"},
    }
    ack = await office.slack.forge(urlencode({"payload": json.dumps(body)}))
    assert [o["value"] for o in ack.body["options"]] == ["f11", *[f"f{n}" for n in range(110, 120)]]


async def test_a_trigger_that_came_too_late(office: Office) -> None:
    """Where Slack no longer opens the modal, the person is told to press again."""
    await office.two_releases()
    office.slack.fault("views.open", error="expired_trigger_id")
    await office.type("")
    assert office.told(ANA)[-1] == "Slack did not open the form in time. Press again."


async def test_details_show_everything(both: Office) -> None:
    """Pointers in full and the commands by hand, for anybody who asks."""
    card = await both.waiting()
    await both.press(card, "details", SAM)
    text = html.unescape(json.dumps((await opened(both, SAM)).blocks, ensure_ascii=False))
    assert "flagd:" in text and "set the flag 'fares' to:" in text and "By hand, if Rollbot can't" in text
    assert "Needs 1 of @ml-oncall (one)" in text
    assert (await both.run(1)).status == Status.waiting


async def broken(office: Office) -> Message:
    """A card that waits for a person: with this playbook the flag is checked while it is still off."""
    (office.house.folder / "playbooks/playbooks/standard.yaml").write_text(
        "playbook: standard\nsteps:\n  - disable: flag\n  - verify: flag\n  - enable: flag\n"
    )
    await office.press(await office.waiting(), "approve", BEN)
    assert (await office.run(1)).waiting_for == "person", (await office.run(1)).why
    return office.card(run=1)


async def test_a_failed_step_waits_for_a_person(office: Office) -> None:
    """The card says so and has the ways on; Retry, by who may, goes on from there to the end."""
    card = await broken(office)
    assert "WAITING FOR A PERSON" in card.text
    ways = ["retry", "skip", "put_back", "switch", "accept", "enable_anyway", "abort", "looking", "details"]
    assert actions(card) == ways
    write_flag(office.house.folder)
    await office.press(card, "retry", SAM)
    assert "Not done: only @ml-oncall or the requester" in office.told(SAM)[-1]
    assert (await office.run(1)).waiting_for == "person"
    await office.press(card, "retry", ANA)
    assert (await office.run(1)).status == Status.succeeded
    assert "✓ verify flag" in str(office.slack.thread(INC, card.ts)[0].blocks)


async def test_accepting_needs_a_reason(office: Office) -> None:
    """Accept as it is asks why, and the reason is on the outcome; the flag stays off and is offered."""
    card = await broken(office)
    await office.press(card, "accept", BEN)
    view = await opened(office, BEN)
    assert view.callback_id == form.ACCEPT
    ack = await office.slack.submit(view.id, {"typed_reason": "  "}, BEN)
    assert ack.body["errors"] == {"reason": "this needs a reason"}
    assert (await office.slack.submit(view.id, {"typed_reason": "good enough"}, BEN)).ok
    await office.settle()
    assert (await office.run(1)).status == Status.degraded
    outcome = office.slack.thread(INC, card.ts)[-1]
    assert "Accepted by a person: good enough" in str(outcome.blocks) and actions(outcome) == [
        "put_back",
        "lift",
        "enable",
    ]
    assert office.house.flag()["defaultVariant"] == "off"
    await office.press(outcome, "enable", BEN)
    view = await opened(office, BEN)
    assert (view.callback_id, office.house.flag()["defaultVariant"]) == (form.ENABLE_ANYWAY, "off")
    assert (await office.slack.submit(view.id, {"typed_reason": "read by hand, it is right"}, BEN)).ok
    await office.settle()
    assert office.house.flag()["defaultVariant"] == "on" and actions(office.card(run=1)) == ["put_back", "lift"]


async def test_enable_anyway_needs_a_reason(office: Office) -> None:
    """Traffic is let back in although verification failed, by a person, with a reason."""
    card = await broken(office)
    await office.press(card, "enable_anyway", BEN)
    view = await opened(office, BEN)
    assert view.callback_id == form.ENABLE_ANYWAY
    assert (await office.slack.submit(view.id, {"typed_reason": "customers wait"}, BEN)).ok
    await office.settle()
    assert (await office.run(1)).accepted == "customers wait" and office.house.flag()["defaultVariant"] == "on"


async def test_abort_by_button(office: Office) -> None:
    """A run that waits for a person is ended from its card."""
    card = await broken(office)
    await office.press(card, "abort", ANA)
    assert (await office.run(1)).status == Status.aborted and "ABORTED by @ana" in office.card(run=1).text


async def test_rubbish_in_a_button_is_harmless(office: Office) -> None:
    """A value from nowhere is told to whoever pressed, and nothing is written."""
    card = await office.waiting()
    before = await office.house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM inbox").scalar())
    for action, value in [
        ("approve", "R-1"),
        ("approve", '{"run":"1"}'),
        ("approve", '{"run":99}'),
        ("approve", "[1]"),
        ("approve", '{"run":true}'),
        ("offer_0", '{"run":1,"to":"v9"}'),
        ("offer_0", '{"run":1,"to":"v1","without":["nope"]}'),
        ("more_history", '{"feature":"fares","before":"x"}'),
        ("no_such_button", "{}"),
    ]:
        await office.press(card, action, SAM, force=True, value=value)
        assert len(office.told(SAM)) > 0
    assert await office.house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM inbox").scalar()) == before
    assert any("belongs to a message" in t for t in office.told(SAM))


async def test_the_home_tab(both: Office) -> None:
    """Opened, it shows what is going on and what can be typed."""
    await both.waiting()
    assert (await both.slack.open_home(ANA)).ok
    await both.app.desk.idle()
    home = json.dumps(both.slack.home_of(ANA).payload)  # type: ignore[union-attr]
    assert "R-1 fares v2 -&gt; v1" in home and "/rollback stop FEATURE" in home


async def test_the_home_tab_is_filled_when_slack_had_refused_it_for_its_rate(office: Office) -> None:
    """A 429 for the Home tab is waited out once: it does not stay empty until it is opened again."""
    office.slack.fault("views.publish", status=429, error="ratelimited", headers={"Retry-After": "1"})
    await office.slack.open_home(ANA)
    await office.app.desk.idle()
    assert [c.status for c in office.slack.calls if c.method == "views.publish"] == [429, 200]
    assert "/rollback stop FEATURE" in json.dumps(office.slack.home_of(ANA).payload)  # type: ignore[union-attr]


async def test_cards_are_known_by_their_key(office: Office) -> None:
    """Every message of the bot carries the key by which a crashed bot finds it again."""
    card = await office.waiting()
    await office.press(card, "approve", BEN)
    write_flag(office.house.folder)
    assert all(key_of(m) for m in [*office.slack.channel(INC), *office.slack.thread(INC, card.ts)])
