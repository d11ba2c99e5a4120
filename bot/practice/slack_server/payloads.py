"""What an app is sent when a person does something, field by field as Slack sends it."""

from __future__ import annotations

import secrets

from bot.practice.slack_server.inputs import Values
from bot.practice.slack_server.records import Channel, Json, Message, View
from bot.practice.slack_server.workspace import Workspace

TOKEN = "practice-verification-token"  # noqa: S105  (the old way to prove who sends; apps ignore it)


def slash(ws: Workspace, command: str, text: str, user: str, channel: Channel) -> Json:
    return {
        "token": TOKEN,
        "team_id": ws.seed.team_id,
        "team_domain": ws.seed.team_domain,
        "channel_id": channel.id,
        "channel_name": channel.sent_name,
        "user_id": user,
        "user_name": ws.users[user].name,
        "command": command,
        "text": text,
        "api_app_id": ws.seed.app_id,
        "is_enterprise_install": "false",
        "response_url": ws.response_url(user, channel.id),
        "trigger_id": ws.trigger(user),
    }


def message_action(ws: Workspace, message: Message, user: str, action: Json, state: Values) -> Json:
    """block_actions from a message. Of an ephemeral one an app gets the container only."""
    channel = ws.channels[message.channel]
    ephemeral = message.seen_by is not None
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": ephemeral,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    return {
        **_interaction(ws, "block_actions", user),
        "container": container,
        "trigger_id": ws.trigger(user),
        "channel": {"id": channel.id, "name": channel.sent_name},
        **({} if ephemeral else {"message": message.as_slack()}),
        "state": {"values": state},
        "response_url": ws.response_url(user, channel.id, message.ts),
        "actions": [action],
    }


def view_action(ws: Workspace, view: View, user: str, action: Json) -> Json:
    """block_actions from a modal or the Home tab."""
    return {
        **_interaction(ws, "block_actions", user),
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": ws.trigger(user, view.id),
        "view": view.as_slack(),
        "actions": [action],
    }


def view_suggestion(ws: Workspace, view: View, block: Json, element: Json, typed: str) -> Json:
    """block_suggestion: what stands in a menu that the app fills while a person types."""
    return {
        **_interaction(ws, "block_suggestion", view.user),
        "container": {"type": "view", "view_id": view.id},
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "value": typed,
        "view": view.as_slack(),
    }


def view_submission(ws: Workspace, view: View) -> Json:
    return {
        **_interaction(ws, "view_submission", view.user),
        "trigger_id": ws.trigger(view.user, view.id),
        "view": view.as_slack(),
        "response_urls": _response_urls(ws, view),
    }


def _response_urls(ws: Workspace, view: View) -> list[Json]:
    """One for each channel picked in an input that asks for it."""
    wanted = {(b["block_id"], e["action_id"]) for b, e in view.elements() if e.get("response_url_enabled")}
    urls = []
    for block_id, action_id in sorted(wanted):
        state = view.values.get(block_id, {}).get(action_id, {})
        channel = state.get("selected_conversation") or state.get("selected_channel")
        if channel:
            url = ws.response_url(view.user, channel)
            ids = {"block_id": block_id, "action_id": action_id, "channel_id": channel}
            urls.append({**ids, "response_url": url})
    return urls


def view_closed(ws: Workspace, view: View, *, everything: bool) -> Json:
    return {**_interaction(ws, "view_closed", view.user), "view": view.as_slack(), "is_cleared": everything}


def shortcut(ws: Workspace, callback_id: str, user: str) -> Json:
    return {
        **_interaction(ws, "shortcut", user),
        "callback_id": callback_id,
        "trigger_id": ws.trigger(user),
        "action_ts": ws.next_ts(),
    }


def event(ws: Workspace, body: Json, event_id: str | None = None) -> Json:
    """An event_callback. The same ``event_id`` twice is what an app must recognise."""
    seed = ws.seed
    return {
        "token": TOKEN,
        "team_id": seed.team_id,
        "context_team_id": seed.team_id,
        "api_app_id": seed.app_id,
        "event": {"event_ts": ws.next_ts(), **body},
        "type": "event_callback",
        "event_id": event_id or f"Ev0{secrets.token_hex(5).upper()}",
        "event_time": int(ws.clock()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": seed.team_id,
                "user_id": seed.bot_user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": secrets.token_hex(8),
    }


def _interaction(ws: Workspace, kind: str, user: str) -> Json:
    name = ws.users[user].name
    return {
        "type": kind,
        "team": {"id": ws.seed.team_id, "domain": ws.seed.team_domain},
        "user": {"id": user, "username": name, "name": name, "team_id": ws.seed.team_id},
        "api_app_id": ws.seed.app_id,
        "token": TOKEN,
        "enterprise": None,
        "is_enterprise_install": False,
    }
