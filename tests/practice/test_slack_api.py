"""The practice Slack's Web API, by Slack's own client and by hand: what it answers, and how it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack_server import PracticeSlack, default_seed
from bot.practice.slack_server.seed import SeedChannel
from tests.practice.conftest import MANIFEST, Clock, Json, Start, buttons, modal, post, refused, words

METADATA = {"event_type": "rollbot_message", "event_payload": {"key": "R-17/card"}}


async def test_channels_keep_strangers_out(start: Start) -> None:
    """A public channel the bot isn't in is not_in_channel; a private one doesn't exist for it, until it is invited."""
    seed = default_seed()
    outside = SeedChannel("C0OUT", "outside", ("U0ANA",))
    server, bot = await start(seed=replace(seed, channels=(*seed.channels, outside)))
    for channel, error in (
        ("C0OUT", "not_in_channel"),
        ("G0SECRET", "channel_not_found"),
        ("C0X", "channel_not_found"),
    ):
        assert (await refused(post(bot, "x", channel=channel))).response["error"] == error
        assert (await refused(bot.conversations_history(channel=channel))).response["error"] == error
    assert (await bot.conversations_info(channel="C0OUT"))["channel"]["is_member"] is False
    server.workspace.join("U0BOT", "G0SECRET")
    await post(bot, "x", channel="G0SECRET")
    listed = await bot.conversations_list(types="public_channel,private_channel")
    assert {c["id"] for c in listed["channels"]} == {"C0INC", "C0PLAT", "C0DRILLS", "C0AUDIT", "C0OUT", "G0SECRET"}


async def test_broken_blocks_are_refused_with_a_pointer(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """invalid_blocks says where, in a message; a view says it as invalid_arguments; nothing is shown."""
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
    answer = (await refused(post(client, "x", blocks=blocks))).response
    assert answer["error"] == "invalid_blocks"
    assert "[json-pointer:/blocks/0/text/text]" in answer["response_metadata"]["messages"][0]
    view = modal(title=words("x" * 25))
    answer = (await refused(client.views_open(trigger_id=slack.workspace.trigger("U0ANA"), view=view))).response
    assert answer["error"] == "invalid_arguments"
    assert "[json-pointer:/view/title/text]" in answer["response_metadata"]["messages"][0]
    assert slack.channel("C0INC") == [] and slack.view_of("U0ANA") is None


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": ""}, "no_text"),
        ({"text": 12}, "invalid_arguments"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"text": "x", "thread_ts": "1.2"}, "thread_not_found"),
        ({"text": "x", "blocks": [{"type": "markdown", "text": "y" * 11_999}] * 2}, "msg_blocks_too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_message_that_cannot_be_sent(client: AsyncWebClient, args: Json, error: str) -> None:
    """Each way in which a whole message is wrong has Slack's own error."""
    assert (await refused(client.api_call("chat.postMessage", json={"channel": "C0INC", **args}))).response[
        "error"
    ] == error


async def test_only_granted_scopes_work(client: AsyncWebClient, start: Start) -> None:
    """A method whose scope the manifest doesn't ask for is missing_scope, and says which."""
    answer = (await refused(client.reactions_add(channel="C0INC", name="eyes", timestamp="1.1"))).response
    assert (answer["error"], answer["needed"]) == ("missing_scope", "reactions:write")
    assert "chat:write" in answer["provided"].split(",")
    assert (await refused(client.conversations_join(channel="C0INC"))).response["needed"] == "channels:join"
    assert (await refused(client.users_lookupByEmail(email="ana@practice.test"))).response["error"] == "missing_scope"
    manifest = json.loads(json.dumps(MANIFEST))
    manifest["oauth_config"]["scopes"]["bot"].remove("groups:read")
    _, bot = await start(manifest=manifest)
    assert (await bot.conversations_list(types="public_channel"))["ok"]
    answer = (await refused(bot.conversations_list(types="public_channel,private_channel"))).response
    assert answer["needed"] == "groups:read"


