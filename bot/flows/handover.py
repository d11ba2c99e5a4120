"""What a run leaves that ends half-way: a feature that is neither release, or its locks to the run that takes over."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.core import decide, deeds, onward
from bot.core.commands import Abort, Actor, Purpose, Request, Unlock
from bot.core.decide import Judging
from bot.core.errors import Refused
from bot.core.run import Moved, Run
from bot.core.text import listed
from bot.flows.finish import REMIND_S
from bot.flows.mixed import half_way
from bot.store import locks, releases, runs
from bot.store.write import Connection


def left_half_way(conn: Connection, run: Run, now: datetime) -> None:
    """What an aborted run leaves: said, listed, and held."""
    if run.mode == "live" and run.purpose in (Purpose.rollback, Purpose.put_back):
        half_way(conn, run)
    if run.left and run.mode == "live":
        releases.place_hold(conn, run.feature, run.id, f"{run.name} was aborted half-way", now)
        releases.leave(conn, run, run.left, now, now + timedelta(seconds=REMIND_S))


def hand_over(conn: Connection, request: Request, new: int, actor: Actor, judging: Judging) -> None:
    """The run that this request is to take the place of ends, and its locks go to the new one without being free in
    between. Only from a run at rest: what is still being written is nobody's to take over. Raises Refused."""
    old = request.instead_of or 0

    def move(run: Run) -> Moved:
        _can_be_taken(conn, run, request)
        ended, events = decide.abort(run, Abort(run=old, reason=f"R-{new} takes over"), actor, judging)
        return ended.to(why=f"R-{new} takes over from here"), events

    taken = locks.held(conn, old)

    def also(run: Run) -> None:
        left_half_way(conn, run, judging.now)
        runs.lock(conn, new, taken, judging.now)

    try:
        runs.change(conn, old, move, judging.now, also=also)
    except KeyError:
        raise Refused(f"there is no R-{old} to take over from", rule="take over") from None


def _can_be_taken(conn: Connection, run: Run, request: Request) -> None:
    fits = run.mode == request.mode == "live" and run.purpose in (Purpose.rollback, Purpose.put_back)
    if run.feature != request.feature or not fits:
        raise Refused(f"{run.name} is no rollback of {request.feature} that could go another way", rule="take over")
    if not run.open:
        raise Refused(f"{run.name} is already {run.status}: ask for a new rollback", rule="finished")
    if run.started_at is None:
        raise Refused(f"{run.name} has not begun: ask for a new rollback instead", rule="not begun")
    busy = [f"{s.verb} {s.component}" for s in run.steps if s.status == "running"]
    what, driven = listed(busy) or "a step", locks.driven(conn, run.id)
    if run.status == "running" or driven:
        raise Refused(f"{run.name}: {what} is under way; pause it and wait until that has ended", rule="under way")
    if busy:
        raise Refused(
            f"{run.name}: its worker ended in the middle of {what}. Resume lets it end that; Abort gives it up, and a "
            "new rollback can go another way",
            rule="under way",
        )


def forced(conn: Connection, command: Unlock, actor: Actor, judging: Judging) -> Run:
    """Whatever works on this run has lost it; its locks are free. Raises Refused if there is nothing to free."""
    resources = locks.held(conn, command.run)

    def move(run: Run) -> Moved:
        if not resources:
            raise Refused(f"{run.name} has locked nothing", rule="nothing locked")
        moved, events = deeds.remembered(onward.unlock(run, command, actor, judging), judging.now)
        return moved, [e.model_copy(update={"facts": {**e.facts, "resources": list(resources)}}) for e in events]

    def also(run: Run) -> None:
        if run.ended_at == judging.now:
            left_half_way(conn, run, judging.now)
        locks.force(conn, run.id)

    return runs.change(conn, command.run, move, judging.now, also=also)
