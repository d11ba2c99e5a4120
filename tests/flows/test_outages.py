"""What a worker says while what it needs is away: enough, and no more."""

from __future__ import annotations

import logging

import pytest

from bot.flows.outages import MOST, Repeated
from bot.store.write import StoreDown

log = logging.getLogger("test.outages")


def test_an_outage_is_said_once_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of failure in one line, however often it is met; then that it works again, once."""
    tries = Repeated("the sweep", log)
    tries.worked()
    for _ in range(500):
        tries.failed(StoreDown("can't be reached"))
        tries.failed(StoreDown("broke in the middle"))
    tries.worked()
    tries.worked()
    said = [r.getMessage() for r in caplog.records]
    assert said[:2] == [
        "the sweep does not work now: can't be reached",
        "the sweep does not work now: broke in the middle",
    ]
    assert said[2].startswith("the sweep works again, after ") and len(said) == 3
    assert not any(r.exc_info for r in caplog.records)


def test_a_bug_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody expected is shown in full, once; and a failure that is another one each time has a bound."""
    tries = Repeated("apply", log)
    for n in range(3 * MOST):
        tries.failed(ValueError(f"n is {min(n, MOST + 5)}"))
    assert len(caplog.records) == MOST
    assert all(r.exc_info for r in caplog.records)
    tries.worked()
    tries.failed(ValueError("n is 0"))
    assert [r.getMessage() for r in caplog.records[-1:]] == ["apply does not work now: n is 0"]
