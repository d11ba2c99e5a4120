"""Hooks for CI, the answer whether a feature is held, and health, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.core.commands import Actor, Request
from bot.store import inbox, releases
from bot.store.write import Connection
from bot.web.server import build_app
from tests.flows.house import write_flag
from tests.slack.office import ANA, BEN, PLAT, TOKENS, Office, get, post, serve

BODY: dict[str, Any] = {
    "feature": "fares",
    "version": "v7",
    "changelog": "from CI <!channel>",
    "metrics": {"auc": 0.91},
    "commit": "abc123",
}


def bearer(token: str = next(iter(TOKENS))) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def send(office: Office, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, (str, bytes)) else json.dumps(body or BODY)
    status, text = await post(f"{office.url}/hooks/release", data=data, headers={**bearer(), **headers})
    return status, json.loads(text)


async def test_ci_captures_a_release(office: Office) -> None:
    """202 once it is durable; then it is captured with everything CI said, by the token's name."""
    status, answer = await send(office)
    assert status == 202 and answer == {"accepted": 1, "fresh": True, "result": "/hooks/release/1"}
    await office.house.settle()
    found = await office.house.store.read(lambda c: releases.get(c, "fares", "v7"))
    assert found is not None and (found.metrics, found.commit) == ({"auc": 0.91}, "abc123")
    bodies = await office.house.store.read(lambda c: c.exec_driver_sql("SELECT body FROM events").scalars().all())
    assert [json.loads(b)["actor"] for b in bodies] == [{"id": "ci", "kind": "token"}]


