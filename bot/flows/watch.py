"""What somebody else changes while a run works: noticed, said, and never called done."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial

from bot.core import progress, stopped
from bot.core.errors import TargetError
from bot.core.playbook import Verb
from bot.core.ports import Component, Errand
from bot.core.run import Moved, Run, RunStep
from bot.core.target import CODE_SIDE, State
from bot.flows.work import Work
from bot.flows.world import World
from bot.store import runs

LOOK_S = 60.0
"""Seconds that a look may take: nobody waits at a card for it, and slowness is no reason to doubt what was proved."""


async def gone_back(work: Work, run: Run) -> bool:
    """Looks once more at everything that was verified; what somebody has changed since is no longer verified.

    It can't close the gap between reading and saying so, only make it as short as one look."""
    proved = [s for s in run.steps if s.verb == Verb.verify and s.status == "done" and s.version]
    wrong = False
    for step, state in zip(proved, await _states(work, run, proved), strict=True):
        if isinstance(state, BaseException):
            error = f"verified, but it does not answer any more: {state}"
        elif state.version != step.version:
            error = f"verified, but somebody has changed it since: it is now {state.pointer}"
        else:
            continue
        wrong = True
        await work.move(partial(_no_longer, step.n, error, work.world.now()))
    return wrong


def _no_longer(n: int, error: str, now: datetime, run: Run) -> Moved:
    return progress.no_longer(run, n, error, now)


async def _states(work: Work, run: Run, steps: list[RunStep]) -> list[State | BaseException]:
    errand = Errand(timeout=LOOK_S, context=work.about(run))
    parts = [work.feature.part(s.component) for s in steps]
    return await asyncio.gather(*(work.world.targets.inspect(p, errand) for p in parts), return_exceptions=True)


async def let_go(work: Work, run: Run) -> None:
    """A flag that this run switched off, or a pipeline that it holds, and that somebody has let go since: said at its
    step. The run goes on: what is served gets right all the sooner, and the read-back has the last word."""
    still = stopped.kept_still(run)
    for step, state in zip(still, await _states(work, run, still), strict=True):
        if step.to is None or isinstance(state, BaseException):
            continue
        if state.version != f"{step.to.pointer}#{step.to.digest}":
            await work.move(partial(stopped.slipped, n=step.n, pointer=state.pointer))


async def still_there(work: Work, run: Run, step: RunStep, part: Component) -> None:
    """To wait until consumers see what somebody has replaced would be to wait for ever. Raises TargetError."""
    if step.to is None or step.kind not in CODE_SIDE:
        return
    state = await work.world.targets.inspect(part, work.errand(run, step, writes=False))
    if state.version != f"{step.to.pointer}#{step.to.digest}":
        if any(s.verb == "restore" and s.component == step.component and s.status == "skipped" for s in run.steps):
            raise TargetError(
                f"{step.component} is {state.pointer}, not {step.to.pointer}: its restore was left out. Skip leaves "
                "this out, too"
            )
        raise TargetError(
            f"{step.component} was brought back to {step.to.pointer}, and somebody has changed it since: it is now "
            f"{state.pointer}. Stop whoever does that (CI?), then Retry brings it back again"
        )


async def wake_rivals(world: World, run: Run) -> None:
    """Cards that wait to change the same things are looked at again: what they say is no longer so."""
    if run.mode == "drill":
        return
    for other in await world.store.read(lambda c: runs.rivals(c, run)):
        now = world.now()
        wake = partial(runs.change, run=other.id, move=partial(progress.awake, now), now=now)
        await world.store.write(wake)
