"""The lint against a table: each limit of Slack passes exactly at the limit and is found, by pointer, one past it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import blocks as sdk_blocks

from bot.slack import lint_limits
from bot.slack.lint import escape, lint, lint_call, plain

Json = dict[str, Any]

# A shared machine may be busy; how long one example takes says nothing here.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def words(n: int) -> Json:
    return {"type": "mrkdwn", "text": "x" * n}


def label(n: int = 1) -> Json:
    return {"type": "plain_text", "text": "x" * n}


def button(**more: Any) -> Json:
    return {"type": "button", "text": label(), "action_id": "a", **more}


def row(*elements: Json, **more: Any) -> list[Json]:
    return [{"type": "actions", "elements": list(elements), **more}]


def options(n: int, size: int = 1) -> list[Json]:
    return [{"text": label(size), "value": str(i)} for i in range(n)]


def select(**more: Any) -> Json:
    return {"type": "static_select", "action_id": "s", "options": options(1), **more}


def section(n: int = 1, **more: Any) -> Json:
    return {"type": "section", "text": words(n), **more}


def modal(**more: Any) -> Json:
    return {"type": "modal", "title": label(), "blocks": [section()], **more}


def field(**more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "i"}
    return {"type": "input", "label": label(), "element": element, **more}


def form(**more: Any) -> Json:
    return modal(submit=label(), blocks=[field(**more)])


def confirm(**more: Any) -> Json:
    return {"title": label(), "text": words(1), "confirm": label(), "deny": label(), **more}


def table(rows: int, columns: int = 1) -> Json:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}] * columns] * rows}


def tasks(n: int) -> list[Json]:
    return [{"type": "task_card", "task_id": str(i), "title": "t"} for i in range(n)]


EDGES: list[tuple[str, int, Callable[[int], Any], str]] = [
    ("blocks in a message", 50, lambda n: [{"type": "divider"}] * n, "/blocks"),
    ("blocks in a modal", 100, lambda n: modal(blocks=[section()] * n), "/blocks"),
    ("blocks on the Home tab", 100, lambda n: {"type": "home", "blocks": [section()] * n}, "/blocks"),
    ("section text", 3000, lambda n: [section(n)], "/blocks/0/text/text"),
    ("section fields", 10, lambda n: [{"type": "section", "fields": [words(1)] * n}], "/blocks/0/fields"),
    ("field text", 2000, lambda n: [{"type": "section", "fields": [words(n)]}], "/blocks/0/fields/0/text"),
    ("header", 150, lambda n: [{"type": "header", "text": label(n)}], "/blocks/0/text/text"),
    ("button text", 75, lambda n: row(button(text=label(n))), "/blocks/0/elements/0/text/text"),
    ("button value", 2000, lambda n: row(button(value="x" * n)), "/blocks/0/elements/0/value"),
    ("button url", 3000, lambda n: row(button(url="x" * n)), "/blocks/0/elements/0/url"),
    ("button spoken label", 75, lambda n: row(button(accessibility_label="x" * n)), "/blocks/0/elements/0/accessib"),
    ("actions", 25, lambda n: row(*(button(action_id=str(i)) for i in range(n))), "/blocks/0/elements"),
    ("context", 10, lambda n: [{"type": "context", "elements": [words(1)] * n}], "/blocks/0/elements"),
    ("options of a select", 100, lambda n: row(select(options=options(n))), "/blocks/0/elements/0/options"),
    ("options of radio buttons", 10, lambda n: row(select(type="radio_buttons", options=options(n))), "/blocks/0/el"),
    ("options of checkboxes", 10, lambda n: row(select(type="checkboxes", options=options(n))), "/blocks/0/element"),
    ("options of an overflow", 5, lambda n: row(select(type="overflow", options=options(n))), "/blocks/0/elements"),
    ("option text", 75, lambda n: row(select(options=options(1, n))), "/blocks/0/elements/0/options/0/text/text"),
    (
        "option value",
        150,
        lambda n: row(select(options=[{"text": label(), "value": "x" * n}])),
        "/blocks/0/elements/0/options/0/value",
    ),
    ("placeholder", 150, lambda n: row(select(placeholder=label(n))), "/blocks/0/elements/0/placeholder/text"),
    ("confirm title", 100, lambda n: row(button(confirm=confirm(title=label(n)))), "/blocks/0/elements/0/confirm/ti"),
    ("confirm text", 300, lambda n: row(button(confirm=confirm(text=words(n)))), "/blocks/0/elements/0/confirm/text"),
    ("confirm yes", 30, lambda n: row(button(confirm=confirm(confirm=label(n)))), "/blocks/0/elements/0/confirm/conf"),
    ("confirm no", 30, lambda n: row(button(confirm=confirm(deny=label(n)))), "/blocks/0/elements/0/confirm/deny"),
    ("action_id", 255, lambda n: row(button(action_id="x" * n)), "/blocks/0/elements/0/action_id"),
    ("block_id", 255, lambda n: [section(block_id="x" * n)], "/blocks/0/block_id"),
    ("input label", 2000, lambda n: form(label=label(n)), "/blocks/0/label/text"),
    ("input hint", 2000, lambda n: form(hint=label(n)), "/blocks/0/hint/text"),
    ("modal title", 24, lambda n: modal(title=label(n)), "/title/text"),
    ("modal submit", 24, lambda n: modal(submit=label(n)), "/submit/text"),
    ("modal close", 24, lambda n: modal(close=label(n)), "/close/text"),
    ("private_metadata", 3000, lambda n: modal(private_metadata="x" * n), "/private_metadata"),
    ("callback_id", 255, lambda n: modal(callback_id="x" * n), "/callback_id"),
    ("external_id", 255, lambda n: modal(external_id="x" * n), "/external_id"),
    ("markdown in one block", 12_000, lambda n: [{"type": "markdown", "text": "x" * n}], "/blocks"),
    ("table rows", 100, lambda n: [table(n)], "/blocks/0/rows"),
    ("table columns", 20, lambda n: [table(1, n)], "/blocks/0/rows/0"),
    ("tables in a message", 1, lambda n: [table(1)] * n, "/blocks"),
    ("tasks in a plan", 50, lambda n: [{"type": "plan", "title": "t", "tasks": tasks(n)}], "/blocks/0/tasks"),
    ("alert", 200, lambda n: modal(blocks=[{"type": "alert", "text": words(n)}]), "/blocks/0/text/text"),
    ("data table rows", 201, lambda n: [{**table(n), "type": "data_table", "caption": "c"}], "/blocks/0/rows"),
    ("image description", 2000, lambda n: [{"type": "image", "image_url": "u", "alt_text": "x" * n}], "/blocks/0/alt"),
]

WRONG: list[tuple[str, Any, str]] = [
    ("a section with nothing in it", [{"type": "section"}], "/blocks/0"),
    ("an empty text", [section(0)], "/blocks/0/text/text"),
    ("a header in mrkdwn", [{"type": "header", "text": words(1)}], "/blocks/0/text/type"),
    ("a button in mrkdwn", row(button(text=words(1))), "/blocks/0/elements/0/text/type"),
    ("a style that is not one", row(button(style="warning")), "/blocks/0/elements/0/style"),
    ("two equal action_ids in one block", row(button(), button()), "/blocks/0/elements/1/action_id"),
    ("two equal block_ids", [section(block_id="b"), section(block_id="b")], "/blocks/1/block_id"),
    ("a type that is not one", [{"type": "nonsense"}], "/blocks/0/type"),
    ("a block without a type", [{}], "/blocks/0/type"),
    ("a block that is not an object", ["x"], "/blocks/0"),
    ("an element where it can't stand", row({"type": "plain_text_input", "action_id": "i"}), "/blocks/0/elements/0/ty"),
    ("an alert in a message", [{"type": "alert", "text": words(1)}], "/blocks/0/type"),
    ("a table in a modal", modal(blocks=[table(1)]), "/blocks/0/type"),
    ("a plan on the Home tab", {"type": "home", "blocks": [{"type": "plan", "title": "t"}]}, "/blocks/0/type"),
    ("inputs without submit", modal(blocks=[field()]), "/submit"),
    ("a modal without a title", {"type": "modal", "blocks": [section()]}, ""),
    ("a property Slack doesn't know", row(button(disabled=True)), "/blocks/0/elements/0"),
    ("a title on the Home tab", {"type": "home", "title": label(), "blocks": [section()]}, ""),
    ("a null where a text belongs", row(select(placeholder=None)), "/blocks/0/elements/0/placeholder"),
    ("a beginning that is no option", row(select(initial_option=options(2)[1])), "/blocks/0/elements/0/initial_option"),
    ("a status that is not one", [{**tasks(1)[0], "status": "done"}], "/blocks/0/status"),
    ("a pending task outside a plan", [{**tasks(1)[0], "status": "pending"}], "/blocks/0/status"),
    ("a plan beside a task", [{"type": "plan", "title": "t"}, *tasks(1)], "/blocks"),
    ("markdown over two blocks", [{"type": "markdown", "text": "x" * 6001}] * 2, "/blocks"),
    ("thirteen thousand characters", [section(2900) for _ in range(5)], "/blocks"),
    ("a view of no known type", {"type": "workflow_step", "blocks": []}, "/type"),
]

CARD: list[Json] = [
    {"type": "header", "text": label(20)},
    {"type": "section", "fields": [words(10)] * 4},
    table(2, 3),
    {"type": "markdown", "text": "**bold**\n\n- one"},
    {"type": "context", "elements": [words(9)]},
    {"type": "divider"},
    *row(button(style="primary", value="R-17", confirm=confirm()), button(action_id="b", style="danger"), block_id="d"),
    {"type": "plan", "title": "Rollback", "tasks": [{**t, "status": "pending"} for t in tasks(2)]},
    section(accessory={"type": "image", "image_url": "https://x.test/y.png", "alt_text": "y"}),
]


@pytest.mark.parametrize(("limit", "make", "pointer"), [e[1:] for e in EDGES], ids=[e[0] for e in EDGES])
def test_each_limit_is_exact(limit: int, make: Callable[[int], Any], pointer: str) -> None:
    """At the limit nothing is found; one past it there is a finding at the place that is too long."""
    assert lint(make(limit)) == []
    found = lint(make(limit + 1))
    assert found
    assert found[0]["pointer"].startswith(pointer)
    assert found[0]["code"] == "failed_constraint"
    assert found[0]["constraint"]["expected"] == limit


@pytest.mark.parametrize(("payload", "pointer"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_found_at_its_place(payload: Any, pointer: str) -> None:
    """Every kind of broken payload has a finding that points at it and says something."""
    found = lint(payload)
    assert any(f["pointer"].startswith(pointer) for f in found), found
    assert all(f["message"] and f["code"] and f["constraint"] for f in found)


def test_a_whole_card_passes() -> None:
    """A message with all the blocks the bot sends has no finding."""
    assert lint(CARD) == []
    assert lint(form(optional=True, dispatch_action=True)) == []


@pytest.mark.parametrize(
    ("method", "limit"), [("chat.postMessage", 40_000), ("chat.postEphemeral", 40_000), ("chat.update", 4_000)]
)
def test_the_text_of_a_call_has_a_limit(method: str, limit: int) -> None:
    """Text passes at the method's limit and is msg_too_long one past it; updates take far less than posts."""
    assert lint_call(method, {"text": "x" * limit}) == []
    assert [f["code"] for f in lint_call(method, {"text": "x" * (limit + 1)})] == ["msg_too_long"]


