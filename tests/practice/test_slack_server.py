"""A real Bolt app against the practice Slack, over signed HTTP and over Socket Mode: what people do in channels, what
the app hears, and what people then see."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.practice.slack_server import CannotDo, PracticeSlack
from tests.practice.conftest import MANIFEST, Clock, Start, buttons, listen, modal, serve_http, words


async def test_an_ack_is_seen_by_the_person_alone(joined: PracticeSlack, app: AsyncApp) -> None:
    """What a command acks stands in nobody else's channel, and the app heard the command as Slack sends it."""
    heard = listen(app, "command", "/rollback", text="R-17: planning")
    ack = await joined.slash("/rollback", "  driver_stats to v12 ", "U0ANA", "C0INC")
    assert ack.ok and 0 < ack.ms < 3000
    assert heard.last["text"] == "driver_stats to v12"
    assert (heard.last["user_id"], heard.last["channel_id"], heard.last["team_id"]) == ("U0ANA", "C0INC", "T0PRACTICE")
    assert [m.text for m in joined.ephemerals("U0ANA")] == ["R-17: planning"]
    assert joined.ephemerals("U0BEN") == [] and joined.channel("C0INC") == []


async def test_an_ack_in_channel_is_seen_by_all(joined: PracticeSlack, app: AsyncApp) -> None:
    """With in_channel the typed command and the answer stand in the channel, also where the bot is no member."""
    listen(app, "command", "/rollback", text="planning", response_type="in_channel")
    await joined.slash("/rollback", "status", "U0ANA", "G0SECRET")
    assert [(m.user, m.text) for m in joined.channel("G0SECRET")] == [
        ("U0ANA", "/rollback status"),
        ("U0BOT", "planning"),
    ]


async def test_a_press_changes_the_message(joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient) -> None:
    """A button press arrives as block_actions with the message, and after the update the button can't be pressed; a
    forged press still reaches the app."""
    heard = listen(app, "action", "approve")
    ts = (await client.chat_postMessage(channel="C0INC", text="card", blocks=buttons("approve", "reject")))["ts"]
    assert (await joined.click("C0INC", ts, "approve", "U0BEN", "R-17")).ok
    sent = heard.last
    assert sent["actions"][0]["value"] == "R-17" and sent["actions"][0]["block_id"] == "decide"
    assert sent["user"]["id"] == "U0BEN" and sent["container"]["message_ts"] == ts
    assert sent["message"]["text"] == "card" and sent["state"] == {"values": {}}
    await client.chat_update(channel="C0INC", ts=ts, text="approved", blocks=[])
    with pytest.raises(CannotDo, match="no button 'approve'"):
        await joined.click("C0INC", ts, "approve", "U0BEN")
    await joined.click("C0INC", ts, "approve", "U0SAM", "R-18", force=True)
    assert heard.last["actions"][0]["value"] == "R-18" and heard.last["user"]["id"] == "U0SAM"


async def test_a_shortcut_brings_a_trigger(joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient) -> None:
    """A global shortcut has a trigger that opens a modal; one that isn't in the manifest can't be started."""
    heard = listen(app, "shortcut", "start_rollback")
    await joined.shortcut("start_rollback", "U0ANA")
    await client.views_open(trigger_id=heard.last["trigger_id"], view=modal())
    assert joined.view_of("U0ANA") is not None
    with pytest.raises(CannotDo, match="not a shortcut"):
        await joined.shortcut("attach_to_rollback", "U0ANA")


async def test_a_response_url_answers_five_times(joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient) -> None:
    """Five answers in a channel the bot is not in, private or to all; the sixth is used_url; it can replace, too."""
    heard = listen(app, "command", "/rollback")
    await joined.slash("/rollback", "status", "U0ANA", "G0SECRET")
    respond = AsyncWebhookClient(heard.last["response_url"])
    for n in range(4):
        assert (await respond.send(text=f"private {n}")).status_code == 200
    assert (await respond.send(text="public", response_type="in_channel")).status_code == 200
    sixth = await respond.send(text="too many")
    assert (sixth.status_code, json.loads(sixth.body)["error"]) == (404, "used_url")
    assert [m.text for m in joined.ephemerals("U0ANA", "G0SECRET")] == [f"private {n}" for n in range(4)]
    assert [m.text for m in joined.channel("G0SECRET")] == ["public"]
    pressed = listen(app, "action", "approve")
    ts = (await client.chat_postMessage(channel="C0INC", text="card", blocks=buttons("approve")))["ts"]
    await joined.click("C0INC", ts, "approve", "U0BEN")
    await AsyncWebhookClient(pressed.last["response_url"]).send(text="decided", replace_original=True)
    assert [(m.text, m.blocks) for m in joined.channel("C0INC")] == [("decided", [])]


async def test_a_response_url_lives_thirty_minutes(over_http: PracticeSlack, app: AsyncApp, clock: Clock) -> None:
    """One second before the end it answers, one after it is expired_url; a body that can't be shown uses nothing up."""
    heard = listen(app, "command", "/rollback")
    await over_http.slash("/rollback", "", "U0ANA", "C0INC")
    respond = AsyncWebhookClient(heard.last["response_url"])
    clock.pass_by(1799)
    assert (await respond.send(text="")).status_code == 400
    assert (await respond.send(text="late")).status_code == 200
    clock.pass_by(2)
    late = await respond.send(text="too late")
    assert (late.status_code, json.loads(late.body)["error"]) == (404, "expired_url")


