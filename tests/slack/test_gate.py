"""The gate, over real HTTP: what is not from an allowed workspace, fresh, whole and signed never reaches a handler."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from bot.core.commands import Actor, Request
from bot.practice.slack_server import Ack
from bot.store import inbox, runs
from bot.store.write import Connection
from bot.web.gate import MOST_BYTES, Gate
from tests.services import FakeClock
from tests.slack.office import ANA, INC, Office, RealClock, get, serve

FORM = "application/x-www-form-urlencoded"


def command(text: str = "capture fares v9", **more: Any) -> str:
    fields = {
        "team_id": "T0PRACTICE",
        "user_id": ANA,
        "channel_id": INC,
        "command": "/rollback",
        "text": text,
        "trigger_id": "1.2.abc",
        "response_url": "https://hooks.slack.com/commands/x",
        **more,
    }
    return urlencode({k: v for k, v in fields.items() if v is not None})


def press(user: dict[str, Any], team: dict[str, Any] | None, actions: Any = None) -> str:
    action = {"type": "button", "action_id": "abort", "value": '{"run":1}', "action_ts": "1.1"}
    body = {
        "type": "block_actions",
        "user": user,
        "team": team,
        "actions": [action] if actions is None else actions,
        "trigger_id": "1",
        "container": {},
    }
    return urlencode({"payload": json.dumps(body)})


REFUSALS: dict[str, tuple[str | bytes, dict[str, Any], int]] = {
    "no signature": (command(), {"headers": {"X-Slack-Signature": None}}, 401),
    "no timestamp": (command(), {"headers": {"X-Slack-Request-Timestamp": None}}, 401),
    "another secret": (command(), {"secret": "guessed"}, 401),
    "empty secret": (command(), {"secret": "\x00"}, 401),
    "signature of another kind": (command(), {"headers": {"X-Slack-Signature": "abc"}}, 401),
    "upper case signature": (command(), {"headers": {"X-Slack-Signature": "v0=" + "A" * 64}}, 401),
    "non-ASCII signature": (command(), {"headers": {"X-Slack-Signature": "v0=" + "é" * 64}}, 401),
    "words for a time": (command(), {"timestamp": "abc"}, 401),
    "negative time": (command(), {"timestamp": "-5"}, 401),
    "a time in words": (command(), {"timestamp": "1e9"}, 401),
    "thirteen digits": (command(), {"timestamp": "1" * 13}, 401),
    "stale": (command(), {"offset": -302}, 401),
    "from the future": (command(), {"offset": 320}, 401),
    "unsigned rubbish": ("payload=x", {"headers": {"X-Slack-Signature": None}}, 401),
    "signed rubbish": ("payload=x", {}, 400),
    "payload that is no object": (urlencode({"payload": "[1]"}), {}, 400),
    "a field twice": (command() + "&team_id=T0PRACTICE", {}, 400),
    "bytes that are no text": (b"\xff\xfe=1", {}, 400),
    "JSON that is none": ("{", {"content_type": "application/json"}, 400),
    "deep JSON": ("[" * 100_000, {"content_type": "application/json"}, 400),
    "a press by no object": (press("U0ANA", {"id": "T0PRACTICE"}), {}, 400),  # type: ignore[arg-type]
    "a press on what is no list": (press({"id": ANA}, {"id": "T0PRACTICE"}, "abort"), {}, 400),
    "a press on no objects": (press({"id": ANA}, {"id": "T0PRACTICE"}, ["abort"]), {}, 400),
    "nothing": ("", {}, 403),
    "another workspace": (command(team_id="TEVIL"), {}, 403),
    "no workspace": (command(team_id=None), {}, 403),
    "a press from another workspace": (press({"id": ANA, "team_id": "TEVIL"}, {"id": "T0PRACTICE"}), {}, 403),
    "a press in another workspace": (press({"id": ANA, "team_id": "T0PRACTICE"}, {"id": "TEVIL"}), {}, 403),
    "too long": ("x" * (MOST_BYTES + 1), {}, 413),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_is_refused_never_reaches_a_handler(
    office: Office, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """401, 403, 400 or 413 in one line; nothing was stored and no stack trace was logged."""
    await _one_run(office)
    body, how, status = REFUSALS[name]
    offset = how.get("offset")
    given = {"timestamp": str(int(time.time()) + offset)} if offset else how
    ack = await office.slack.forge(body, **given)
    assert (ack.status, await rows(office)) == (status, 0)
    assert isinstance(ack.body, str) and "\n" not in ack.body.strip()
    assert not [r for r in caplog.records if r.exc_info]


async def _one_run(office: Office) -> None:
    """R-1, which a press can name; its row of the inbox is gone."""
    actor = Actor(kind="person", id=f"T0PRACTICE/{ANA}", via="slack")
    now = office.clock.now()
    await office.house.store.intake(lambda c: inbox.take(c, "k", actor, Request(feature="fares", to="v1"), "", now))
    await office.house.store.write(lambda c: c.exec_driver_sql("DELETE FROM inbox").rowcount)


async def rows(office: Office) -> int:
    """Whatever a handler has stored."""
    return int(await office.house.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM inbox").scalar_one()))


async def test_the_same_bodies_signed_well_are_let_in(office: Office) -> None:
    """The refusals above are refused for their fault alone; up to 297 s of age and nearly 256 KiB pass."""
    await _one_run(office)
    for n, offset in enumerate((0, -297, 297), 1):
        body = command(f"capture fares v{n}", trigger_id=f"t{n}")
        assert (await office.slack.forge(body, timestamp=str(int(time.time()) + offset))).status == 200
        assert await rows(office) == n
    own = {"id": ANA, "team_id": "T0PRACTICE"}
    assert (await office.slack.forge(press(own, {"id": "T0PRACTICE"}))).status == 200 and await rows(office) == 4
    filled = command("x" * (MOST_BYTES - len(command("")) - 100))
    assert "a command has at most" in (await office.slack.forge(filled)).body["text"]


async def test_age_is_judged_on_the_injected_clock(office: Office) -> None:
    """Exactly 300 s pass and 301 do not, in both directions, on a clock that stands still."""
    clock = FakeClock()
    gate = Gate(office.app, office.slack.signing_secret, clock)
    url, stop = await _serve_gate(gate)
    office.slack.connect_http(url)
    now = int(clock.now().timestamp())
    found = [(await office.slack.forge(command(), timestamp=str(now + n))).status for n in (-301, -300, 0, 300, 301)]
    await stop()
    assert found == [401, 200, 200, 200, 401]


async def _serve_gate(gate: Gate) -> tuple[str, Any]:
    app = web.Application()
    app.router.add_post("/slack/events", gate.handle)
    url, stop = await serve(app)
    return f"{url}/slack/events", stop


async def test_without_a_secret_nothing_passes(office: Office) -> None:
    """An empty signing secret verifies nothing, also not what was signed with an empty key."""
    url, stop = await _serve_gate(Gate(office.app, "", RealClock()))
    office.slack.connect_http(url)
    ack = await office.slack.forge(command(), secret="\x00")  # HMAC fills a key with zeros: the same as the empty one
    await stop()
    assert ack.status == 401 and await rows(office) == 0


async def test_a_body_without_an_end_is_cut_off(office: Office) -> None:
    """A body that never says its length is refused once it is too long, not held in memory."""

    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 65536

    async with aiohttp.ClientSession() as http:
        try:
            async with http.post(f"{office.url}/slack/events", data=endless()) as answer:
                status = answer.status
        except aiohttp.ClientConnectionError:
            status = 413
    assert status == 413


async def test_two_signatures_are_none(office: Office) -> None:
    """A header that stands there twice is not chosen from."""
    host, port = office.url.removeprefix("http://").split(":")
    body = command()
    lines = [
        "POST /slack/events HTTP/1.1",
        f"Host: {host}",
        f"Content-Type: {FORM}",
        f"Content-Length: {len(body)}",
        f"X-Slack-Request-Timestamp: {int(time.time())}",
        "X-Slack-Signature: v0=" + "0" * 64,
        "X-Slack-Signature: v0=" + "1" * 64,
        "Connection: close",
    ]
    reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
    writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401") and b"not signed" in answer


async def test_a_replay_gets_the_first_answer(office: Office) -> None:
    """The same signed bytes three times: one run, three times the same answer."""
    await office.two_releases()
    body = command("fares to v1")
    answers = [await office.slack.forge(body) for _ in range(3)]
    assert [a.status for a in answers] == [200, 200, 200]
    assert {json.dumps(a.body) for a in answers} == {json.dumps(answers[0].body)}
    assert answers[0].body["text"] == "R-1: planning fares to v1"
    assert len(await office.house.store.read(runs.newest)) == 1


async def test_a_replayed_key_is_not_shown_again(office: Office) -> None:
    """Whoever replays the request for a personal key gets none."""
    body = command("key")
    first, again = await office.slack.forge(body), await office.slack.forge(body)
    assert "ROLLBOT_KEY=rb_" in first.body["text"] and "rb_" not in again.body["text"]
    assert "shown already" in again.body["text"]


def full(conn: Connection) -> None:
    """The disk is full: SQLite may not grow by a single page."""
    pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
    conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def roomy(conn: Connection) -> None:
    conn.exec_driver_sql("PRAGMA max_page_count=1000000")


async def fill(office: Office) -> list[Ack]:
    """Commands until one can't be stored; their acks."""
    await office.house.store.write(full)
    acks: list[Ack] = []
    while len(acks) < 300 and (not acks or acks[-1].ok):
        acks.append(await office.typed(f"capture fares w{len(acks)} {'x' * 1500}"))
    return acks


