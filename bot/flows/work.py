"""One owner's work on one run: what its steps share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.core.commands import Purpose
from bot.core.feature import Feature
from bot.core.plan import Plan
from bot.core.ports import Errand
from bot.core.run import Moved as Transition
from bot.core.run import Run, RunStep
from bot.core.target import Json
from bot.flows.look import context
from bot.flows.world import World
from bot.store import runs
from bot.store.leases import Lease


@dataclass
class Work:
    """One owner's work on one run. ``alive`` raises LostOwnership once the lease is gone."""

    world: World
    lease: Lease
    feature: Feature
    plan: Plan
    alive: Callable[[], Awaitable[None]]
    latest: dict[int, tuple[float, float, str]] = field(default_factory=dict)

    async def move(self, fn: Callable[[Run], Transition], *, tell: bool = True) -> Run:
        """One pure transition, saved under the lease."""
        now = self.world.now()
        return await self.world.store.write(
            lambda conn: runs.change(conn, self.lease.run, fn, now, lease=self.lease, tell=tell)
        )

    async def of_step(self, n: int, fn: Callable[[Run], Transition]) -> Run:
        """The same for what came of step ``n`` before its intent; nothing, if a person has left it out meanwhile."""
        return await self.move(lambda r: (r, []) if r.step(n).status == "skipped" else fn(r))

    async def now(self, n: int) -> RunStep:
        """Step ``n`` as it is stored."""
        run = await self.world.store.read(lambda c: runs.load(c, self.lease.run))
        if run is None:
            raise KeyError(self.lease.run)
        return run.step(n)

    def errand(self, run: Run, step: RunStep, *, writes: bool) -> Errand:
        def on_progress(done: float, total: float, note: str) -> None:
            self.latest[step.n] = (done, total, note)

        return Errand(
            key=f"{run.name}:{run.plan_no}:{step.key_part}" if writes else "",
            fence=self.lease.fence,
            timeout=step.timeout,
            progress=on_progress,
            check=self.alive,
            context={**self.about(run), "pre_image": not writes},
            urgent=run.purpose == Purpose.stop,
        )

    def about(self, run: Run) -> dict[str, Json]:
        return context(run.feature, run.from_version, run.to_version, self.plan.captures, self.plan.body.without)
