"""The delta target against the real library."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.targets.contract import TargetContract
from tests.targets.delta_world import DeltaWorld, ForgottenWorld, PartitionedWorld, UncopiedWorld, VacuumedWorld


class TestCopied(TargetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> DeltaWorld:
        return DeltaWorld(tmp_path)


class TestUncopied(TargetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> DeltaWorld:
        return UncopiedWorld(tmp_path)


class TestPartitioned(TargetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> DeltaWorld:
        return PartitionedWorld(tmp_path)


class TestVacuumed(TargetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> DeltaWorld:
        return VacuumedWorld(tmp_path)


class TestForgotten(TargetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> DeltaWorld:
        return ForgottenWorld(tmp_path)
