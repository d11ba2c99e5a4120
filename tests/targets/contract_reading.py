"""The half of the contract that writes nothing: what a target sees, and what it says can be restored."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import RollbotError, TargetError
from bot.core.target import Capture, Target
from tests.targets.world import World


class ReadingContract:
    """What ``TargetContract`` begins with."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        raise NotImplementedError("override the world fixture")

    @pytest.fixture(autouse=True)
    def _skips(self, request: pytest.FixtureRequest, world: World) -> None:
        reason = world.skips.get(getattr(request.node, "originalname", request.node.name))
        if reason:
            pytest.skip(reason)

    # -- reading -----------------------------------------------------------------------------------

    def test_is_a_target(self, world: World) -> None:
        """It has every method of the contract, and its parameters survive JSON without loss."""
        assert isinstance(world.target, Target)
        text = world.target.model_dump_json()  # type: ignore[attr-defined]
        assert type(world.target).model_validate_json(text) == world.target  # type: ignore[attr-defined]
        assert world.target.resource(world.connection) == world.target.resource(world.connection)
        assert world.target.inspect(world.call()).kind == world.target.kind

    def test_reading_writes_nothing(self, world: World) -> None:
        """Inspect, capture, readiness, diff, visible and verify leave the outside byte for byte as it was."""
        good = world.target.capture(world.call())
        world.change()
        before = world.fingerprint()
        call = world.call(check=_never)
        world.target.inspect(call)
        world.target.capture(call)
        world.target.readiness(call, good)
        world.target.diff(call, good)
        world.target.visible(call, good)
        world.target.verify(call, good)
        assert world.fingerprint() == before

    def test_versions_are_stable(self, world: World) -> None:
        """Looked at twice, an unchanged thing has the same version, and captured twice the same digest."""
        first, second = (
            world.target.inspect(world.call()),
            world.target.inspect(world.call(key="k-2")),
        )
        assert first.version == second.version
        one, two = (
            world.target.capture(world.call()),
            world.target.capture(world.call(key="k-2")),
        )
        assert (one.pointer, one.digest) == (two.pointer, two.digest)

    def test_a_change_moves_the_version(self, world: World) -> None:
        """A bad release is another version and another capture; diff and verify both say so."""
        good, version = (
            world.target.capture(world.call()),
            world.target.inspect(world.call()).version,
        )
        world.change()
        assert world.target.inspect(world.call()).version != version
        assert world.target.capture(world.call()).digest != good.digest
        diff = world.target.diff(world.call(), good)
        assert not diff.same
        assert diff.summary
        assert world.target.verify(world.call(), good).ratio < 1.0

    def test_ordinary_data_does_not_move_the_version(self, world: World) -> None:
        """Data that arrives is observed, not a new version, so approvals stay valid."""
        version = world.target.inspect(world.call()).version
        world.append()
        world.append()
        assert world.target.inspect(world.call()).version == version

    def test_an_absent_version_is_refused(self, world: World) -> None:
        """Asking for a version that the system does not hold is an error in one line and creates nothing."""
        before = world.fingerprint()
        for pointer in world.absent:
            with pytest.raises(RollbotError) as error:
                world.target.capture(world.call(), at=pointer)
            assert "\n" not in error.value.message
        assert world.fingerprint() == before

    # -- can it be restored? -----------------------------------------------------------------------

    def test_a_fresh_capture_is_ready(self, world: World) -> None:
        """What was captured is ready, now and after the bad release came."""
        good = world.target.capture(world.call())
        assert world.target.readiness(world.call(), good).status == "ready"
        world.change()
        assert world.target.readiness(world.call(), good).status == "ready"

    def test_a_lost_capture_is_found_before_restore(self, world: World) -> None:
        """Readiness says not ready and why; a restore all the same is an error and changes nothing."""
        good = world.target.capture(world.call())
        world.change()
        bad = world.target.capture(world.call())
        world.lose(good)
        self.assert_not_restorable(world, good, bad)

    def test_a_corrupt_capture_is_found_before_restore(self, world: World) -> None:
        """Bytes damaged in place, at the same size, are found by readiness; a restore changes nothing."""
        good = world.target.capture(world.call())
        world.change()
        bad = world.target.capture(world.call())
        if not world.corrupt(good):
            pytest.skip("a capture of this kind has no bytes of its own")
        self.assert_not_restorable(world, good, bad)

    def assert_not_restorable(self, world: World, good: Capture, bad: Capture) -> None:
        """Shared by lost and corrupt, and useful in a target's own tests."""
        readiness = world.target.readiness(world.call(), good)
        assert readiness.status == "not_ready"
        assert readiness.reasons
        assert all(r and "\n" not in r for r in readiness.reasons)
        before = world.fingerprint()
        with pytest.raises(TargetError):
            world.target.restore(world.call(), good, bad)
        assert world.fingerprint() == before


def _never() -> None:
    raise AssertionError("a reading method asked whether it may write")
