"""Cards that lapse while somebody decides."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.commands import Decide
from bot.core.run import Run, Status
from bot.flows.apply import Applier
from bot.flows.drive import drive
from tests.flows.company import Company
from tests.flows.house import BEN, SAM
from tests.flows.test_controls_meet import applied, asked

__all__ = ["asked"]


async def test_a_yes_of_the_last_moment_is_not_expired(
    company: Company, asked: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said a second before the card lapses, and applied while a worker is about to end it: the run is approved."""
    house, read = company.house, company.house.world.store.read
    assert asked.expires_at
    house.clock.advance((asked.expires_at - house.clock.now()).total_seconds() - 1)
    await house.say(Decide(run=asked.id, yes=True, digest=asked.plan_digest or ""), BEN)
    house.clock.advance(2)

    async def reading(fn: Any) -> Any:
        found = await read(fn)
        monkeypatch.setattr(house.world.store, "read", read)
        await Applier(house.world).apply_all()
        return found

    monkeypatch.setattr(house.world.store, "read", reading)
    await drive(house.world, asked.id)
    await house.settle()
    run = await house.run(asked.id)
    assert run.status == Status.succeeded, run.why
    assert "run_expired" not in await company.acts(run)


async def test_a_press_in_time_is_judged_however_long_that_takes(company: Company, asked: Run) -> None:
    """Stored before the card lapses and not judged yet, since nobody worked: the run waits for that; it is expired
    once it turns out that who said it may not decide."""
    house = company.house
    assert asked.expires_at
    await house.say(Decide(run=asked.id, yes=True, digest=asked.plan_digest or ""), SAM)
    house.clock.advance((asked.expires_at - house.clock.now()).total_seconds() + 1)
    await drive(house.world, asked.id)
    assert (await house.run(asked.id)).status == Status.waiting
    await applied(company)
    await drive(house.world, asked.id)
    assert (await house.run(asked.id)).status == Status.expired
