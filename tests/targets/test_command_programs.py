"""What programs may do wrong, and what is made of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.core.errors import TargetError
from bot.targets.command_run import LARGEST, run_json
from tests.targets.command_world import program


class TestPrograms:
    def test_they_get_json_and_a_clean_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The document arrives whole; of our environment only PATH does, and what the connection lists."""
        monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
        argv = program(tmp_path, "print(json.dumps({'in': json.load(sys.stdin), 'env': dict(os.environ)}))")
        answer = run_json(argv, {"ü": [1, None]}, timeout=30, env={"REGION": "eu"})
        assert answer["in"] == {"ü": [1, None]}
        assert answer["env"].keys() - {"LC_CTYPE"} == {"PATH", "LANG", "REGION"}

    def test_no_shell_reads_the_words(self, tmp_path: Path) -> None:
        """An argument is an argument, whatever stands in it."""
        words = ["$(touch x)", "; echo", "a b", "*"]
        argv = program(tmp_path, "print(json.dumps({'argv': sys.argv[1:]}))")
        assert run_json([*argv, *words], {}, timeout=30, cwd=str(tmp_path))["argv"] == words
        assert not (tmp_path / "x").exists()

    def test_a_large_document_to_one_that_does_not_read(self, tmp_path: Path) -> None:
        """A program that ignores a megabyte on stdin is answered for all the same."""
        argv = program(tmp_path, "print('{}')")
        assert run_json(argv, {"x": "y" * 3_000_000}, timeout=30) == {}

    def test_something_left_running_holds_nobody_up(self, tmp_path: Path) -> None:
        """A program may start a job that keeps its output open; the answer counts when the program ends."""
        ended = tmp_path / "ended"
        os.mkfifo(ended)
        left = f"open({str(ended)!r}).read()"
        argv = program(
            tmp_path,
            f"import subprocess; subprocess.Popen([sys.executable, '-c', {left!r}]); print('{{\"again_after\": 5}}')",
        )
        assert run_json(argv, {}, timeout=60) == {"again_after": 5}
        ended.write_text("go")

    @pytest.mark.parametrize(
        ("text", "said", "retriable"),
        [
            ("sys.stderr.write('warming up\\nno such DAG\\n'); sys.exit(3)", "ended with 3: no such DAG", False),
            ("sys.stderr.write('busy'); sys.exit(75)", "ended with 75: busy", True),
            ("os.kill(os.getpid(), 9)", "ended with -9: and said nothing", False),
            ("print('hello')", "did not answer in JSON", False),
            ("print('[1]')", "not answer with a JSON object, but with list", False),
            ("print('{\"a\": NaN}')", "did not answer in JSON: NaN", False),
            (f"print('x' * {LARGEST + 1})", "said more than 1,048,576 bytes", False),
            (f"sys.stderr.write('x' * {LARGEST * 3})", "said more than 1,048,576 bytes", False),
            ("sys.stdin.read(); os.read(os.pipe()[0], 1)", "was not done after 1.0 s", True),
        ],
    )
    def test_what_goes_wrong_is_said_in_one_line(
        self, tmp_path: Path, text: str, said: str, *, retriable: bool
    ) -> None:
        """Each way to fail is a TargetError with the program's own last words, retriable where that helps."""
        with pytest.raises(TargetError, match=said) as error:
            run_json(program(tmp_path, text), {}, timeout=1.0 if "pipe" in text else 30)
        assert error.value.retriable is retriable
        assert "\n" not in error.value.message

    def test_a_program_that_is_not_there(self, tmp_path: Path) -> None:
        """The error names the program."""
        with pytest.raises(TargetError, match="/nowhere/airflow can't be started: No such file"):
            run_json(["/nowhere/airflow"], {}, timeout=5)

    def test_where_a_program_was_looked_for(self, tmp_path: Path) -> None:
        """A path that is no whole one is told with the folder that it begins in."""
        with pytest.raises(TargetError, match=f"./pipeline can't be started in {tmp_path}: No such file"):
            run_json(["./pipeline"], {}, timeout=5, cwd=str(tmp_path))
        with pytest.raises(TargetError, match=f"./pipeline can't be started in {Path.cwd()}: No such file"):
            run_json(["./pipeline"], {}, timeout=5)
