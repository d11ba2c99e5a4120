"""Everything the card has no room for, as a modal: field by field, full pointers, the commands to do it by hand."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.plan import Plan, metrics
from bot.core.run import Status
from bot.core.target import Change, Diff
from bot.core.text import hhmm
from bot.slack.lint import escape
from bot.slack.views import buttons
from bot.slack.views.by_hand import by_hand
from bot.slack.views.card import first_line
from bot.slack.views.words import Json, Scene, actions, clean, label, said, section, sections

MOST_BLOCKS = 90
MOST_FIELDS = 25
CODE = 2800


def details(scene: Scene, live_metrics: Mapping[str, float] | None = None, meta: str = "") -> Json:
    """A modal. ``live_metrics``: of the release that is live now, to stand beside those of the one to restore;
    ``meta``: where the person came from, handed back with what they press here."""
    run, plan = scene.run, scene.plan
    blocks: list[Json] = [section(f"*{said(first_line(scene))}*")]
    if plan is None:
        blocks += [section(said(run.why or "There is no plan.", 2900))]
    else:
        blocks += _about(plan) + _components(plan) + _models(plan, live_metrics or {})
        blocks += _hand(plan) if run.mode != "drill" else []
    if run.status == Status.waiting and run.waiting_for == "approval":
        blocks = [*blocks[: MOST_BLOCKS - 1], *actions([buttons.run_anyway(scene), buttons.abort(scene)])]
    return {
        "type": "modal",
        "callback_id": "details",
        "private_metadata": meta,
        "title": label(f"{run.name} in detail", 24),
        "close": label("Close", 24),
        "blocks": blocks[:MOST_BLOCKS],
    }


def _about(plan: Plan) -> list[Json]:
    body, seen = plan.body, plan.seen
    lines = [f"Plan {plan.no}, {plan.digest}, seen {hhmm(seen.at)}", f"Playbook {body.playbook}"]
    lines += [f"Needs {body.requirement.say()} ({body.requirement.rule})"]
    lines += [f"Release digest {body.release_digest}"] if body.release_digest else []
    lines += [f"Changelog of {body.to_version}: {seen.changelog}"] if seen.changelog else []
    lines += [f"Doubt: {doubt}" for doubt in seen.doubts]
    lines += [f"Can't be restored: {why}" for why in seen.blockers]
    return sections(said(line, 600) for line in lines)


def _components(plan: Plan) -> list[Json]:
    """Each component: where, pointer before -> after, what differs."""
    blocks: list[Json] = []
    for name in dict.fromkeys(s.component for s in plan.body.steps):
        step = next(s for s in plan.body.steps if s.component == name)
        state, to, diff = plan.seen.states.get(name), plan.captures.get(name), plan.seen.diffs.get(name)
        lines = [f"*{said(name)}* ({step.kind}) {said(step.resource, 500)}"]
        now = f"{state.pointer} ({state.digest[:19]})" if state else "did not answer"
        lines += [said(f"now {now}" + (f" -> {to.pointer} ({to.digest})" if to else ""), 700)]
        lines += _ready(plan, name) + (_difference(diff) if diff else [])
        blocks += sections(lines)
    return blocks


def _ready(plan: Plan, name: str) -> list[str]:
    found = plan.seen.readiness.get(name)
    if found is None:
        return []
    words = {"ready": "restorable", "not_ready": "NOT restorable", "not_checked": "not checked"}[found.status]
    until = f" until {found.expires_at:%d %b %H:%M}" if found.expires_at else ""
    why = f": {'; '.join(found.reasons)}" if found.reasons else ""
    return [said(words + until + why, 700)]


def _difference(diff: Diff) -> list[str]:
    if diff.same:
        return ["no change"]
    lines = [said(diff.summary, 500)] if diff.summary else []
    lines += (
        [said(", ".join(f"{k.replace('_', ' ')} {v:,}" for k, v in diff.counts.items()), 500)] if diff.counts else []
    )
    lines += [said(_field(change), 400) for change in diff.changes[:MOST_FIELDS]]
    more = len(diff.changes) - MOST_FIELDS
    return [*lines, f"and {more} more fields"] if more > 0 else lines


def _field(change: Change) -> str:
    return f"- {change.name}: {_value(change.before)} -> {_value(change.after)}"


def _value(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 150 else text[:149] + "…"


def _models(plan: Plan, now: Mapping[str, float]) -> list[Json]:
    """Metrics then and now, side by side."""
    found = metrics(plan, now)
    if not found:
        return []
    lines = [f"*Metrics recorded with {said(plan.body.to_version or 'the release')} and with what is live*"]
    return sections(lines + [said(f"- {line}", 300) for line in found[:MOST_FIELDS]])


def _hand(plan: Plan) -> list[Json]:
    """Monospaced, in as many blocks as it takes."""
    blocks: list[Json] = [section("*By hand, if Rollbot can't*")]
    held = ""
    for line in by_hand(plan):
        safe = _code(line)
        if len(held) + len(safe) > CODE:
            blocks.append(section(f"```{held}```"))
            held = ""
        held += safe + "\n"
    return [*blocks, section(f"```{held}```")] if held else blocks


def _code(line: str) -> str:
    """Escaped and unable to end the code block; a very long rule is cut."""
    text = escape("\n".join(clean(part) for part in line.splitlines()).replace("```", "'''"))
    return text if len(text) <= CODE else text[: CODE - 20].rsplit("&", 1)[0] + "… (cut)"
