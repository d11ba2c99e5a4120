"""What went to and fro between Slack and the bot, newest first, with what the lint says of each payload."""

from __future__ import annotations

from collections import deque
from typing import Any

from bot.practice.slack_server import Ack, PracticeSlack
from bot.practice.slack_server.deliver import Delivered
from bot.practice.slack_server.records import ApiCall
from bot.slack.lint import LintError, lint, lint_call

Json = dict[str, Any]
KEPT = 400
"""Entries, and at the same time the server's own records of them; older ones are forgotten."""
PAGE = 100


class Inspector:
    """Reads the server's records as they come in, and keeps those from growing without end."""

    def __init__(self, slack: PracticeSlack) -> None:
        self._slack = slack
        self._entries: deque[Json] = deque(maxlen=KEPT)
        self._count = 0
        self._delivered = self._called = 0

    def clear(self) -> None:
        """From now on only what is new."""
        self._entries.clear()
        self._delivered, self._called = len(self._slack.deliveries), len(self._slack.calls)

    def look(self) -> list[Json]:
        """Entries for what came in since the last look, oldest first."""
        deliveries, calls = self._slack.deliveries, self._slack.calls
        new = [self._delivery(d) for d in deliveries[self._delivered :]]
        new += [self._call(c) for c in calls[self._called :]]
        for records in (deliveries, calls):
            del records[: max(0, len(records) - KEPT)]
        self._delivered, self._called = len(deliveries), len(calls)
        new.sort(key=lambda entry: float(entry["at"]))
        return [self._add(entry) for entry in new]

    def again(self, last: Delivered, ack: Ack) -> Json:
        """The entry for a request that was sent once more."""
        return self._add(self._delivery(Delivered(last.kind, last.payload, last.retry, ack)) | {"again": True})

    def page(self, before: int | None) -> Json:
        """Newest first, those before entry ``before``."""
        found = [e for e in reversed(self._entries) if before is None or e["n"] < before]
        return {"entries": found[:PAGE], "more": len(found) > PAGE}

    def _add(self, entry: Json) -> Json:
        self._count += 1
        entry["n"] = self._count
        self._entries.append(entry)
        return entry

    def _delivery(self, delivered: Delivered) -> Json:
        ack = delivered.ack
        return {
            "at": self._slack.workspace.clock() - ack.ms / 1000,
            "dir": "to_bot",
            "what": _what(delivered),
            "ms": round(ack.ms, 2),
            "status": ack.status,
            "ok": ack.ok,
            "payload": delivered.payload,
            "answer": {"body": ack.body, "error": ack.error, "details": ack.details},
            "lint": _of_answer(delivered),
            "retry": delivered.retry,
        }

    def _call(self, call: ApiCall) -> Json:
        return {
            "at": call.at,
            "dir": "from_bot",
            "what": call.method,
            "ms": round(call.ms, 2),
            "status": call.status,
            "ok": bool(call.answer.get("ok")),
            "payload": call.args,
            "answer": call.answer,
            "lint": lint_call(call.method, call.args),
            "retry": 0,
        }


def _what(delivered: Delivered) -> str:
    """What a person did: ``/rollback status``, ``block_actions approve``, ``app_home_opened``."""
    payload = delivered.payload
    if delivered.kind == "slash_commands":
        return f"{payload['command']} {payload['text']}".strip()
    if delivered.kind == "events_api":
        return str(payload["event"]["type"])
    actions = [str(a.get("action_id")) for a in payload.get("actions", [])]
    named = actions or [str(payload.get("callback_id") or (payload.get("view") or {}).get("callback_id") or "")]
    return f"{payload['type']} {' '.join(named)}".strip()


def _of_answer(delivered: Delivered) -> list[LintError]:
    """An ack may hold a message or a view."""
    body = delivered.ack.body
    if not isinstance(body, dict):
        return []
    if delivered.kind == "slash_commands":
        return lint_call("chat.postEphemeral", body)
    return lint(body["view"]) if isinstance(body.get("view"), dict) else []
