"""What the practice page says one person sees: no more than Slack would show, and no slower for a long history."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.page import PracticePage, server
from bot.practice.slack_server import PracticeSlack
from bot.slack import commands
from bot.slack.commands.registry import SUBCOMMANDS
from tests.practice.conftest import MANIFEST, Opens, buttons, modal, post, text_input, words

MANY = 10_000
KEYS = {
    *("me", "people", "groups", "team", "channels", "commands", "shortcuts"),
    *("view", "home", "incident", "tour", "transport", "bot", "seq"),
}


@pytest.fixture
def slack(page: PracticePage) -> PracticeSlack:
    return page.slack


async def test_the_state_is_what_was_agreed(tab: Opens) -> None:
    """All fields of the contract are there, with the people, the bot's own commands, and no set-up once it is over."""
    state = await (await tab("U0ANA")).state()
    assert state.keys() == KEYS and state["me"] == "U0ANA" and state["transport"] == "http"
    assert [p["name"] for p in state["people"]] == ["ana", "ben", "cleo", "lea", "sam", "rollbot"]
    assert [p["bot"] for p in state["people"]] == [False] * 5 + [True]
    assert commands and {h["usage"] for h in state["commands"]} == {s.usage for s in SUBCOMMANDS.values()}
    assert state["shortcuts"] == [{"callback_id": "start_rollback", "name": "Start a rollback"}]
    assert state["view"] is None and state["home"] is None and state["bot"] == {"alive": True}


def test_the_page_is_small() -> None:
    """All of its files together are under 150 kB."""
    assert 0 < sum(file.stat().st_size for file in server.STATIC.iterdir()) < 150_000


async def test_private_places_are_for_their_people(tab: Opens, slack: PracticeSlack, client: AsyncWebClient) -> None:
    """A private channel and direct messages are seen by those in them alone; there the bot is whom one writes with."""
    await post(client, "psst", channel="U0BEN")
    await slack.say("secret", "U0LEA", "G0SECRET")
    seen = {}
    for user in ("U0ANA", "U0BEN", "U0SAM"):
        seen[user] = {c["id"]: c for c in (await (await tab(user)).state())["channels"]}
    assert ["G0SECRET" in seen[u] for u in seen] == [True, False, False]
    assert ["D0BEN" in seen[u] for u in seen] == [False, True, False]
    own = seen["U0BEN"]["D0BEN"]
    assert (own["kind"], own["name"], own["im_user"], own["read_only"]) == ("im", "rollbot", "U0BOT", True)
    assert [m["text"] for m in own["messages"]] == ["psst"]
    assert seen["U0SAM"]["C0INC"]["member"] and not seen["U0SAM"]["C0INC"]["read_only"]


async def test_a_message_is_shown_with_all_that_stands_on_it(
    tab: Opens, slack: PracticeSlack, client: AsyncWebClient
) -> None:
    """Blocks with ids, who reacted, whether it was edited or pinned, and how many replied when."""
    ts = await post(client, "card", blocks=buttons("approve"))
    first = await post(client, "step 1", thread_ts=ts)
    second = await post(client, "step 2", thread_ts=ts, reply_broadcast=True)
    message = slack.workspace.message("C0INC", ts)
    assert message is not None
    message.reactions["eyes"], message.pinned = ["U0BOT"], True
    await client.chat_update(channel="C0INC", ts=first, text="step 1 done")
    ana = await tab("U0ANA")
    card, one, two = ana.channel(await ana.state(), "C0INC")["messages"]
    assert (card["reply_count"], card["latest_reply"], card["reply_users"]) == (2, second, ["U0BOT"])
    assert card["reactions"] == [{"name": "eyes", "users": ["U0BOT"], "count": 1}] and card["pinned"] and card["app"]
    assert card["blocks"][0]["elements"][0]["action_id"] == "approve" and card["edited"] == ""
    assert (one["thread_ts"], one["broadcast"], bool(one["edited"]), one["text"]) == (ts, False, True, "step 1 done")
    assert two["broadcast"] and (await ana.get("thread", channel="C0INC", ts=ts))["messages"] == [card, one, two]
    assert await ana.get("thread", channel="C0INC", ts="1000000000.000001") == {"messages": []}


