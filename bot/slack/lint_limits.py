"""The limits of Block Kit as a table, so that the lint is a walk and a new limit is one line.

Sources: docs.slack.dev (reference/block-kit, reference/methods), slack_sdk 3.47's models, and messages seen from Slack.
Slack refuses properties it doesn't know, so each shape lists all of its properties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Surface: TypeAlias = Literal["message", "modal", "home"]

MESSAGE_TEXT = 40_000
UPDATE_TEXT = 4_000  # chat.update alone: its reference says msg_too_long past 4,000
MESSAGE_BLOCKS_JSON = 13_000  # undocumented; seen between 13,172 and 13,297 (slackapi/bolt-js#2509)
MARKDOWN_TOTAL = 12_000
METADATA_JSON = 16_000  # metadata_too_large is documented without a number; ours is a few hundred characters
VIEW_JSON = 250_000  # view_too_large: 250 kB
MAX_BLOCKS: dict[Surface, int] = {"message": 50, "modal": 100, "home": 100}
MOST_PER_MESSAGE = {"table": 1, "data_visualization": 2}


@dataclass(frozen=True, slots=True)
class Anything:
    """A property Slack knows and that we do not look into."""

    required: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A text object; ``only`` one type of it where Slack insists."""

    most: int
    only: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Chars:
    """A plain string."""

    most: int
    least: int = 0
    required: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Typed:
    """A nested block or element that says its own ``type``, which must be one of these."""

    types: frozenset[str]
    required: bool = False
    block: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A nested object without a ``type``: a key of SHAPES."""

    name: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list; ``of`` is the rule for each item."""

    least: int
    most: int
    of: Rule
    required: bool = False


Rule: TypeAlias = Anything | Text | Chars | OneOf | Typed | Shape | Items
Rules: TypeAlias = dict[str, Rule]

PLAIN = "plain_text"
ANY = Anything()
TEXT_TYPES = frozenset({PLAIN, "mrkdwn"})
WORDS = Text(3000)


def _also(*names: str) -> Rules:
    return dict.fromkeys(names, ANY)


SELECTS = frozenset(f"{kind}_select" for kind in ("static", "external", "users", "conversations", "channels"))
MULTI_SELECTS = frozenset(f"multi_{name}" for name in SELECTS)
PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker"})
CHOICES = frozenset({"checkboxes", "radio_buttons"})
TYPED_IN = frozenset(
    {"plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input"}
)
PRESSED = frozenset({"button", "overflow", "workflow_button"})
IN_ACTIONS = SELECTS | MULTI_SELECTS | PICKERS | CHOICES | PRESSED | {"feedback_buttons", "icon_button"}
IN_INPUT = SELECTS | MULTI_SELECTS | PICKERS | CHOICES | TYPED_IN
IN_SECTION = SELECTS | MULTI_SELECTS | PICKERS | CHOICES | PRESSED | {"image"}
CELLS = frozenset({"raw_text", "raw_number", "rich_text"})
STATUS = OneOf(("pending", "in_progress", "complete", "error"))

_MESSAGE = """actions card carousel container context context_actions data_table data_visualization divider file
 header image input markdown plan rich_text section table task_card video"""
_MODAL = "actions alert card context divider header image input rich_text section video"
_HOME = """actions card carousel container context data_table data_visualization divider header image input rich_text
 section table video"""
BLOCKS: dict[Surface, frozenset[str]] = {
    "message": frozenset(_MESSAGE.split()),
    "modal": frozenset(_MODAL.split()),
    "home": frozenset(_HOME.split()),
}
IN_CONTAINER = BLOCKS["message"] - {"container", "carousel"}

