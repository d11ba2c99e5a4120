"""The card: a run's one message in the channel, read on a locked phone. Its first line says where the run stands."""

from __future__ import annotations

from bot.core.before import subject
from bot.core.commands import Purpose
from bot.core.drilled import BANNER
from bot.core.policy import Requirement
from bot.core.run import Run, Status, clocks, verdict
from bot.core.target import Accuracy
from bot.core.text import hhmm, listed, span
from bot.slack.views import planned
from bot.slack.views.buttons import for_card
from bot.slack.views.words import Json, Scene, Shown, actions, place, said, section, who

MOST_LINES = 12
"""With the row of buttons."""


def card(scene: Scene) -> Shown:
    """The message as it should stand now. Buttons only while they do something."""
    first = first_line(scene)
    buttons = actions(for_card(scene))
    body = [said(line) for line in _lines(scene)][: MOST_LINES - 1 - len(buttons)]
    blocks: list[Json] = [section("\n".join([f"*{said(first)}*", *body])), *buttons]
    return Shown(said(first), blocks)


def first_line(scene: Scene) -> str:
    """``driver_stats v13 -> v12 · PRODUCTION · needs 1 of @ml-oncall · until 04:02``; not escaped."""
    banner = BANNER if scene.run.mode == "drill" else ""
    return " · ".join(part for part in (banner, subject(scene.run), place(scene), state(scene)) if part)


def state(scene: Scene) -> str:
    """Where the run stands, in a few words."""
    run = scene.run
    match run.status:
        case Status.planning:
            return "planning again, approvals void" if run.planned_at else "planning"
        case Status.waiting if run.waiting_for == "approval":
            return _waiting(run)
        case Status.waiting if run.waiting_for == "person":
            return "WAITING FOR A PERSON"
        case Status.running | Status.waiting:
            return _running(run)
        case Status.paused:
            return f"paused by {who(scene.names, run.paused_by)}" if run.paused_by else "paused"
        case _:
            return _ended(scene)


def _waiting(run: Run) -> str:
    need = run.requirement or Requirement()
    so_far = f" · {len(run.yes)} said yes" if run.yes else ""
    until = f" · until {hhmm(run.expires_at)}" if run.expires_at else ""
    return f"needs {need.say()}{so_far}{until}"


def _running(run: Run) -> str:
    over = sum(s.status in ("done", "skipped") for s in run.steps)
    return f"running, {over} of {len(run.steps)} steps" if run.started_at else "starting"


def _ended(scene: Scene) -> str:
    run = scene.run
    at = f" {hhmm(run.ended_at)}" if run.ended_at else ""
    by = f" by {who(scene.names, run.decided_by)}" if run.decided_by else ""
    match run.status:
        case Status.succeeded if run.mode == "dry_run":
            return f"dry run done{at}, nothing was changed"
        case Status.succeeded:
            return f"DONE{at}" + (f", verified{_without(scene)}" if run.verified_at else "")
        case Status.expired:
            return f"EXPIRED{at}, nobody decided in time"
        case Status.aborted | Status.rejected:
            return f"{run.status.upper()}{by}{at}"
        case Status.refused if run.why.startswith("not restorable"):
            return f"NOT RESTORABLE{at}"
        case _:
            return f"{run.status.upper()}{at}"


def _without(scene: Scene) -> str:
    """What was left out was not verified either."""
    left_out = scene.plan.body.without if scene.plan and scene.run.purpose == Purpose.rollback else []
    return f" without {listed(left_out)}" if left_out else ""


def mixed(scene: Scene) -> list[str]:
    """The card's warning that the parts do not fit together outlives the approval."""
    return [doubt for doubt in scene.plan.seen.doubts if doubt.startswith("MIXED")] if scene.plan else []


def _lines(scene: Scene) -> list[str]:
    """All lines but the first."""
    run = scene.run
    lines = [asked(scene), glass(scene), approved(scene)]
    if run.open and run.started_at is None:
        lines += [_why(run), *planned.lines(scene)]
    elif run.waiting_for == "person":
        lines += [_why(run), changed(run)]
    elif run.open:
        lines += [_why(run), planned.estimate(scene.plan) if scene.plan else ""]
    elif run.started_at is None:
        lines += [_why(run), *_unplayed(scene)]
    else:
        lines += [_why(run), *mixed(scene), times(run), read_back(run), *run.production, left(scene)]
    return [line for line in lines if line]


