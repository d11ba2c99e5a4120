"""What a person does on the practice page reaches the app as Slack's client sends it, and comes to what Slack would
tell that person; nothing else can post."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import Fault
from bot.practice.page import PracticePage
from bot.practice.slack_server import CannotDo, PracticeSlack
from tests.practice.conftest import Json, Opens, buttons, listen, modal, post, serve_http, text_input, words
from tests.practice.tab import OURS


@pytest.fixture
def slack(page: PracticePage) -> PracticeSlack:
    return page.slack


async def test_a_command_is_typed(joined: PracticeSlack, app: AsyncApp, tab: Opens) -> None:
    """The app hears it from this person in this channel, raw as the manifest asks; what it acks stands there."""
    heard = listen(app, "command", "/rollback", text="R-17: planning")
    ana = await tab("U0ANA")
    done = await ana.act("slash", channel="C0INC", command="/rollback", text="stop fares because < @ben")
    assert done["ok"] and 0 < done["ms"] < 3000 and "error" not in done
    assert (heard.last["text"], heard.last["user_id"]) == ("stop fares because < @ben", "U0ANA")
    (shown,) = ana.channel(await ana.state(), "C0INC")["messages"]
    assert (shown["text"], shown["only_you"], shown["via"]) == ("R-17: planning", True, "ack")


async def test_what_slack_would_not_let_one_do(joined: PracticeSlack, client: AsyncWebClient, tab: Opens) -> None:
    """A command elsewhere, a button that is not there, another's message, an unknown shortcut: nothing is sent."""
    ts = await post(client, "card", blocks=buttons("approve"))
    hidden = (await joined.say("secret", "U0LEA", "G0SECRET")).ts
    sam = await tab("U0SAM")
    for why, act in {
        "U0SAM is not in G0SECRET": {"act": "slash", "channel": "G0SECRET", "command": "/rollback"},
        "/deploy is not a command": {"act": "slash", "channel": "C0INC", "command": "/deploy"},
        "no button 'reject'": {"act": "click", "channel": "C0INC", "ts": ts, "action_id": "reject"},
        "nothing to choose": {"act": "select", "channel": "C0INC", "ts": ts, "action_id": "approve", "value": "x"},
        "does not see message": {"act": "click", "channel": "G0SECRET", "ts": hidden, "action_id": "approve"},
        "no view V1 open": {"act": "submit", "view": "V1", "values": {}},
        "not a shortcut": {"act": "shortcut", "callback_id": "steal"},
        "is not in G0SECRET": {"act": "read", "channel": "G0SECRET", "ts": hidden},
        "no such thread": {"act": "say", "channel": "C0INC", "text": "hi", "thread_ts": "1000000000.000001"},
        "at most 40,000": {"act": "say", "channel": "C0INC", "text": "x" * 40_001},
    }.items():
        answer = await sam.act(**act)
        assert not answer["ok"] and why in answer["error"], answer
    assert joined.deliveries == []


async def test_a_failed_command_is_told_as_slack_tells_it(slack: PracticeSlack, app: AsyncApp, tab: Opens) -> None:
    """Nobody there, no ack in time, an answer that can't be shown: Slack's own sentence, with the reasons beside it."""
    ana = await tab("U0ANA")
    typed = {"channel": "C0INC", "command": "/rollback", "text": "status"}
    answer = await ana.act("slash", **typed)
    assert answer["error"] == '/rollback failed with the error "dispatch_failed"' and answer["details"]
    never, how = asyncio.Event(), ["silent"]

    async def listener(ack: Any) -> None:
        if how == ["silent"]:
            await never.wait()
        await ack(blocks=[{"type": "section"}], text="x")

    app.command("/rollback")(listener)
    stop = await serve_http(slack, app)
    slack.delivery.ack_timeout = 0.5
    answer = await ana.act("slash", **typed)
    assert answer["error"] == '/rollback failed with the error "operation_timeout"' and answer["ms"] >= 500
    slack.delivery.ack_timeout, how[:] = 3.0, ["broken"]
    answer = await ana.act("slash", **typed)
    assert answer["error"] == '/rollback failed with the error "invalid_command_response"'
    assert "[json-pointer:/blocks/0" in answer["details"][0]
    never.set()
    await stop()


