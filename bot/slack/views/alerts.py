"""What is said beside the card and the steps: reminders, stalls, drift, what is still left, and broken glass."""

from __future__ import annotations

from bot.core.before import subject
from bot.core.run import RunStep, Status
from bot.core.stall import begun, said_of
from bot.core.text import hhmm, span
from bot.slack.views import buttons
from bot.slack.views.card import first_line, glass
from bot.slack.views.words import Json, Scene, Shown, actions, said, sections, who


def reminder(scene: Scene) -> Shown:
    """Nobody has decided yet, or helped."""
    run = scene.run
    text = said(f"Still waiting: {first_line(scene)}")
    if run.waiting_for == "person":
        return Shown(
            text, [*sections([f"*{text}*", said(run.why), _looking(scene)]), *actions(buttons.for_card(scene))]
        )
    sure = [buttons.run_anyway(scene)] if run.requirement and run.requirement.alternatives else []
    return Shown(text, [*sections([f"*{text}*", "Press Approve or Reject on the card."]), *actions(sure)])


def stalled(scene: Scene, body: Json) -> Shown:
    """A step takes longer than it usually does: how long, who is looking, and what can be done."""
    run = scene.run
    step = said_of(run, body)
    since = begun(step) if step else None
    if step is None or since is None:
        was = next((s for s in run.steps if s.n == body.get("step")), None)
        over = said(f"{run.name}: {_named(was)} is not stalled any more: {first_line(scene)}")
        return Shown(over, sections([over]))
    took = span((scene.now - since).total_seconds())
    first = said(f"{run.name}: {_named(step)} is slow: since {hhmm(since)} ({took}). {_usually(body)}")
    note = said(f"It says: {step.note}") if step.note else "It has not said how far it is."
    can = "It may go on by itself. Pause lets this step end and starts nothing after it; Abort ends the run with it."
    lines = [f"*{first}*", note, _looking(scene), can]
    return Shown(first, [*sections(lines), *actions(buttons.stalled(scene))])


def _named(step: RunStep | None) -> str:
    return f"{step.verb} {step.component}" if step else "a step"


def _usually(body: Json) -> str:
    usual, after = body.get("usual"), body.get("after")
    if isinstance(usual, int | float):
        return f"It usually takes less than {span(usual)}."
    return f"Nobody knows yet how long it takes; it is said after {span(after)}." if after else ""


def _looking(scene: Scene) -> str:
    run = scene.run
    if run.looking and run.quiet_until and scene.now < run.quiet_until:
        return said(f"{who(scene.names, run.looking)} is looking, until {hhmm(run.quiet_until)}.")
    return "Nobody has said to be looking."


def still_left(scene: Scene) -> Shown:
    """What a run has left off or paused, hours later."""
    first = said(f"{scene.run.name} {subject(scene.run)}: still left behind")
    lines = [said(f"- {item.get('say', '')}") for item in scene.left]
    return Shown(first, [*sections([f"*{first}*", *lines]), *actions(buttons.unfinished(scene))])


def drifted(scene: Scene, moved: dict[str, str]) -> Shown:
    """Somebody has brought back what this rollback took away."""
    run = scene.run
    first = said(f"{run.name}: {run.feature} is not {run.to_version} any more, somebody has changed it")
    brought = {s.component: s.to.pointer for s in run.steps if s.verb == "restore" and s.to}
    lines = [f"- {name} is now {now}; {run.name} had brought {brought.get(name, '?')}" for name, now in moved.items()]
    proved = run.status == Status.succeeded and run.verified_at is not None
    need = "no new approval while the hold lasts" if proved else f"its own approval: {run.name} was not verified"
    lines.append(f"Stop whoever does that (CI? a scheduled job?). Restore again needs {need}.")
    return Shown(first, [*sections([f"*{first}*", *map(said, lines)]), *actions(buttons.undone(scene))])


def broken_glass(scene: Scene) -> Shown:
    """To every approver who was not asked."""
    first = said(f"{scene.run.name} {first_line(scene)}")
    lines = [said(glass(scene)), "A review of this run is due within 24 h."]
    return Shown(first, sections([f"*{first}*", *lines]))
