"""What people do in modals and on the Home tab: fill in, press, submit, close; and what the app's answer does there."""

from __future__ import annotations

from typing import Any

from bot.practice.slack_server import payloads
from bot.practice.slack_server.contract import describe
from bot.practice.slack_server.deliver import Ack, Delivery
from bot.practice.slack_server.inputs import CannotDo, chosen, empty, entered, pressed, state_values
from bot.practice.slack_server.records import Json, View
from bot.practice.slack_server.workspace import Workspace
from bot.slack.lint import lint


class InViews:
    """The acts of people in views. Every one raises CannotDo, and sends nothing, where a client would not let this
    person do it."""

    workspace: Workspace
    delivery: Delivery

    async def click_view(self, view_id: str, action_id: str, user: str, value: str | None = None) -> Ack:
        """Presses a button in a modal or on the Home tab."""
        view = self._open(view_id, user)
        for block, element in view.elements():
            named = element["action_id"] == action_id and value in (None, element.get("value"))
            if named and element["type"] == "button":
                return await self._tell_app(view, pressed(block, element))
        raise CannotDo(f"view {view_id} has no button {action_id!r} (value {value!r})")

    async def fill(self, view_id: str, action_id: str, user: str, value: Any) -> Ack | None:
        """Types or picks something in a view. Slack tells the app at once, unless it stands in an input block without
        ``dispatch_action``: then None."""
        view = self._open(view_id, user)
        block, element = _place(view, action_id)
        state = self._enter(view, block, element, value)
        if block["type"] == "input" and not block.get("dispatch_action"):
            return None
        return await self._tell_app(view, chosen(block, element, state))

    async def suggest(self, view_id: str, action_id: str, user: str, typed: str) -> Ack:
        """Types in a menu that the app fills: the Ack's body has the ``options``."""
        view = self._open(view_id, user)
        block, element = _place(view, action_id)
        if "external" not in element["type"]:
            raise CannotDo(f"the app does not fill {action_id}, a {element['type']}")
        payload = payloads.view_suggestion(self.workspace, view, block, element, typed)
        return await self.delivery.send("interactive", payload)

    async def submit(self, view_id: str, values: Json, user: str) -> Ack:
        """Fills in ``values`` (by action_id or block_id) and presses submit. Then the modal closes, shows errors,
        changes or gets another on top, as the app answers; it stays if the app doesn't answer."""
        view = self._open(view_id, user)
        if self.workspace.modals.top(user) is not view or not view.payload.get("submit"):
            raise CannotDo(f"view {view_id} is not on top of a modal, or has nothing to submit")
        for name, value in values.items():
            self._enter(view, *_place(view, name), value)
        self._all_required(view)
        ack = await self.delivery.send("interactive", payloads.view_submission(self.workspace, view))
        if ack.ok:
            self._answered(view, ack)
        return ack

    async def close(self, view_id: str, user: str, *, everything: bool = False) -> Ack | None:
        """Cancels the top modal (``everything``: the cross that closes the whole stack); the Ack of view_closed if
        the app wants to know."""
        view, modals = self._open(view_id, user), self.workspace.modals
        if modals.top(user) is not view:
            raise CannotDo(f"view {view_id} is not on top")
        everything = everything or bool(view.payload.get("clear_on_close"))
        closing = list(reversed(modals.stacks[user])) if everything else [view]
        modals.close(user, everything=everything)
        ack = None
        for gone in closing:
            if gone.payload.get("notify_on_close"):
                payload = payloads.view_closed(self.workspace, gone, everything=everything)
                ack = await self.delivery.send("interactive", payload)
        return ack

    def _open(self, view_id: str, user: str) -> View:
        view = self.workspace.modals.find(view_id)
        if view is None or view.user != user:
            raise CannotDo(f"{user} has no view {view_id} open")
        return view

    async def _tell_app(self, view: View, action: Json) -> Ack:
        view.values = state_values(view.blocks, view.values)
        action["action_ts"] = self.workspace.next_ts()
        payload = payloads.view_action(self.workspace, view, view.user, action)
        return await self.delivery.send("interactive", payload)

    def _enter(self, view: View, block: Json, element: Json, value: Any) -> Json:
        state = entered(element, value)
        view.values.setdefault(block["block_id"], {})[element["action_id"]] = state
        self.workspace.changes.tell("view", view=view.id, user=view.user, what="filled")
        return state

    def _all_required(self, view: View) -> None:
        view.values = state_values(view.blocks, view.values)
        for block, element in view.elements():
            required = block["type"] == "input" and not block.get("optional")
            if required and empty(view.values[block["block_id"]][element["action_id"]]):
                raise CannotDo(f"{block['label']['text']!r} ({element['action_id']}) must be filled in")

    def _answered(self, view: View, ack: Ack) -> None:
        modals, body = self.workspace.modals, ack.body or {}
        action = body.get("response_action") if isinstance(body, dict) else "text"
        if action is None:
            if modals.top(view.user) is view:
                modals.close(view.user)
        elif action == "clear":
            modals.close(view.user, everything=True)
        elif action == "errors":
            self._complain(view, ack, body.get("errors") or {})
        elif action in ("update", "push"):
            self._replace(view, ack, action, body.get("view"))
        else:
            _trouble(ack, [f"no such response_action: {action}"])

    def _complain(self, view: View, ack: Ack, errors: dict[str, str]) -> None:
        inputs = {b["block_id"] for b in view.blocks if b["type"] == "input"}
        if not errors or not errors.keys() <= inputs:
            _trouble(ack, [f"errors must name input blocks by block_id: {sorted(errors)} not in {sorted(inputs)}"])
            return
        view.errors = dict(errors)
        self.workspace.changes.tell("view", view=view.id, user=view.user, what="errors")

    def _replace(self, view: View, ack: Ack, action: str, payload: Any) -> None:
        findings = lint(payload) if isinstance(payload, dict) else []
        if findings or not isinstance(payload, dict):
            _trouble(ack, describe(findings))
        elif action == "update":
            self.workspace.modals.update(view, payload)
        elif self.workspace.modals.push(view.user, payload) is None:
            _trouble(ack, ["push_limit_reached"])


def _place(view: View, name: str) -> tuple[Json, Json]:
    for block, element in view.elements():
        if name in (element["action_id"], block["block_id"]) and element["type"] != "button":
            return block, element
    raise CannotDo(f"view {view.id} has nothing to fill in called {name!r}")


def _trouble(ack: Ack, details: list[str]) -> None:
    """The client says "We had some trouble connecting" and the modal stays."""
    ack.error, ack.details = "invalid_view_response", details