async def test_a_failed_press_is_told_too(over_http: PracticeSlack, client: AsyncWebClient, tab: Opens) -> None:
    """A press that the app refuses, one that reaches nobody, and an event that nobody takes."""
    ts = await post(client, "card", blocks=buttons("approve"))
    ben = await tab("U0BEN")
    press = {"channel": "C0INC", "ts": ts, "action_id": "approve", "value": "R-17"}
    assert (await ben.act("click", **press))["error"] == "This app responded with Status Code 404."
    over_http.connect_http("http://127.0.0.1:1/slack/events")
    assert (await ben.act("click", **press))["error"] == 'The app could not be reached ("dispatch_failed").'
    assert (await ben.act("home"))["error"].startswith("The app did not take the event")
    assert [d.kind for d in over_http.deliveries][:3] == ["interactive", "interactive", "events_api"]


async def test_buttons_and_menus_of_a_message(
    joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient, tab: Opens
) -> None:
    """A press arrives with its value, a choice with its option; what one chose stands in their state, nobody else's."""
    options = [{"text": words(v), "value": v} for v in ("v11", "v12")]
    menu = {"type": "static_select", "action_id": "version", "options": options, "placeholder": words("Version")}
    blocks = [*buttons("approve"), {"type": "actions", "block_id": "pick", "elements": [menu]}]
    pressed, chosen = listen(app, "action", "approve"), listen(app, "action", "version")
    ts = await post(client, "card", blocks=blocks)
    ben, ana = await tab("U0BEN"), await tab("U0ANA")
    where = {"channel": "C0INC", "ts": ts}
    assert (await ben.act("click", **where, action_id="approve", value="R-17"))["ok"]
    assert (await ben.act("select", **where, action_id="version", value="v12"))["ok"]
    assert pressed.last["actions"][0]["value"] == "R-17" and pressed.last["user"]["id"] == "U0BEN"
    assert chosen.last["actions"][0]["selected_option"]["value"] == "v12"
    (own,), (other,) = [t.channel(await t.state(), "C0INC")["messages"] for t in (ben, ana)]
    assert own["values"]["pick"]["version"]["selected_option"]["value"] == "v12" and "values" not in other


async def test_a_form_from_shortcut_to_submit(
    joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient, tab: Opens
) -> None:
    """The shortcut opens it, the app fills its menu, what is filled in and what the app complains of stand in the
    state; then it is submitted, and another one closed."""
    menu = {"type": "external_select", "action_id": "feature", "min_query_length": 0, "placeholder": words("Feature")}
    feature = {"type": "input", "block_id": "b_feature", "label": words("Feature"), "element": menu}
    shortcut = listen(app, "shortcut", "start_rollback")
    searched = listen(app, "options", "feature", options=[{"text": words("fares"), "value": "fares"}])
    answers: list[Json] = [{"response_action": "errors", "errors": {"b_reason": "too short"}}, {}]

    async def submitted(ack: Any) -> None:
        await ack(**answers.pop(0))

    app.view("form")(submitted)
    ana = await tab("U0ANA")
    assert (await ana.act("shortcut", callback_id="start_rollback"))["ok"]
    opened = modal(feature, text_input("reason"))
    await client.views_open(trigger_id=shortcut.last["trigger_id"], view=opened)
    view = (await ana.state())["view"]["id"]
    offered = await ana.act("options", view=view, action_id="feature", text="fa")
    assert offered["ok"] and [o["value"] for o in offered["options"]] == ["fares"] and searched.last["value"] == "fa"
    assert "does not fill reason" in (await ana.act("options", view=view, action_id="reason"))["error"]
    assert (await ana.act("fill", view=view, action_id="feature", value="fares")) == {"ok": True}
    assert "must be filled in" in (await ana.act("submit", view=view, values={}))["error"]
    assert (await ana.act("submit", view=view, values={"reason": "long"}))["ok"]
    shown = (await ana.state())["view"]
    assert shown["errors"] == {"b_reason": "too short"} and shown["values"]["b_reason"]["reason"]["value"] == "long"
    assert (await ana.act("submit", view=view, values={"reason": "longer"}))["ok"]
    assert (await ana.state())["view"] is None
    trigger = joined.workspace.trigger("U0ANA")
    second = (await client.views_open(trigger_id=trigger, view=modal()))["view"]["id"]
    assert await ana.act("close", view=second, everything=True) == {"ok": True}
    assert (await ana.state())["view"] is None