async def test_what_can_not_be_stored_is_never_acked(office: Office) -> None:
    """With a full disk the answer is 503; with room again the same words are taken."""
    acks = await fill(office)
    assert acks[-1].status == 503 and acks[-1].error
    await office.house.store.write(roomy)
    assert (await office.typed("capture fares later")).ok


async def test_what_can_not_be_stored_is_never_acked_by_socket(both: Office) -> None:
    """Over Socket Mode a full disk means no ack at all, so Slack tells the person that it did not work."""
    if both.app.config.app_token is None:
        assert (await fill(both))[-1].status == 503
        return
    both.slack.delivery.ack_timeout = 0.3
    acks = await fill(both)
    assert acks[-1].status == "operation_timeout"


async def test_an_envelope_from_another_workspace_is_dropped(both: Office, caplog: pytest.LogCaptureFixture) -> None:
    """The same check on either transport: what is not allowed is neither handled nor acked."""
    both.app.workspaces = frozenset({"TOTHER"})
    both.slack.delivery.ack_timeout = 0.3
    ack = await both.typed("capture fares v1")
    assert ack.status in (403, "operation_timeout")
    assert await rows(both) == 0


async def test_the_url_verification_is_answered(office: Office) -> None:
    """Slack's challenge comes back, signed like everything else."""
    body = json.dumps({"type": "url_verification", "challenge": "abc"})
    ack = await office.slack.forge(body, content_type="application/json")
    assert (ack.status, ack.body) == (200, {"challenge": "abc"})
    assert (await office.slack.forge(body, content_type="application/json", secret="no")).status == 401


async def test_what_breaks_inside_is_one_line(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody has thought of is logged and answered with 500 in one line, without a trace."""
    await _one_run(office)
    await office.house.store.write(lambda c: c.exec_driver_sql("UPDATE runs SET body = '{}'").rowcount)
    ack = await office.slack.forge(command("status"))
    assert (ack.status, ack.body) == (500, "this did not work; it was logged")
    assert any(r.exc_info for r in caplog.records)


async def test_nothing_else_is_served(office: Office) -> None:
    """Only POST is taken there."""
    assert (await get(f"{office.url}/slack/events"))[0] == 405
