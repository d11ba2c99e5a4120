"""The views of each person: a stack of up to three modals, and one Home tab."""

from __future__ import annotations

import secrets
from typing import Any

from bot.practice.slack_server.blocks import with_ids
from bot.practice.slack_server.changes import Changes
from bot.practice.slack_server.records import View

Json = dict[str, Any]

DEEPEST = 3


class Modals:
    """Opens, stacks, updates and closes views. ``owner`` stands in every view: team, app and bot."""

    def __init__(self, changes: Changes, owner: Json) -> None:
        self._changes, self._owner = changes, owner
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    def top(self, user: str) -> View | None:
        stack = self.stacks.get(user)
        return stack[-1] if stack else None

    def find(self, view_id: str | None = None, external_id: str | None = None) -> View | None:
        """A live view by its id, or by the id the app gave it."""
        for view in [*self.homes.values(), *(v for stack in self.stacks.values() for v in stack)]:
            if view.id == view_id or (external_id and view.payload.get("external_id") == external_id):
                return view
        return None

    def open(self, user: str, payload: Json) -> View:
        """A new stack of one; what was open is gone."""
        view = self._new(user, payload)
        self.stacks[user] = [view]
        self._changes.tell("view", view=view.id, user=user, what="opened")
        return view

    def push(self, user: str, payload: Json) -> View | None:
        """On top of the person's stack; None if it is as deep as Slack allows."""
        stack = self.stacks[user]
        if len(stack) >= DEEPEST:
            return None
        view = self._new(user, payload)
        view.root_id, view.previous_id = stack[0].id, stack[-1].id
        stack.append(view)
        self._changes.tell("view", view=view.id, user=user, what="pushed")
        return view

    def update(self, view: View, payload: Json) -> View:
        """In place. What was filled in stays where block and action keep their ids, as in Slack."""
        view.payload = {**payload, "blocks": with_ids(payload["blocks"])}
        view.hash, view.errors = self._hash(), {}
        kept = {block["block_id"] for block in view.blocks}
        view.values = {block: state for block, state in view.values.items() if block in kept}
        self._changes.tell("view", view=view.id, user=view.user, what="updated")
        return view

    def close(self, user: str, *, everything: bool = False) -> None:
        """The top modal, or all of the person's modals."""
        stack = self.stacks.get(user, [])
        stack[:] = [] if everything else stack[:-1]
        self._changes.tell("view", user=user, what="closed")

    def publish(self, user: str, payload: Json) -> View:
        """The person's Home tab, which keeps its id."""
        if user in self.homes:
            return self.update(self.homes[user], payload)
        view = self.homes[user] = self._new(user, payload)
        self._changes.tell("view", view=view.id, user=user, what="published")
        return view

    def _new(self, user: str, payload: Json) -> View:
        view_id = "V0" + secrets.token_hex(4).upper()
        shown = {**payload, "blocks": with_ids(payload["blocks"])}
        return View(id=view_id, user=user, payload=shown, hash=self._hash(), root_id=view_id, owner=self._owner)

    @staticmethod
    def _hash() -> str:
        return f"{secrets.randbelow(10**10):010d}.{secrets.token_hex(4)}"
