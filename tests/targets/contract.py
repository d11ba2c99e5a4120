"""The reusable suite that every target must pass, against the real library or server.

A concrete suite subclasses ``TargetContract`` (name it ``Test...``) and overrides the ``world`` fixture
with its own ``World``: the outside system, and hands that change, lose and damage it behind the target's back.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.errors import LostOwnership, Moved, RollbotError, TargetError
from bot.core.target import Capture, Holdable, Switchable
from tests.targets.contract_reading import ReadingContract
from tests.targets.nursery import nursery_with
from tests.targets.world import FolderBlobs, World, assert_exact, digest_tree, flip, settle

__all__ = [
    "FolderBlobs",
    "HoldableContract",
    "SwitchableContract",
    "TargetContract",
    "World",
    "assert_exact",
    "digest_tree",
    "flip",
    "settle",
]


class TargetContract(ReadingContract):
    """Mix into a ``Test...`` class and override ``world``."""

    # -- restoring ---------------------------------------------------------------------------------

    def test_restore_is_exact(self, world: World) -> None:
        """Capture, change, restore: the content is back, the version is back, verify says 1.0 and nothing extra."""
        good, content = world.target.capture(world.call()), world.content()
        version = world.target.inspect(world.call()).version
        world.change()
        bad = world.target.capture(world.call())
        assert settle(world, world.target, good, bad, "k-1").changed
        assert_exact(world, good, version, content)

    def test_restoring_twice_equals_once(self, world: World) -> None:
        """The second restore, with the same key or another, writes nothing, also no history."""
        good = world.target.capture(world.call())
        world.change()
        bad = world.target.capture(world.call())
        settle(world, world.target, good, bad, "k-1")
        once = world.fingerprint()
        for key in ("k-1", "k-2"):
            assert settle(world, world.target, good, bad, key).changed is False
            assert world.fingerprint() == once

    def test_restoring_what_is_live_writes_nothing(self, world: World) -> None:
        """Already there means no write at all."""
        good = world.target.capture(world.call())
        before = world.fingerprint()
        assert settle(world, world.target, good, good, "k-1").changed is False
        assert world.fingerprint() == before

    def test_the_pre_image_comes_back(self, world: World) -> None:
        """*Put back* restores the pre-image as exactly as a rollback restores a release."""
        good = world.target.capture(world.call())
        world.change()
        bad, content = world.target.capture(world.call()), world.content()
        version = world.target.inspect(world.call()).version
        settle(world, world.target, good, bad, "k-1")
        assert settle(world, world.target, bad, world.target.capture(world.call()), "k-2").changed
        assert_exact(world, bad, version, content)

    def test_captures_survive_json(self, world: World) -> None:
        """A capture that went through the database as JSON restores like the one that was taken."""
        good, content = world.target.capture(world.call()), world.content()
        version = world.target.inspect(world.call()).version
        stored = Capture.model_validate_json(good.model_dump_json())
        assert stored == good
        world.change()
        bad = Capture.model_validate_json(world.target.capture(world.call()).model_dump_json())
        settle(world, world.target, stored, bad, "k-1")
        assert_exact(world, stored, version, content)

    def test_a_moved_version_is_refused(self, world: World) -> None:
        """If somebody else wrote after the pre-image was taken, restore raises Moved and changes nothing."""
        good = world.target.capture(world.call())
        world.change()
        bad = world.target.capture(world.call())
        world.change()
        before = world.fingerprint()
        with pytest.raises(Moved) as error:
            world.target.restore(world.call(), good, bad)
        assert "\n" not in error.value.message
        assert world.fingerprint() == before

    def test_a_worker_that_lost_the_run_writes_nothing(self, world: World) -> None:
        """Restore asks before its first write, and a refusal leaves everything as it was."""
        good = world.target.capture(world.call())
        world.change()
        bad = world.target.capture(world.call())
        before = world.fingerprint()
        with pytest.raises(LostOwnership):
            world.target.restore(world.call(check=_lost), good, bad)
        assert world.fingerprint() == before

    def test_killed_between_writes_and_repeated_is_exact(self, world: World) -> None:
        """Killed (SIGKILL) at each question before a write, and repeated with the same key, it ends exact."""
        good, content = world.target.capture(world.call()), world.content()
        version = world.target.inspect(world.call()).version
        nursery = nursery_with(world.preload)
        killed = 0
        for nth in range(1, world.kills + 2):
            world.change()
            bad = world.target.capture(world.call())
            key = f"kill-{nth}"
            outcome = nursery.restore(world.target, world.call(key=key), good, bad, nth)
            assert not outcome.error, outcome.error
            killed += outcome.killed
            settle(world, world.target, good, bad, key)
            assert_exact(world, good, version, content)
        assert 1 <= killed <= world.kills, f"{killed} writes were asked for, the world says at most {world.kills}"

    # -- the sandbox -------------------------------------------------------------------------------

    def test_captures_restore_in_a_sandbox(self, world: World) -> None:
        """A capture taken here restores in the sandbox, exactly, while the live thing stays as it is."""
        good = world.target.capture(world.call())
        world.change()
        content, version, before = (
            world.content(),
            world.target.inspect(world.call()).version,
            world.fingerprint(),
        )
        sandbox = world.target.sandbox(world.call(key="drill"))
        assert type(sandbox) is type(world.target)
        assert sandbox.resource(world.connection) != world.target.resource(world.connection)
        settle(world, sandbox, good, sandbox.capture(world.call(key="drill")), "drill")
        accuracy = sandbox.verify(world.call(key="drill"), good)
        assert (accuracy.ratio, accuracy.missing, accuracy.extra) == (1.0, 0, 0), accuracy
        assert world.content() == content
        assert world.target.inspect(world.call()).version == version
        sandbox.discard(world.call(key="drill"))
        assert world.fingerprint() == before

    def test_a_sandbox_made_again_is_the_same(self, world: World) -> None:
        """Making it again with the same key gives the same sandbox, usable; discarding twice is harmless."""
        good, before = world.target.capture(world.call()), world.fingerprint()
        first = world.target.sandbox(world.call(key="drill"))
        again = world.target.sandbox(world.call(key="drill"))
        assert again.resource(world.connection) == first.resource(world.connection)
        assert again.verify(world.call(key="drill"), good).ratio == 1.0
        again.discard(world.call(key="drill"))
        first.discard(world.call(key="drill"))
        assert world.fingerprint() == before

    def test_a_sandbox_that_can_not_be_made_leaves_nothing(self, world: World) -> None:
        """Something breaks in the middle: nobody would know where the half of it lies."""
        before = world.fingerprint()
        try:
            made = world.target.sandbox(replace(world.call(key="drill"), progress=_broken))
        except TargetError:
            pass
        else:  # it asks nobody and says nothing on its way
            made.discard(world.call(key="drill"))
        assert world.fingerprint() == before

    def test_a_sandbox_that_is_only_to_be_removed_is_named_and_not_made(self, world: World) -> None:
        """Nobody knows if the one of this key stands: its target says where it would be, and writes nothing for that.
        Discarding it leaves nothing, whether it was there or not."""
        before = world.fingerprint()
        asked = world.call(key="drill", check=_no_write)
        asked = replace(asked, context={**world.context, "to_remove": True})
        world.target.sandbox(asked).discard(world.call(key="drill"))
        assert world.fingerprint() == before
        made = world.target.sandbox(world.call(key="drill"))
        named = world.target.sandbox(asked)
        assert named.resource(world.connection) == made.resource(world.connection)
        named.discard(world.call(key="drill"))
        assert world.fingerprint() == before

    def test_only_a_sandbox_can_be_discarded(self, world: World) -> None:
        """Discard refuses the real thing and leaves it as it was."""
        before = world.fingerprint()
        with pytest.raises(RollbotError):
            world.target.discard(world.call())
        assert world.fingerprint() == before


class SwitchableContract(TargetContract):
    """For flags, in addition."""

    def test_switched_off_and_back_on(self, world: World) -> None:
        """Restoring ``disabled(now)`` is off for consumers; restoring the present one brings the rule back."""
        target = world.target
        assert isinstance(target, Switchable)
        now, content = target.capture(world.call()), world.content()
        version = target.inspect(world.call()).version
        off = target.disabled(now)
        assert not world.stopped()
        settle(world, target, off, now, "k-off")
        assert world.stopped()
        assert target.verify(world.call(), off).ratio == 1.0
        assert target.disabled(target.capture(world.call())).digest == off.digest
        settle(world, target, now, target.capture(world.call()), "k-on")
        assert_exact(world, now, version, content)

    def test_a_share_of_consumers(self, world: World) -> None:
        """``at`` is exact from 0 to 100 per cent and refuses anything else."""
        target = world.target
        assert isinstance(target, Switchable)
        now = target.capture(world.call())
        for percent in (0, 25, 100):
            part = target.at(now, percent)
            settle(world, target, part, target.capture(world.call()), f"k-{percent}")
            assert target.verify(world.call(), part).ratio == 1.0
        for percent in (-1, 101, 250):
            with pytest.raises((RollbotError, ValueError)):
                target.at(now, percent)


class HoldableContract(TargetContract):
    """For pipelines and CI, in addition."""

    def test_held_and_lifted(self, world: World) -> None:
        """Restoring ``held(now)`` stops it, ``lifted`` lets it go on, and the present one is exactly as it was."""
        target = world.target
        assert isinstance(target, Holdable)
        now, content = target.capture(world.call()), world.content()
        version = target.inspect(world.call()).version
        held = target.held(now)
        settle(world, target, held, now, "k-hold")
        assert world.stopped()
        assert target.verify(world.call(), held).ratio == 1.0
        settle(world, target, target.lifted(held), target.capture(world.call()), "k-lift")
        assert not world.stopped()
        settle(world, target, now, target.capture(world.call()), "k-back")
        assert_exact(world, now, version, content)


def _lost() -> None:
    raise LostOwnership


def _no_write() -> None:
    raise AssertionError("asked only where a sandbox would be, the target was about to write")


def _broken(done: float, _total: float, _note: str) -> None:
    if done:
        raise TargetError("the disk is full")
