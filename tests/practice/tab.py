"""The practice page as one person has it open, without a browser: what it asks, and what it is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

Json = dict[str, Any]
PATIENCE = 60.0
FOREVER = aiohttp.ClientTimeout(None)
OURS = {"X-Practice": "page"}


class Tab:
    """``told`` is all that came, oldest first, as kind and data."""

    def __init__(self, http: aiohttp.ClientSession, url: str, user: str) -> None:
        self._http, self._url, self.user = http, url, user
        self.told: list[tuple[str, Any]] = []
        self._more = asyncio.Condition()
        self._listening: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Returns when the stream stands, so that nothing after it is missed."""
        url = f"{self._url}/page/events?as={self.user}"
        answer = await self._http.get(url, timeout=FOREVER)
        assert answer.status == 200 and answer.content_type == "text/event-stream"
        assert (await answer.content.readline()).startswith(b"retry:")
        self._listening = asyncio.create_task(self._hear(answer))

    async def _hear(self, answer: aiohttp.ClientResponse) -> None:
        kind = ""
        async with answer:
            async for raw in answer.content:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    async with self._more:
                        self.told.append((kind, json.loads(value)))
                        self._more.notify_all()

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def ended(self) -> None:
        """Returns when the server has ended the stream."""
        assert self._listening is not None
        await asyncio.wait_for(asyncio.shield(self._listening), PATIENCE)

    async def hears(self, kind: str, **fields: Any) -> Any:
        """The data of the first event of this kind with these fields; waits for it."""

        def found() -> list[Any]:
            return [
                d
                for k, d in self.told
                if k == kind and (not fields or (d and all(d.get(n) == v for n, v in fields.items())))
            ]

        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(found)
            return found()[0]

    async def all_until_now(self, *kinds: str) -> list[tuple[str, Any]]:
        """What was told of these kinds up to now; a mark of one's own is the last event, so nothing is under way."""
        self._marks = getattr(self, "_marks", 1000) + 1
        mark = f"9999999999.{self._marks:06d}"
        assert (await self.act("read", channel="C0DRILLS", ts=mark))["ok"]
        await self.hears("channel", read=mark)
        return [(k, d) for k, d in self.told if k in kinds]

    async def state(self) -> Json:
        return await self.get("state")

    def channel(self, state: Json, channel: str) -> Json:
        (found,) = [c for c in state["channels"] if c["id"] == channel]
        return dict(found)

    async def get(self, what: str, **query: Any) -> Json:
        async with self._http.get(f"{self._url}/page/{what}", params={"as": self.user, **query}) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())

    async def act(self, act: str, **fields: Any) -> Json:
        status, answer = await self.post("act", {"as": self.user, "act": act, **fields})
        assert status == 200, answer
        return answer

    async def post(self, what: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Json]:
        async with self._http.post(
            f"{self._url}/page/{what}", json=body, headers=OURS if headers is None else headers
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else {"error": text}
