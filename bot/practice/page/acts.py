"""What a person does on the page, through the same calls as the tests' people, and what Slack would tell them alone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from bot.core.errors import RollbotError
from bot.practice.page.fields import Body, NoAct, person
from bot.practice.page.setup import Setup
from bot.practice.page.state import Sight
from bot.practice.page.streams import Streams
from bot.practice.page.trouble import Trouble
from bot.practice.slack_server import Ack, CannotDo, PracticeSlack
from bot.slack.lint import escape

Json = dict[str, Any]
Way = Literal["command", "press", "submit", "event"]
LONGEST = 40_000
"""Characters of a message."""
NOT_READY = "the platform is still being set up"
_NAMED = re.compile(r"(?<!\S)([@#])([\w.-]*\w)")


class Acts:
    """One method for each act of the contract; each answers what goes into the JSON."""

    def __init__(self, slack: PracticeSlack, sight: Sight, streams: Streams, setup: Setup, trouble: Trouble) -> None:
        self._slack, self._sight, self._streams, self._setup, self._trouble = slack, sight, streams, setup, trouble
        self._acts: dict[str, Callable[[str, Body], Awaitable[Json]]] = {
            "slash": self._slash,
            "say": self._say,
            "click": self._click,
            "select": self._select,
            "fill": self._fill,
            "click_view": self._click_view,
            "options": self._options,
            "submit": self._submit,
            "close": self._close,
            "shortcut": self._shortcut,
            "home": self._home,
            "read": self._read,
            "dm": self._dm,
            "inspector": self._inspector,
        }

    async def do(self, body: Body) -> Json:
        """``{"ok", "error"?, "details"?, "ms"?}``. Raises NoAct for a body that is none."""
        act = self._acts.get(name := body.text("act"))
        if act is None:
            raise NoAct(f"no such act: {name}; there are {', '.join(self._acts)}")
        user = person(self._slack.workspace, body.fields.get("as"))
        if not self._setup.over and name != "read":
            return {"ok": False, "error": NOT_READY}
        try:
            return {"ok": True, **await act(user, body)}
        except CannotDo as refused:
            return {"ok": False, "error": str(refused)}
        except RollbotError as failed:
            return {"ok": False, "error": failed.message}

    async def _slash(self, user: str, body: Body) -> Json:
        command, channel = body.text("command"), body.text("channel")
        self._writable(channel)
        # In Slack nothing is linked or escaped in a command whose manifest says should_escape: false.
        ack = await self._slack.slash(command, body.maybe("text") or "", user, channel)
        return _outcome(ack, "command", command)

    async def _say(self, user: str, body: Body) -> Json:
        channel, text, thread = body.text("channel"), body.text("text"), body.maybe("thread_ts")
        self._writable(channel)
        if len(text) > LONGEST:
            raise CannotDo(f"A message has at most {LONGEST:,} characters; this one has {len(text):,}.")
        if thread is not None:
            root = self._slack.workspace.message(channel, thread)
            if root is None or root.seen_by or root.thread_ts not in (None, root.ts):
                raise CannotDo("There is no such thread any more.")
        message = await self._slack.say(self._linked(text), user, channel, thread)
        return {"ts": message.ts}

    def _writable(self, channel: str) -> None:
        if channel in self._slack.workspace.channels and self._sight.read_only(channel):
            raise CannotDo("Sending messages to this app has been turned off.")

    def _linked(self, text: str) -> str:
        """As Slack's clients send it: signs of mrkdwn escaped, known names as links."""
        ws = self._slack.workspace
        people = {u.name: f"<@{u.id}>" for u in ws.users.values()}
        people |= {g.handle: f"<!subteam^{g.id}|@{g.handle}>" for g in ws.groups.values()}
        people[ws.manifest.name] = f"<@{ws.seed.bot_user}>"
        channels = {c.name: f"<#{c.id}|{c.name}>" for c in ws.channels.values() if c.kind == "public"}

        def link(found: re.Match[str]) -> str:
            known = people if found[1] == "@" else channels
            return known.get(found[2], found[0])

        return _NAMED.sub(link, escape(text))

    async def _click(self, user: str, body: Body) -> Json:
        place = (body.text("channel"), body.ts("ts"), body.text("action_id"))
        return _outcome(await self._slack.click(*place, user, body.maybe("value")), "press")

    async def _select(self, user: str, body: Body) -> Json:
        place = (body.text("channel"), body.ts("ts"), body.text("action_id"))
        return _outcome(await self._slack.select(*place, user, body.fields.get("value")), "press")

    async def _fill(self, user: str, body: Body) -> Json:
        value = body.fields.get("value")
        return _outcome(await self._slack.fill(body.text("view"), body.text("action_id"), user, value), "press")

    async def _click_view(self, user: str, body: Body) -> Json:
        view, action, value = body.text("view"), body.text("action_id"), body.maybe("value")
        return _outcome(await self._slack.click_view(view, action, user, value), "press")

    async def _options(self, user: str, body: Body) -> Json:
        typed = body.maybe("text") or ""
        ack = await self._slack.suggest(body.text("view"), body.text("action_id"), user, typed)
        found = ack.body if isinstance(ack.body, dict) else {}
        given = {name: found[name] for name in ("options", "option_groups") if name in found}
        return {"options": [], **_outcome(ack, "press"), **given}

    async def _submit(self, user: str, body: Body) -> Json:
        return _outcome(await self._slack.submit(body.text("view"), body.table("values"), user), "submit")

    async def _close(self, user: str, body: Body) -> Json:
        view, everything = body.text("view"), body.flag("everything")
        await self._slack.close(view, user, everything=everything)  # it is closed, whatever the app says to that
        return {}

    async def _shortcut(self, user: str, body: Body) -> Json:
        return _outcome(await self._slack.shortcut(body.text("callback_id"), user), "press")

    async def _home(self, user: str, _body: Body) -> Json:
        return _outcome(await self._slack.open_home(user), "event")

    async def _read(self, user: str, body: Body) -> Json:
        channel = body.text("channel")
        if not self._sight.sees_channel(user, channel):
            raise CannotDo(f"{user} is not in {channel}")
        self._sight.read(user, channel, body.ts("ts"))
        shown = self._sight.channel(user, self._slack.workspace.channels[channel])
        self._streams.send("channel", shown, user)  # the other pages of the same person
        return {}

    async def _dm(self, user: str, _body: Body) -> Json:
        return {"channel": self._slack.workspace.dm(user).id}

    async def _inspector(self, _user: str, body: Body) -> Json:
        return await self._trouble.make(body.text("do"))


def _outcome(ack: Ack | None, way: Way, command: str = "") -> Json:
    """None: the app was not told, which is right there."""
    if ack is None:
        return {}
    took = {"ms": round(ack.ms, 2)}
    if ack.ok:
        return took
    details = {"details": ack.details} if ack.details else {}
    return {"ok": False, "error": _sentence(ack, way, command), **details, **took}


def _sentence(ack: Ack, way: Way, command: str) -> str:
    """What Slack's client shows to the person alone."""
    if way == "command":
        return f'{command} failed with the error "{ack.error}"'
    if way == "submit":
        return "We had some trouble connecting. Try again?"
    if way == "event":
        return f'The app did not take the event ("{ack.error}"); Slack sends it again.'
    if ack.error == "operation_timeout":
        return "Operation timed out. Apps need to respond within 3 seconds."
    if ack.error == "http_service_error":
        return f"This app responded with Status Code {ack.status}."
    return f'The app could not be reached ("{ack.error}").'