async def asked(office: Office, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    status, text = await get(office.url + path, headers={**bearer(), **headers})
    return status, json.loads(text)


async def test_ci_hears_what_came_of_its_order(office: Office) -> None:
    """202 while it is under way, 200 with what was captured, 422 with why it was not; 404 for what it did not order,
    and nothing without its token."""
    path = (await send(office))[1]["result"]
    assert await asked(office, path) == (202, {"accepted": 1, "done": False})
    await office.settle()
    status, told = await asked(office, path)
    assert (status, told["ok"], told["components"]) == (200, True, {"flag": "on for 100 %"})
    write_flag(office.house.folder, share=50)
    path = (await send(office, {**BODY, "changelog": "another"}))[1]["result"]
    await office.settle()
    status, told = await asked(office, path)
    assert (status, told["ok"], "immutable" in told["error"]) == (422, False, True)
    await office.type("capture fares v8")
    assert [(await asked(office, f"/hooks/release/{n}"))[0] for n in ("3", "99", "x", "9" * 30)] == [404] * 4
    assert (await asked(office, path, Authorization="Bearer guess"))[0] == 401


async def test_a_capture_that_failed_is_said_recorded_and_can_be_ordered_again(office: Office) -> None:
    """A line in the feature's channel, an event, and the same words or key once more are another order."""
    flags = office.house.folder / "flags.json"
    good = flags.read_text()
    flags.write_text("{")
    keyed = {"Idempotency-Key": "deploy-1"}
    first, second = await send(office), await send(office, **keyed)
    assert (await send(office, **keyed))[1] == {**second[1], "fresh": False}
    await office.settle()
    assert (await asked(office, first[1]["result"]))[0] == 422
    said = [m.text for m in office.slack.channel(PLAT)]
    assert len(said) == 2 and all("fares v7 was not captured, as ci had ordered:" in text for text in said)
    acts = await office.house.store.read(lambda c: c.exec_driver_sql("SELECT act FROM events").scalars().all())
    assert acts == ["capture_refused", "capture_refused"]

    flags.write_text(good)
    again = [await send(office), await send(office, **keyed)]
    assert [a["fresh"] for _, a in again] == [True, True]
    await office.settle()
    assert [(await asked(office, a["result"]))[0] for _, a in again] == [200, 200]
    assert len(office.slack.channel(PLAT)) == 2


async def test_a_failure_that_was_heard_in_slack_is_not_said_in_the_channel(office: Office) -> None:
    """Whoever typed the command is told privately, and the log has it."""
    (office.house.folder / "flags.json").write_text("{")
    await office.type("capture fares v1")

    assert "Not captured" in office.told(ANA)[-1] and office.slack.channel(PLAT) == []
    acts = await office.house.store.read(lambda c: c.exec_driver_sql("SELECT act FROM events").scalars().all())
    assert acts == ["capture_refused"]


async def test_the_same_hook_again_is_one_capture(office: Office) -> None:
    """While it is under way; after it stands the same Idempotency-Key still is, and the same body is another order."""
    first, again = await send(office), await send(office)
    assert (first[1]["accepted"], again[1]["accepted"], again[1]["fresh"]) == (1, 1, False)
    keyed = [await send(office, {**BODY, "version": v}, **{"Idempotency-Key": "deploy-1"}) for v in ("v8", "v9")]
    assert [a["accepted"] for _, a in keyed] == [2, 2]
    assert (await send(office, **{"Idempotency-Key": "deploy-2"}))[1]["accepted"] == 3
    await office.settle()
    assert (await send(office, **{"Idempotency-Key": "deploy-2"}))[1]["accepted"] == 3
    assert (await send(office))[1] == {"accepted": 4, "fresh": True, "result": "/hooks/release/4"}


BAD = {
    "no token": ({"Authorization": ""}, BODY, 401),
    "another token": (bearer("guess"), BODY, 401),
    "not a bearer": ({"Authorization": "Basic ci-token"}, BODY, 401),
    "no JSON": ({}, "{", 400),
    "no object": ({}, "[1]", 400),
    "a key nobody knows": ({}, {**BODY, "verison": "v1"}, 400),
    "no version": ({}, {"feature": "fares"}, 400),
    "a version that is none": ({}, {**BODY, "version": "v/1"}, 400),
    "previous": ({}, {**BODY, "version": "previous"}, 400),
    "a metric that is none": ({}, '{"feature":"fares","version":"v1","metrics":{"auc":NaN}}', 400),
    "an unknown feature": ({}, {**BODY, "feature": "fraes"}, 404),
    "too long": ({}, {**BODY, "changelog": "x" * 70_000}, 413),
    "a long changelog": ({}, {**BODY, "changelog": "x" * 5000}, 400),
    "a key with spaces": ({"Idempotency-Key": "a b"}, BODY, 400),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_hook_is_one_line_and_nothing_is_stored(office: Office, name: str) -> None:
    """400, 401, 404 or 413 with one line of JSON."""
    headers, body, status = BAD[name]
    got, answer = await send(office, body, **headers)
    assert got == status and set(answer) == {"error"} and "\n" not in answer["error"]
    assert await office.house.store.read(inbox.waiting) == []


async def test_ci_is_told_what_is_held(office: Office) -> None:
    """Free before, held after a rollback with its reason and run, free again after lifting; also for a faulty file."""
    url = f"{office.url}/gate/fares"
    assert await get(url) == (200, '{"feature": "fares", "held": false}\n')
    card = await office.waiting()
    await office.press(card, "approve", BEN)
    status, text = await get(url)
    assert status == 423
    assert json.loads(text) == {"feature": "fares", "held": True, "reason": "rolled back to v1 by R-1", "run": "R-1"}
    file = office.house.folder / "playbooks/features/fares.yaml"
    good = file.read_text()
    file.write_text("feature: [")
    assert (await get(url))[0] == 423
    file.write_text(good)
    await office.type("lift fares", BEN)
    assert (await get(url))[0] == 200
    status, text = await get(f"{office.url}/gate/fraes")
    assert status == 404 and "Did you mean fares?" in text


async def test_health(office: Office) -> None:
    """Alive and ready while it can work."""
    assert await get(f"{office.url}/healthz") == (200, "ok\n")
    assert await get(f"{office.url}/readyz") == (200, '{"ready": true, "faults": []}\n')


async def test_not_ready_says_why(office: Office) -> None:
    """A full disk, an inbox that nobody applies, and a worker that hangs are named, and it is still alive."""
    now = office.clock.now()
    actor = Actor(kind="person", id="T1/X", via="slack")
    await office.house.store.intake(lambda c: inbox.take(c, "k", actor, Request(feature="fares", to="v1"), "", now))
    office.clock.advance(timedelta(seconds=61))
    status, text = await get(f"{office.url}/readyz")
    assert status == 503 and "the oldest unapplied row of the inbox is 61 s old" in text

    beat = asyncio.get_running_loop().time() - 31
    url, stop = await serve(build_app(office.house.world, office.app, beat=lambda: beat))
    assert "the worker has not looked at the inbox for 31 s" in (await get(f"{url}/readyz"))[1]
    await stop()

    await office.house.store.write(_read_only)
    status, text = await get(f"{office.url}/readyz")
    assert status == 503 and "can't take writes" in text
    assert (await get(f"{office.url}/healthz"))[0] == 200


def _read_only(conn: Connection) -> None:
    conn.exec_driver_sql("PRAGMA query_only=1")


async def test_while_the_database_is_away_machines_hear_that(office: Office) -> None:
    """CI that asks the gate or for its order, and who collects metrics, get a 503 with the reason, and may ask again;
    never an answer that could be taken for yes."""
    await office.house.store.stop()
    for path in ("/gate/fares", "/hooks/release/1", "/metrics"):
        status, text = await get(f"{office.url}{path}", headers=bearer())
        assert status == 503 and "the store is closed" in json.loads(text)["error"], path


async def test_metrics(office: Office) -> None:
    """Prometheus' text, with open runs by status, what waits and what is held."""
    await office.waiting()
    status, text = await get(f"{office.url}/metrics")
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert status == 200
    assert lines == {
        'rollbot_runs{status="waiting"}': "1",
        "rollbot_inbox_waiting": "0",
        "rollbot_inbox_oldest_seconds": "0.000",
        "rollbot_messages_due": "0",
        "rollbot_features_held": "0",
        "rollbot_slack_connected": "1",
    }


async def test_without_slack(office: Office) -> None:
    """Hooks, gate and health work without a chat system; Slack's address is not there."""
    url, stop = await serve(build_app(office.house.world, None))
    assert (await get(f"{url}/gate/fares"))[0] == 200 and (await post(f"{url}/slack/events"))[0] == 404
    assert (await post(f"{url}/hooks/release", headers=bearer("")))[0] == 401
    await stop()
