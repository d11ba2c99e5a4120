"""An inbox row -> the pure transition -> saved. Who may is judged here, on facts gathered before the transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bot.core import decide, deeds, onward
from bot.core import policy as rules
from bot.core.commands import (
    Abort,
    Accept,
    CaptureRelease,
    Decide,
    Pause,
    Purpose,
    Request,
    Resume,
    Retry,
    RunAnyway,
    Skip,
    Snooze,
    Speed,
    TakeMoment,
    Unlock,
)
from bot.core.decide import Judging
from bot.core.errors import Refused, RollbotError
from bot.core.policy import Requirement
from bot.core.run import Happened, Run, Status
from bot.core.run import Moved as Transition
from bot.core.text import listed
from bot.flows.capture import not_captured
from bot.flows.handover import forced, hand_over, left_half_way
from bot.flows.plan import meant
from bot.flows.recording import Recorder
from bot.flows.standing import standing
from bot.flows.watch import wake_rivals
from bot.flows.world import World
from bot.store import events, inbox, messages, releases, runs
from bot.store.inbox import Item
from bot.store.write import Connection, StoreDown

Pressed = Decide | RunAnyway | Abort | Pause | Resume | Retry | Skip | Snooze | Speed | Unlock | Accept
_MOVES: dict[type[Pressed], Callable[..., Transition]] = {
    Decide: decide.decide,
    RunAnyway: decide.run_anyway,
    Abort: decide.abort,
    Pause: decide.pause,
    Resume: decide.resume,
    Retry: onward.retry,
    Skip: onward.skip,
    Snooze: onward.snooze,
    Speed: onward.speed,
    Accept: onward.accept,
}


class Applier:
    """Applies what waits in the inbox, in order; captures run beside, since they take long."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._recorder = Recorder(world, self._done)

    async def apply_all(self) -> int:
        """How many rows were applied or begun."""
        items = await self.world.store.read(inbox.waiting)
        fresh = [i for i in items if i.id not in self._recorder.under_way]
        for item in fresh:
            if isinstance(item.command, CaptureRelease | TakeMoment):
                self._recorder.begin(item)
            else:
                await self.apply(item)
        return len(fresh)

    async def idle(self) -> None:
        """Waits for captures under way."""
        await self._recorder.idle()

    async def stop(self) -> None:
        """Ends captures under way; they begin again at the next start."""
        await self._recorder.stop()

    async def apply(self, item: Item) -> None:
        """One row. What a person must hear is told privately; nothing is lost: a refusal is an event and an answer."""
        try:
            await self._apply(item)
        except StoreDown:
            raise
        except RollbotError as e:  # rows behind it must not wait for ever
            await self._done(item, {"ok": False, "error": e.message, "code": e.code}, f"Not done: {e.message}")

    async def _apply(self, item: Item) -> None:
        command = item.command
        if isinstance(command, Request) and item.run:
            await self._request(item, command, item.run)
        elif isinstance(command, Pressed):
            await self._press(item, command)
        else:
            await self._done(item, {"ok": False, "error": "this build does not know that command"})

    async def _request(self, item: Item, command: Request, number: int) -> None:
        """The run row stands already; here it is judged whether this person may ask for it."""
        world = self.world
        policy = world.books.policy()
        who = await standing(world, policy, item.actor.id)
        repeats = command.purpose == Purpose.rollback and command.of_run is not None
        control = command.purpose in (Purpose.lift, Purpose.enable) or repeats
        asker = await self._asker(command) if control else ""
        verdict = rules.may_control(policy, who, asker) if control else rules.may_request(policy, who)
        if item.actor.kind in ("token", "system", "schedule"):
            verdict = rules.Allowed()
        judging = Judging(policy, who, world.now(), item.at)
        if control and (busy := await world.store.read(lambda c: runs.at_work(c, command.feature))):
            # Nothing is held yet that could be let go, and who may is known only then.
            wish = "restore" if repeats else command.purpose
            why = f"{listed(busy)} is changing {command.feature} now: {wish} it when that has ended"
            verdict = rules.Refused(rule="a run is at work", why=why)
        verdict = await _meant(world, command, verdict)
        now = judging.now

        def move(verdict: rules.Verdict, run: Run) -> Transition:
            event = Happened(
                act="run_requested",
                actor=item.actor,
                after=command.to or None,
                facts={"purpose": command.purpose, "mode": command.mode},
                texts={"reason": command.reason, "incident": command.incident},
            )
            # The same words again by somebody else: the run has its requester. And what is judged is judged once.
            if run.requester != item.actor or run.status != Status.planning or run.wake_at is not None:
                return run, []
            if isinstance(verdict, rules.Refused):
                ended = run.to(status=Status.refused, why=verdict.why, ended_at=now)
                return ended, [event, Happened(act="run_refused", facts={"rule": verdict.rule})]
            return run.to(wake_at=now), [event]

        def save(conn: Connection) -> None:
            if inbox.claim(conn, item.id):
                said = verdict
                if command.instead_of and isinstance(verdict, rules.Allowed):
                    said = _taking_over(conn, command, number, item, judging)
                run = runs.change(conn, number, partial(move, said), now)
                allowed = isinstance(said, rules.Allowed)
                if run.status == Status.refused and run.requester != item.actor and allowed:
                    self._tell(conn, item, f"{run.name} was asked for by somebody who may not, and refused: ask again.")
                inbox.applied(conn, item.id, {"ok": allowed, "run": number}, now)

        await world.store.write(save)

    async def _asker(self, command: Request) -> str:
        """Who asked for the run that left what is to be lifted or enabled."""

        def read(conn: Connection) -> list[str]:
            left = [item["run"] for item in releases.left(conn, feature=command.feature)]
            numbers = [command.of_run] if command.of_run else [n for n in left if isinstance(n, int)]
            found = [runs.load(conn, n) for n in dict.fromkeys(numbers)]
            return [r.requester.id for r in found if r]

        people = set(await self.world.store.read(read))
        return people.pop() if len(people) == 1 else ""

    async def _press(self, item: Item, command: Pressed) -> None:
        world = self.world
        policy = world.books.policy()
        run = await world.store.read(lambda c: runs.load(c, command.run))
        if run is None:
            await self._done(item, {"ok": False, "error": f"there is no R-{command.run}"})
            return
        who = await standing(world, policy, item.actor.id, run.requirement or Requirement())
        judging = Judging(policy, who, world.now(), item.at)

        def save(conn: Connection) -> dict[str, object] | None:
            if not inbox.claim(conn, item.id):
                return None
            try:
                _moved(conn, command, item, judging)
                result: dict[str, object] = {"ok": True, "run": command.run}
            except Refused as e:
                events.append(conn, [decide.refusal(command.act, e, item.actor)], judging.now, run=run)
                result = {"ok": False, "error": e.message, "rule": e.rule, "run": command.run}
                self._tell(conn, item, f"Not done: {e.message}.")
            inbox.applied(conn, item.id, result, judging.now)
            return result

        await world.store.write(save)
        if isinstance(command, Abort | Unlock):
            await wake_rivals(world, run)

    def _tell(self, conn: Connection, item: Item, text: str) -> None:
        """Only this person sees it."""
        if item.actor.via != "slack" or not item.actor.channel:
            return
        body: dict[str, object] = {"text": text, "response_url": item.actor.response_url}
        messages.want(
            conn,
            f"inbox:{item.id}:answer",
            purpose="private",
            channel=item.actor.channel,
            person=item.actor.id,
            body=body,
            now=self.world.now(),
        )

    async def _done(self, item: Item, result: dict[str, object], say: str = "") -> None:
        now = self.world.now()

        def save(conn: Connection) -> None:
            if inbox.claim(conn, item.id):
                inbox.applied(conn, item.id, result, now, free_key=_again(item, result))
                if say:
                    self._tell(conn, item, say)
                if isinstance(item.command, CaptureRelease) and not result["ok"]:
                    not_captured(conn, self.world, item.command, item.actor, f"inbox:{item.id}:refused", result)

        await self.world.store.write(save)


