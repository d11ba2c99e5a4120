"""What the incident panel can do to the practice platform. Everything here blocks, and happens to the real thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.practice.slack_server import CannotDo
from bot.practice.stack import harm, job
from bot.practice.stack.stack import Stack

SLOW_S = 0.6
Work = Callable[[Stack], str]
"""Does it, and says what came of it in one line. Raises CannotDo, and what the stack raises."""


@dataclass(frozen=True)
class Effect:
    """One button. ``undo`` is the button that takes it back, ``back`` how to take it back where there is none."""

    name: str
    title: str
    says: str
    work: Work
    undo: str = ""
    undone: Work | None = None
    back: str = ""


def ship(stack: Stack) -> str:
    if set(stack.ask("live").values()) == {"v13"}:
        raise CannotDo("v13 is live already")
    made = stack.publish("v13")
    return f"v13 is live for {made['drivers']:,} drivers: Delta {made['delta']}, model {made['model']}"


def apply(stack: Stack) -> str:
    if stack.ask("live")["definition"] == "v13":
        raise CannotDo("v13's definition is live already; roll back first")
    stack.ci_apply()
    return "the live definition is v13's again"


def stop_pipeline(stack: Stack) -> str:
    if not running(stack):
        raise CannotDo("the pipeline is stopped already")
    stack.stop_pipeline()
    return "no round is written any more"


def start_pipeline(stack: Stack) -> str:
    stack.start_pipeline()
    return "rounds are written again" if not held(stack) else "it runs, but it is held"


def drift(stack: Stack) -> str:
    if not running(stack) or held(stack):
        raise CannotDo(f"the pipeline {'is held' if running(stack) else 'is stopped'}, so no values can drift")
    stack.ask("drift", on=True)
    return "each round reaches a tenth of the drivers and is 4 % further off"


def drift_no_more(stack: Stack) -> str:
    said = stack.ask("drift", on=False)
    return "the job computes as before" + (
        "; held, so what it wrote stays" if said.get("held") else "; all drivers are written anew"
    )


def lose_rows(stack: Stack) -> str:
    if stack.settings.redis_url:
        raise CannotDo("this platform serves from Redis, where the panel deletes nothing")
    gone, of = stack.ask("lose_rows")
    return f"{gone:,} of {of:,} drivers have no values"


def refill(stack: Stack) -> str:
    stack.ask("refill")
    return "all that the Delta table holds is served again"


def slow(stack: Stack) -> str:
    if stack.serving is None or not stack.serving.alive:
        raise CannotDo("the feature server does not run")
    harm.slow(stack.layout, SLOW_S)
    return f"each answer takes {SLOW_S * 1000:.0f} ms longer"


def fast(stack: Stack) -> str:
    harm.slow(stack.layout, 0)
    return "it answers at once"


def vacuum(stack: Stack) -> str:
    gone = stack.vacuum()
    if not gone:
        raise CannotDo("there was nothing to delete: the table's newest version needs every file")
    return f"{gone:,} files are gone; the log still names them"


def delete_model(stack: Stack) -> str:
    number = stack.delete_model_files("v12")
    return f"the files of model {number} are gone; the registry still lists it"


def cut_registry(stack: Stack) -> str:
    harm.cut_registry(stack.layout)
    return "who opens it now finds nothing there"


def join_registry(stack: Stack) -> str:
    harm.join_registry(stack.layout)
    return "it answers again, with all that was in it"


def running(stack: Stack) -> bool:
    return stack.pipeline is not None and stack.pipeline.alive


def held(stack: Stack) -> bool:
    return job.held(stack.layout.pipeline) is not None


EFFECTS = (
    Effect(
        "ship",
        "Ship v13",
        "CI ships the bad release, in spite of any hold: data, definition, online rows, model, flag. It does not tell "
        "Rollbot, which calls v12 live after a rollback.",
        ship,
        back="roll it back in Slack",
    ),
    Effect(
        "apply",
        "CI applies v13",
        "CI applies v13's definition again and undoes a rollback.",
        apply,
        back="roll back again",
    ),
    Effect(
        "pipeline",
        "Stop the pipeline",
        "The job that writes every 3 s ends.",
        stop_pipeline,
        "Start it",
        start_pipeline,
    ),
    Effect(
        "drift",
        "Let values drift",
        "The job counts waiting time into trips, more with every round.",
        drift,
        "Right again",
        drift_no_more,
    ),
    Effect(
        "missing",
        "Lose online rows",
        "Every third driver's rows are deleted from the online store.",
        lose_rows,
        "Materialize all",
        refill,
    ),
    Effect(
        "slow",
        "Slow feature server",
        "The feature server waits before each answer.",
        slow,
        "At once again",
        fast,
    ),
    Effect(
        "registry",
        "Model registry down",
        "Nobody can open the model registry's database.",
        cut_registry,
        "Bring it back",
        join_registry,
    ),
    Effect(
        "vacuum",
        "Vacuum Delta",
        "Data files that the newest version does not need are deleted: v12's too, while v13 is live.",
        vacuum,
        back="can't be undone",
    ),
    Effect(
        "model",
        "Delete v12's model",
        "The files of v12's model are deleted.",
        delete_model,
        back="can't be undone",
    ),
)