def asked(scene: Scene) -> str:
    """``@ana 03:02: "ETAs 40 % too long" · INC-142``."""
    run = scene.run
    reason = f': "{run.reason}"' if run.reason else ""
    incident = f" · {run.incident}" if run.incident else ""
    by = run.requester.id.replace("/", " ") if run.requester.kind == "schedule" else who(scene.names, run.requester.id)
    instead = f" · takes over from R-{run.instead_of}" if run.instead_of else ""
    return f"{by} {hhmm(run.created_at)}{reason}{incident}{instead}"


def glass(scene: Scene) -> str:
    made = scene.run.glass
    return f'Run WITHOUT APPROVAL by {who(scene.names, made.person)} {hhmm(made.at)}: "{made.reason}"' if made else ""


def approved(scene: Scene) -> str:
    """Who said yes to the present plan, and how old that knowledge was."""
    run = scene.run
    if not run.yes:
        return ""
    notes = [n.note for n in run.nods if n.yes and n.digest == run.plan_digest and n.note]
    at = f" {hhmm(run.decided_at)}" if run.decided_at else ""
    return f"Approved by {', '.join(who(scene.names, p) for p in run.yes)}{at}" + (f" ({notes[0]})" if notes else "")


def _why(run: Run) -> str:
    """What the status means, where its word does not say it all."""
    if run.status in (Status.succeeded, Status.expired) or not run.why or run.why == run.status:
        return ""
    return sentence(run)


def sentence(run: Run) -> str:
    """Why, with a capital; a feature's name is written as it is."""
    return run.why if run.why.startswith(run.feature) else run.why[0].upper() + run.why[1:]


def changed(run: Run) -> str:
    """``Changed so far: flag, dataset. Not changed: definition (perhaps half), model``."""
    writes = [s for s in run.steps if s.verb not in ("verify", "wait", "notify")]
    done = dict.fromkeys(s.component for s in writes if s.changed)
    rest = dict.fromkeys(s.component for s in writes if s.component not in done)
    half = {s.component for s in writes if s.touched}
    named = [f"{name} (perhaps half)" if name in half else name for name in rest]
    so_far = f"Changed so far: {', '.join(done) or 'nothing'}."
    return f"{so_far} Not changed: {', '.join(named)}" if named else so_far


def _unplayed(scene: Scene) -> list[str]:
    """A run that ended before it began: what it would have done, or what can be done instead."""
    plan = scene.plan
    if plan is None or scene.run.status in (Status.rejected, Status.expired, Status.aborted):
        return []
    offers = planned.offered(plan)
    shown = [line for line in planned.lines(scene) if not line.startswith("Can't be restored")]
    return [*shown, offers] if offers else shown


def times(run: Run) -> str:
    """``Applied after 38 s · visible after 10 min · verified after 11 min; people took 2 min``."""
    known = clocks(run)
    names = [("applied_s", "applied"), ("visible_s", "visible"), ("verified_s", "verified")]
    parts = [f"{what} after {span(known[key])}" for key, what in names if known[key] is not None]
    if not parts:
        return ""
    people = f"; people took {span(known['people_s'])}" if known["people_s"] else ""
    text = " · ".join(parts) + people
    return text[0].upper() + text[1:]


def read_back(run: Run) -> str:
    """Accuracy, and where it was read."""
    _, accuracy = verdict(run)
    if accuracy is None:
        return ""
    near = [s.accuracy for s in run.steps if s.verb == "verify" and s.accuracy and s.accuracy.where == "in the store"]
    inside = sum(a.expected for a in near)
    split = f" ({inside:,} of them in the store only)" if accuracy.where == "at consumers" and inside else ""
    return said_accuracy(accuracy) + split


def said_accuracy(a: Accuracy) -> str:
    place_ = "at consumers" if a.where == "at consumers" else "in the store only"
    if a.inconclusive:
        return f"Read back: inconclusive ({a.inconclusive})"
    share = "100 %" if a.matched == a.expected else f"{100 * a.ratio:.2f} %"
    sampled = ", sampled" if a.sampled else ""
    return (
        f"Read back {place_}{sampled}: {share}, {a.matched:,} of {a.expected:,} match, "
        f"{a.missing:,} missing, {a.extra:,} extra, {a.null:,} null"
    )


def left(scene: Scene) -> str:
    """What is still off or paused."""
    if scene.left:
        return f"Left behind: {'; '.join(str(item.get('say', '')) for item in scene.left)}"
    if scene.run.left and scene.run.purpose == Purpose.rollback:
        return "Left behind: nothing any more"
    return ""
