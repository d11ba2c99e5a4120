"""The practice Slack under strain: its pace, injected faults, waiting for changes, and starting over."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack_server import PracticeSlack
from tests.practice.conftest import Clock, Start, post, refused


async def test_posting_is_paced(slack: PracticeSlack, client: AsyncWebClient, clock: Clock) -> None:
    """The fourth message at once in one channel is 429 with Retry-After and has no effect; another channel is free,
    and a second later there is room again."""
    for n in range(3):
        await post(client, str(n))
    late = await refused(post(client, "3"))
    assert late.response.status_code == 429 and late.response["error"] == "ratelimited"
    assert late.response.headers["Retry-After"] == "1"
    await post(client, "elsewhere", channel="C0PLAT")
    clock.pass_by(1)
    await post(client, "4")
    assert [m.text for m in slack.channel("C0INC")] == ["0", "1", "2", "4"]


async def test_a_client_that_waits_gets_through(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """A 429 and then success: Slack's own retry handler waits for Retry-After and posts once."""
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    slack.fault("chat.postMessage", error="ratelimited", status=429, headers={"Retry-After": "0"})
    await post(client, "card")
    assert [c.status for c in slack.calls if c.method == "chat.postMessage"] == [429, 200]
    assert [m.text for m in slack.channel("C0INC")] == ["card"]


async def test_the_pace_can_be_lifted(start: Start) -> None:
    """With pace=False ten messages go through at once."""
    server, free = await start(pace=False)
    for n in range(10):
        await post(free, str(n))
    assert len(server.channel("C0INC")) == 10


async def test_faults_are_used_up(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """An injected error has no effect; a lost reply has its effect and the caller can't know; then all is well."""
    slack.fault("chat.postMessage", times=2, error="fatal_error", status=500)
    for _ in range(2):
        assert (await refused(post(client, "lost"))).response.status_code == 500
    client.retry_handlers.clear()
    slack.fault("*", drop_reply=True)
    with pytest.raises(aiohttp.ClientError):
        await post(client, "posted, not known")
    await post(client, "fine")
    assert [m.text for m in slack.channel("C0INC")] == ["posted, not known", "fine"]


async def test_a_slow_slack_can_be_given_up(slack: PracticeSlack) -> None:
    """A call that is held longer than the caller waits has no effect before it is let go."""
    slack.fault("chat.postMessage", delay=30)
    hasty = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await post(hasty, "x")
    assert slack.channel("C0INC") == []


async def test_waiting_is_woken_by_changes(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """wait_for answers as soon as what it waits for is there, and subscribers get every change; else it says what it
    saw last."""
    queue = slack.subscribe()
    waiting = asyncio.create_task(slack.wait_for(lambda: [m for m in slack.channel("C0INC") if "v12" in m.text]))
    await post(client, "to v12")
    assert [m.text for m in await waiting] == ["to v12"]
    assert (await queue.get())["kind"] == "message"
    slack.unsubscribe(queue)
    with pytest.raises(TimeoutError, match=r"last changes: \[.*posted"):
        await slack.wait_for(lambda: slack.channel("C0PLAT"), timeout=0.01)


async def test_reset_brings_the_seed_back(slack: PracticeSlack, client: AsyncWebClient) -> None:
    """After a reset nothing was ever said and no fault waits; message ids go on rising; only loopback names get in."""
    before = await post(client, "x")
    slack.fault("chat.postMessage", error="fatal_error")
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{slack.base_url}/_dev/reset", headers={"Host": "evil.test"}) as answer:
            assert answer.status == 403
        assert len(slack.channel("C0INC")) == 1
        async with session.post(f"{slack.base_url}/_dev/reset") as answer:
            assert answer.status == 200
    assert slack.channel("C0INC") == [] and slack.calls == []
    assert float(await post(client, "y")) > float(before)
