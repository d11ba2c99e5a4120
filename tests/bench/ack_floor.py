"""A bare Bolt app that only acks, served as the bot is: what no bot on this machine can be faster than."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck


async def authorized(enterprise_id: str | None, team_id: str | None, user_id: str | None) -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, user_id=user_id, bot_token="-")


async def serve(secret: str) -> None:
    """Until stdin ends."""
    bolt = AsyncApp(authorize=authorized, signing_secret=secret, process_before_response=True)

    @bolt.command("/rollback")
    async def command(ack: AsyncAck) -> None:
        await ack("R-1: planning fares to v1")

    runner = web.AppRunner(bolt.web_app(path="/slack/events"), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
