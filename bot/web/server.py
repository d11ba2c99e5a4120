"""All of HTTP as one aiohttp application."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.core.ports import Clock
from bot.flows.world import World
from bot.slack.app import SlackApp
from bot.store.write import StoreDown
from bot.web import gate
from bot.web.health import Health
from bot.web.hooks import Hooks


def _no_worker() -> float:
    return 0.0


@web.middleware
async def _in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever asks while the database is away hears that, and may ask again."""
    try:
        return await handler(request)
    except StoreDown as e:
        return web.json_response({"error": e.message}, status=503)


def build_app(
    world: World,
    slack: SlackApp | None,
    *,
    tokens: Mapping[str, str] | None = None,
    beat: Callable[[], float] = _no_worker,
    clock: Clock | None = None,
) -> web.Application:
    """``tokens``: bearer token -> name, for hooks. ``beat``: the worker's last look (event loop time; 0: none here).
    ``clock`` judges the age of signatures; the world's unless given. Nothing is started here."""
    app = web.Application(client_max_size=gate.MOST_BYTES, middlewares=[_in_words])
    if slack is not None:
        door = gate.Gate(slack, slack.config.signing_secret, clock or world.clock)
        app.router.add_post("/slack/events", door.handle)
    hooks, health = Hooks(world, tokens or {}), Health(world, slack, beat)
    app.router.add_post("/hooks/release", hooks.release)
    app.router.add_get("/hooks/release/{id}", hooks.result)
    app.router.add_get("/gate/{feature}", hooks.gate)
    app.router.add_get("/healthz", health.alive)
    app.router.add_get("/readyz", health.ready)
    app.router.add_get("/metrics", health.metrics)
    return app