async def test_what_only_one_sees_is_only_theirs(tab: Opens, client: AsyncWebClient) -> None:
    """An ephemeral message is in one person's state, says so, and is counted in no thread."""
    ts = await post(client, "card")
    await client.chat_postEphemeral(channel="C0INC", user="U0ANA", text="not you")
    await client.chat_postEphemeral(channel="C0INC", user="U0ANA", text="nor here", thread_ts=ts)
    ana, ben = await tab("U0ANA"), await tab("U0BEN")
    hers = ana.channel(await ana.state(), "C0INC")["messages"]
    assert [(m["text"], m["only_you"]) for m in hers] == [("card", False), ("not you", True), ("nor here", True)]
    assert hers[0]["reply_count"] == 0
    assert [m["text"] for m in ben.channel(await ben.state(), "C0INC")["messages"]] == ["card"]


async def test_views_are_shown_with_what_is_filled_in(tab: Opens, slack: PracticeSlack, client: AsyncWebClient) -> None:
    """The modal on top with its depth, beginnings, values and errors; the Home tab beside it; both for one person."""
    trigger = slack.workspace.trigger("U0ANA")
    element = text_input("why")["element"] | {"initial_value": "slow"}
    block = text_input("why") | {"element": element}
    opened = await client.views_open(trigger_id=trigger, view=modal(text_input("reason"), block))
    await slack.fill(opened["view"]["id"], "reason", "U0ANA", "long")
    home = {"type": "home", "blocks": [{"type": "section", "text": words("all is well")}]}
    await client.views_publish(user_id="U0ANA", view=home)
    ana, ben = await tab("U0ANA"), await tab("U0BEN")
    view = (state := await ana.state())["view"]
    assert (view["depth"], view["type"], view["title"], view["close"]) == (1, "modal", words("Form"), None)
    assert view["values"]["b_reason"]["reason"]["value"] == "long" and view["values"]["b_why"]["why"]["value"] == "slow"
    assert view["errors"] == {} and state["home"]["blocks"][0]["text"]["text"] == "all is well"
    other = await ben.state()
    assert other["view"] is None and other["home"] is None


async def test_a_long_history_comes_in_pages(tab: Opens, slack: PracticeSlack) -> None:
    """Of 10,000 messages the state has the last 200 with the replies to them, quickly; the others come page by page,
    each once."""
    stood = [slack.workspace.post("C0INC", "U0BEN", f"message {n}", []).ts for n in range(MANY)]
    late = slack.workspace.post("C0INC", "U0SAM", "to an old one", [], thread_ts=stood[5]).ts
    new = slack.workspace.post("C0INC", "U0SAM", "to a new one", [], thread_ts=stood[-1]).ts
    ana = await tab("U0ANA")
    await ana.state()
    began = time.perf_counter()
    state = await ana.state()
    took = time.perf_counter() - began
    shown = ana.channel(state, "C0INC")
    assert [m["ts"] for m in shown["messages"]] == [*stood[-200:], new] and shown["more"]
    assert shown["messages"][199]["reply_count"] == 1
    assert len(json.dumps(state)) < 200_000 and took < 0.5
    found, page = [m["ts"] for m in shown["messages"]], shown
    while page["more"]:
        page = await ana.get("older", channel="C0INC", before=page["messages"][0]["ts"])
        assert len([m for m in page["messages"] if m.get("thread_ts", m["ts"]) == m["ts"]]) == 200
        found = [m["ts"] for m in page["messages"]] + found
    assert sorted(found) == sorted([*stood, late, new]) and len(set(found)) == len(found)


