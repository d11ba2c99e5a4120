"""The end of a run, and what it means for its feature."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core.commands import Purpose
from bot.core.run import Run, Status
from bot.flows.mixed import half_way, mixed_after
from bot.flows.sandboxes import ending
from bot.flows.watch import wake_rivals
from bot.flows.work import Work
from bot.flows.world import World
from bot.store import messages, releases, runs
from bot.store.write import Connection

REMIND_S = 4 * 3600.0
"""What is left behind is said again after this time, until it is empty."""


async def finish(work: Work, run: Run) -> None:
    """Nothing is left to do: the run ends, with its consequences, in one transaction."""
    world, now = work.world, work.world.now()
    end = await ending(world, run)

    def over(conn: Connection) -> None:
        new = runs.change(conn, run.id, end, now, lease=work.lease, tell=False)
        _consequences(conn, new, world)
        messages.want_run(conn, new, now)

    await world.store.write(over)
    await wake_rivals(world, run)


def _goes_live(conn: Connection, run: Run, now: datetime) -> None:
    """What was verified, or restored and accepted by a person, is live under its name; and whose data that is, is kept
    with it."""
    there = all(s.status == "done" for s in run.steps if s.verb == "restore") and run.purpose == Purpose.rollback
    if not (run.status == Status.succeeded or there) or not run.to_version:
        half_way(conn, run)
        return
    mixed = mixed_after(conn, run)
    releases.goes_live(conn, run.feature, run.to_version, now, rolled_back=run.purpose == Purpose.rollback)
    releases.mix(conn, run.feature, mixed)


def _consequences(conn: Connection, run: Run, world: World) -> None:
    """What a finished run means for the feature: what is live, what is held, what was left behind."""
    now = world.now()
    if run.mode != "live":
        return
    if run.purpose == Purpose.rollback and run.to_version:
        _goes_live(conn, run, now)
        releases.close_left(conn, run.feature, "hold", "", now)  # what an earlier run left is said by this one now
        releases.lift_hold(conn, run.feature, now)
        releases.place_hold(conn, run.feature, run.id, f"rolled back to {run.to_version} by {run.name}", now)
    if run.purpose == Purpose.put_back and run.to_version:
        _goes_live(conn, run, now)
    if run.purpose == Purpose.put_back and run.to_version and run.status == Status.succeeded:
        releases.close_left(conn, run.feature, "hold", "", now)
        releases.lift_hold(conn, run.feature, now)
    if run.purpose == Purpose.hold:  # one that stands meanwhile stays: a rollback's is guarded
        releases.place_hold(conn, run.feature, run.id, run.reason, now)
    if run.purpose == Purpose.lift:
        releases.lift_hold(conn, run.feature, now)
        releases.close_left(conn, run.feature, "hold", "", now)
    releases.leave(conn, run, run.left, now, now + timedelta(seconds=REMIND_S))
