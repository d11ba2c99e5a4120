"""A practice Slack on a free port, and a real Bolt app on it: over signed HTTP, and over Socket Mode."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.page import PracticePage
from bot.practice.slack_server import PracticeSlack
from tests.practice.tab import Tab

Json = dict[str, Any]

MANIFEST = json.loads((Path(__file__).parents[2] / "manifest.json").read_text(encoding="utf-8"))


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Heard:
    """What the app was sent, in order."""

    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, Any]:
        return self.bodies[-1]


def words(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def buttons(*actions: str) -> list[Json]:
    elements = [{"type": "button", "action_id": a, "text": words(a), "value": "R-17"} for a in actions]
    return [{"type": "actions", "block_id": "decide", "elements": elements}]


def text_input(action_id: str, **more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": action_id, "min_length": 2}
    return {"type": "input", "block_id": f"b_{action_id}", "label": words(action_id), "element": element, **more}


def modal(*blocks: Json, **more: Any) -> Json:
    shown = list(blocks) or [text_input("reason")]
    return {
        "type": "modal",
        "callback_id": "form",
        "title": words("Form"),
        "submit": words("Go"),
        "blocks": shown,
        **more,
    }


def listen(app: AsyncApp, kind: str, name: Any, **answer: Any) -> Heard:
    """Registers a listener that acks with ``answer`` and remembers what it heard."""
    heard = Heard()

    async def listener(ack: Any, body: Json) -> None:
        heard.bodies.append(body)
        await ack(**answer)

    getattr(app, kind)(name)(listener)
    return heard


async def post(client: AsyncWebClient, text: str, **more: Any) -> str:
    answer = await client.chat_postMessage(channel=more.pop("channel", "C0INC"), text=text, **more)
    return str(answer["ts"])


async def refused(call: Any) -> SlackApiError:
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Start(Protocol):
    async def __call__(self, **how: Any) -> tuple[PracticeSlack, AsyncWebClient]: ...


@pytest.fixture
async def start(clock: Clock) -> AsyncIterator[Start]:
    """Starts a server of one's own, with the bot's client; stopped at the end of the test."""
    servers: list[PracticeSlack] = []

    async def begin(**how: Any) -> tuple[PracticeSlack, AsyncWebClient]:
        given = {"manifest": MANIFEST, "clock": clock, "retry_scale": 0.0, **how}
        server = PracticeSlack(given.pop("manifest"), given.pop("seed", None), **given)
        servers.append(server)
        await server.start()
        return server, AsyncWebClient(server.bot_token, base_url=server.api_url)

    yield begin
    for server in servers:
        await server.stop()


@pytest.fixture
async def slack(start: Start) -> PracticeSlack:
    return (await start())[0]


@pytest.fixture
def client(slack: PracticeSlack) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def app(slack: PracticeSlack, client: AsyncWebClient) -> AsyncApp:
    """Not connected; its listeners are the test's."""
    return AsyncApp(client=client, signing_secret=slack.signing_secret, process_before_response=True)


async def serve_http(slack: PracticeSlack, app: AsyncApp) -> Callable[[], Awaitable[None]]:
    """Puts the app behind a Request URL; call the answer to stop it."""

    async def events(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    application = web.Application()
    application.router.add_post("/slack/events", events)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.connect_http(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events")
    return runner.cleanup


async def serve_socket(slack: PracticeSlack, app: AsyncApp) -> Callable[[], Awaitable[None]]:
    """Connects the app by Socket Mode; call the answer to stop it."""
    web_client = AsyncWebClient(slack.app_token, base_url=slack.api_url)
    handler = AsyncSocketModeHandler(app, slack.app_token, web_client=web_client)
    before = slack.connections
    await handler.connect_async()
    await slack.wait_for(lambda: slack.connections > before)
    return handler.close_async


@pytest.fixture
async def over_http(slack: PracticeSlack, app: AsyncApp) -> AsyncIterator[PracticeSlack]:
    stop = await serve_http(slack, app)
    yield slack
    await stop()


@pytest.fixture
async def over_socket(slack: PracticeSlack, app: AsyncApp) -> AsyncIterator[PracticeSlack]:
    stop = await serve_socket(slack, app)
    yield slack
    await stop()


@pytest.fixture(params=["http", "socket"])
async def joined(request: pytest.FixtureRequest, slack: PracticeSlack, app: AsyncApp) -> AsyncIterator[PracticeSlack]:
    """The server with the app connected, once for each transport."""
    stop = await (serve_http if request.param == "http" else serve_socket)(slack, app)
    yield slack
    await stop()


@pytest.fixture
async def page(clock: Clock) -> AsyncIterator[PracticePage]:
    """The practice page on a server of its own, with no platform behind it."""
    server = PracticeSlack(MANIFEST, clock=clock, pace=False, retry_scale=0.0)
    served = PracticePage(server)
    await server.start()
    yield served
    await server.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Opens(Protocol):
    async def __call__(self, user: str) -> Tab: ...


@pytest.fixture
async def tab(page: PracticePage, http: aiohttp.ClientSession) -> AsyncIterator[Opens]:
    """Opens the page as somebody; closed at the end of the test."""
    tabs: list[Tab] = []

    async def opened(user: str) -> Tab:
        tabs.append(Tab(http, page.slack.base_url, user))
        await tabs[-1].listen()
        return tabs[-1]

    yield opened
    for each in tabs:
        await each.close()