async def test_tokens_are_told_apart(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """No token, a wrong one, and one of the other kind each have their error; an unknown method is said to be one."""
    for token, method, error in (
        (None, "auth.test", "not_authed"),
        ("xoxb-guessed", "auth.test", "invalid_auth"),
        (slack.app_token, "chat.postMessage", "not_allowed_token_type"),
        (slack.bot_token, "apps.connections.open", "not_allowed_token_type"),
        (slack.bot_token, "chat.postMesage", "unknown_method"),
    ):
        caller = AsyncWebClient(token, base_url=slack.api_url)
        assert (await refused(caller.api_call(method))).response["error"] == error
    who = await client.auth_test()
    assert (who["team_id"], who["user_id"], who["bot_id"]) == ("T0PRACTICE", "U0BOT", "B0BOT")


async def test_arguments_come_in_every_form(slack: PracticeSlack) -> None:
    """Query, form and JSON bodies mean the same, with nested JSON as text or as such; the token is never recorded."""
    blocks = buttons("approve")
    args = {"channel": "C0INC", "text": "x", "reply_broadcast": "true", "blocks": json.dumps(blocks)}
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    url = slack.api_url + "chat.postMessage"
    async with aiohttp.ClientSession(headers=headers) as session:
        for how in ({"params": args}, {"data": args}, {"json": {**args, "blocks": blocks}}):
            async with session.post(url, **how) as answer:
                assert (await answer.json())["ok"] is True
        async with session.post(url, data="{", headers={"Content-Type": "application/json"}) as answer:
            assert (await answer.json())["error"] == "invalid_json"
        async with session.get(slack.api_url + "users.info", params={"user": "U0ANA"}) as answer:
            assert (await answer.json())["user"]["name"] == "ana"
    async with aiohttp.ClientSession() as bare, bare.post(url, data={**args, "token": slack.bot_token}) as answer:
        assert answer.status == 429
    assert [m.blocks for m in slack.channel("C0INC")] == [blocks] * 3
    assert all("token" not in call.args for call in slack.calls)


async def test_history_pages_with_metadata(slack: PracticeSlack, client: AsyncWebClient, clock: Clock) -> None:
    """Newest first, in pages that neither skip nor repeat when something is posted in between; metadata only if asked
    for; replies only if they were sent to the channel too."""
    first = await post(client, "0", metadata=METADATA)
    await post(client, "hidden reply", thread_ts=first)
    await post(client, "shown reply", thread_ts=first, reply_broadcast=True)
    for n in range(1, 4):
        clock.pass_by(2)
        await post(client, str(n))
    page = await client.conversations_history(channel="C0INC", limit=2, include_all_metadata=True)
    assert page["has_more"] is True
    await post(client, "in between")
    texts = [m["text"] for m in page["messages"]]
    while cursor := page["response_metadata"]["next_cursor"]:
        page = await client.conversations_history(channel="C0INC", limit=2, cursor=cursor, include_all_metadata=True)
        texts += [m["text"] for m in page["messages"]]
    assert texts == ["3", "2", "1", "shown reply", "0"]
    assert page["messages"][-1]["metadata"] == METADATA and page["messages"][-1]["reply_count"] == 2
    plain = await client.conversations_history(channel="C0INC", oldest=first, inclusive=True)
    assert plain["messages"][-1]["ts"] == first and "metadata" not in plain["messages"][-1]
    assert (await refused(client.conversations_history(channel="C0INC", cursor="x"))).response[
        "error"
    ] == "invalid_cursor"
    replies = await client.conversations_replies(channel="C0INC", ts=first)
    assert [m["text"] for m in replies["messages"]] == ["0", "hidden reply", "shown reply"]
    assert [m.text for m in slack.thread("C0INC", first)] == ["hidden reply", "shown reply"]
    assert "shown reply" in [m.text for m in slack.channel("C0INC")]


async def test_ephemerals_are_seen_by_one(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """An ephemeral message is in nobody's history and can't be updated; its reader must be in the channel."""
    ts = (await client.chat_postEphemeral(channel="C0INC", user="U0SAM", text="not you"))["message_ts"]
    assert [m.text for m in slack.ephemerals("U0SAM")] == ["not you"] and slack.ephemerals("U0ANA") == []
    assert [m.text for m in slack.seen("U0SAM", "C0INC")] == ["not you"] and slack.seen("U0ANA", "C0INC") == []
    assert (await client.conversations_history(channel="C0INC"))["messages"] == []
    assert (await refused(client.chat_update(channel="C0INC", ts=ts, text="x"))).response[
        "error"
    ] == "message_not_found"
    slack.workspace.leave("U0SAM", "C0INC")
    late = client.chat_postEphemeral(channel="C0INC", user="U0SAM", text="x")
    assert (await refused(late)).response["error"] == "user_not_in_channel"


async def test_updates_touch_only_what_they_name(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """Text alone leaves the blocks, an empty list takes them off; only the bot's own messages can be changed."""
    ts = await post(client, "card", blocks=buttons("approve"), metadata=METADATA)
    await client.chat_update(channel="C0INC", ts=ts, text="changed")
    message = slack.channel("C0INC")[0]
    assert message.text == "changed" and message.blocks == buttons("approve") and message.metadata == METADATA
    assert message.edited_ts is not None
    await client.chat_update(channel="C0INC", ts=ts, text="done", blocks=[], metadata={})
    assert (message.blocks, message.metadata) == ([], None)
    theirs = await slack.say("hello", "U0ANA", "C0INC")
    for call, error in (
        (client.chat_update(channel="C0INC", ts=theirs.ts, text="x"), "cant_update_message"),
        (client.chat_delete(channel="C0INC", ts=theirs.ts), "cant_delete_message"),
        (client.chat_update(channel="C0INC", ts=ts, text="x" * 4001), "msg_too_long"),
        (client.chat_update(channel="C0INC", ts="1.1", text="x"), "message_not_found"),
    ):
        assert (await refused(call)).response["error"] == error
    await client.chat_delete(channel="C0INC", ts=ts)
    assert [m.text for m in slack.channel("C0INC")] == ["hello"]


async def test_direct_messages(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """conversations.open gives the channel of a direct message; a person's id does as well."""
    channel = (await client.conversations_open(users="U0BEN"))["channel"]["id"]
    await post(client, "one", channel=channel)
    await post(client, "two", channel="U0BEN")
    assert [m.text for m in slack.dms("U0BEN")] == ["one", "two"] and slack.dms("U0ANA") == []
    link = (await client.chat_getPermalink(channel=channel, message_ts=slack.dms("U0BEN")[0].ts))["permalink"]
    assert link.startswith(f"{slack.base_url}/archives/{channel}/p")


async def test_people_and_groups(client: AsyncWebClient) -> None:
    """Users and user groups are those of the seed; bots are marked; what doesn't exist has its error."""
    people = (await client.users_list())["members"]
    assert {u["id"] for u in people if not u["is_bot"]} == {"U0ANA", "U0BEN", "U0CLEO", "U0LEA", "U0SAM"}
    groups = (await client.usergroups_list())["usergroups"]
    assert {g["handle"]: g["id"] for g in groups} == {"ml-oncall": "S0ONCALL", "ml-platform": "S0PLATFORM"}
    assert (await client.usergroups_users_list(usergroup="S0ONCALL"))["users"] == ["U0BEN", "U0CLEO", "U0LEA"]
    gone = await refused(client.usergroups_users_list(usergroup="S0"))
    assert gone.response["error"] == "no_such_subteam"
    assert "U0SAM" in (await client.conversations_members(channel="C0INC"))["members"]


async def test_views_update_only_what_is_current(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """A stale hash is hash_conflict, in modals and on the Home tab; an external_id is unique; a closed view is gone."""
    opened = await client.views_open(trigger_id=slack.workspace.trigger("U0ANA"), view=modal(external_id="one"))
    view = opened["view"]
    await client.views_update(external_id="one", hash=view["hash"], view=modal(external_id="one"))
    stale = client.views_update(view_id=view["id"], hash=view["hash"], view=modal())
    assert (await refused(stale)).response["error"] == "hash_conflict"
    again = client.views_open(trigger_id=slack.workspace.trigger("U0BEN"), view=modal(external_id="one"))
    assert (await refused(again)).response["error"] == "duplicate_external_id"
    await slack.close(view["id"], "U0ANA")
    assert (await refused(client.views_update(view_id=view["id"], view=modal()))).response["error"] == "not_found"
    home: Json = {"type": "home", "blocks": [{"type": "divider"}]}
    await client.views_publish(user_id="U0ANA", view=home)
    assert (await refused(client.views_publish(user_id="U0ANA", hash="1", view=home))).response[
        "error"
    ] == "hash_conflict"


async def test_blocks_can_be_validated_without_a_token(slack: PracticeSlack) -> None:
    """blocks.validate needs no token and answers findings whose pointers start at the argument."""
    anybody = AsyncWebClient(base_url=slack.api_url)
    assert (await anybody.blocks_validate(blocks=buttons("a")))["ok"]
    answer = (await refused(anybody.blocks_validate(blocks=[{"type": "section"}]))).response
    assert answer["error"] == "invalid_blocks" and answer["errors"][0]["pointer"] == "/0"
    assert (await refused(anybody.blocks_validate(view={"type": "modal"}))).response["error"] == "invalid_view"
    assert (await refused(anybody.blocks_validate())).response["error"] == "invalid_arguments"