SHAPES: dict[str, Rules] = {
    "confirm": {
        "title": Text(100, PLAIN, True),
        "text": Text(300, None, True),
        "confirm": Text(30, PLAIN, True),
        "deny": Text(30, PLAIN, True),
        "style": OneOf(("primary", "danger")),
    },
    "option": {
        "text": Text(75, None, True),
        "value": Chars(150, 1, True),
        "description": Text(75),
        "url": Chars(3000),
    },
    "group": {"label": Text(75, PLAIN, True), "options": Items(0, 100, Shape("option"), True)},
    "modal": {
        "title": Text(24, PLAIN, True),
        "submit": Text(24, PLAIN),
        "close": Text(24, PLAIN),
        "private_metadata": Chars(3000),
        "callback_id": Chars(255),
        "external_id": Chars(255),
        **_also("type", "blocks", "clear_on_close", "notify_on_close", "submit_disabled"),
    },
    "home": {
        "private_metadata": Chars(3000),
        "callback_id": Chars(255),
        "external_id": Chars(255),
        **_also("type", "blocks"),
    },
    "metadata": {"event_type": Chars(255, 1, True), "event_payload": Anything(True), "entities": ANY},
}

_CONFIRM: Rules = {"confirm": Shape("confirm")}
_HINT: Rules = {"placeholder": Text(150, PLAIN), **_also("focus_on_load")}
_OPTIONS: Rules = {"options": Items(1, 100, Shape("option")), "option_groups": Items(1, 100, Shape("group"))}
_MULTI = _also("max_selected_items")
_ADDRESS: Rules = {**_HINT, **_also("initial_value", "dispatch_action_config")}
_CHOICE: Rules = {"options": Items(1, 10, Shape("option"), True), **_CONFIRM, **_also("focus_on_load")}
_LINK: Rules = {
    "text": Text(75, PLAIN, True),
    "style": OneOf(("primary", "danger")),
    "accessibility_label": Chars(75),
}
_PICTURE: Rules = {"image_url": Chars(3000, 1), "alt_text": Chars(2000, 1, True), **_also("slack_file")}


def _select(kind: str, single: Rules, many: Rules) -> dict[str, Rules]:
    common = {**_CONFIRM, **_HINT}
    return {f"{kind}_select": {**common, **single}, f"multi_{kind}_select": {**common, **_MULTI, **many}}


def _picked(singular: str, plural: str, *more: str) -> tuple[Rules, Rules]:
    return _also(singular, "response_url_enabled", *more), _also(plural, *more)


ELEMENTS: dict[str, Rules] = {
    "button": {**_LINK, "url": Chars(3000), "value": Chars(2000), "agent_prompt": Chars(4000), **_CONFIRM},
    "workflow_button": {**_LINK, "workflow": Anything(True)},
    "overflow": {"options": Items(1, 5, Shape("option"), True), **_CONFIRM},
    **_select(
        "static",
        {**_OPTIONS, "initial_option": Shape("option")},
        {**_OPTIONS, "initial_options": Items(1, 100, Shape("option"))},
    ),
    **_select("external", *_picked("initial_option", "initial_options", "min_query_length")),
    **_select("users", *_picked("initial_user", "initial_users")),
    **_select(
        "conversations",
        *_picked("initial_conversation", "initial_conversations", "default_to_current_conversation", "filter"),
    ),
    **_select("channels", *_picked("initial_channel", "initial_channels")),
    "checkboxes": {**_CHOICE, "initial_options": Items(1, 10, Shape("option"))},
    "radio_buttons": {**_CHOICE, "initial_option": Shape("option")},
    "datepicker": {"initial_date": Chars(10, 10), **_CONFIRM, **_HINT},
    "timepicker": {"initial_time": Chars(5, 5), **_CONFIRM, **_HINT, **_also("timezone")},
    "datetimepicker": {**_CONFIRM, **_HINT, **_also("initial_date_time")},
    "plain_text_input": {
        "initial_value": Chars(3000),
        **_HINT,
        **_also("multiline", "min_length", "max_length", "dispatch_action_config"),
    },
    "email_text_input": _ADDRESS,
    "url_text_input": _ADDRESS,
    "number_input": {
        "is_decimal_allowed": Anything(True),
        **_HINT,
        **_also("initial_value", "min_value", "max_value", "dispatch_action_config"),
    },
    "rich_text_input": {**_ADDRESS, **_also("min_lines", "max_lines")},
    "file_input": _also("filetypes", "max_files"),
    "image": _PICTURE,
    "feedback_buttons": {"positive_button": Anything(True), "negative_button": Anything(True)},
    "icon_button": {
        "icon": Anything(True),
        "text": Text(75, PLAIN, True),
        "value": Chars(2000),
        **_CONFIRM,
        **_also("accessibility_label", "visible_to_user_ids"),
    },
    "raw_text": {"text": Chars(3000, 1, True)},
    "raw_number": {"value": Anything(True), "text": Chars(3000, 1)},
}

