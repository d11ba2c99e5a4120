"""What an open page is told as it happens: all that its person sees, and nothing that they don't."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import RollbotError
from bot.practice.page import PracticePage
from bot.practice.page.keeper import Keeper
from bot.practice.page.panels import NoPanel
from bot.practice.page.streams import MOST, Stream, Streams
from bot.practice.slack_server import PracticeSlack
from tests.practice.conftest import Json, Opens, buttons, modal, post, words


@pytest.fixture
def slack(page: PracticePage) -> PracticeSlack:
    return page.slack


async def test_a_message_comes_whole_and_again_when_it_changes(tab: Opens, client: AsyncWebClient) -> None:
    """Posted, edited, replied to and deleted: each event has the message as the state has it, under a rising number."""
    ana = await tab("U0ANA")
    ts = await post(client, "card", blocks=buttons("approve"))
    card = await ana.hears("message", ts=ts)
    assert [card] == ana.channel(await ana.state(), "C0INC")["messages"]
    await client.chat_update(channel="C0INC", ts=ts, text="approved", blocks=[])
    assert (await ana.hears("message", ts=ts, text="approved"))["blocks"] == []
    reply = await post(client, "step 1", thread_ts=ts)
    assert (await ana.hears("message", ts=reply))["thread_ts"] == ts
    parent = await ana.hears("message", ts=ts, reply_count=1)
    assert (parent["thread_ts"], parent["latest_reply"]) == (ts, reply)
    await client.chat_delete(channel="C0INC", ts=reply)
    assert await ana.hears("gone") == {"channel": "C0INC", "ts": reply}
    kinds = [(k, d.get("reply_count")) for k, d in await ana.all_until_now("message", "gone")]
    assert kinds[-2:] == [("gone", None), ("message", 0)]


async def test_nobody_is_told_what_they_do_not_see(tab: Opens, slack: PracticeSlack, client: AsyncWebClient) -> None:
    """Ephemeral messages, private channels, direct messages, views and Home tabs reach their own people only, also
    when they go."""
    ana, ben, lea = [await tab(user) for user in ("U0ANA", "U0BEN", "U0LEA")]
    root = await post(client, "card")
    await client.chat_postEphemeral(channel="C0INC", user="U0ANA", text="hers")
    await client.chat_postEphemeral(channel="C0INC", user="U0ANA", text="hers too", thread_ts=root)
    await slack.say("secret", "U0LEA", "G0SECRET")
    await post(client, "direct", channel="U0ANA")
    trigger = slack.workspace.trigger("U0ANA")
    view = await client.views_open(trigger_id=trigger, view=modal())
    await client.views_publish(user_id="U0ANA", view={"type": "home", "blocks": buttons("refresh")})
    slack.workspace.delete(slack.ephemerals("U0ANA")[0])
    slack.workspace.delete(slack.channel("G0SECRET")[0])
    kinds = ("message", "gone", "view", "home", "channel")
    told = {
        t.user: [(k, d) for k, d in await t.all_until_now(*kinds) if d.get("id") != "C0DRILLS"] for t in (ana, ben, lea)
    }
    assert [(k, d["text"]) for k, d in told["U0BEN"]] == [("message", "card")]
    assert [k for k, _ in told["U0LEA"]] == ["message", "message", "gone"]
    texts = {d["text"] for k, d in told["U0ANA"] if k == "message"}
    assert texts == {"card", "hers", "hers too", "secret", "direct"}
    assert [d["id"] for k, d in told["U0ANA"] if k == "channel"] == ["D0ANA"]
    assert [d["id"] for k, d in told["U0ANA"] if k == "view"] == [view["view"]["id"]]
    assert [d["depth"] for k, d in told["U0ANA"] if k == "home"] == [0]
    assert len([d for k, d in told["U0ANA"] if k == "gone"]) == 2


async def test_a_modal_changes_and_goes(tab: Opens, slack: PracticeSlack, client: AsyncWebClient) -> None:
    """Each change of the top modal is told with its depth; when the last one is closed, null."""
    ana = await tab("U0ANA")
    first = (await client.views_open(trigger_id=slack.workspace.trigger("U0ANA"), view=modal()))["view"]["id"]
    trigger = slack.workspace.trigger("U0ANA", first)
    second = (await client.views_push(trigger_id=trigger, view=modal()))["view"]["id"]
    assert (await ana.hears("view", id=first))["depth"] == 1
    assert (await ana.hears("view", id=second))["depth"] == 2
    shown = []
    for act in (
        slack.fill(second, "reason", "U0ANA", "long"),
        slack.close(second, "U0ANA"),
        slack.close(first, "U0ANA"),
    ):
        await act
        shown.append((await ana.all_until_now("view"))[-1][1])
    assert shown[0]["values"]["b_reason"]["reason"]["value"] == "long"
    assert [d and (d["id"], d["depth"]) for d in shown] == [(second, 2), (first, 1), None]


async def test_channels_come_and_go(tab: Opens, slack: PracticeSlack) -> None:
    """Who is put into a private channel, or leaves it, reads the state again; the others learn nothing of it."""
    ana, ben, sam = [await tab(user) for user in ("U0ANA", "U0BEN", "U0SAM")]
    slack.workspace.join("U0BEN", "G0SECRET")
    await ben.hears("reset")
    assert ben.channel(await ben.state(), "G0SECRET")["member"]
    slack.workspace.leave("U0ANA", "G0SECRET")
    await ana.hears("reset")
    slack.workspace.leave("U0SAM", "C0PLAT")
    assert (await sam.hears("channel", id="C0PLAT"))["member"] is False
    assert [d["id"] for _, d in await sam.all_until_now("channel", "reset") if d["id"] != "C0DRILLS"] == ["C0PLAT"]


async def test_what_was_read_is_told_to_ones_other_pages(tab: Opens, client: AsyncWebClient) -> None:
    """Two pages of one person keep the same mark; another person's page does not hear of it."""
    one, two, ben = await tab("U0ANA"), await tab("U0ANA"), await tab("U0BEN")
    ts = await post(client, "card")
    await one.act("read", channel="C0INC", ts=ts)
    assert (await two.hears("channel", id="C0INC"))["read"] == ts
    assert [d for _, d in await ben.all_until_now("channel") if d["id"] == "C0INC"] == []