async def test_what_was_read_is_kept(tab: Opens, client: AsyncWebClient) -> None:
    """The mark stands in the state after a reload, never goes back, and is one person's own."""
    first, second = await post(client, "one"), await post(client, "two")
    ana, ben = await tab("U0ANA"), await tab("U0BEN")
    for ts in (second, first):
        assert await ana.act("read", channel="C0INC", ts=ts) == {"ok": True}
    assert ana.channel(await ana.state(), "C0INC")["read"] == second
    assert ben.channel(await ben.state(), "C0INC")["read"] == ""


async def test_the_policy_is_on_every_answer(page: PracticePage, http: aiohttp.ClientSession) -> None:
    """The page, its data, what refuses and what is not there: all name 'self' as the only source, and are not kept."""
    asked = {
        "/": None,
        "/page/state?as=U0ANA": 200,
        "/page/state?as=U0NOBODY": 400,
        "/page/older?as=U0SAM&channel=G0SECRET&before=1000000000.000001": 400,
        "/page/older?as=U0ANA&channel=C0INC&before=yesterday": 400,
        "/page/thread?as=U0ANA&channel=C0INC&ts=x": 400,
        "/page/inspector": 200,
        "/page/inspector?before=-1": 400,
        f"/page/inspector?before={'9' * 5000}": 400,
        "/page/events?as=": 400,
        "/page/act": 405,
        "/page/static/no.js": 404,
        "/nowhere": 404,
    }
    for path, status in asked.items():
        async with http.get(page.slack.base_url + path) as answer:
            assert status in (None, answer.status), (path, answer.status)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy and "unsafe" not in policy and "http" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with http.get(page.slack.base_url, headers={"Host": "practice.test"}) as answer:
        assert answer.status == 403 and "Content-Security-Policy" in answer.headers


async def test_only_the_pages_own_files_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    """Modules and styles that lie in the page's folder, with their types; nothing of another kind or from elsewhere."""
    (tmp_path / "static").mkdir()
    for name in ("index.html", "page.js", "page.css", "mark.svg", "notes.txt"):
        (tmp_path / "static" / name).write_text(name)
    (tmp_path / "outside.js").write_text("outside")
    monkeypatch.setattr(server, "STATIC", tmp_path / "static")
    slack = PracticeSlack(MANIFEST)
    PracticePage(slack)
    await slack.start()
    try:
        kinds = {"page.js": "text/javascript", "page.css": "text/css", "mark.svg": "image/svg+xml"}
        for name, kind in kinds.items():
            async with http.get(f"{slack.base_url}/page/static/{name}") as answer:
                assert (answer.status, answer.content_type, await answer.text()) == (200, kind, name)
        async with http.get(slack.base_url) as answer:
            assert (answer.content_type, await answer.text()) == ("text/html", "index.html")
        for name in ("notes.txt", quote("../outside.js", safe=""), "..%2f..%2fserver.py", ""):
            async with http.get(f"{slack.base_url}/page/static/{name}") as answer:
                assert answer.status == 404, name
    finally:
        await slack.stop()


async def test_no_other_site_reaches_in_by_an_address(page: PracticePage, http: aiohttp.ClientSession) -> None:
    """A picture, script or frame of another site whose address is a call does nothing; a link to the page works."""
    call = f"/api/chat.postMessage?token={page.slack.bot_token}&channel=C0INC&text=hi"
    asked = {("/", "cross-site"): 200, (call, "cross-site"): 403, (call, "same-site"): 403, (call, "none"): 200}
    asked |= {("/page/events?as=U0ANA", "cross-site"): 403, ("/page/state?as=U0ANA", "same-origin"): 200}
    for (path, site), status in asked.items():
        async with http.get(page.slack.base_url + path, headers={"Sec-Fetch-Site": site}) as answer:
            assert answer.status == status, (path, site)
    assert len(page.slack.channel("C0INC")) == 1
    for host in ("127.0.0.1:99999999", "practice.test@127.0.0.1", "[::1"):
        async with http.get(page.slack.base_url, headers={"Host": host}) as answer:
            assert answer.status in (200, 403), host
