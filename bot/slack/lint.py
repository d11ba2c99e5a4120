"""Finds what Slack would refuse in a payload, before it is sent, in the shape of Slack's own ``blocks.validate``.

Slack's client library checks nothing that is passed as plain dicts, and the API often answers ``invalid_blocks``
alone; here every finding names the place as a JSON pointer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias, TypedDict

from bot.slack import lint_limits as limits
from bot.slack.lint_limits import Anything, Chars, Items, OneOf, Rule, Rules, Shape, Surface, Text, Typed

Json: TypeAlias = dict[str, Any]


class LintError(TypedDict):
    """One finding. ``code``: ``missing_field``, ``invalid_type`` or ``failed_constraint`` as in ``blocks.validate``,
    or the name of the API error that the whole call would get (``msg_too_long``, ``msg_blocks_too_long``, ...)."""

    pointer: str
    code: str
    message: str
    constraint: Json


Findings: TypeAlias = Iterator[LintError]


def lint(payload: list[Json] | Json, surface: Surface = "message") -> list[LintError]:
    """All findings in a list of blocks on ``surface``, or in a whole view (its own type is the surface). Pointers
    start at the arguments of the call: ``/blocks/0/text/text``, ``/title/text``."""
    if isinstance(payload, list):
        return list(_blocks(payload, surface))
    return list(_view(payload))


def lint_call(method: str, args: Json) -> list[LintError]:
    """All findings in the arguments of a ``chat.*`` or ``views.*`` call; other methods have none."""
    if method.startswith("views."):
        return [{**e, "pointer": "/view" + e["pointer"]} for e in _view(args.get("view"))]
    if method in ("chat.postMessage", "chat.update", "chat.postEphemeral"):
        return list(_message(method, args))
    return []


def escape(text: str) -> str:
    """``text`` for mrkdwn: no character of it can make a mention, a link or an entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, limit: int) -> str:
    """``text``, at most ``limit`` characters, ending in an ellipsis if it was cut."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def _failed(at: str, kind: str, expected: Any, got: Any, message: str) -> LintError:
    constraint = {"type": kind, "expected": expected, "got": got}
    return LintError(pointer=at, code="failed_constraint", message=message, constraint=constraint)


def _wrong_type(at: str, expected: str) -> LintError:
    return LintError(
        pointer=at,
        code="invalid_type",
        message=f"must be {expected}",
        constraint={"type": "type", "expected": expected},
    )


def _missing(at: str, name: str) -> LintError:
    constraint = {"type": "required", "expected": name}
    return LintError(pointer=at, code="missing_field", message=f"{name} is missing", constraint=constraint)


def _refused(at: str, code: str, expected: Any, got: Any, message: str) -> LintError:
    return LintError(
        pointer=at, code=code, message=message, constraint={"type": code, "expected": expected, "got": got}
    )


def _length(value: str, rule: Chars | Text, at: str) -> Findings:
    least = rule.least if isinstance(rule, Chars) else 1
    if len(value) > rule.most:
        yield _failed(at, "max_length", rule.most, len(value), f"{len(value)} characters, at most {rule.most}")
    elif len(value) < least:
        yield _failed(at, "min_length", least, len(value), f"{len(value)} characters, at least {least}")


def _text(value: Any, rule: Text, at: str) -> Findings:
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        yield _wrong_type(at, "a text object")
        return
    kind = value.get("type")
    allowed = (rule.only,) if rule.only else ("plain_text", "mrkdwn")
    if kind not in allowed:
        yield _failed(at + "/type", "enum", list(allowed), kind, f"must be {' or '.join(allowed)}, is {kind}")
    extra = "verbatim" if kind == "mrkdwn" else "emoji"
    yield from _unknown(value, {"type", "text", extra}, at)
    yield from _length(value["text"], rule, at + "/text")


def _unknown(node: Json, known: set[str], at: str) -> Findings:
    for name in node.keys() - known:
        yield _failed(at, "additional_properties", sorted(known), name, f"Slack knows no {name!r} here")


def _items(value: Any, rule: Items, at: str) -> Findings:
    if not isinstance(value, list):
        yield _wrong_type(at, "a list")
        return
    if len(value) > rule.most:
        yield _failed(at, "max_items", rule.most, len(value), f"{len(value)} items, at most {rule.most}")
    elif len(value) < rule.least:
        yield _failed(at, "min_items", rule.least, len(value), f"{len(value)} items, at least {rule.least}")
    for n, item in enumerate(value):
        yield from _value(item, rule.of, f"{at}/{n}")


def _typed(value: Any, rule: Typed, at: str) -> Findings:
    if not isinstance(value, dict):
        yield _wrong_type(at, "an object")
        return
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in rule.types:
        yield _failed(at + "/type", "enum", sorted(rule.types), kind, f"{kind!r} can't stand here")
    elif kind in limits.TEXT_TYPES:
        yield from _text(value, limits.WORDS, at)
    elif rule.block or kind not in limits.ELEMENTS:
        yield from _block(value, at)
    else:
        yield from _node(value, limits.ELEMENTS[kind], "action_id", at)


def _value(value: Any, rule: Rule, at: str) -> Findings:
    match rule:
        case Anything():
            return
        case Text():
            yield from _text(value, rule, at)
        case Chars():
            yield from _length(value, rule, at) if isinstance(value, str) else [_wrong_type(at, "a string")]
        case OneOf():
            if value not in rule.words:
                yield _failed(at, "enum", list(rule.words), value, f"{value!r} is not {' or '.join(rule.words)}")
        case Items():
            yield from _items(value, rule, at)
        case Typed():
            yield from _typed(value, rule, at)
        case Shape():
            yield from _shape(value, rule.name, at)


def _shape(value: Any, name: str, at: str) -> Findings:
    if not isinstance(value, dict):
        yield _wrong_type(at, "an object")
        return
    rules = limits.SHAPES[name]
    yield from _unknown(value, set(rules), at)
    yield from _fields(value, rules, at)


def _fields(node: Json, rules: Rules, at: str) -> Findings:
    for name, rule in rules.items():
        if name in node:
            yield from _value(node[name], rule, f"{at}/{name}")
        elif rule.required:
            yield _missing(at, name)


def _node(node: Json, rules: Rules, id_name: str, at: str) -> Findings:
    if id_name in node:
        yield from _value(node[id_name], Chars(255, 1), f"{at}/{id_name}")
    yield from _unknown(node, rules.keys() | {"type", id_name}, at)
    yield from _fields(node, rules, at)
    yield from _initial(node, at)


def _initial(node: Json, at: str) -> Findings:
    """What is picked to begin with must be one of the options, to the letter."""
    options = node.get("options")
    if not isinstance(options, list):
        return
    many = node.get("initial_options")
    name = "initial_options" if many else "initial_option"
    for option in many if isinstance(many, list) else [node.get(name)]:
        if option is not None and option not in options:
            yield _failed(f"{at}/{name}", "enum", options, option, "is not one of the options")


def _block(block: Json, at: str) -> Findings:
    kind = block["type"]
    yield from _node(block, limits.BLOCK_RULES[kind], "block_id", at)
    if kind == "section" and not block.get("text") and not block.get("fields"):
        yield _missing(at, "text or fields")
    if kind == "card" and not block.keys() & {"hero_image", "title", "actions", "body"}:
        yield _missing(at, "hero_image, title, actions or body")
    if kind in ("actions", "context_actions"):
        yield from _unique(block.get("elements"), "action_id", at + "/elements")


def _unique(nodes: Any, name: str, at: str) -> Findings:
    seen: set[str] = set()
    for n, node in enumerate(nodes if isinstance(nodes, list) else []):
        value = node.get(name) if isinstance(node, dict) else None
        if isinstance(value, str) and value in seen:
            yield _failed(f"{at}/{n}/{name}", "unique_items", "unique", value, f"{name} {value!r} is used twice")
        elif isinstance(value, str):
            seen.add(value)


def _blocks(blocks: Any, surface: Surface) -> Findings:
    allowed = Typed(limits.BLOCKS[surface], block=True)
    least = 0 if surface == "message" else 1
    yield from _items(blocks, Items(least, limits.MAX_BLOCKS[surface], allowed), "/blocks")
    if not isinstance(blocks, list):
        return
    yield from _unique(blocks, "block_id", "/blocks")
    if surface == "message":
        yield from _message_wide([b for b in blocks if isinstance(b, dict)], blocks)


def _message_wide(blocks: list[Json], whole: list[Any]) -> Findings:
    kinds = Counter(str(b.get("type")) for b in blocks)
    for kind, most in limits.MOST_PER_MESSAGE.items():
        if kinds[kind] > most:
            yield _failed("/blocks", "max_items", most, kinds[kind], f"{kinds[kind]} {kind} blocks, at most {most}")
    if kinds["plan"] and kinds["task_card"]:
        yield _failed("/blocks", "enum", "plan or task_card", "both", "a plan and a lone task_card exclude each other")
    for n, block in enumerate(blocks):
        if block.get("type") == "task_card" and block.get("status") == "pending":
            yield _failed(f"/blocks/{n}/status", "enum", "not pending", "pending", "pending only inside a plan")
    markdown = sum(len(str(b.get("text", ""))) for b in blocks if b.get("type") == "markdown")
    if markdown > limits.MARKDOWN_TOTAL:
        message = f"{markdown} characters of markdown in all, at most {limits.MARKDOWN_TOTAL}"
        yield _failed("/blocks", "max_length", limits.MARKDOWN_TOTAL, markdown, message)
    yield from _size(whole, limits.MESSAGE_BLOCKS_JSON, "msg_blocks_too_long", "/blocks")


def _size(value: Any, most: int, code: str, at: str) -> Findings:
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))
    if size > most:
        yield _refused(at, code, most, size, f"{size} characters as JSON, at most {most}")


def _view(view: Any) -> Findings:
    if not isinstance(view, dict):
        yield _wrong_type("", "a view object")
        return
    surface = view.get("type")
    if surface not in ("modal", "home"):
        yield _failed("/type", "enum", ["modal", "home"], surface, f"must be modal or home, is {surface}")
        return
    yield from _shape(view, surface, "")
    yield from _blocks(view.get("blocks"), surface)
    blocks = view.get("blocks")
    inputs = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if surface == "modal" and inputs and "submit" not in view:
        yield _missing("/submit", "submit (the modal has inputs)")
    yield from _size(view, limits.VIEW_JSON, "view_too_large", "")


def _message(method: str, args: Json) -> Findings:
    text, blocks = args.get("text"), args.get("blocks")
    most = limits.UPDATE_TEXT if method == "chat.update" else limits.MESSAGE_TEXT
    if text is not None and not isinstance(text, str):
        yield {**_wrong_type("/text", "a string"), "code": "invalid_arguments"}
    elif text is not None and len(text) > most:
        yield _refused("/text", "msg_too_long", most, len(text), f"{len(text)} characters, at most {most}")
    if not text and not blocks and not args.get("attachments"):
        yield _refused("/text", "no_text", "text or blocks", None, "neither text nor blocks")
    if blocks is not None:
        yield from _blocks(blocks, "message")
    if args.get("metadata") is not None:
        yield from _metadata(args["metadata"])


def _metadata(metadata: Any) -> Findings:
    if metadata == {}:  # chat.update: an empty object takes the metadata off
        return
    for error in _shape(metadata, "metadata", "/metadata"):
        yield {**error, "code": "invalid_metadata_format"}
    if isinstance(metadata, dict):
        if not isinstance(metadata.get("event_payload", {}), dict):
            yield {**_wrong_type("/metadata/event_payload", "an object"), "code": "invalid_metadata_format"}
        yield from _size(metadata, limits.METADATA_JSON, "metadata_too_large", "/metadata")
