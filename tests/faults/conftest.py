"""A database that the tests here may kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services import Postgres, absent, postgres_binaries


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A cluster of its own, to be killed."""
    binaries = postgres_binaries()
    made = Postgres(binaries) if binaries else absent("PostgreSQL")
    made.start()
    yield made
    made.remove()