async def test_a_trigger_lives_three_seconds_and_once(
    slack: PracticeSlack, client: AsyncWebClient, clock: Clock
) -> None:
    """A trigger opens one modal, within three seconds; Slack names each way of being too late."""
    first, second = slack.workspace.trigger("U0ANA"), slack.workspace.trigger("U0ANA")
    clock.pass_by(3)
    await client.views_open(trigger_id=first, view=modal())
    for trigger, error in ((first, "exchanged_trigger_id"), ("1.2.3", "invalid_trigger_id")):
        with pytest.raises(SlackApiError, match=error):
            await client.views_open(trigger_id=trigger, view=modal())
    clock.pass_by(0.1)
    with pytest.raises(SlackApiError, match="expired_trigger_id"):
        await client.views_open(trigger_id=second, view=modal())


async def test_who_does_not_answer_in_time_times_out(joined: PracticeSlack, app: AsyncApp) -> None:
    """Without an ack in time the person is told operation_timeout, and a form stays open."""
    never = asyncio.Event()

    async def silent(ack: Any) -> None:
        await never.wait()
        await ack()

    app.command("/rollback")(silent)
    joined.delivery.ack_timeout = 0.5
    ack = await joined.slash("/rollback", "status", "U0ANA", "C0INC")
    assert ack.status == "operation_timeout" and ack.error == "operation_timeout" and not ack.ok
    assert 450 < ack.ms < 3000
    never.set()


async def test_nobody_there_is_dispatch_failed(slack: PracticeSlack) -> None:
    """Without an app, by either way, the person is told so at once."""
    assert (await slack.slash("/rollback", "", "U0ANA", "C0INC")).status == "dispatch_failed"
    slack.connect_http("http://127.0.0.1:1/slack/events")
    assert (await slack.slash("/rollback", "", "U0ANA", "C0INC")).status == "dispatch_failed"


async def test_an_event_is_sent_again_until_it_is_acked(joined: PracticeSlack, app: AsyncApp) -> None:
    """An event that isn't acked comes again, with the same event_id and a rising retry number, until it is."""
    seen: list[tuple[str, str | None]] = []
    never = asyncio.Event()

    async def opened(body: dict[str, Any], request: Any) -> None:
        seen.append((body["event_id"], request.headers.get("x-slack-retry-num", [None])[0]))
        if len(seen) < 3:
            await never.wait()

    app.event("app_home_opened")(opened)
    joined.delivery.ack_timeout = 0.5
    await joined.open_home("U0ANA")
    await joined.wait_for(lambda: len(joined.deliveries) == 3)
    assert [n for _, n in seen] == [None, "1", "2"] and len({e for e, _ in seen}) == 1
    assert [(d.retry, d.ack.ok) for d in joined.deliveries] == [(0, False), (1, False), (2, True)]
    never.set()


async def test_an_event_nobody_wants_is_given_up(over_http: PracticeSlack) -> None:
    """Refused four times (the first attempt and three retries), an event is not sent a fifth time."""
    assert (await over_http.open_home("U0ANA")).status == 404
    await over_http.wait_for(lambda: len(over_http.deliveries) == 4)
    assert (await over_http.slash("/rollback", "", "U0ANA", "C0INC")).status == 404
    assert [d.retry for d in over_http.deliveries] == [0, 1, 2, 3, 0]


async def test_the_last_request_comes_again_byte_for_byte(joined: PracticeSlack, app: AsyncApp) -> None:
    """A redelivery is the same request: same trigger, same response_url, and nobody sees its answer twice."""
    heard = listen(app, "command", "/rollback", text="planning")
    await joined.slash("/rollback", "status", "U0ANA", "C0INC")
    assert (await joined.redeliver()).ok
    first, second = heard.bodies
    assert first == second
    assert len(joined.ephemerals("U0ANA")) == 1


async def test_forged_requests_reach_the_app(over_http: PracticeSlack, app: AsyncApp) -> None:
    """Anything can be posted to the app: Bolt lets our signature in and refuses a wrong one, an old one and none."""
    heard = listen(app, "command", "/rollback")
    await over_http.slash("/rollback", "status", "U0ANA", "C0INC")
    body = "command=%2Frollback&text=stop&team_id=T0PRACTICE&user_id=U0SAM&channel_id=C0INC"
    old = str(int(time.time()) - 301)
    assert (await over_http.forge(body)).status == 200
    assert parse_qs(body)["text"] == [heard.last["text"]]
    assert (await over_http.forge(body, secret="guessed")).status == 401
    assert (await over_http.forge(body, timestamp=old)).status == 401
    assert (await over_http.forge(body, headers={"X-Slack-Signature": None})).status == 401
    assert len(heard.bodies) == 2


