"""What people do in channels: type commands and messages, press what stands in messages, open the Home tab. Each does
what a Slack client does before and after the app answers."""

from __future__ import annotations

from typing import Any

from bot.practice.slack_server import payloads
from bot.practice.slack_server.blocks import find
from bot.practice.slack_server.contract import describe
from bot.practice.slack_server.deliver import Ack, Delivery
from bot.practice.slack_server.inputs import CannotDo, chosen, entered, pressed, state_values
from bot.practice.slack_server.records import Channel, Json, Message
from bot.practice.slack_server.response_urls import show
from bot.practice.slack_server.workspace import Workspace
from bot.slack.lint import lint_call

MESSAGE_EVENTS = {"public": "message.channels", "private": "message.groups", "im": "message.im"}


class InChannels:
    """The acts of people outside of modals. Every one raises CannotDo, and sends nothing, where a client would not
    let this person do it."""

    workspace: Workspace
    delivery: Delivery

    async def slash(self, command: str, text: str, user: str, channel: str) -> Ack:
        """Types a command in a channel and shows what the app acks: to this person, or to all if it says
        ``in_channel``. An answer that Slack could not show is an ``error`` on the Ack."""
        place = self._inside(user, channel)
        manifest = self.workspace.manifest
        if command not in manifest.commands or "commands" not in manifest.scopes:
            raise CannotDo(f"{command} is not a command in the app's manifest, or the scope commands is not")
        payload = payloads.slash(self.workspace, command, text.strip(), user, place)
        ack = await self.delivery.send("slash_commands", payload)
        if ack.ok and ack.body is not None:
            self._show(ack, f"{command} {text}".strip(), user, channel)
        return ack

    def _show(self, ack: Ack, typed: str, user: str, channel: str) -> None:
        body = {"text": ack.body} if isinstance(ack.body, str) else ack.body
        findings = lint_call("chat.postEphemeral", body) if isinstance(body, dict) else []
        if findings or not isinstance(body, dict):
            ack.error, ack.details = "invalid_command_response", describe(findings)
            return
        if body.get("response_type") == "in_channel":
            self.workspace.post(channel, user, typed, [], via="person")
        show(self.workspace, channel, user, body, via="ack")

    async def click(
        self, channel: str, ts: str, action_id: str, user: str, value: str | None = None, *, force: bool = False
    ) -> Ack:
        """Presses a button in a message. ``value`` tells buttons of the same action_id apart. With ``force`` the
        press is sent even if the message has no such button now or this person can't see it (a stale client, a
        forger with a valid session)."""
        message = self._seen(channel, ts, user, force=force)
        found = find(message.blocks, action_id, value)
        if found is None or found[1]["type"] != "button":
            if not force:
                have = [(b["action_id"], b.get("value")) for b in message.buttons]
                raise CannotDo(f"the message has no button {action_id!r} (value {value!r}), only {have}")
            found = {"block_id": "gone"}, {"type": "button", "action_id": action_id, "value": value or ""}
        return await self._act(message, user, pressed(*found))

    async def select(self, channel: str, ts: str, action_id: str, user: str, value: Any) -> Ack:
        """Picks in a menu, a picker or an overflow of a message. ``value``: an option's value, an id, or a list."""
        message = self._seen(channel, ts, user)
        found = find(message.blocks, action_id)
        if found is None or found[1]["type"] == "button":
            raise CannotDo(f"the message has nothing to choose called {action_id!r}")
        block, element = found
        state = entered(element, value)
        picked = self.workspace.picked.setdefault((channel, ts, user), {})
        picked.setdefault(block["block_id"], {})[action_id] = state
        return await self._act(message, user, chosen(block, element, state))

    async def _act(self, message: Message, user: str, action: Json) -> Ack:
        ws = self.workspace
        state = state_values(message.blocks, ws.picked.get((message.channel, message.ts, user), {}))
        action["action_ts"] = ws.next_ts()
        return await self.delivery.send("interactive", payloads.message_action(ws, message, user, action, state))

    async def shortcut(self, callback_id: str, user: str) -> Ack:
        """Starts a global shortcut."""
        if callback_id not in self.workspace.manifest.shortcuts:
            raise CannotDo(f"{callback_id} is not a shortcut in the app's manifest")
        return await self.delivery.send("interactive", payloads.shortcut(self.workspace, callback_id, user))

    async def open_home(self, user: str) -> Ack:
        """Opens the app's Home tab."""
        ws = self.workspace
        home = ws.modals.homes.get(user)
        body: Json = {"type": "app_home_opened", "user": user, "channel": ws.dm(user).id, "tab": "home"}
        return await self.event(body | ({"view": home.as_slack()} if home else {}))

    async def event(self, body: Json, event_id: str | None = None) -> Ack:
        """Sends any event that the manifest subscribes to; the first attempt's Ack, retries follow behind."""
        if body["type"] not in self.workspace.manifest.events:
            raise CannotDo(f"the app's manifest does not subscribe to {body['type']}")
        return await self.delivery.send_event(payloads.event(self.workspace, body, event_id))

    async def say(self, text: str, user: str, channel: str, thread_ts: str | None = None) -> Message:
        """Writes an ordinary message or a reply; the app hears of it if the manifest subscribes to messages."""
        place, ws = self._inside(user, channel), self.workspace
        message = ws.post(channel, user, text, [], thread_ts=thread_ts, via="person")
        if MESSAGE_EVENTS[place.kind] in ws.manifest.events:
            body = {**message.as_slack(), "channel": channel, "channel_type": place.kind}
            await self.delivery.send_event(payloads.event(ws, body))
        return message

    def _inside(self, user: str, channel: str) -> Channel:
        place = self.workspace.channels.get(channel)
        if place is None or user not in place.members:
            raise CannotDo(f"{user} is not in {channel}")
        return place

    def _seen(self, channel: str, ts: str, user: str, *, force: bool = False) -> Message:
        message = self.workspace.message(channel, ts)
        if message is None:
            raise CannotDo(f"there is no message {ts} in {channel}")
        place = self.workspace.channels[channel]
        visible = (place.kind == "public" or user in place.members) and message.seen_by in (None, user)
        if not visible and not force:
            raise CannotDo(f"{user} does not see message {ts} in {channel}")
        return message
