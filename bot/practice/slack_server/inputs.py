"""What people fill in: the state of each kind of input, as Slack reports it in ``state.values``."""

from __future__ import annotations

from typing import Any

from bot.practice.slack_server.blocks import elements

Json = dict[str, Any]
Values = dict[str, dict[str, Json]]

# kind of element -> (name in the state, name of its beginning in the element)
SINGLE = {
    "plain_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
}
MANY = {
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
}


class CannotDo(Exception):
    """Something that a Slack client would not let this person do; nothing was sent."""


def state_values(blocks: list[Json], filled: Values) -> Values:
    """``state.values``: every stateful element, with what was filled in or what it began with."""
    values: Values = {}
    for block, element in elements(blocks):
        if element["type"] in SINGLE or element["type"] in MANY:
            now = filled.get(block["block_id"], {}).get(element["action_id"])
            values.setdefault(block["block_id"], {})[element["action_id"]] = now or state_of(element)
    return values


def state_of(element: Json) -> Json:
    """The state of an element nobody has touched."""
    kind = element["type"]
    if kind in SINGLE:
        name, beginning = SINGLE[kind]
        return {"type": kind, name: element.get(beginning)}
    name, beginning = MANY[kind]
    return {"type": kind, name: element.get(beginning, [])}


def entered(element: Json, value: Any) -> Json:
    """The state after a person enters ``value``: text, an option's value, an id, or a list of them; None empties it.
    Raises CannotDo where a Slack client would not accept it."""
    kind = element["type"]
    if kind not in (*SINGLE, *MANY, "overflow"):
        raise CannotDo(f"nothing can be filled in at {element['action_id']}, a {kind}")
    if kind == "overflow":
        return {"type": kind, "selected_option": _pick(element, value)}
    _check_kind(element, value)
    if kind in MANY:
        name = MANY[kind][0]
        picked = value if value is not None else []
        return {"type": kind, name: [_pick(element, v) for v in picked] if name == "selected_options" else picked}
    name = SINGLE[kind][0]
    if value is not None and name == "selected_option":
        value = _pick(element, value)
    if value is not None and kind == "plain_text_input":
        _check_length(element, value)
    return {"type": kind, name: value}


def empty(state: Json) -> bool:
    """Whether nothing is filled in."""
    return not any(value for name, value in state.items() if name != "type")


def _pick(element: Json, value: Any) -> Json:
    if "external" in element["type"]:
        return {"text": {"type": "plain_text", "text": str(value)}, "value": value}
    grouped = [o for g in element.get("option_groups", []) for o in g["options"]]
    options: list[Json] = [*element.get("options", []), *grouped]
    for option in options:
        if option["value"] == value:
            return option
    raise CannotDo(f"{element['action_id']} has no option {value!r}, only {[o['value'] for o in options]}")


def _check_kind(element: Json, value: Any) -> None:
    """Text, but for lists of it and two kinds that hold something else."""
    kind, given = element["type"], value if isinstance(value, list | tuple) else [value]
    single = {"datetimepicker": int, "rich_text_input": dict}.get(kind, str)
    fits = isinstance(value, list | tuple) == (kind in MANY) and all(isinstance(each, single) for each in given)
    if value is not None and not fits:
        raise CannotDo(f"{element['action_id']}, a {kind}, does not take {value!r}")


def _check_length(element: Json, value: str) -> None:
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if not least <= len(value) <= most:
        raise CannotDo(f"{element['action_id']} takes {least} to {most} characters, not {len(value)}")


def pressed(block: Json, button: Json) -> Json:
    """The entry in ``actions`` for a button."""
    names = ("type", "action_id", "text", "value", "style", "url")
    return {"block_id": block["block_id"], **{name: button[name] for name in names if name in button}}


def chosen(block: Json, element: Json, state: Json) -> Json:
    """The entry in ``actions`` for anything that holds a value."""
    return {"block_id": block["block_id"], "action_id": element["action_id"], **state}
