"""Modals and the Home tab of a real Bolt app on the practice Slack, as people fill them in and the app changes them."""

from __future__ import annotations

from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack_server import CannotDo, PracticeSlack
from tests.practice.conftest import Heard, Json, buttons, listen, modal, text_input, words


async def test_a_form_is_opened_refused_and_accepted(joined: PracticeSlack, app: AsyncApp) -> None:
    """A modal opens on the trigger, is updated in place, keeps what was typed, shows errors, closes on a bare ack."""

    async def command(ack: Any, body: Json, client: AsyncWebClient) -> None:
        await ack()
        opened = await client.views_open(trigger_id=body["trigger_id"], view=modal({"type": "divider"}))
        view = opened["view"]
        await client.views_update(
            view_id=view["id"], hash=view["hash"], view=modal(text_input("feature"), text_input("reason"))
        )

    async def submitted(ack: Any, view: Json) -> None:
        reason = view["state"]["values"]["b_reason"]["reason"]["value"]
        await (ack(response_action="errors", errors={"b_reason": "say more"}) if len(reason) < 5 else ack())

    app.command("/rollback")(command)
    app.view("form")(submitted)
    await joined.slash("/rollback", "", "U0ANA", "C0INC")
    view = await joined.wait_for(lambda: joined.view_of("U0ANA"))
    await joined.fill(view.id, "feature", "U0ANA", "driver_stats")
    with pytest.raises(CannotDo, match="must be filled in"):
        await joined.submit(view.id, {}, "U0ANA")
    await joined.submit(view.id, {"reason": "why"}, "U0ANA")
    assert view.errors == {"b_reason": "say more"} and joined.view_of("U0ANA") is view
    assert view.values["b_feature"]["feature"]["value"] == "driver_stats"
    assert (await joined.submit(view.id, {"reason": "ETAs too long"}, "U0ANA")).ok
    assert joined.view_of("U0ANA") is None


async def test_a_refused_submission_leaves_the_form(
    joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient
) -> None:
    """An answer Slack can't show (errors for a block that isn't there, a view with a fault) is an error on the Ack, and
    the modal stays."""
    answers = [
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "update", "view": modal(title=words("x" * 25))},
    ]

    async def submitted(ack: Any) -> None:
        await ack(**answers.pop(0))

    app.view("form")(submitted)
    trigger = joined.workspace.trigger("U0ANA")
    view_id = (await client.views_open(trigger_id=trigger, view=modal()))["view"]["id"]
    wrong = await joined.submit(view_id, {"reason": "because"}, "U0ANA")
    assert wrong.error == "invalid_view_response" and "b_reason" in wrong.details[0]
    wrong = await joined.submit(view_id, {"reason": "because"}, "U0ANA")
    assert "[json-pointer:/title/text]" in wrong.details[0]
    assert joined.view_of("U0ANA") is not None


async def test_modals_stack_three_deep(joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient) -> None:
    """Pushes need a trigger from inside and stop at three; closing tells the app only if it asked."""
    heard = Heard()

    async def closed(ack: Any, body: Json) -> None:
        heard.bodies.append(body)
        await ack()

    app.view_closed("form")(closed)
    pressed = listen(app, "action", "more")
    view = modal(*buttons("more"), notify_on_close=True)
    await client.views_open(trigger_id=joined.workspace.trigger("U0ANA"), view=view)
    for depth in (2, 3, 4):
        top = joined.view_of("U0ANA")
        assert top is not None
        await joined.click_view(top.id, "more", "U0ANA")
        trigger = pressed.last["trigger_id"]
        if depth < 4:
            await client.views_push(trigger_id=trigger, view=view)
    with pytest.raises(SlackApiError, match="push_limit_reached"):
        await client.views_push(trigger_id=trigger, view=view)
    assert len(joined.workspace.modals.stacks["U0ANA"]) == 3
    top = joined.view_of("U0ANA")
    assert top is not None and top.root_id != top.id and pressed.last["view"]["id"] == top.id
    await joined.close(top.id, "U0ANA")
    assert len(joined.workspace.modals.stacks["U0ANA"]) == 2
    assert heard.last["view"]["id"] == top.id and heard.last["is_cleared"] is False


async def test_home_is_published_and_used(joined: PracticeSlack, app: AsyncApp) -> None:
    """Opening the Home tab tells the app, which publishes; a menu on it reports what was chosen, with its state."""
    options = [{"text": words(v), "value": v} for v in ("v11", "v12")]
    menu = {"type": "static_select", "action_id": "version", "options": options}
    home = {"type": "home", "blocks": [{"type": "actions", "block_id": "b", "elements": [menu]}]}

    async def opened(event: Json, client: AsyncWebClient) -> None:
        await client.views_publish(user_id=event["user"], view=home)

    app.event("app_home_opened")(opened)
    heard = listen(app, "action", "version")
    await joined.open_home("U0LEA")
    view = await joined.wait_for(lambda: joined.home_of("U0LEA"))
    await joined.fill(view.id, "version", "U0LEA", "v12")
    assert heard.last["actions"][0]["selected_option"]["value"] == "v12"
    assert heard.last["view"]["state"]["values"]["b"]["version"]["selected_option"]["value"] == "v12"
    with pytest.raises(CannotDo, match="no option 'v13'"):
        await joined.fill(view.id, "version", "U0LEA", "v13")
    assert joined.home_of("U0ANA") is None


@pytest.mark.parametrize("value", [5, True, {"a": 1}, ["x"]])
async def test_a_field_takes_only_what_fits(slack: PracticeSlack, client: AsyncWebClient, value: Any) -> None:
    """A value of another kind than the element holds is refused, and nothing is sent."""
    many = {"type": "multi_users_select", "action_id": "who"}
    view = modal(text_input("reason"), {"type": "input", "block_id": "b", "label": words("who"), "element": many})
    trigger = slack.workspace.trigger("U0ANA")
    view_id = (await client.views_open(trigger_id=trigger, view=view))["view"]["id"]
    for name in ("reason", "who")[: 1 if isinstance(value, list) else 2]:
        with pytest.raises(CannotDo, match="does not take"):
            await slack.fill(view_id, name, "U0ANA", value)
    assert slack.deliveries == []
