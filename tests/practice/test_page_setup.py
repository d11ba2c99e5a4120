"""``rollbot demo`` without a script has its page before anything else, and says there what became of the set-up."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from bot.core.errors import Fault
from bot.practice import left_running
from bot.practice.demo import Options
from bot.practice.narrator import Narrator
from bot.practice.plain_blocks import lines
from tests.practice.tab import Tab


async def test_a_set_up_that_fails_is_said_on_the_page(
    monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    """The page is there while the platform is made, shows each bar's progress, and says why it will not be ready; then
    the command ends with that fault and the page with it."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def broken(_options: Options, tell: Narrator, _slack: Any) -> AsyncIterator[None]:
        with tell.bar("setting up") as bar:
            bar(1, 4, "making the registries")
            begun.set()
            await go_on.wait()
        raise Fault("the practice platform failed: no space left")
        yield

    monkeypatch.setattr(left_running, "set_up", broken)
    out = io.StringIO()
    staying = asyncio.create_task(left_running.stay(Options(port=0), Narrator(Console(file=out))))
    await begun.wait()
    found = re.search(r"practice page: (http://\S+)/\n", out.getvalue())
    assert found is not None
    ana = Tab(http, found[1], "U0ANA")
    await ana.listen()
    state = await ana.state()
    assert (state["setup"]["done"], state["setup"]["note"]) == (15.0, "making the registries")
    assert state["commands"] == [] or state["commands"][0]["command"] == "/rollback"
    go_on.set()
    told = await ana.hears("setup", error="the practice platform failed: no space left")
    assert told["done"] == 15.0
    await ana.ended()
    with pytest.raises(Fault, match="no space left"):
        await staying


async def test_a_port_that_is_taken_is_said(page: Any) -> None:
    """One line says what to do."""
    port = int(page.slack.base_url.rpartition(":")[2])
    with pytest.raises(Fault, match=f"can't listen on port {port}.*--port"):
        await left_running.stay(Options(port=port), Narrator(Console(file=io.StringIO())))


def test_what_people_write_does_not_steer_the_terminal() -> None:
    """Control characters and halves of characters in a message are shown as signs, and end nothing."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    Narrator(Console(file=out)).shows("in #x:", lines([], "a\x1b]0;b\x07\ud800\tc"))
    out.seek(0)
    assert "| a\ufffd]0;b\ufffd\ufffd" in out.read()
