"""For machines: CI captures a release after a deploy and asks what came of it, and before one whether it is held."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from bot.core.commands import Actor, CaptureRelease
from bot.core.errors import RollbotError, Unknown
from bot.core.feature import VERSION
from bot.flows.world import World
from bot.store import inbox, releases, runs
from bot.store.taking import Taking
from bot.store.write import Connection, StoreDown
from bot.web.gate import Refused, body_of

log = logging.getLogger(__name__)
MOST_BYTES = 64 * 1024
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,15}")


class ReleaseHook(BaseModel):
    """The body of ``POST /hooks/release``."""

    model_config = ConfigDict(extra="forbid")

    feature: str = Field(min_length=1, max_length=120)
    version: str = Field(min_length=1, max_length=64)
    changelog: str = Field(default="", max_length=4000)
    metrics: dict[str, FiniteFloat] = Field(default_factory=dict, max_length=100)
    commit: str = Field(default="", max_length=100)


class Hooks:
    """``tokens``: bearer token -> the name it goes by in the audit log."""

    def __init__(self, world: World, tokens: Mapping[str, str]) -> None:
        self._world = world
        self._tokens = {hashlib.sha256(token.encode()).digest(): name for token, name in tokens.items() if token}

    async def release(self, request: web.Request) -> web.Response:
        """202 with the inbox row once it is durable; the capture itself goes on behind. The same Idempotency-Key (or
        the same body, without one) is the same capture while that is under way, and with a key also after it stands."""
        try:
            name = self._who(request)
            body = await body_of(request, MOST_BYTES)
            key, keyed = _key(request, body)
            taken = await self._take(name, key, self._command(body, keyed=keyed))
        except Refused as e:
            return _json(e.status, {"error": e.why})
        except StoreDown as e:
            return _json(503, {"error": e.message})
        except RollbotError as e:
            return _json(404 if isinstance(e, Unknown) else 400, {"error": e.message})
        return _json(202, {"accepted": taken.id, "fresh": taken.fresh, "result": f"/hooks/release/{taken.id}"})

    async def result(self, request: web.Request) -> web.Response:
        """What came of an order that this token gave: 202 while it is under way, 200 once it is captured, 422 if it
        was not; 404 for any other."""
        try:
            name = self._who(request)
        except Refused as e:
            return _json(e.status, {"error": e.why})
        number = _NUMBER.fullmatch(request.match_info["id"])
        told = await self._world.store.read(lambda conn: _told(conn, name, int(number[0]))) if number else None
        if told is None:
            return _json(404, {"error": "this token ordered no such capture"})
        status = 202 if not told["done"] else 200 if told["ok"] else 422
        return _json(status, told)

    def _who(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        digest = hashlib.sha256(token.strip().encode(errors="replace")).digest()
        # Digests, and all of them, so that time says nothing about a token.
        found = [name for known, name in self._tokens.items() if hmac.compare_digest(known, digest)]
        if scheme.lower() != "bearer" or not found:
            raise Refused(401, "send a known token: Authorization: Bearer TOKEN")
        return found[0]

    def _command(self, body: bytes, *, keyed: bool) -> CaptureRelease:
        try:
            hook = ReleaseHook.model_validate_json(body)
        except ValidationError as e:
            first = e.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise Refused(400, f"{where}: {first['msg']}" if where else first["msg"]) from e
        if not VERSION.match(hook.version) or hook.version.lower() == "previous":
            raise Refused(400, f"version: {hook.version!r} is no version name (letters, digits, . _ + -)")
        feature = self._world.books.feature(hook.feature)
        return CaptureRelease(**{**hook.model_dump(), "feature": feature.feature, "keyed": keyed})

    async def _take(self, name: str, key: str, command: CaptureRelease) -> inbox.Taken:
        actor = Actor(kind="token", id=name, via="hook")
        taking = Taking(f"hook:{name}:{key}", actor, command, "accepted", self._world.now())
        return await self._world.store.intake(taking)

    async def gate(self, request: web.Request) -> web.Response:
        """For CI: 200 if the feature may be deployed, 423 while a run changes it or it is held, 404 if there is no
        such feature. A faulty feature file doesn't lift a hold."""
        feature = request.match_info["feature"]
        read = self._world.store.read
        busy, held = await read(lambda conn: (runs.at_work(conn, feature), releases.hold(conn, feature)))
        if busy:
            why = f"{', '.join(busy)} is changing it right now"
            return _json(423, {"feature": feature, "held": True, "reason": why, "run": busy[0]})
        if held is not None:
            return _json(423, {"feature": feature, "held": True, "reason": held["reason"], "run": held["run"]})
        try:
            self._world.books.feature(feature)
        except Unknown as e:
            return _json(404, {"error": e.message})
        except RollbotError as e:
            log.info("the gate was asked about a faulty feature: %s", e.message)
        return _json(200, {"feature": feature, "held": False})


def _key(request: web.Request, body: bytes) -> tuple[str, bool]:
    """Under which the order is stored, and whether CI gave it."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return hashlib.sha256(body).hexdigest(), False
    if not _KEY.fullmatch(given):
        raise Refused(400, "Idempotency-Key: 1 to 200 printable characters without spaces")
    return f"given:{given}", True


def _told(conn: Connection, name: str, number: int) -> dict[str, object] | None:
    """What came of an order; None if it is not one of this token's."""
    item = inbox.item(conn, number)
    if item is None or (item.actor.via, item.actor.id) != ("hook", name):
        return None
    result = inbox.result_of(conn, number)
    return {"accepted": number, "done": result is not None, **(result or {})}


def _json(status: int, body: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, text=json.dumps(dict(body)) + "\n", content_type="application/json")
