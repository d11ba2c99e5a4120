"""views.* and blocks.validate: modals, Home tabs, and the lint as Slack offers it."""

from __future__ import annotations

from bot.practice.slack_server.contract import Json, Method, SlackError, lint_or_refuse, need
from bot.practice.slack_server.records import Trigger, View
from bot.practice.slack_server.workspace import Workspace
from bot.slack.lint import LintError, lint, lint_call

TRIGGER_SECONDS = 3.0


def open_view(ws: Workspace, args: Json) -> Json:
    trigger = _exchange(ws, args)
    payload = _modal(ws, "views.open", args)
    trigger.used = True
    return _answer(ws.modals.open(trigger.user, payload))


def push(ws: Workspace, args: Json) -> Json:
    trigger = _exchange(ws, args)
    payload = _modal(ws, "views.push", args)
    if trigger.view_id is None or ws.modals.find(trigger.view_id) is None:
        raise SlackError("not_found")
    view = ws.modals.push(trigger.user, payload)
    if view is None:
        raise SlackError("push_limit_reached")
    trigger.used = True
    return _answer(view)


def _exchange(ws: Workspace, args: Json) -> Trigger:
    trigger = ws.triggers.get(need(args, "trigger_id"))
    if trigger is None:
        raise SlackError("invalid_trigger_id")
    if trigger.used:
        raise SlackError("exchanged_trigger_id")
    if ws.clock() - trigger.at > TRIGGER_SECONDS:
        raise SlackError("expired_trigger_id")
    return trigger


def _modal(ws: Workspace, method: str, args: Json, instead_of: View | None = None) -> Json:
    lint_or_refuse(method, args)
    payload: Json = args["view"]
    if payload["type"] != "modal" and instead_of is None:
        raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] only a modal can be opened"]})
    _unique(ws, payload, instead_of)
    return payload


def _unique(ws: Workspace, payload: Json, instead_of: View | None) -> None:
    other = ws.modals.find(external_id=payload.get("external_id"))
    if other is not None and other is not instead_of:
        raise SlackError("duplicate_external_id")


def update(ws: Workspace, args: Json) -> Json:
    if not args.get("view_id") and not args.get("external_id"):
        need(args, "view_id")
    view = ws.modals.find(args.get("view_id"), args.get("external_id"))
    if view is None:
        raise SlackError("not_found")
    payload = _modal(ws, "views.update", args, instead_of=view)
    _same_hash(view, args)
    return _answer(ws.modals.update(view, payload))


def publish(ws: Workspace, args: Json) -> Json:
    if not ws.manifest.home_tab:
        raise SlackError("not_enabled")
    user = need(args, "user_id")
    if user not in ws.users:
        raise SlackError("invalid_arguments", response_metadata={"messages": ["invalid `user_id`"]})
    lint_or_refuse("views.publish", args)
    if args["view"]["type"] != "home":
        raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] only a Home can be published"]})
    now = ws.modals.homes.get(user)
    _unique(ws, args["view"], now)
    if now is not None:
        _same_hash(now, args)
    return _answer(ws.modals.publish(user, args["view"]))


def _same_hash(view: View, args: Json) -> None:
    if args.get("hash") and args["hash"] != view.hash:
        raise SlackError("hash_conflict")


def _answer(view: View) -> Json:
    return {"view": view.as_slack()}


def validate(_ws: Workspace, args: Json) -> Json:
    """Exactly one of blocks, message and view. Pointers start at that argument."""
    given = [name for name in ("blocks", "message", "view") if args.get(name) is not None]
    if len(given) != 1:
        said = "must provide exactly one of `blocks`, `view`, or `message`"
        raise SlackError("invalid_arguments", response_metadata={"messages": [said]})
    findings = _findings(given[0], args[given[0]])
    if findings:
        raise SlackError(f"invalid_{given[0]}", errors=findings)
    return {}


def _findings(name: str, value: Json) -> list[LintError]:
    if name == "message":
        return lint_call("chat.postMessage", value)
    cut = "/blocks" if name == "blocks" else ""
    return [{**e, "pointer": e["pointer"].removeprefix(cut)} for e in lint(value)]


METHODS = {
    "views.open": Method(open_view),
    "views.push": Method(push),
    "views.update": Method(update),
    "views.publish": Method(publish),
    "blocks.validate": Method(validate, token="none"),  # noqa: S106
}