BLOCK_RULES: dict[str, Rules] = {
    "actions": {"elements": Items(1, 25, Typed(IN_ACTIONS), True)},
    "alert": {"text": Text(200, None, True), "level": OneOf(("default", "info", "warning", "error", "success"))},
    "card": {
        "title": Text(150),
        "subtitle": Text(150),
        "body": Text(200),
        "actions": Items(1, 25, Typed(IN_ACTIONS)),
        **_also("icon", "hero_image", "slack_icon", "subtext"),
    },
    "carousel": {"elements": Items(1, 10, Typed(frozenset({"card"}), block=True), True)},
    "container": {
        "title": Text(150, PLAIN),
        "subtitle": Text(150),
        "child_blocks": Items(1, 10, Typed(IN_CONTAINER, block=True), True),
        "width": OneOf(("narrow", "standard", "wide", "full")),
        **_also("rich_text_title", "icon", "is_collapsible", "default_collapsed", "has_header_divider"),
    },
    "context": {"elements": Items(1, 10, Typed(TEXT_TYPES | {"image"}), True)},
    "context_actions": {"elements": Items(1, 5, Typed(frozenset({"feedback_buttons", "icon_button"})), True)},
    "data_table": {
        "caption": Chars(3000, 1, True),
        "rows": Items(2, 201, Items(1, 20, Typed(CELLS)), True),
        **_also("page_size", "row_header_column_index"),
    },
    "data_visualization": _also("title", "chart"),
    "divider": {},
    "file": _also("external_id", "source"),
    "header": {"text": Text(150, PLAIN, True)},
    "image": {**_PICTURE, "title": Text(2000, PLAIN)},
    "input": {
        "label": Text(2000, PLAIN, True),
        "hint": Text(2000, PLAIN),
        "element": Typed(IN_INPUT, True),
        **_also("optional", "dispatch_action"),
    },
    "markdown": {"text": Chars(MARKDOWN_TOTAL, 1, True)},
    "plan": {"title": Chars(3000, 1, True), "tasks": Items(0, 50, Typed(frozenset({"task_card"}), block=True))},
    "rich_text": {"elements": Items(0, 1000, ANY, True)},
    "section": {
        "text": WORDS,
        "fields": Items(1, 10, Text(2000)),
        "accessory": Typed(IN_SECTION),
        **_also("expand"),
    },
    "table": {
        "rows": Items(1, 100, Items(1, 20, Typed(CELLS)), True),
        "column_settings": Items(0, 20, ANY),
    },
    "task_card": {
        "task_id": Chars(255, 1, True),
        "title": Chars(3000, 1, True),
        "status": STATUS,
        **_also("details", "output", "sources"),
    },
    "video": {
        "title": Text(200, PLAIN, True),
        "alt_text": Chars(2000, 1, True),
        "video_url": Chars(3000, 1, True),
        "thumbnail_url": Chars(3000, 1, True),
        "author_name": Chars(50),
        "description": Text(200, PLAIN),
        **_also("title_url", "provider_name", "provider_icon_url"),
    },
}
