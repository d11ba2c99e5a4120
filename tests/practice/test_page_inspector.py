"""What went between Slack and the app, as a trainer reads it, and what a trainer makes go wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.bot_process import BotProcess
from bot.practice.page import PracticePage
from bot.practice.page.inspector import KEPT, PAGE
from bot.practice.place import SOCKETS, STACK, _settings
from bot.practice.slack_server import PracticeSlack
from bot.practice.stack import playbooks
from bot.practice.stack.layout import Layout
from tests.practice.conftest import MANIFEST, Json, Opens, buttons, listen, post, refused
from tests.practice.tab import Tab


@pytest.fixture
def slack(page: PracticePage) -> PracticeSlack:
    return page.slack


async def test_both_directions_are_shown(
    joined: PracticeSlack, app: AsyncApp, client: AsyncWebClient, tab: Opens
) -> None:
    """What was sent and what came back, how long that took, newest first; and each at once to every open page."""
    listen(app, "command", "/rollback", text="planning")
    ben = await tab("U0BEN")
    await joined.slash("/rollback", "status", "U0ANA", "C0INC")
    ts = await post(client, "card", blocks=buttons("approve"))
    await joined.click("C0INC", ts, "approve", "U0ANA")
    live = [
        d for _, d in await ben.all_until_now("inspector") if d["what"] not in ("auth.test", "apps.connections.open")
    ]
    assert [(e["dir"], e["what"], e["status"], e["ok"]) for e in live] == [
        ("to_bot", "/rollback status", 200, True),
        ("from_bot", "chat.postMessage", 200, True),
        ("to_bot", "block_actions approve", live[2]["status"], live[2]["ok"]),
    ]
    slash, call, _ = live
    assert slash["payload"]["user_id"] == "U0ANA" and slash["ms"] > 0 and slash["retry"] == 0
    body = slash["answer"]["body"]
    assert body == "planning" or body["text"] == "planning"
    assert call["payload"]["text"] == "card" and call["answer"]["ts"] == ts and call["lint"] == []
    entries = (await ben.get("inspector"))["entries"]
    assert [e for e in reversed(entries) if e in live] == live
    assert [e["n"] for e in entries] == sorted((e["n"] for e in entries), reverse=True)
    assert "xoxb" not in str(entries) and "xapp" not in str(entries)


async def test_the_lint_speaks(over_http: PracticeSlack, app: AsyncApp, client: AsyncWebClient, tab: Opens) -> None:
    """A payload that Slack would refuse is shown with each finding and its place; an ack that holds one as well."""
    listen(app, "command", "/rollback", text="x", blocks=[{"type": "section"}])
    await refused(post(client, "card", blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]))
    await over_http.slash("/rollback", "status", "U0ANA", "C0INC")
    ana = await tab("U0ANA")
    entries = (await ana.get("inspector"))["entries"]
    ack, call = [next(e for e in entries if e["what"] == what) for what in ("/rollback status", "chat.postMessage")]
    assert (call["what"], call["ok"], call["answer"]["error"]) == ("chat.postMessage", False, "invalid_blocks")
    assert call["lint"][0]["pointer"] == "/blocks/0/text/text" and call["lint"][0]["message"]
    assert not ack["ok"] and ack["answer"]["error"] == "invalid_command_response" and ack["lint"]


async def test_it_does_not_grow_without_end(tab: Opens, client: AsyncWebClient, slack: PracticeSlack) -> None:
    """The last 400 stay, in pages of 100, and the server keeps no more records than that."""
    ana = await tab("U0ANA")
    for n in range(KEPT + 50):
        await client.auth_test(n=str(n))
    await ana.all_until_now()
    page = await ana.get("inspector")
    assert page["more"] and len(page["entries"]) == PAGE and page["entries"][0]["payload"]["n"] == str(KEPT + 49)
    found = page["entries"]
    while page["more"]:
        page = await ana.get("inspector", before=found[-1]["n"])
        found += page["entries"]
    assert [e["n"] for e in found] == list(range(KEPT + 50, 50, -1))
    assert len(slack.calls) == KEPT


async def test_the_last_request_is_sent_again(joined: PracticeSlack, app: AsyncApp, tab: Opens) -> None:
    """The app hears the same once more, nobody sees its answer twice, and the entry says that it is a repetition."""
    ana = await tab("U0ANA")
    assert (await ana.act("inspector", do="redeliver"))["error"] == "Nothing was sent to the bot yet."
    heard = listen(app, "command", "/rollback", text="planning")
    await joined.slash("/rollback", "status", "U0ANA", "C0INC")
    answer = await ana.act("inspector", do="redeliver")
    assert answer["ok"] and answer["ms"] > 0 and heard.bodies[0] == heard.bodies[1] and len(heard.bodies) == 2
    newest = (await ana.get("inspector"))["entries"][0]
    assert (
        newest["again"] and newest["what"] == "/rollback status" and newest == await ana.hears("inspector", again=True)
    )
    assert len(joined.ephemerals("U0ANA")) == 1


async def test_what_is_under_way_is_not_sent_again(joined: PracticeSlack, app: AsyncApp, tab: Opens) -> None:
    """While the app still thinks about one command, the last that it answered is repeated, and the entry says which."""
    ana, thinking, go = await tab("U0ANA"), asyncio.Event(), asyncio.Event()

    async def listener(ack: Any, body: Json) -> None:
        if body["text"] == "slow":
            thinking.set()
            await go.wait()
        await ack(text=body["text"])

    app.command("/rollback")(listener)
    await joined.slash("/rollback", "quick", "U0ANA", "C0INC")
    slow = asyncio.create_task(joined.slash("/rollback", "slow", "U0ANA", "C0INC"))
    await thinking.wait()
    assert (await ana.act("inspector", do="redeliver"))["ok"]
    assert "quick" in str((await ana.hears("inspector", again=True))["answer"])
    go.set()
    assert (await slow).ok


async def test_a_call_is_refused_once(slack: PracticeSlack, client: AsyncWebClient, tab: Opens) -> None:
    """The next call gets a 429 with Retry-After, as the entry shows; the one after it goes through."""
    ana = await tab("U0ANA")
    assert await ana.act("inspector", do="inject_429") == {"ok": True}
    assert (await refused(post(client, "card"))).response.headers["Retry-After"] == "1"
    await post(client, "card")
    assert (await ana.hears("inspector", status=429))["answer"]["error"] == "ratelimited"
    assert [m.text for m in slack.channel("C0INC")] == ["card"]


async def test_a_connection_is_dropped(over_socket: PracticeSlack, tab: Opens) -> None:
    """The app's socket is gone and it comes back by itself."""
    ana = await tab("U0ANA")
    assert await ana.act("inspector", do="drop_socket") == {"ok": True}
    assert over_socket.connections == 0
    await over_socket.wait_for(lambda: over_socket.connections == 1)


