"""The command target, against real programs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.core.errors import Moved, TargetError
from bot.core.target import Connection, Json, Kind
from bot.practice.stack import job
from bot.targets.command import TARGETS, CommandDataset, CommandPipeline
from tests.targets import system
from tests.targets.command_world import PROGRAM, CommandWorld, FlagWorld, PipelineWorld, program
from tests.targets.contract import HoldableContract, SwitchableContract, TargetContract, assert_exact


class TestDataset(TargetContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> CommandWorld:
        return CommandWorld(tmp_path)


class TestPipeline(HoldableContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> PipelineWorld:
        return PipelineWorld(tmp_path)


class TestFlag(SwitchableContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> FlagWorld:
        return FlagWorld(tmp_path)


class TestAnswers:
    """What their answers mean."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> CommandWorld:
        return CommandWorld(tmp_path)

    def other(self, world: CommandWorld, **argv: list[str]) -> CommandDataset:
        return CommandDataset.model_validate(world.target.model_dump(by_alias=True) | argv)  # type: ignore[attr-defined]

    def test_a_restore_that_lies_is_found_out(self, world: CommandWorld, tmp_path: Path) -> None:
        """A program that reports success and does nothing is an error, read back."""
        good = world.target.capture(world.call())
        world.change()
        lying = self.other(world, restore=program(tmp_path, 'print(\'{"note": "all done"}\')'))
        with pytest.raises(TargetError, match="said it restored v12, but bad 1 is there"):
            lying.restore(world.call(), good, world.target.capture(world.call()))

    def test_the_program_may_see_a_move_that_we_could_not(self, world: CommandWorld, tmp_path: Path) -> None:
        """``moved: true`` counts as Moved: the program stands nearer to the system."""
        good = world.target.capture(world.call())
        world.change()
        seeing = self.other(world, restore=program(tmp_path, 'print(\'{"moved": true, "note": "v14 came"}\')'))
        with pytest.raises(Moved, match="v14 came"):
            seeing.restore(world.call(), good, world.target.capture(world.call()))

    def test_a_long_job_is_followed(self, world: CommandWorld, tmp_path: Path) -> None:
        """``again_after`` goes on outside; the same call later finds it done."""
        good, content = world.target.capture(world.call()), world.content()
        version = world.target.inspect(world.call()).version
        world.change()
        bad = world.target.capture(world.call())
        starting = self.other(world, restore=program(tmp_path, 'print(\'{"again_after": 7, "note": "2 of 9"}\')'))
        receipt = starting.restore(world.call(), good, bad)
        assert (receipt.again_after, receipt.note, receipt.changed) == (7, "2 of 9", True)
        system.write(world.system / "live", content)
        assert starting.restore(world.call(), good, bad).again_after is None
        assert_exact(world, good, version, content)

    def test_a_half_done_restore_belongs_to_its_key(self, world: CommandWorld) -> None:
        """What says ``restoring`` with this step's key is taken up again; with another key it has moved."""
        good = world.target.capture(world.call())
        world.change()
        bad = world.target.capture(world.call())
        world.put(name="half")
        half = program(
            world.folder,
            f"sys.path.insert(0, {str(Path(system.__file__).parent)!r}); import system, pathlib\n"
            f"live = pathlib.Path({str(world.system)!r}) / 'live'\n"
            "print(json.dumps(system.capture(live, {}) | {'restoring': 'mine'}))",
        )
        target = self.other(world, capture=half)
        with pytest.raises(Moved):
            target.restore(world.call(key="another"), good, bad)
        with pytest.raises(Moved, match="somebody wrote a moment ago"):  # that is: the program was asked
            target.restore(world.call(key="mine"), good, bad)

    def test_a_time_limit_covers_the_whole_call(self, world: CommandWorld, tmp_path: Path) -> None:
        """The call ends in words before its deadline, whatever the program does."""
        hanging = self.other(world, capture=program(tmp_path, "os.read(os.pipe()[0], 1)"))
        with pytest.raises(TargetError, match="was not done after") as error:
            hanging.capture(replace(world.call(), deadline=1.0))
        assert error.value.retriable

    def test_an_answer_that_is_not_understood(self, world: CommandWorld, tmp_path: Path) -> None:
        """The error names the program and the field."""
        for text, said in (
            ('{"observed": {}}', "lacks 'facts'"),
            ('{"facts": [1]}', "facts: Input should be a valid dictionary"),
            ('{"facts": {}, "observed": 3}', "observed: Input should be"),
        ):
            target = self.other(world, inspect=program(tmp_path, f"print({text!r})"))
            with pytest.raises(TargetError, match=said):
                target.inspect(world.call())

    def test_readiness_says_when_nobody_can_tell(self, world: CommandWorld, tmp_path: Path) -> None:
        """A readiness program that fails leaves *not checked*, never *ready*; without a restore program nothing is."""
        good = world.target.capture(world.call())
        failing = self.other(world, readiness=program(tmp_path, "sys.exit(1)"))
        assert failing.readiness(world.call(), good).status == "not_checked"
        helpless = CommandDataset.model_validate({"inspect": PROGRAM})
        answer = helpless.readiness(world.call(), good)
        assert (answer.status, answer.reasons) == ("not_ready", [f"{sys.executable} has no restore program"])

    def test_words_for_true_are_refused(self, world: CommandWorld, tmp_path: Path) -> None:
        """``held: "no"`` would count as held: it must be true or false."""
        argv = program(tmp_path, 'print(\'{"held": "no"}\')')
        with pytest.raises(TargetError, match="held must be true or false"):
            CommandPipeline.model_validate({"inspect": argv}).inspect(world.call())

    def test_parameters_are_strict(self) -> None:
        """A misspelt verb, an empty argv or a shell line is a fault when the file is read."""
        wrongs: list[Json] = [{"inspect": ["x"], "restor": ["y"]}, {"inspect": []}, {"inspect": "ls -l"}, {}]
        for wrong in wrongs:
            with pytest.raises(ValidationError):
                CommandDataset.model_validate(wrong)

    def test_there_is_one_class_for_each_kind(self) -> None:
        """The type serves every kind, and parameters keep their YAML names."""
        assert {cls.kind for cls in TARGETS} == set(Kind)
        given = {"inspect": ["a"], "restore": ["b", "c"]}
        assert CommandDataset.model_validate(given).model_dump(exclude_defaults=True) == given

    def test_two_components_of_one_thing_share_its_lock(self) -> None:
        """``thing`` names it; else connection and inspect do, and never the other programs."""
        connection = Connection(name="jobs", type="command")
        one = CommandDataset.model_validate({"inspect": ["a"], "restore": ["b"]})
        two = CommandDataset.model_validate({"inspect": ["a"]})
        named = CommandPipeline.model_validate({"inspect": ["z"], "thing": "dag"})
        assert one.resource(connection) == two.resource(connection) != named.resource(connection) == "command:dag"


class TestPracticePipeline:
    """The practice pipeline is held by this target and no other way."""

    def test_hold_and_lift(self, tmp_path: Path) -> None:
        """With three programs and no restore: held, seen held, lifted; what the pipeline does is only observed."""
        argv = [sys.executable, "-I", "-S", str(Path(job.__file__))]
        verbs = {verb: [*argv, verb, str(tmp_path / "pipeline")] for verb in ("inspect", "hold", "lift")}
        world = CommandWorld(tmp_path)
        target = CommandPipeline.model_validate(verbs)
        now = target.capture(world.call())
        assert (now.pointer, now.facts) == ("running", {"held": False})
        assert target.restore(world.call(), target.held(now), now).changed
        assert job.held(tmp_path / "pipeline")
        (tmp_path / "pipeline" / "state.json").write_text(json.dumps({"rounds": 7}))
        state = target.inspect(world.call())
        assert (state.pointer, state.observed["rounds"]) == ("held", 7)
        assert target.verify(world.call(), target.held(now)).ratio == 1.0
        assert not target.restore(world.call(), target.held(now), now).changed
        assert target.restore(world.call(), target.lifted(now), target.capture(world.call())).changed
        assert job.held(tmp_path / "pipeline") is None
