"""Letting traffic back in by shares of the recorded rule. Between two shares the run is parked and holds no lease."""

from __future__ import annotations

from bot.core import shares
from bot.core.errors import TargetError
from bot.core.ports import Component
from bot.core.run import Run, RunStep
from bot.core.target import Capture
from bot.flows.work import Work
from bot.flows.world import World


def share(world: World, step: RunStep, part: Component, whole: Capture) -> Capture:
    """What is written now: the next share of the rule, or the rule itself. The same at every repetition."""
    return world.targets.at(part, whole, step.ramp[step.stage]) if under_way(step) else whole


def under_way(step: RunStep) -> bool:
    """A share is still to be given before the recorded rule itself."""
    return step.stage < len(step.ramp)


async def given(work: Work, step: RunStep, wrote: Capture) -> Run:
    """This share is given; the next one is due ``every`` so many seconds later."""
    now = work.world.now()
    return await work.move(lambda r: shares.ramped(r, step.n, wrote, now))


def due(work: Work, group: list[RunStep]) -> list[RunStep]:
    """Without the ramps whose next share must wait: what is done beside one of them does not bring it forward."""
    now = work.world.now()
    return [step for step in group if not shares.early(step, now)]


async def rested(work: Work, run: Run, group: list[RunStep]) -> Run:
    """Where nothing else is to be done, the run rests until the next share is due."""
    if run.wake_at or not group or due(work, group):
        return run
    now = work.world.now()
    return await work.move(lambda r: (shares.rested(r, now), []))


def changed_meanwhile(step: RunStep, now_there: str) -> TargetError:
    """Somebody has set the flag in the middle of a ramp: that was no accident, so a person has to say what now."""
    had = step.ramp[step.stage - 1]
    return TargetError(
        f"{step.component} was at {had} % of its rule, and somebody has set it to {now_there} since. Retry goes "
        "on with the ramp over that; Skip leaves it as it is"
    )
