"""One of every block and element of Block Kit, as an app may send them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def marked(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def option(value: str, about: str = "") -> Json:
    return {"text": plain(value.title()), "value": value} | ({"description": plain(about)} if about else {})


def rich(*parts: Json) -> Json:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(parts)}]}


def button(action: str, text: str, **more: Any) -> Json:
    return {"type": "button", "action_id": action, "text": plain(text), "value": f"{action}!", **more}


SURE = {
    "title": plain("Reject R-17?"),
    "text": marked("It *ends*."),
    "confirm": plain("Reject"),
    "deny": plain("Cancel"),
    "style": "danger",
}
MRKDWN = (
    "*bold* _italic_ ~gone~ `a *b* &lt;c&gt;` snake_case_name 2*3*4\n"
    "<https://x.test/a?b=1&amp;c=2|the run> <@U0ANA> <#C0INC> <!subteam^S0ONCALL|@old> <!here>\n"
    "<!date^1700000000^{date_num} in UTC|2023-11-14> <javascript:alert(1)|no link>\n"
    "&gt; quoted _words_\n> and more\n- one\n- two\n```\nx <- y\n  z *w*\n```after"
)
MARKDOWN = (
    "# Plan\nA **bold** and *soft* ~~no~~ `code` [run](https://x.test/r) [bad](javascript:alert)\n\n"
    "- one\n  - deeper\n- [x] two\n\n1. first\n2. second\n\n> quoted\n\n```py\nx = '<b>'\n```\n\n"
    "| part | rows |\n|---|---:|\n| online | 50,000 |\n\n---\nsnake_case_name"
)
RICH = {
    "type": "rich_text",
    "elements": [
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "strong", "style": {"bold": True, "italic": True}},
                {"type": "text", "text": " and "},
                {"type": "link", "url": "https://x.test/", "text": "a link"},
                {"type": "user", "user_id": "U0BEN"},
                {"type": "usergroup", "usergroup_id": "S0ONCALL"},
                {"type": "channel", "channel_id": "C0INC"},
                {"type": "broadcast", "range": "channel"},
                {"type": "emoji", "name": "wave", "unicode": "1f44b"},
                {"type": "date", "timestamp": 1700000000, "format": "{date_num}", "fallback": "then"},
                {"type": "color", "value": "#ff0000"},
                {"type": "canvas", "canvas_id": "F1"},
            ],
        },
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [rich({"type": "text", "text": "dot"})["elements"][0]],
        },
        {
            "type": "rich_text_list",
            "style": "ordered",
            "indent": 1,
            "offset": 2,
            "elements": [rich({"type": "text", "text": "third"})["elements"][0]],
        },
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "said"}]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "make all"}]},
    ],
}
STEPS: Json = {
    "type": "plan",
    "title": "R-17",
    "tasks": [
        {"type": "task_card", "task_id": "1", "title": "restore dataset", "status": "complete"},
        {
            "type": "task_card",
            "task_id": "2",
            "title": "restore online",
            "status": "in_progress",
            "details": rich({"type": "text", "text": "30,000 of 50,000 rows"}),
        },
        {
            "type": "task_card",
            "task_id": "3",
            "title": "verify",
            "status": "error",
            "output": rich({"type": "text", "text": "150,000 match"}),
            "sources": [{"type": "url", "url": "https://x.test/log", "text": "the log"}],
        },
        {"type": "task_card", "task_id": "4", "title": "enable flag", "status": "pending"},
    ],
}
TABLE = {
    "type": "table",
    "column_settings": [{"is_wrapped": True}, {"align": "right"}],
    "rows": [
        [{"type": "raw_text", "text": "part"}, {"type": "raw_text", "text": "rows"}],
        [rich({"type": "text", "text": "online", "style": {"bold": True}}), {"type": "raw_number", "value": 50000}],
    ],
}
MENUS: list[Json] = [
    {
        "type": "static_select",
        "action_id": "one",
        "placeholder": plain("Version"),
        "options": [option("v1"), option("v2", "live now")],
    },
    {
        "type": "multi_static_select",
        "action_id": "some",
        "placeholder": plain("Parts"),
        "option_groups": [
            {"label": plain("Stores"), "options": [option("online"), option("offline")]},
            {"label": plain("Others"), "options": [option("model")]},
        ],
    },
    {"type": "external_select", "action_id": "asked", "placeholder": plain("Feature"), "min_query_length": 0},
    {"type": "users_select", "action_id": "person", "placeholder": plain("Somebody")},
    {
        "type": "conversations_select",
        "action_id": "talk",
        "placeholder": plain("Where"),
        "filter": {"include": ["public", "private"]},
    },
    {"type": "channels_select", "action_id": "channel", "placeholder": plain("Channel")},
    {"type": "overflow", "action_id": "more", "options": [option("copy"), option("mute", "for a day")]},
    {"type": "datepicker", "action_id": "day", "placeholder": plain("Day")},
    {"type": "timepicker", "action_id": "hour", "placeholder": plain("Hour"), "timezone": "UTC"},
    {"type": "datetimepicker", "action_id": "moment"},
    {"type": "checkboxes", "action_id": "ticks", "options": [option("dry", "change nothing"), option("loud")]},
    {
        "type": "radio_buttons",
        "action_id": "dial",
        "options": [option("am"), option("fm")],
        "initial_option": option("fm"),
    },
]
BLOCKS: list[Json] = [
    {"type": "header", "text": plain("driver_stats & co")},
    {"type": "section", "block_id": "text", "text": marked(MRKDWN), "accessory": button("side", "Look")},
    {"type": "section", "fields": [marked("*Live*\nv13"), plain("back to v12")]},
    {
        "type": "section",
        "text": plain("Pick"),
        "accessory": {"type": "image", "image_url": "https://evil.test/a.png", "alt_text": "a chart"},
    },
    {
        "type": "context",
        "elements": [
            marked("asked by <@U0ANA>"),
            {"type": "image", "image_url": "https://evil.test/b.png", "alt_text": "a face"},
        ],
    },
    {
        "type": "actions",
        "block_id": "presses",
        "elements": [
            button("approve", "Approve", style="primary"),
            button("reject", "Reject", confirm=SURE),
            button("stop", "Stop", style="danger", accessibility_label="Stop the harm now"),
            button("visit", "Visit", url="https://x.test/visit"),
            {"type": "sundial", "action_id": "odd"},
        ],
    },
    {"type": "actions", "block_id": "menus", "elements": MENUS},
    {"type": "divider"},
    {
        "type": "image",
        "image_url": "https://evil.test/c.png",
        "alt_text": "accuracy by hour",
        "title": plain("Accuracy"),
    },
    RICH,
    {"type": "markdown", "text": MARKDOWN},
    TABLE,
    STEPS,
    {"type": "task_card", "task_id": "9", "title": "alone", "status": "complete"},
    {"type": "alert", "text": plain("It runs at once"), "level": "warning"},
    {"type": "file", "external_id": "F17", "source": "remote"},
    {
        "type": "video",
        "title": plain("How to"),
        "alt_text": "a talk",
        "video_url": "https://evil.test/v",
        "thumbnail_url": "https://evil.test/t.png",
    },
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "rate",
                "positive_button": {"text": plain("Good"), "value": "up"},
                "negative_button": {"text": plain("Bad"), "value": "down"},
            },
            {"type": "icon_button", "action_id": "bin", "icon": "trash", "text": plain("Delete"), "value": "all"},
        ],
    },
    {"type": "hologram", "beams": 3},
]


def asked(block_id: str, label: str, element: Json, **more: Any) -> Json:
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": element, **more}


def field(kind: str, action: str, **more: Any) -> Json:
    return {"type": kind, "action_id": action, **more}


FORM: Json = {
    "id": "V0FORM",
    "type": "modal",
    "title": plain("Everything"),
    "submit": plain("Send"),
    "close": plain("Cancel"),
    "depth": 1,
    "values": {},
    "errors": {},
    "blocks": [
        {"type": "section", "block_id": "words", "text": marked("Fill in *all* of it")},
        asked("version", "Version", MENUS[0], dispatch_action=True),
        asked(
            "why",
            "Why",
            field("plain_text_input", "w", multiline=True, min_length=3, max_length=40),
            hint=plain("One line"),
        ),
        asked("short", "Incident", field("plain_text_input", "i", placeholder=plain("INC-142")), optional=True),
        asked("count", "How many", field("number_input", "n", is_decimal_allowed=False, min_value="1", max_value="9")),
        asked("mail", "Mail", field("email_text_input", "m"), optional=True),
        asked("link", "Link", field("url_text_input", "l"), optional=True),
        asked("on", "Day", field("datepicker", "d", initial_date="2026-11-22")),
        asked("at", "Hour", field("timepicker", "t"), optional=True),
        asked("when", "Moment", field("datetimepicker", "dt", initial_date_time=1700000040)),
        asked(
            "parts",
            "Leave out",
            field("multi_static_select", "p", options=[option("online"), option("model")]),
            optional=True,
        ),
        asked("dry", "How", field("checkboxes", "c", options=[option("dry"), option("loud")]), optional=True),
        asked("band", "Band", field("radio_buttons", "r", options=[option("am"), option("fm")])),
        asked("who", "Who", field("users_select", "u"), optional=True),
        asked("where", "Post in", field("conversations_select", "wh", default_to_current_conversation=True)),
        asked("file", "File", field("file_input", "f"), optional=True),
        {"type": "actions", "block_id": "row", "elements": [button("look", "Look first"), MENUS[10]]},
    ],
}