async def test_sockets_reconnect_when_told(over_socket: PracticeSlack, app: AsyncApp) -> None:
    """After a disconnect message, and after a dropped connection, the app is back and hears commands again."""
    heard = listen(app, "command", "/rollback")
    await over_socket.disconnect()
    assert over_socket.connections == 0
    await over_socket.wait_for(lambda: over_socket.connections == 1)
    assert (await over_socket.slash("/rollback", "one", "U0ANA", "C0INC")).ok
    await over_socket.drop_sockets()
    await over_socket.wait_for(lambda: over_socket.connections == 1)
    assert (await over_socket.slash("/rollback", "two", "U0ANA", "C0INC")).ok
    assert [b["text"] for b in heard.bodies] == ["one", "two"]


async def test_two_connections_share_the_work(slack: PracticeSlack) -> None:
    """Each envelope goes to one of two connections, in turn; a ticket opens one connection only."""
    web_client = AsyncWebClient(slack.app_token, base_url=slack.api_url)
    urls = [(await web_client.apps_connections_open(app_token=slack.app_token))["url"] for _ in range(2)]
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url) for url in urls]
        assert [(await s.receive_json())["num_connections"] for s in sockets] == [1, 2]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(urls[0])
        for socket in (*sockets, *sockets):
            command = asyncio.create_task(slack.slash("/rollback", "status", "U0ANA", "C0INC"))
            envelope = await socket.receive_json()
            assert envelope["type"] == "slash_commands" and envelope["accepts_response_payload"] is True
            await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "done"}})
            assert (await command).body == {"text": "done"}


async def test_menus_in_messages_keep_what_was_chosen(
    joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient
) -> None:
    """What one person chose in a message is reported at once and stands in the state of their next press, and of
    nobody else's."""
    options = [{"text": words(v), "value": v} for v in ("dataset", "online")]
    menu = {"type": "multi_static_select", "action_id": "without", "options": options}
    blocks = [{"type": "actions", "block_id": "menus", "elements": [menu]}, *buttons("approve")]
    chosen, pressed = listen(app, "action", "without"), listen(app, "action", "approve")
    ts = (await client.chat_postMessage(channel="C0INC", text="card", blocks=blocks))["ts"]
    await joined.select("C0INC", ts, "without", "U0ANA", ["online"])
    assert [o["value"] for o in chosen.last["actions"][0]["selected_options"]] == ["online"]
    for user, expected in (("U0ANA", ["online"]), ("U0BEN", [])):
        await joined.click("C0INC", ts, "approve", user)
        state = pressed.last["state"]["values"]["menus"]["without"]["selected_options"]
        assert [o["value"] for o in state] == expected


async def test_a_press_in_a_private_message_tells_less(
    joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient
) -> None:
    """Of an ephemeral message the app gets its container only, and can replace it through the response_url."""
    heard = listen(app, "action", "confirm")
    await client.chat_postEphemeral(channel="C0INC", user="U0ANA", text="sure?", blocks=buttons("confirm"))
    await joined.click("C0INC", joined.ephemerals("U0ANA")[0].ts, "confirm", "U0ANA")
    assert "message" not in heard.last and heard.last["container"]["is_ephemeral"] is True
    await AsyncWebhookClient(heard.last["response_url"]).send(text="done", replace_original=True)
    assert [(m.text, m.blocks) for m in joined.ephemerals("U0ANA")] == [("done", [])]


async def test_messages_of_people_are_told_if_asked_for(start: Start) -> None:
    """A person's message is an event only if the manifest subscribes to messages of that kind of channel."""
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["settings"]["event_subscriptions"]["bot_events"].append("message.channels")
    server, client = await start(manifest=manifest)
    app = AsyncApp(client=client, signing_secret=server.signing_secret)
    heard: list[str] = []

    async def said(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    app.event("message")(said)
    stop = await serve_http(server, app)
    parent = await server.say("ETAs are off", "U0ANA", "C0INC")
    await server.say("looking", "U0BEN", "C0INC", parent.ts)
    await server.say("secret", "U0ANA", "G0SECRET")
    await stop()
    assert heard == ["ETAs are off", "looking"]
    assert [m.text for m in server.thread("C0INC", parent.ts)] == ["looking"]


async def test_people_can_only_do_what_a_client_lets_them(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """A channel one isn't in, a command that isn't the app's, a message or a view of somebody else: nothing is sent."""
    await client.chat_postEphemeral(channel="C0INC", user="U0ANA", text="x", blocks=buttons("mine"))
    ts = slack.ephemerals("U0ANA")[0].ts
    await client.views_open(trigger_id=slack.workspace.trigger("U0ANA"), view=modal())
    view = slack.view_of("U0ANA")
    assert view is not None
    for attempt in (
        slack.slash("/rollback", "", "U0SAM", "G0SECRET"),
        slack.slash("/deploy", "", "U0ANA", "C0INC"),
        slack.click("C0INC", ts, "mine", "U0BEN"),
        slack.fill(view.id, "reason", "U0BEN", "because"),
        slack.submit(view.id, {"reason": "x"}, "U0ANA"),
        slack.event({"type": "message"}),
    ):
        with pytest.raises(CannotDo):
            await attempt
    assert slack.deliveries == []
