"""Who sends, from where, and by which key the same request is known again: read from a payload of either transport."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bot.core.commands import Actor
from bot.core.target import digest_of

Payload = dict[str, Any]
ANSWER_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})


_OBJECTS = ("user", "team", "channel", "container", "view", "event", "message", "state")


class Malformed(Exception):
    """Not a payload that Slack sends."""


def parse(body: bytes, content_type: str) -> Payload:
    """The one reading of a body: what is checked is what is handled. Raises Malformed."""
    try:
        text = body.decode()
        if content_type == "application/json":
            found = json.loads(text)
        else:
            fields = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=100)
            if len({name for name, _ in fields}) != len(fields):
                raise Malformed("a field stands twice")
            found = dict(fields)
            found = json.loads(found["payload"]) if "payload" in found else found
    except (ValueError, RecursionError) as e:
        raise Malformed("the body is neither a form nor JSON") from e
    if not isinstance(found, dict):
        raise Malformed("the body is no object")
    _check_shapes(found)
    return found


def _check_shapes(payload: Payload) -> None:
    """What Slack sends as an object or as a list of objects is one: handlers look into it without asking."""
    for name in _OBJECTS:
        if not isinstance(payload.get(name), dict | None):
            raise Malformed(f"{name} is no object")
    if payload.get("event", {}) is None:  # Bolt itself fails on it
        raise Malformed("event is no object")
    actions = payload.get("actions")
    if actions is not None and not (isinstance(actions, list) and all(isinstance(a, dict) for a in actions)):
        raise Malformed("actions is no list of objects")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _inner(payload: Payload, name: str) -> Payload:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def teams(payload: Payload) -> set[str]:
    """Every workspace that the payload names as its own or as the sender's; an allowed request names only allowed ones.
    In a channel shared with another company the sender's workspace is another than the app's."""
    named = [
        payload.get("team_id"),
        _inner(payload, "team").get("id"),
        _inner(payload, "user").get("team_id"),
        _inner(payload, "view").get("app_installed_team_id"),
    ]
    return {name for name in named if isinstance(name, str) and name}


def enterprise(payload: Payload) -> str:
    """The organisation on Enterprise Grid; empty elsewhere."""
    return _text(payload.get("enterprise_id")) or _text(_inner(payload, "enterprise").get("id"))


def allowed(payload: Payload, workspaces: Iterable[str]) -> bool:
    """A request names at least one workspace, and none but allowed ones. ``workspaces`` are team ids."""
    if payload.get("type") == "url_verification":
        return True
    named = teams(payload)
    return bool(named) and named <= frozenset(workspaces)


@dataclass(frozen=True)
class Origin:
    """One request. ``key`` is the same for the same bytes, trigger or press, and for nothing else."""

    person: str
    user: str
    channel: str
    response_url: str
    trigger: str
    key: str

    @property
    def actor(self) -> Actor:
        return Actor(kind="person", id=self.person, via="slack", channel=self.channel, response_url=self.response_url)


def origin(payload: Payload) -> Origin:
    """Raises Malformed if nobody can be named."""
    user = _text(payload.get("user_id")) or _text(_inner(payload, "user").get("id"))
    team = _text(payload.get("team_id")) or _text(_inner(payload, "team").get("id"))
    home = enterprise(payload) or team
    if not user or not home:
        raise Malformed("nobody sends this")
    container = _inner(payload, "container")
    channel = payload.get("channel_id") or _inner(payload, "channel").get("id") or container.get("channel_id")
    meta = remembered(payload)
    return Origin(
        person=f"{home}/{user}",
        user=user,
        channel=_text(channel) or _text(meta.get("channel")),
        response_url=_text(payload.get("response_url")) or _text(meta.get("response_url")),
        trigger=_text(payload.get("trigger_id")),
        key=f"slack:{home}/{user}:{_key(payload)}",
    )


def _key(payload: Payload) -> str:
    view = _inner(payload, "view")
    if payload.get("type") == "view_submission":
        return f"view:{view.get('id')}:{view.get('hash')}"
    actions = payload.get("actions")
    if isinstance(actions, list) and actions and isinstance(actions[0], dict):
        return f"press:{actions[0].get('action_id')}:{actions[0].get('action_ts')}"
    if _text(payload.get("trigger_id")):
        return f"trigger:{payload['trigger_id']}"
    return f"bytes:{digest_of(payload)}"


def remembered(payload: Payload) -> Payload:
    """What a view was given to hand back."""
    try:
        found = json.loads(_inner(payload, "view").get("private_metadata") or "{}")
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def answerable(url: str, api_url: str) -> bool:
    """May we post to this response_url? Slack's own hosts, or the host of the configured API (GovSlack, practice)."""
    try:
        to, api = urlsplit(url), urlsplit(api_url)
        same = (to.scheme, to.hostname, to.port) == (api.scheme, api.hostname, api.port)
    except ValueError:
        return False
    return same or (to.scheme == "https" and to.hostname in ANSWER_HOSTS and to.port in (None, 443))