def test_a_call_needs_text_or_blocks() -> None:
    """An empty message is no_text; blocks alone are enough; a method without payload is never linted."""
    assert [f["code"] for f in lint_call("chat.postMessage", {"channel": "C1"})] == ["no_text"]
    assert lint_call("chat.postMessage", {"blocks": CARD}) == []
    assert lint_call("users.info", {}) == []


def test_metadata_has_a_shape() -> None:
    """event_type and an object as event_payload, or invalid_metadata_format; too much of it is metadata_too_large."""
    good = {"event_type": "rollbot_run", "event_payload": {"key": "R-17/card"}}
    assert lint_call("chat.postMessage", {"text": "x", "metadata": good}) == []
    assert lint_call("chat.update", {"text": "x", "metadata": {}}) == []
    for bad in ({"event_type": "x"}, {**good, "event_payload": "text"}, {**good, "run": 1}, "text"):
        codes = {f["code"] for f in lint_call("chat.postMessage", {"text": "x", "metadata": bad})}
        assert codes == {"invalid_metadata_format"}
    large = {**good, "event_payload": {"k": "x" * 20_000}}
    assert [f["code"] for f in lint_call("chat.postMessage", {"text": "x", "metadata": large})] == [
        "metadata_too_large"
    ]


def test_pointers_of_calls_start_at_their_arguments() -> None:
    """A finding in a view says /view first, as Slack's messages do; a missing view is a finding too."""
    assert lint_call("views.open", {"view": modal(title=label(25))})[0]["pointer"] == "/view/title/text"
    assert lint_call("views.open", {})[0]["pointer"] == "/view"