async def test_the_home_tab_is_opened_and_used(
    joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient, tab: Opens
) -> None:
    """Opening it tells the app; its buttons work; an app that can't be submitted to leaves the sentence of a modal."""
    opened, pressed = listen(app, "event", "app_home_opened"), listen(app, "action", "refresh")
    ana = await tab("U0ANA")
    assert (await ana.act("home"))["ok"] and opened.last["event"]["user"] == "U0ANA"
    await client.views_publish(user_id="U0ANA", view={"type": "home", "blocks": buttons("refresh")})
    home = (await ana.state())["home"]
    assert home["depth"] == 0
    assert (await ana.act("click_view", view=home["id"], action_id="refresh"))["ok"] and len(pressed.bodies) == 1
    trigger = joined.workspace.trigger("U0ANA")
    view = (await client.views_open(trigger_id=trigger, view=modal()))["view"]["id"]
    joined.connect_http("http://127.0.0.1:1/slack/events")
    answer = await ana.act("submit", view=view, values={"reason": "long"})
    assert answer["error"] == "We had some trouble connecting. Try again?"
    assert (await ana.state())["view"]["id"] == view


async def test_what_is_written_is_sent_as_a_client_does(slack: PracticeSlack, tab: Opens) -> None:
    """Names become links, signs of mrkdwn are escaped, replies find their thread; the app takes no direct messages."""
    ana = await tab("U0ANA")
    first = await ana.act("say", channel="C0INC", text="@ben @ml-oncall #drills x@ben <b> & #nowhere @rollbot.")
    assert (await ana.act("say", channel="C0INC", text="and this", thread_ts=first["ts"]))["ok"]
    said, reply = ana.channel(await ana.state(), "C0INC")["messages"]
    linked = "<@U0BEN> <!subteam^S0ONCALL|@ml-oncall> <#C0DRILLS|drills> x@ben &lt;b&gt; &amp; #nowhere <@U0BOT>."
    assert said["text"] == linked and (said["user"], said["app"], said["via"]) == ("U0ANA", False, "person")
    assert reply["thread_ts"] == first["ts"] and said["reply_count"] == 1
    direct = await ana.act("dm")
    assert direct == {"ok": True, "channel": "D0ANA"}
    turned_off = {"ok": False, "error": "Sending messages to this app has been turned off."}
    assert await ana.act("say", channel="D0ANA", text="hi") == turned_off
    assert await ana.act("slash", channel="D0ANA", command="/rollback", text="status") == turned_off


async def test_only_our_own_page_can_post(slack: PracticeSlack, tab: Opens) -> None:
    """Without the page's header, from another site's page, or as a form: refused, and nothing was said."""
    ana = await tab("U0ANA")
    body = {"as": "U0ANA", "act": "say", "channel": "C0INC", "text": "hi"}
    own = slack.base_url
    for what in ("act", "incident", "tour"):
        for headers, status in (
            ({}, 403),
            ({"X-Practice": "other"}, 403),
            (OURS | {"Origin": "http://practice.test"}, 403),
            (OURS | {"Origin": "http://127.0.0.1:1"}, 403),
            (OURS | {"Origin": "null"}, 403),
            (OURS | {"Content-Type": "text/plain"}, 415),
        ):
            assert (await ana.post(what, body, headers))[0] == status, (what, headers)
    assert slack.channel("C0INC") == []
    assert (await ana.post("act", body, OURS | {"Origin": own}))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        "say",
        {},
        {"as": "U0ANA"},
        {"act": "say"},
        {"as": "U0ANA", "act": "fly"},
        {"as": "U0NOBODY", "act": "home"},
        {"as": ["U0ANA"], "act": "home"},
        {"as": "U0ANA", "act": "say", "channel": "C0INC"},
        {"as": "U0ANA", "act": "say", "channel": "C0INC", "text": 1},
        {"as": "U0ANA", "act": "say", "channel": "C0INC", "text": "x", "thread_ts": 1},
        {"as": "U0ANA", "act": "click", "channel": "C0INC", "ts": "now", "action_id": "x"},
        {"as": "U0ANA", "act": "submit", "view": "V1", "values": []},
        {"as": "U0ANA", "act": "close", "view": "V1", "everything": "yes"},
        {"as": "U0ANA", "act": "inspector"},
    ],
)
async def test_what_is_no_act_is_a_bad_request(tab: Opens, body: Any) -> None:
    """A body that means nothing is answered with 400 and why."""
    status, answer = await (await tab("U0ANA")).post("act", body)
    assert status == 400 and not answer["ok"] and answer["error"]


