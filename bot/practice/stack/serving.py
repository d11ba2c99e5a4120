"""What the practice company's customers talk to: Feast's feature server, and a small ETA model server that uses it.

One process with two ports of 127.0.0.1; its first line on stdout names them, later ones say which model was loaded.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from aiohttp import ClientSession, web
from feast.feature_server import get_app

from bot.practice.stack import features, harm, models
from bot.practice.stack.layout import ALIAS, MODEL, SERVING_TTL, Layout
from bot.practice.stack.world import KEY, VIEW

RELOAD = 2.0
"""Seconds between two looks at the model registry."""


class ModelServer:
    """Serves the champion that it has loaded; a version that can't be loaded leaves the old one in place."""

    def __init__(self, layout: Layout, features_url: str) -> None:
        self.layout = layout
        self.features_url = features_url
        self.model: models.EtaModel | None = None
        self.fault = "not loaded yet"
        self.mlflow = models.client(layout)

    async def follow(self) -> None:
        """Look at the registry for ever; say each version that is loaded."""
        while True:
            await asyncio.sleep(RELOAD)
            if await self.reload() and self.model is not None:
                _say({"loaded": self.model.version})

    async def reload(self) -> bool:
        """Load the champion if it is another version than the loaded one. True if it was changed.

        A version whose features aren't served yet leaves the old one in place: the feature server takes a new
        definition in within ``SERVING_TTL``, which may be after the champion's change is seen.
        """
        try:
            found = await asyncio.to_thread(self._champion)
            replaces = self.model is not None and found is not self.model
            self.fault = (await self._features(found, [0]))[1] if replaces else ""
        except Exception as error:  # noqa: BLE001 (serve what is loaded, whatever the registry does)
            self.fault = str(error)
        if self.fault or found is self.model:
            return False
        self.model = found
        return True

    def _champion(self) -> models.EtaModel:
        version = models.champion_version(self.mlflow)
        return self.model if self.model and self.model.version == version else models.load(self.mlflow, version)

    async def version(self, _request: web.Request) -> web.Response:
        """``GET /version``: the loaded version; 503 if there is none."""
        said: dict[str, Any] = {"model": MODEL, "alias": ALIAS}
        if self.model is not None:
            said |= {"version": self.model.version, "release": self.model.release, "features": self.model.features}
        if self.fault:
            said["fault"] = self.fault
        return web.json_response(said, status=200 if self.model else 503)

    async def predict(self, request: web.Request) -> web.Response:
        """``GET /predict?driver_id=7``: minutes; 503 with the reason if features or model are lacking."""
        asked = request.query.get(KEY, "")
        if not asked.isdigit():
            return web.json_response({"error": f"{KEY} must be a number"}, status=400)
        model = self.model
        rows, fault = await self._features(model, [int(asked)])
        if fault or model is None:
            return web.json_response({"error": fault}, status=503)
        lacking = [name for name, value in zip(model.features, rows[0], strict=True) if value is None]
        if lacking:
            return web.json_response({"error": f"driver {asked} has no {', '.join(lacking)}"}, status=503)
        minutes = _minutes(model, rows)[0]
        return web.json_response({KEY: int(asked), "minutes": minutes, "version": model.version})

    async def predict_many(self, request: web.Request) -> web.Response:
        """``POST /predict {"driver_ids": [7, 8]}``: minutes in that order, null where features are lacking."""
        model, ids = self.model, (await request.json())["driver_ids"]
        rows, fault = await self._features(model, ids)
        if fault or model is None:
            return web.json_response({"error": fault}, status=503)
        return web.json_response({"minutes": _minutes(model, rows), "version": model.version})

    async def _features(self, model: models.EtaModel | None, ids: list[int]) -> tuple[list[list[float | None]], str]:
        """A row of the model's features for each driver, or why there is none."""
        if model is None:
            return [], self.fault
        body = {"features": [f"{VIEW}:{name}" for name in model.features], "entities": {KEY: ids}}
        async with ClientSession() as http, http.post(f"{self.features_url}/get-online-features", json=body) as answer:
            if answer.status != 200:
                return [], f"the feature server answers {answer.status}: {(await answer.text())[:200]}"
            got = await answer.json()
        columns = dict(zip(got["metadata"]["feature_names"], got["results"], strict=True))
        return [list(row) for row in zip(*(columns[name]["values"] for name in model.features), strict=True)], ""


def _minutes(model: models.EtaModel, rows: list[list[float | None]]) -> list[float | None]:
    found = model.predict(np.array(rows, dtype=float))
    return [None if np.isnan(minutes) else round(float(minutes), 2) for minutes in found]


class FeatureServer(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _say(value: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _listen() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def serve(layout: Layout) -> None:
    """Both servers until killed."""
    store_socket, model_socket = _listen(), _listen()
    app = get_app(features.open_store(layout, serving=True), registry_ttl_sec=SERVING_TTL)
    server = FeatureServer(
        uvicorn.Config(harm.slowed(app, layout), log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    )
    running = asyncio.create_task(server.serve(sockets=[store_socket]))
    models_server = ModelServer(layout, _url(store_socket))
    routes = web.Application()
    routes.add_routes([web.get("/version", models_server.version), web.get("/predict", models_server.predict)])
    routes.router.add_post("/predict", models_server.predict_many)
    runner = web.AppRunner(routes, access_log=None)
    await runner.setup()
    await web.SockSite(runner, model_socket).start()
    await asyncio.wait([running, asyncio.create_task(server.ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    await models_server.reload()
    _say({"features": _url(store_socket), "model": _url(model_socket)})
    following = asyncio.create_task(models_server.follow())
    await running
    following.cancel()


def main(words: list[str]) -> int:
    """Serve one stack's folder."""
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(Layout(Path(words[0]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
