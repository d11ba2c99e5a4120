"""The things a workspace holds, each with the JSON in which Slack shows it to an app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bot.practice.slack_server.blocks import elements

Json = dict[str, Any]
Kind = Literal["public", "private", "im"]


@dataclass
class Channel:
    id: str
    name: str
    members: set[str]
    private: bool = False
    im_user: str | None = None
    topic: str = ""
    bookmarks: list[Json] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        return "im" if self.im_user else "private" if self.private else "public"

    @property
    def sent_name(self) -> str:
        """The name in what an app is sent: Slack hides it unless the channel is public."""
        return {"public": self.name, "private": "privategroup", "im": "directmessage"}[self.kind]

    def as_slack(self, member: str) -> Json:
        """As ``member`` (the bot) sees it."""
        if self.im_user:
            return {"id": self.id, "is_im": True, "user": self.im_user, "is_archived": False, "created": 0}
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.private,
            "is_group": self.private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.private,
            "is_archived": False,
            "is_general": False,
            "is_member": member in self.members,
            "created": 0,
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass
class Message:
    """One message. ``seen_by`` names the only person who sees an ephemeral one; ``via`` says how it came in:
    ``api``, ``ack``, ``response_url`` or ``person``."""

    ts: str
    channel: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Json | None = None
    edited_ts: str | None = None
    seen_by: str | None = None
    via: str = "api"
    app: Json | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    pinned: bool = False

    @property
    def top_level(self) -> bool:
        return self.seen_by is None and (self.thread_ts in (None, self.ts) or self.broadcast)

    @property
    def buttons(self) -> list[Json]:
        """Every button in it, in order."""
        return [element for _, element in elements(self.blocks) if element["type"] == "button"]

    def as_slack(self, *, metadata: bool = False) -> Json:
        shown: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text, **(self.app or {})}
        optional = {
            "subtype": "thread_broadcast" if self.broadcast else None,
            "blocks": self.blocks,
            "attachments": self.attachments,
            "thread_ts": self.thread_ts,
            "edited": {"user": self.user, "ts": self.edited_ts} if self.edited_ts else None,
            "metadata": self.metadata if metadata else None,
            "reactions": [{"name": n, "users": u, "count": len(u)} for n, u in self.reactions.items()],
        }
        return shown | {name: value for name, value in optional.items() if value}


@dataclass
class View:
    """A modal or a Home tab as one person sees it. ``values`` is what they filled in, by block and action id;
    ``errors`` what the app's last answer complained about, by block id."""

    id: str
    user: str
    payload: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    values: dict[str, dict[str, Json]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    owner: Json = field(default_factory=dict)

    @property
    def callback_id(self) -> str:
        return str(self.payload.get("callback_id", ""))

    @property
    def blocks(self) -> list[Json]:
        blocks: list[Json] = self.payload["blocks"]
        return blocks

    def elements(self) -> list[tuple[Json, Json]]:
        """Everything interactive in it, with its block."""
        return list(elements(self.blocks))

    def as_slack(self) -> Json:
        defaults: Json = {
            "title": None,
            "close": None,
            "submit": None,
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            "clear_on_close": False,
            "notify_on_close": False,
        }
        return {
            **defaults,
            **self.payload,
            **self.owner,
            "id": self.id,
            "hash": self.hash,
            "state": {"values": self.values},
            "root_view_id": self.root_id,
            "previous_view_id": self.previous_id,
        }


@dataclass
class Trigger:
    """The right to open one modal, for 3 seconds. ``view_id``: the modal it was born in, if any."""

    user: str
    at: float
    view_id: str | None = None
    used: bool = False


@dataclass
class ResponseUrl:
    """The right to answer an interaction up to 5 times within 30 minutes. ``ts``: the message that was acted on."""

    user: str
    channel: str
    at: float
    ts: str | None = None
    uses: int = 0


@dataclass(frozen=True)
class ApiCall:
    """One call of the app: its arguments without the token, and what it was answered."""

    method: str
    args: Json
    at: float
    ms: float
    status: int
    answer: Json
