"""The run's steps in the thread, one line each, brought up to date in place."""

from __future__ import annotations

from datetime import datetime

from bot.core.deeds import deed_of
from bot.core.run import Run, RunStep, Status
from bot.core.text import hhmm, span
from bot.slack.views.card import first_line
from bot.slack.views.words import Scene, Shown, said, sections, who

MARKS = {"pending": "·", "running": "▸", "again": "▸", "done": "✓", "failed": "✗", "skipped": "–"}
MOST_STEPS = 40
MOST_DEEDS = 8
CELLS = 10


def live(scene: Scene) -> Shown:
    """All steps, the state of each in front; a bar where the step says how far it is."""
    run = scene.run
    steps = window(run.steps)
    hidden = len(run.steps) - len(steps)
    lines = [f"*{said(f'{run.name}: {first_line(scene)}')}*"]
    lines += [said(line_of(step, scene.now)) for step in steps]
    lines += [f"and {hidden} more, all waiting"] if hidden else []
    lines += [said(deed_of(deed, who(scene.names, deed.person))) for deed in run.deeds[-MOST_DEEDS:]]
    lines += [said(why)] if (why := _why(run)) else []
    return Shown(said(f"{run.name}: {first_line(scene)}"), sections(lines))


def window(steps: list[RunStep]) -> list[RunStep]:
    """A long run shows its first steps, or as many as it takes to show the one at work."""
    at = next((i for i, s in enumerate(steps) if s.status in ("running", "again", "failed", "pending")), len(steps))
    start = max(0, min(at - MOST_STEPS // 2, len(steps) - MOST_STEPS))
    return steps[start : start + MOST_STEPS]


def line_of(step: RunStep, now: datetime) -> str:
    """``✓ restore dataset 3.0 s · 38``; not escaped."""
    mark = "!" if step.status == "done" and step.error else MARKS[step.status]
    words = [f"{mark} {step.verb} {step.component}"]
    if took := _took(step, now):
        words[0] += f" {took}"
    if step.status == "running" and step.total > 0:
        words.append(bar(step.done, step.total))
    error = "" if step.status == "skipped" else step.error
    words += [text for text in dict.fromkeys((_result(step), step.note, error)) if text]
    if step.status == "running" and step.attempts > 1:
        words.append(f"attempt {step.attempts}")
    return " · ".join(words)


def bar(done: float, total: float) -> str:
    """``██████░░░░ 60 %``."""
    share = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
    full = int(share * CELLS)
    return "█" * full + "░" * (CELLS - full) + f" {int(share * 100)} %"


def _took(step: RunStep, now: datetime) -> str:
    if step.started_at is None or step.status in ("pending", "skipped"):
        return ""
    if step.ended_at is not None:
        return span((step.ended_at - step.started_at).total_seconds())
    # A running step's age would change the text at every look; it is said by the minute.
    age = (now - step.started_at).total_seconds()
    return f"since {hhmm(step.started_at)}" if age >= 60 else ""


def _result(step: RunStep) -> str:
    """What came of it: the version it brought, or what was read back."""
    if step.accuracy is not None:
        a = step.accuracy
        where = "at consumers" if a.where == "at consumers" else "in the store"
        return f"{a.matched:,} of {a.expected:,} match, {a.extra:,} extra, {where}" if not a.inconclusive else ""
    if step.status != "done" or step.to is None or step.verb in ("wait", "verify"):
        return ""
    if step.changed is False:
        return step.note or "already there"
    return f"{step.before.pointer} -> {step.to.pointer}" if step.before else step.to.pointer


def _why(run: Run) -> str:
    return run.why if run.status == Status.waiting and run.why else ""