def _moved(conn: Connection, command: Pressed, item: Item, judging: Judging) -> None:
    """The press, as one transition. Raises Refused."""
    if isinstance(command, Unlock):
        forced(conn, command, item.actor, judging)
        return
    move = _MOVES[type(command)]
    also = partial(left_half_way, conn, now=judging.now) if isinstance(command, Abort) else None

    def kept(run: Run) -> Transition:
        return deeds.remembered(move(run, command, item.actor, judging), judging.now)

    runs.change(conn, command.run, kept, judging.now, also=also)


async def _meant(world: World, command: Request, verdict: rules.Verdict) -> rules.Verdict:
    """Refused if it can't be planned: no run is to be ended for what its files or its words make impossible."""
    if not command.instead_of or isinstance(verdict, rules.Refused):
        return verdict
    try:
        await meant(world, command)
    except StoreDown:
        raise
    except RollbotError as e:
        return rules.Refused(rule="planning", why=e.message)
    return verdict


def _taking_over(conn: Connection, command: Request, number: int, item: Item, judging: Judging) -> rules.Verdict:
    """Refused if this run can't take over from the one it names; else it has, in this transaction."""
    run = runs.load(conn, number)
    if run is None or run.status != Status.planning or run.wake_at is not None:
        return rules.Allowed()  # judged before
    if run.requester != item.actor:  # the same words by somebody else, whose rights the requester has not
        return rules.Allowed()
    try:
        hand_over(conn, command, number, item.actor, judging)
    except Refused as e:
        return rules.Refused(rule=e.rule, why=e.message)
    return rules.Allowed()


def _again(item: Item, result: dict[str, object]) -> bool:
    """May a machine order this capture once more under the same key? After a failure always; else only where the key
    was made from its words. A person's press is one press for ever."""
    order = item.command
    if not isinstance(order, CaptureRelease) or item.actor.via != "hook":
        return False
    return not (result["ok"] and order.keyed)
