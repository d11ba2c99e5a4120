"""Model servers, asked which version they run: an alias that moved does not by itself reload a running server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from bot.core.target import Json

_LARGEST = 65536


@dataclass(frozen=True)
class Answer:
    """One server's answer: the version it runs, or None and why nobody knows."""

    url: str
    version: str | None
    why: str = ""

    def in_words(self) -> str:
        parts = urlsplit(self.url)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        return f"{shown} runs {self.version}" if self.version else f"{shown} {self.why}"


def ask(urls: Sequence[str], seconds: float) -> list[Answer]:
    """GET each URL at once; each answers JSON ``{"version": "12"}`` or the bare version. Never raises for a server."""
    with ThreadPoolExecutor(min(8, len(urls)) or 1) as pool:
        return list(pool.map(lambda url: _ask(url, seconds), urls))


def _ask(url: str, seconds: float) -> Answer:
    try:
        request = Request(url, headers={"Accept": "application/json", "Cache-Control": "no-cache"})  # noqa: S310
        with urlopen(request, timeout=seconds) as response:  # noqa: S310
            body = response.read(_LARGEST).decode()
    except (OSError, HTTPException) as error:
        reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        return Answer(url, None, f"does not answer ({reason})")
    except ValueError:
        return Answer(url, None, "answers something that is no text")
    return _understood(url, body.strip())


def _understood(url: str, body: str) -> Answer:
    try:
        said: Json = json.loads(body)
    except ValueError:
        said = body
    if isinstance(said, dict):
        said = said.get("version")
    if isinstance(said, bool) or not isinstance(said, (str, int)) or not 0 < len(str(said)) <= 100:
        return Answer(url, None, 'does not say its version (expected {"version": "12"})')
    return Answer(url, str(said))
