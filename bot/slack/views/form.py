"""Modals in which a person types: the rollback form, and those that ask for a reason before they do something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core import before
from bot.core.before import subject
from bot.core.run import Run
from bot.core.target import canonical
from bot.slack.views.words import Json, Scene, label, pressed, said, section

FORM, GLASS, ACCEPT, ENABLE_ANYWAY = "rollback_form", "run_anyway_form", "accept_form", "enable_anyway_form"
SKIP, UNLOCK = "skip_form", "unlock_form"
FEATURE, VERSION, AT, WITHOUT, REASON, INCIDENT, DRY, CHANNEL, PLAYBOOK = (
    "form_feature",
    "form_version",
    "form_at",
    "form_without",
    "form_reason",
    "form_incident",
    "form_dry",
    "form_channel",
    "form_playbook",
)
STATIC = 100
"""Options of a static select. Past that many features the list is asked for as the person types."""
PREVIOUS = "previous"


@dataclass(frozen=True)
class Choice:
    """What can be chosen now. ``features`` None: too many, ask as they type. ``versions``: of the chosen feature,
    newest first; ``fault``: why this feature can't be rolled back now."""

    features: Sequence[str] | None
    feature: str = ""
    versions: Sequence[str] = ()
    live: str | None = None
    components: Sequence[str] = ()
    playbooks: Sequence[str] = ()
    fault: str = ""
    instead: str = ""
    """What is said of the run that ends with this."""


def form(choice: Choice, where: Mapping[str, Any]) -> Json:
    """The rollback form. ``where``: the channel it was opened in and what else to remember."""
    blocks = [*([section(said(choice.instead, 1000))] if choice.instead else []), _feature(choice)]
    if choice.fault:
        blocks.append(section(said(choice.fault, 2900)))
    elif choice.feature and not choice.versions:
        blocks.append(section(said(f"{choice.feature} has no releases yet. Capture one first.")))
    elif choice.feature:
        blocks += [_version(choice), *_finer(choice)]
    else:
        blocks.append(section("Pick a feature to see its versions."))
    if not where.get("channel"):
        blocks.append(_channel())
    return _modal(FORM, "Roll back a feature", "Plan it", blocks, where)


def _feature(choice: Choice) -> Json:
    select: Json = {"action_id": FEATURE, "placeholder": label("Feature")}
    chosen = _option(choice.feature) if choice.feature else None
    if choice.features is None:
        select |= {"type": "external_select", "min_query_length": 0}
    elif choice.features:
        select |= {"type": "static_select", "options": [_option(name) for name in choice.features[:STATIC]]}
        chosen = chosen if choice.feature in choice.features[:STATIC] else None
    else:
        return section("There are no features yet. Write one: playbooks/features/NAME.yaml")
    select |= {"initial_option": chosen} if chosen else {}
    return {
        "type": "input",
        "block_id": "feature",
        "label": label("Feature"),
        "element": select,
        "dispatch_action": True,
    }


def version_block(feature: str) -> str:
    """Named after the feature, so that another feature's choice is neither kept nor taken for this one's."""
    return f"version:{feature}"[:255]


def _version(choice: Choice) -> Json:
    options = [_option(PREVIOUS, "the release before, never rolled back from")]
    options += [_option(v, "live now" if v == choice.live else "") for v in choice.versions[: STATIC - 1]]
    element = {"type": "static_select", "action_id": VERSION, "placeholder": label("Version"), "options": options}
    return _input(version_block(choice.feature), "Back to", element)


def _finer(choice: Choice) -> list[Json]:
    components = {
        "type": "multi_static_select",
        "action_id": WITHOUT,
        "placeholder": label("Nothing"),
        "options": [_option(name) for name in choice.components[:STATIC]],
    }
    dry = {
        "type": "checkboxes",
        "action_id": DRY,
        "options": [{"text": label("Dry run: show the plan, change nothing"), "value": "dry_run"}],
    }
    blocks = [
        _input("reason", "Why", _typed(REASON, "ETAs 40 % too long", 500), optional=True),
        _input("incident", "Incident", _typed(INCIDENT, "INC-142", 40), optional=True),
        _input("at", "Data as of", _typed(AT, "01:00 (UTC); the newest if empty", 40), optional=True),
    ]
    if choice.components:
        blocks.append(_input(f"without:{choice.feature}"[:255], "Leave as it is", components, optional=True))
    if choice.playbooks:
        options = [_option(name) for name in choice.playbooks[:STATIC]]
        books = {"type": "static_select", "action_id": PLAYBOOK, "placeholder": label("Its own"), "options": options}
        blocks.append(_input(f"playbook:{choice.feature}"[:255], "Playbook", books, optional=True))
    return [*blocks, *([] if choice.instead else [_input("mode", "How", dry, optional=True)])]