async def test_nothing_is_done_during_the_set_up(page: PracticePage, tab: Opens) -> None:
    """Until all is ready the state says how far it is and acts are refused, but what was read is kept; then what the
    set-up told single people is gone."""
    page.setup.begin({"setting up": 60.0, "shipping": 40.0})
    slack, ana = page.slack, await tab("U0ANA")
    slack.workspace.post("C0INC", "U0BOT", "only for ana", [], seen_by="U0ANA")
    refused = {"ok": False, "error": "the platform is still being set up"}
    for act in ("home", "dm"):
        assert await ana.act(act) == refused
    assert await ana.post("incident", {"do": "drift"}) == (200, refused)
    assert (await ana.act("read", channel="C0INC", ts="1000000000.000001"))["ok"]
    state = await ana.state()
    assert state["setup"] == {"done": 0, "total": 100.0, "note": "starting"} and state["bot"] == {"alive": False}
    page.finish()
    await ana.hears("reset")
    state = await ana.state()
    assert "setup" not in state and ana.channel(state, "C0INC")["messages"] == []
    assert (await ana.act("dm"))["ok"]


class Buttons:
    """A panel with one button that works, and two that don't."""

    def __init__(self) -> None:
        self.pressed: list[Json] = []

    def state(self) -> Json:
        return {"pressed": len(self.pressed)}

    async def do(self, name: str, args: Json) -> None:
        if name == "broken":
            raise Fault("the registry is down")
        if name != "drift":
            raise CannotDo("not now")
        self.pressed.append(args)

    async def close(self) -> None:
        return None


@pytest.mark.parametrize("name", ["incident", "tour"])
async def test_a_panels_buttons(page: PracticePage, tab: Opens, name: str) -> None:
    """They get the rest of the body; what they refuse is said; without a panel there is nothing to do."""
    ana = await tab("U0ANA")
    assert "nothing here" in (await ana.post(name, {"do": "drift"}))[1]["error"]
    panel = page.panels[name] = Buttons()
    assert await ana.post(name, {"do": "drift", "speed": 2}) == (200, {"ok": True})
    assert panel.pressed == [{"speed": 2}] and (await ana.state())[name] == {"pressed": 1}
    assert await ana.post(name, {"do": "other"}) == (200, {"ok": False, "error": "not now"})
    assert await ana.post(name, {"do": "broken"}) == (200, {"ok": False, "error": "the registry is down"})
    assert (await ana.post(name, {}))[0] == 400


@pytest.mark.parametrize("raw", ["[" * 90_000, '{"as": 1' * 9, "1" * 5000])
async def test_what_can_not_be_read_is_a_bad_request(slack: PracticeSlack, http: Any, raw: str) -> None:
    """JSON that is too deep, too long or none is answered with 400."""
    headers = OURS | {"Content-Type": "application/json"}
    async with http.post(f"{slack.base_url}/page/act", data=raw, headers=headers) as answer:
        assert answer.status == 400


async def test_half_a_character_is_replaced(joined: PracticeSlack, app: AsyncApp, tab: Opens) -> None:
    """A lone surrogate, which nothing can be sent with, becomes U+FFFD, and every page goes on hearing."""
    ana, heard = await tab("U0ANA"), listen(app, "command", "/rollback")
    assert (await ana.act("say", channel="C0INC", text="a\ud800b"))["ok"]
    assert await ana.hears("message", text="a\ufffdb")
    assert (await ana.act("slash", channel="C0INC", command="/rollback", text="\udc00 \U0001f600"))["ok"]
    assert heard.last["text"] == "\ufffd \U0001f600"
