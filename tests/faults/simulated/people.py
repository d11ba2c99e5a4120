"""People who press: at random while things go wrong, and with care once it is calm."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final

from bot.core.commands import Abort, Accept, Command, Decide, Pause, Purpose, Request, Resume, Retry
from bot.core.run import Run, Status

ANA, BEN, CLEO, SAM = "T1/ANA", "T1/BEN", "T1/CLEO", "T1/SAM"
Say = Callable[[Command, str, str], Awaitable[None]]
"""Command, person, request key."""
ROLLBACK: Final = Request(feature="fares", to="v1", channel="C1")
PUT_BACK: Final = Request(feature="fares", to="v2", purpose=Purpose.put_back, of_run=1, channel="C1")


def random_press(dice: random.Random, run: Run | None, newest: int) -> tuple[Command, str]:
    """Something that somebody might press on this run, whether it makes sense or not."""
    if run is None or dice.random() < 0.12:
        return _request(dice, newest), dice.choice([ANA, BEN])
    who = dice.choice([ANA, BEN, BEN, CLEO, CLEO, SAM])
    digest = run.plan_digest or ""
    if run.status == Status.waiting and run.waiting_for == "approval" and dice.random() < 0.7:
        return Decide(run=run.id, yes=dice.random() < 0.93, digest=digest), who
    if run.waiting_for == "person" and dice.random() < 0.7:
        return dice.choice([Retry(run=run.id), Retry(run=run.id), Accept(run=run.id, reason="so be it")]), who
    if run.status == Status.paused and dice.random() < 0.7:
        return Resume(run=run.id), who
    if run.status == Status.running and dice.random() < 0.5:
        return dice.choice([Pause(run=run.id), Pause(run=run.id), Abort(run=run.id)]), dice.choice([BEN, CLEO])
    any_: list[Command] = [
        Pause(run=run.id),
        Pause(run=run.id),
        Resume(run=run.id),
        Retry(run=run.id),
        Decide(run=run.id, yes=True, digest=digest),
        Accept(run=run.id, reason="so be it", enable=dice.random() < 0.5),
        Abort(run=run.id),
    ]
    return dice.choice(any_), who


def _request(dice: random.Random, newest: int) -> Request:
    kinds = [
        ROLLBACK,
        ROLLBACK.model_copy(update={"without": ["model"]}),
        Request(feature="fares", purpose=Purpose.stop, channel="C1", of_run=newest or None),
        Request(feature="fares", to="v2", purpose=Purpose.put_back, of_run=newest or None, channel="C1"),
        Request(feature="fares", purpose=Purpose.lift, channel="C1"),
    ]
    return dice.choice(kinds)


def careful_press(run: Run, tried: int) -> tuple[Command, str] | None:
    """What somebody who wants this run to come to an end would press now; None: it goes on by itself."""
    if run.status == Status.waiting and run.waiting_for == "approval":
        return Decide(run=run.id, yes=True, digest=run.plan_digest or ""), [BEN, CLEO, ANA][tried % 3]
    if run.status == Status.paused:
        return Resume(run=run.id), BEN
    if run.waiting_for == "person":
        if tried < 3:
            return Retry(run=run.id), BEN
        if tried < 4 and run.started_at:
            return Accept(run=run.id, reason="by hand"), BEN
        return Abort(run=run.id, reason="enough"), BEN
    return None