async def test_a_reset_is_told(tab: Opens, slack: PracticeSlack, client: AsyncWebClient) -> None:
    """After the workspace went back to its seed every page reads the state again; marks and records are gone."""
    ana = await tab("U0ANA")
    ts = await post(client, "card")
    await ana.act("read", channel="C0INC", ts=ts)
    slack.reset()
    await ana.hears("reset")
    shown = ana.channel(await ana.state(), "C0INC")
    assert (shown["messages"], shown["read"]) == ([], "") and (await ana.get("inspector"))["entries"] == []


async def test_a_page_that_does_not_listen_is_told_to_read_again() -> None:
    """What waits for it is bounded; past that it gets one reset and then what is new, and nobody else is held up."""
    streams, slow = Streams(), Stream("U0ANA")
    streams._open.add(slow)
    for n in range(MOST + 1):
        streams.send("message", {"n": n})
    streams.send("message", {"n": "new"})
    waiting = [slow.waiting.get_nowait() for _ in range(slow.waiting.qsize())]
    assert [str(w).split("\n")[1] for w in waiting] == ["event: reset", "event: message"]
    streams.send("message", {"text": "two\nlines \u2028 are one"})
    event = slow.waiting.get_nowait()
    assert event is not None and event.count("\n") == 4


async def test_a_fault_of_ours_does_not_end_the_stream(
    tab: Opens, page: PracticePage, client: AsyncWebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a change can't be shown, every page is told to read the state again, and hears of the next one."""
    ana = await tab("U0ANA")
    with monkeypatch.context() as broken:
        broken.setattr(page.sight, "message", lambda *_: 1 / 0)
        await post(client, "card")
        await ana.hears("reset")
    ts = await post(client, "another")
    assert (await ana.hears("message", ts=ts))["text"] == "another"


async def test_streams_end_with_the_server(tab: Opens, slack: PracticeSlack) -> None:
    """Stopping the practice Slack ends the open pages' streams, after all that was said."""
    ana = await tab("U0ANA")
    slack.workspace.post("C0INC", "U0BEN", "last words", [])
    await ana.hears("message", text="last words")
    await slack.stop()
    await ana.ended()


async def test_the_set_up_is_told_from_any_thread(tab: Opens, page: PracticePage) -> None:
    """How far it is never goes back; why it failed is said; when it is over, null, and the state is read again."""
    page.setup.begin({"setting up": 60.0, "shipping": 40.0})
    ana = await tab("U0ANA")

    def work() -> None:
        page.setup.tell("setting up", 0.5, "loading")
        page.setup.tell("shipping", 0.5, "")
        page.setup.tell("setting up", 0.9, "late")
        page.setup.tell("unknown", 0.9, "not ours")

    threading.Thread(target=work).start()
    await ana.hears("setup", note="late")
    page.setup.fail("the practice platform failed: no disk")
    failed = await ana.hears("setup", error="the practice platform failed: no disk")
    assert [d["done"] for _, d in await ana.all_until_now("setup")] == [30.0, 80.0, 80.0, 80.0]
    assert (await ana.state())["setup"] == failed
    page.finish()
    assert [(k, d) for k, d in await ana.all_until_now("setup", "reset")][-2:] == [("setup", None), ("reset", {})]


class Counter(NoPanel):
    """Counts how often it is looked at."""

    looked = 0

    def state(self) -> Json:
        self.looked += 1
        return {"looked": self.looked}


async def test_a_panel_announces_from_any_thread(tab: Opens, page: PracticePage) -> None:
    """What it is now is told to every page; many announcements at once are fewer events, and the last state is told."""
    panel = page.panels["incident"] = Counter()
    announce = page.announcer("incident")
    ana, ben = await tab("U0ANA"), await tab("U0BEN")

    def work() -> None:
        for _ in range(100):
            announce()

    await asyncio.to_thread(work)
    for t in (ana, ben):
        told = await t.all_until_now("incident")
        assert told and told[-1] == ("incident", {"looked": panel.looked})


class Toy:
    """A process that ends when it is told to, and starts at the second attempt."""

    def __init__(self) -> None:
        self.over, self.alive, self.starts = asyncio.Event(), True, 0

    async def start(self) -> None:
        self.starts += 1
        if self.starts == 1:
            raise RollbotError("it did not become ready")
        self.over, self.alive = asyncio.Event(), True

    async def stop(self) -> int:
        return 0

    async def ended(self) -> None:
        await self.over.wait()

    def kill(self) -> None:
        self.alive = False
        self.over.set()


async def test_the_bot_comes_back(tab: Opens, page: PracticePage, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is gone is told at once, also why it did not come back; then that it is there again, when it hears."""
    monkeypatch.setattr("bot.practice.page.keeper.PAUSE_S", 0.0)
    toy, ana = Toy(), await tab("U0ANA")
    connected: list[Any] = []

    async def connect() -> None:
        connected.append(toy.alive)

    keeping = asyncio.create_task(page.keep(toy, connect))
    await ana.hears("bot", alive=True)
    assert (await ana.act("inspector", do="kill_worker"))["ok"]
    await ana.hears("bot", alive=False, note="it did not become ready")
    await page.slack.wait_for(lambda: connected)
    told = [d["alive"] for _, d in await ana.all_until_now("bot")]
    assert told == [True, False, False, True] and (await ana.state())["bot"] == {"alive": True}
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


class Frail(Toy):
    """It starts at the third attempt: at the first the machine has no room, after the second it ends at once."""

    async def start(self) -> None:
        self.starts += 1
        if self.starts == 1:
            raise OSError("no room")
        self.over, self.alive = asyncio.Event(), True
        if self.starts == 2:
            self.kill()


async def test_a_bot_that_ends_while_it_starts_is_started_again(page: PracticePage, monkeypatch: Any) -> None:
    """Neither a machine without room nor a bot that ends before it is connected keeps it away; the page says why."""
    monkeypatch.setattr("bot.practice.page.keeper.PAUSE_S", 0.0)
    frail, states, back = Frail(), list[Any](), asyncio.Event()

    async def connect() -> None:
        if frail.starts < 3:
            await asyncio.Event().wait()

    def changed() -> None:
        states.append(keeper.state())
        if keeper.alive:
            back.set()

    keeper = Keeper(frail, connect, changed)
    keeping = asyncio.create_task(keeper.run())
    keeper.kill()
    await asyncio.wait_for(back.wait(), 5.0)
    assert [s.get("note", "")[:19] for s in states] == ["", "no room", "The bot ended again", ""]
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_bookmarks_are_told(tab: Opens, slack: PracticeSlack) -> None:
    """A channel's change comes without its messages."""
    ana = await tab("U0ANA")
    slack.workspace.channels["C0INC"].bookmarks.append({"title": "run", "link": "http://127.0.0.1/"})
    slack.workspace.changes.tell("channel", channel="C0INC", what="bookmark")
    told = await ana.hears("channel", id="C0INC")
    assert told["bookmarks"][0]["title"] == "run" and "messages" not in told and words("x")["text"] == "x"
