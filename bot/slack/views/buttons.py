"""Which buttons stand under a run, in which state. Names of actions never change: old cards must go on working."""

from __future__ import annotations

from bot.core import before
from bot.core.back import ABLE, changed, in_the_middle
from bot.core.commands import Purpose
from bot.core.onward import skippable, to_enable
from bot.core.run import Status
from bot.slack.views.words import Json, Scene, button, confirm, pressed, put_back_words

APPROVE, REJECT, STOP_HARM, DETAILS = "approve", "reject", "stop_harm", "details"
RETRY, PUT_BACK, ACCEPT, ENABLE_ANYWAY, ABORT = "retry", "put_back", "accept", "enable_anyway", "abort"
PAUSE, RESUME, RESTORE_AGAIN = "pause", "resume", "restore_again"
LIFT, ENABLE, RUN_ANYWAY, OFFER = "lift", "enable", "run_anyway", "offer"
SKIP, SWITCH, UNLOCK, LOOKING, SPEED = "skip", "switch", "unlock", "looking", "speed"


def for_card(scene: Scene) -> list[Json]:
    """The buttons of a card; none where nothing can be pressed any more."""
    run = scene.run
    if run.status == Status.waiting and run.waiting_for == "approval":
        return _deciding(scene)
    if run.status == Status.waiting and run.waiting_for == "person":
        return _helping(scene)
    if run.status == Status.paused:
        return [button("Resume", RESUME, pressed(scene), "primary"), *_ways(scene), abort(scene), details(scene)]
    if run.open:
        return _working(scene) if run.planned_at else []
    if run.status == Status.refused and scene.plan:
        return [*_offers(scene), details(scene)]
    return afterwards(scene)


def _deciding(scene: Scene) -> list[Json]:
    run = scene.run
    sure = confirm(f"Reject {run.name}?", before.reject(run), "Reject")
    made = [
        button("Approve", APPROVE, pressed(scene), "primary"),
        button("Reject", REJECT, pressed(scene), sure=sure),
    ]
    if run.purpose in ABLE and run.mode != "drill":
        made.append(button("Stop the harm now", STOP_HARM, pressed(scene), "danger"))
    if scene.plan and scene.plan.seen.unsatisfiable:
        made.append(run_anyway(scene))
    return [*made, details(scene)]


def _working(scene: Scene) -> list[Json]:
    """At work, or parked for a while."""
    ways = _ways(scene) if scene.run.waiting_for == "time" and scene.run.started_at else _back(scene)
    return [*_pausing(scene), *_ramping(scene), *ways, *_behind(scene), abort(scene), details(scene)]


def _ways(scene: Scene) -> list[Json]:
    """Out of a run that rests: leave out what it stands at, put back, go another way."""
    run = scene.run
    made = [button("Skip", SKIP, pressed(scene))] if skippable(run) else []
    if run.purpose not in ABLE or run.started_at is None or run.mode == "drill":
        return made
    return [*made, *_back(scene), button("Another way", SWITCH, pressed(scene))]


def _back(scene: Scene) -> list[Json]:
    """Ending a run and putting back what it has done so far."""
    run = scene.run
    return [put_back(scene)] if in_the_middle(run) else []


def put_back(scene: Scene) -> Json:
    run = scene.run
    sure = confirm("Put it back?", before.put_back(run), "Put back")
    return button(put_back_words(run), PUT_BACK, pressed(scene), sure=sure)


def _ramping(scene: Scene) -> list[Json]:
    """A ramp under way: each share sooner or later, or all the rest at once."""
    step = next((s for s in scene.run.steps if s.ramp and s.status == "again"), None)
    if step is None:
        return []
    sure = confirm("All at once?", before.ALL_AT_ONCE, "All at once")
    return [
        button("Faster", f"{SPEED}_0", pressed(scene, every=step.every / 2)),
        button("Slower", f"{SPEED}_1", pressed(scene, every=min(86_400.0, max(60.0, step.every * 2)))),
        button("All at once", f"{SPEED}_2", pressed(scene, every=0), sure=sure),
    ]


def _behind(scene: Scene) -> list[Json]:
    """It waits for another run's locks."""
    other, waits = scene.run.behind, scene.run.waiting_for == "time" and scene.run.started_at is None
    return [button(f"Unlock R-{other}", UNLOCK, {"run": other})] if other and waits else []


def looking(scene: Scene) -> Json:
    return button("I'm looking", LOOKING, pressed(scene))


def stalled(scene: Scene) -> list[Json]:
    """Under an alert: what can be done about a step that takes long."""
    return [looking(scene), *for_card(scene)] if scene.run.open else []


def _pausing(scene: Scene) -> list[Json]:
    run = scene.run
    if run.ends_as or (run.status != Status.running and run.waiting_for != "time"):
        return []
    return [button("Pause", PAUSE, pressed(scene), sure=confirm(f"Pause {run.name}?", before.pause(run), "Pause"))]


def _helping(scene: Scene) -> list[Json]:
    """A step failed, or nothing can be said: a person chooses."""
    run = scene.run
    made = [button("Retry", RETRY, pressed(scene), "primary")]
    if run.started_at is None:
        return [*made, abort(scene), details(scene)]
    made += [*_ways(scene), button("Accept as it is", ACCEPT, pressed(scene))]
    if to_enable(run):
        made.append(button("Enable anyway", ENABLE_ANYWAY, pressed(scene), "danger"))
    return [*made, abort(scene), looking(scene), details(scene)]


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
        made.append(put_back(scene))
    return [*made, *unfinished(scene)]


def unfinished(scene: Scene) -> list[Json]:
    """Lift and Enable, for what is still off or paused."""
    what = {str(item.get("what")) for item in scene.left}
    made: list[Json] = []
    if what & {"pipeline", "hold"}:
        made.append(button("Lift", LIFT, pressed(scene), sure=confirm("Lift the hold?", before.LIFT, "Lift")))
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


def abort(scene: Scene) -> Json:
    run = scene.run
    return button("Abort", ABORT, pressed(scene), sure=confirm(f"Abort {run.name}?", before.abort(run), "Abort"))


def details(scene: Scene) -> Json:
    return button("Details", DETAILS, pressed(scene))


def run_anyway(scene: Scene) -> Json:
    return button("Run without approval", RUN_ANYWAY, pressed(scene), "danger")
