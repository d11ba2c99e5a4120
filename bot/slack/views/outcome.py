"""What came of a run, said once in the channel from its thread; and what was left behind, said until it is empty."""

from __future__ import annotations

from bot.core.run import Run, RunStep, verdict
from bot.core.text import listed
from bot.slack.views import buttons
from bot.slack.views.card import approved, asked, first_line, glass, left, mixed, read_back, sentence, times
from bot.slack.views.words import Scene, Shown, actions, context, said, sections


def outcome(scene: Scene) -> Shown:
    """Times, accuracy, what failed, what is left behind, and the buttons for it."""
    run = scene.run
    lines = [
        f"{run.name}: {first_line(scene)}",
        *mixed(scene),
        times(run),
        read_back(run),
        *_now(run),
        *_examples(run),
        *_not_done(run),
        *run.production,
    ]
    lines += [f"Accepted by a person: {run.accepted}"] if run.accepted else []
    lines += [sentence(run)] if run.why and run.status not in ("succeeded", "degraded") else []
    lines += [left(scene), glass(scene)]
    shown = [said(line) for line in lines if line]
    asked_and_approved = " · ".join(part for part in (asked(scene), approved(scene)) if part)
    blocks = sections([f"*{shown[0]}*", *shown[1:]])
    return Shown(shown[0], [*blocks, context(said(asked_and_approved, 500)), *actions(buttons.afterwards(scene))])


def _now(run: Run) -> list[str]:
    """Which version each part has now, by the last step that changed it; and what was thrown away with the others."""
    done = [s for s in run.steps if s.status == "done" and s.to and s.verb in ("restore", "enable", "disable")]
    last = {s.component: s for s in done}
    parts = [f"{s.component} {s.to.pointer}{_discarded(s)}" for s in done if s.to and last[s.component] is s]
    where = "In the sandboxes, before they were removed" if run.mode == "drill" else "Now"
    return [f"{where}: {', '.join(parts)}"] if parts and run.status in ("succeeded", "degraded") else []


def _discarded(step: RunStep) -> str:
    told = [part for part in step.note.split("; ") if part.endswith("discarded")]
    return f" ({told[0]})" if told else ""


def _examples(run: Run) -> list[str]:
    """Cells that are not as they should be, to begin looking from."""
    _, accuracy = verdict(run)
    wrong = accuracy is not None and accuracy.matched < accuracy.expected
    return [f"For example: {listed(accuracy.examples[:3])}"] if accuracy and wrong and accuracy.examples else []


def _not_done(run: Run) -> list[str]:
    failed = [f"{s.verb} {s.component}: {s.error}" for s in run.steps if s.status == "failed"]
    skipped = [f"{s.verb} {s.component} ({s.note})" for s in run.steps if s.status == "skipped"]
    said_so = [f"Failed: {'; '.join(failed)}"] if failed else []
    return said_so + ([f"Skipped: {'; '.join(skipped)}"] if skipped else [])