def test_findings_can_be_sent_as_json() -> None:
    """Findings are plain JSON, interchangeable with what blocks.validate answers."""
    found = [f for _, payload, _ in WRONG for f in lint(payload)]
    assert json.loads(json.dumps(found)) == found
    assert {"pointer", "code", "message", "constraint"} == set(found[0])


def test_every_property_of_the_client_library_is_known() -> None:
    """No property that slack_sdk's own block classes can send is called unknown by the lint."""
    for _, block in inspect.getmembers(sdk_blocks, inspect.isclass):
        kind, names = getattr(block, "type", None), getattr(block, "attributes", None)
        if isinstance(kind, str) and kind in lint_limits.BLOCK_RULES:
            names = names.fget(block) if isinstance(names, property) else names
            assert set(names) - {"type", "block_id"} <= set(lint_limits.BLOCK_RULES[kind]), kind


@unhurried
@given(st.text())
def test_escaped_text_has_no_markup_and_comes_back(text: str) -> None:
    """Whatever a person typed can't mention, link or open an entity once escaped, and nothing of it is lost."""
    escaped = escape(text)
    assert "<" not in escaped and ">" not in escaped
    assert escaped.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&") == text


@unhurried
@given(st.text(), st.integers(1, 80))
def test_cut_text_fits_and_says_that_it_was_cut(text: str, limit: int) -> None:
    """A text that fits is left alone; one that doesn't ends in an ellipsis within the limit."""
    cut = plain(text, limit)
    assert len(cut) <= limit
    assert cut == text if len(text) <= limit else cut.endswith("…")


NAMES = sorted(
    {name for rules in lint_limits.BLOCK_RULES.values() for name in rules} | {"type", "action_id", "options"}
)
KINDS = [*sorted(lint_limits.BLOCK_RULES), *sorted(lint_limits.ELEMENTS), "modal", "home", "mrkdwn"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
BLOCK = st.builds(lambda kind, rest: {**rest, "type": kind}, JUNK, st.dictionaries(st.sampled_from(NAMES), JUNK))


@unhurried
@given(st.lists(BLOCK, max_size=3) | JUNK)
def test_no_payload_breaks_the_lint(payload: Any) -> None:
    """Whatever JSON is sent, the lint answers with findings, never with an exception."""
    assert isinstance(lint_call("chat.postMessage", {"blocks": payload, "text": "x", "metadata": payload}), list)
    assert isinstance(lint_call("views.open", {"view": {"type": "modal", "title": label(), "blocks": payload}}), list)
    assert isinstance(lint_call("views.publish", {"view": payload}), list)