async def test_what_can_not_be_made(slack: PracticeSlack, tab: Opens) -> None:
    """Without a connection or a process of ours, and for an unknown name, it says so."""
    ana = await tab("U0ANA")
    assert "no connection is open" in (await ana.act("inspector", do="drop_socket"))["error"]
    assert "not running" in (await ana.act("inspector", do="kill_worker"))["error"]
    assert "no such trouble: flood" in (await ana.act("inspector", do="flood"))["error"]


async def test_the_real_bot_is_killed_and_comes_back(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Its process is killed as by a power loss; a command then fails as in Slack, and works when the bot is back."""
    slack = PracticeSlack(MANIFEST)
    page = PracticePage(slack, "socket")
    await slack.start()
    (tmp_path / "tmp").mkdir()
    playbooks.write(Layout(tmp_path / STACK))
    bot = BotProcess(tmp_path, _settings(tmp_path, slack, "socket", "token"))

    async def connect() -> None:
        await slack.wait_for(lambda: slack.connections >= SOCKETS, 60.0)

    await bot.start()
    await connect()
    ana, first = Tab(http, slack.base_url, "U0ANA"), bot.pid
    await ana.listen()
    keeping = asyncio.create_task(page.keep(bot, connect))
    try:
        typed = {"channel": "C0INC", "command": "/rollback", "text": "help"}
        await ana.hears("bot", alive=True)
        assert (await ana.act("slash", **typed))["ok"]
        ana.told.clear()
        assert await ana.act("inspector", do="kill_worker") == {"ok": True}
        await ana.hears("bot", alive=False)
        assert not (await ana.act("slash", **typed))["ok"]
        await ana.hears("bot", alive=True)
        assert bot.pid != first and (await ana.act("slash", **typed))["ok"]
        assert (await ana.state())["bot"] == {"alive": True}
    finally:
        await ana.close()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await bot.stop()
        await slack.stop()
