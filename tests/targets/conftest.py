"""Ends what the contract suite starts, and lets its assertions explain themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _nurseries() -> Iterator[None]:
    """Nurseries are closed at the end of the test process, not when it is killed only."""
    yield
    from tests.targets.nursery import NURSERIES

    for nursery in NURSERIES:
        nursery.close()
