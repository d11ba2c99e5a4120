"""Which buttons stand under a run, in which state. Names of actions never change: old cards must go on working."""

from __future__ import annotations

from bot.core.commands import Purpose
from bot.core.run import Run, Status
from bot.slack.views.words import Json, Scene, button, confirm, pressed, put_back_words

APPROVE, REJECT, STOP_HARM, DETAILS = "approve", "reject", "stop_harm", "details"
RETRY, PUT_BACK, ACCEPT, ENABLE_ANYWAY, ABORT = "retry", "put_back", "accept", "enable_anyway", "abort"
PAUSE, RESUME, RESTORE_AGAIN = "pause", "resume", "restore_again"
LIFT, ENABLE, RUN_ANYWAY, OFFER = "lift", "enable", "run_anyway", "offer"


def for_card(scene: Scene) -> list[Json]:
    """The buttons of a card; none where nothing can be pressed any more."""
    run = scene.run
    if run.status == Status.waiting and run.waiting_for == "approval":
        return _deciding(scene)
    if run.status == Status.waiting and run.waiting_for == "person":
        return _helping(scene)
    if run.status == Status.paused:
        return [button("Resume", RESUME, pressed(scene), "primary"), abort(scene), details(scene)]
    if run.open:
        return [*_pausing(scene), abort(scene), details(scene)] if run.planned_at else []
    if run.status == Status.refused and scene.plan:
        return [*_offers(scene), details(scene)]
    return afterwards(scene)


def _deciding(scene: Scene) -> list[Json]:
    run = scene.run
    sure = confirm(f"Reject {run.name}?", f"{run.name} ends. It can be asked for again.", "Reject")
    made = [
        button("Approve", APPROVE, pressed(scene), "primary"),
        button("Reject", REJECT, pressed(scene), sure=sure),
    ]
    if run.purpose in (Purpose.rollback, Purpose.put_back):
        made.append(button("Stop the harm now", STOP_HARM, pressed(scene), "danger"))
    if scene.plan and scene.plan.seen.unsatisfiable:
        made.append(run_anyway(scene))
    return [*made, details(scene)]


def _pausing(scene: Scene) -> list[Json]:
    run = scene.run
    if run.status != Status.running and run.waiting_for != "time":
        return []
    text = "The step under way ends by itself. Nothing starts after it until somebody presses Resume; locks stay."
    return [button("Pause", PAUSE, pressed(scene), sure=confirm(f"Pause {run.name}?", text, "Pause"))]


def _helping(scene: Scene) -> list[Json]:
    """A step failed, or nothing can be said: a person chooses."""
    run = scene.run
    made = [button("Retry", RETRY, pressed(scene), "primary")]
    if run.started_at is None:
        return [*made, abort(scene), details(scene)]
    if changed(run):
        text = f"{run.name} is ended first. Then a new run puts back what it changed, with its own approval."
        made.append(
            button(put_back_words(run), PUT_BACK, pressed(scene), sure=confirm("Put it back?", text, "Put back"))
        )
    made.append(button("Accept as it is", ACCEPT, pressed(scene)))
    if any(s.verb == "enable" for s in run.steps):
        made.append(button("Enable anyway", ENABLE_ANYWAY, pressed(scene), "danger"))
    return [*made, abort(scene), details(scene)]


def _offers(scene: Scene) -> list[Json]:
    offers = scene.plan.seen.offers if scene.plan else []
    return [
        button(
            offer.label,
            f"{OFFER}_{n}",
            pressed(scene, to=offer.to, without=offer.without, purpose=offer.purpose.value),
            "danger" if offer.purpose == Purpose.stop else None,
        )
        for n, offer in enumerate(offers[:5])
    ]


def afterwards(scene: Scene) -> list[Json]:
    """What can still be done when a run is over: put it back, lift, enable."""
    run = scene.run
    made: list[Json] = []
    able = run.purpose in (Purpose.rollback, Purpose.stop, Purpose.put_back)
    if not run.open and run.mode == "live" and able and changed(run):
        text = "A new run restores what was there before, with its own approval."
        made.append(
            button(put_back_words(run), PUT_BACK, pressed(scene), sure=confirm("Put it back?", text, "Put back"))
        )
    return [*made, *unfinished(scene)]


def unfinished(scene: Scene) -> list[Json]:
    """Lift and Enable, for what is still off or paused."""
    what = {str(item.get("what")) for item in scene.left}
    made: list[Json] = []
    if what & {"pipeline", "hold"}:
        made.append(button("Lift", LIFT, pressed(scene)))
    if "flag" in what:
        made.append(button("Enable", ENABLE, pressed(scene)))
    return made


def undone(scene: Scene) -> list[Json]:
    """For what somebody has changed after a rollback, while that still holds the feature."""
    if not any(item.get("what") == "hold" for item in scene.left):
        return []
    return [
        button("Restore again", RESTORE_AGAIN, pressed(scene), "primary"),
        button("Stop the harm now", STOP_HARM, pressed(scene), "danger"),
    ]


def changed(run: Run) -> bool:
    return any(s.touched and s.origin is not None for s in run.steps)


def abort(scene: Scene) -> Json:
    text = "The step under way ends by itself and nothing starts after it. What was changed stays until it is put back."
    return button("Abort", ABORT, pressed(scene), sure=confirm(f"Abort {scene.run.name}?", text, "Abort"))


def details(scene: Scene) -> Json:
    return button("Details", DETAILS, pressed(scene))


def run_anyway(scene: Scene) -> Json:
    return button("Run without approval", RUN_ANYWAY, pressed(scene), "danger")
