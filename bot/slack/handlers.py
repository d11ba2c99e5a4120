"""Bolt's listeners: read what came, make it durable, ack, and then whatever may be lost."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.errors import SlackApiError

from bot.core.errors import RollbotError
from bot.slack import presses
from bot.slack.client import Unsendable, checked
from bot.slack.commands import forms, parse, reading, registry
from bot.slack.desk import Desk
from bot.slack.origin import Origin, Payload, origin, remembered
from bot.slack.press import Press, value_of
from bot.slack.refusals import retry_after
from bot.slack.reply import Reply
from bot.slack.views import form, lists
from bot.slack.views.words import Json
from bot.store.write import StoreDown

log = logging.getLogger(__name__)
COMMAND = "/rollback"
SHORTCUT = "start_rollback"
EVENTS = ("app_home_opened",)


def register(bolt: AsyncApp, desk: Desk) -> None:
    """All listeners. What is acked has been stored."""
    here = _Listeners(desk)
    bolt.command(COMMAND)(here.command)
    bolt.shortcut(SHORTCUT)(here.shortcut)
    bolt.options(form.FEATURE)(here.options)
    bolt.action(form.FEATURE)(here.picked)
    bolt.action(re.compile(r".*"))(here.pressed)
    bolt.view(re.compile(r".*"))(here.submitted)
    for event in EVENTS:
        bolt.event(event)(here.home)


class _Listeners:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def command(self, ack: AsyncAck, body: Payload) -> None:
        came = origin(body)
        try:
            reply = await self._typed(came, str(body.get("text") or ""))
        except StoreDown:
            raise
        except RollbotError as e:
            reply = Reply(e.message)
        body_ = sendable(reply)
        await (ack(body_) if body_ else ack())
        self._behind(reply.then)

    async def _typed(self, came: Origin, text: str) -> Reply:
        line = parse.read(text)
        if line.empty:
            return Reply(then=lambda: forms.open_form(self._desk, came))
        wanted, line = registry.chosen(line)
        return await wanted.run(registry.Typed(self._desk, came, line))

    async def shortcut(self, ack: AsyncAck, body: Payload) -> None:
        await ack()
        self._desk.later(forms.open_form(self._desk, origin(body)))

    async def options(self, ack: AsyncAck, body: Payload) -> None:
        """A feature is being typed into the form."""
        names = self._desk.world.books.feature_names()
        await ack(options=form.options(names, str(body.get("value") or "")))

    async def picked(self, ack: AsyncAck, body: Payload) -> None:
        await ack()
        self._desk.later(forms.picked(self._desk, origin(body), body.get("view") or {}))

    async def pressed(self, ack: AsyncAck, body: Payload) -> None:
        """A button in a message or a modal. What is wrong is said privately, behind the ack."""
        pressed_now = body.get("actions") or [{}]  # signed junk must not be a trace in the log
        came, action, view = origin(body), pressed_now[0], body.get("view")
        try:
            value = value_of(action)
            press = Press(self._desk, came, str(action.get("action_id")), value, in_view=bool(view))
            after = await presses.pressed(press)
        except StoreDown:
            raise
        except RollbotError as e:
            after = self._complaint(came, e.message, view)
        await ack()
        self._behind(after)

    def _complaint(self, came: Origin, text: str, view: Any) -> Callable[[], Awaitable[None]]:
        if view and not came.response_url:
            return lambda: self._desk.say_in_view(came, "That did not work", text)
        return lambda: self._desk.tell(came, text)

    async def submitted(self, ack: AsyncAck, body: Payload) -> None:
        came = origin(body)
        view: Json = body.get("view") or {}
        try:
            after = await presses.submitted(self._desk, came, str(view.get("callback_id")), view, remembered(body))
        except forms.BadForm as e:
            await ack(response_action="errors", errors=e.errors)
            return
        except StoreDown:
            raise
        except RollbotError as e:
            await ack(response_action="update", view=form.notice("That did not work", e.message))
            return
        await ack(response_action="clear")
        self._behind(after)

    async def home(self, ack: AsyncAck, body: Payload) -> None:
        await ack()
        event = body.get("event") or {}
        if event.get("tab") == "home":
            self._desk.later(self._show_home(str(event.get("user"))))

    async def _show_home(self, user: str) -> None:
        view = lists.home(await reading.standing(self._desk), registry.usage())
        try:
            await self._desk.client.views_publish(user_id=user, view=view)
        except SlackApiError as e:
            if (wait := retry_after(e)) is None:
                raise
            await asyncio.sleep(wait)
            await self._desk.client.views_publish(user_id=user, view=view)

    def _behind(self, after: Callable[[], Awaitable[None]] | None) -> None:
        if after is not None:
            self._desk.later(_run(after))


def sendable(reply: Reply) -> Json:
    """The body of the ack, without its blocks if Slack would refuse them; empty if there is nothing to say."""
    body = reply.body()
    if not body["text"]:
        return {}
    try:
        checked("chat.postEphemeral", body)
    except Unsendable as e:
        log.warning("an answer was cut to its first line: %s", e)
        del body["blocks"]
    return body


async def _run(after: Callable[[], Awaitable[None]]) -> None:
    await after()