def _channel() -> Json:
    element = {
        "type": "conversations_select",
        "action_id": CHANNEL,
        "placeholder": label("Channel"),
        "default_to_current_conversation": True,
        "response_url_enabled": True,
        "filter": {"include": ["public", "private"], "exclude_bot_users": True},
    }
    return _input("channel", "Post in", element)


def run_anyway(scene: Scene, where: Mapping[str, Any]) -> Json:
    """Break-glass: the version is typed, so that nobody runs the wrong one by habit."""
    run = scene.run
    warning = (
        f"*{said(subject(run))}* runs at once, without approval. Every approver is told, the run is marked, "
        f"and a review is due within 24 h."
    )
    blocks = [
        section(warning),
        _input("version", f"Type the version: {run.to_version}"[:150], _typed("typed_version", "", 64)),
        _input("reason", "Why can't it wait?", _typed("typed_reason", "", 500, multiline=True)),
    ]
    return _modal(GLASS, "Without approval", "Run now", blocks, {**where, **pressed(scene)})


def accept(run: Run, where: Mapping[str, Any], *, enable: bool) -> Json:
    """Takes the outcome as it is, or lets traffic back in all the same; both need a reason."""
    what = before.accept(run, enable=enable)
    blocks = [
        section(f"*{said(subject(run))}*: {what} {said(run.why, 1000)}"),
        _input("reason", "Why is that right?", _typed("typed_reason", "", 500, multiline=True)),
    ]
    title, name = ("Enable anyway", ENABLE_ANYWAY) if enable else ("Accept as it is", ACCEPT)
    return _modal(name, title, title, blocks, {**where, "run": run.id})


def skip(run: Run, where: Mapping[str, Any]) -> Json:
    """Which steps are left out, and what that means. Raises Usage."""
    return _asking(SKIP, "Skip", before.skip(run), where, run.id)


def unlock(run: Run, where: Mapping[str, Any]) -> Json:
    """What is forced, said before it is done."""
    return _asking(UNLOCK, "Unlock", before.unlock(run), where, run.id)


def _asking(name: str, title: str, text: str, where: Mapping[str, Any], run: int) -> Json:
    why = _input("reason", "Why?", _typed("typed_reason", "", 500, multiline=True))
    return _modal(name, title, title, [section(said(text, 1000)), why], {**where, "run": run})


def notice(title: str, text: str) -> Json:
    """A modal that only says something."""
    return {
        "type": "modal",
        "title": label(title, 24),
        "close": label("Close", 24),
        "blocks": [section(said(text, 2900))],
    }


def _modal(name: str, title: str, submit: str, blocks: list[Json], where: Mapping[str, Any]) -> Json:
    view: Json = {
        "type": "modal",
        "callback_id": name,
        "title": label(title, 24),
        "close": label("Cancel", 24),
        "private_metadata": canonical(dict(where)),
        "blocks": blocks,
    }
    return view | ({"submit": label(submit, 24)} if any(b["type"] == "input" for b in blocks) else {})


def _input(block: str, text: str, element: Json, *, optional: bool = False) -> Json:
    return {"type": "input", "block_id": block, "label": label(text, 150), "element": element, "optional": optional}


def _typed(action: str, hint: str, most: int, *, multiline: bool = False) -> Json:
    element: Json = {"type": "plain_text_input", "action_id": action, "max_length": most, "multiline": multiline}
    return element | ({"placeholder": label(hint, 150)} if hint else {})


def _option(value: str, about: str = "") -> Json:
    option: Json = {"text": label(value), "value": value[:150]}
    return option | ({"description": label(about)} if about else {})


def options(names: Sequence[str], typed: str) -> list[Json]:
    """What an external select is answered while a person types: names that hold it, those that begin with it first."""
    lower = typed.strip().lower()
    fitting = [n for n in names if lower in n.lower()]
    return [_option(n) for n in sorted(fitting, key=lambda n: (not n.lower().startswith(lower), n))[:STATIC]]
