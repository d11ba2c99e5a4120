"""A terminal in a folder of its own: commands in this process, or as the programs that people start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bot.__main__ import app
from bot.store import keys
from bot.store.write import open_store

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = Path(__file__).with_name("registry.py")
TABLE = Path(__file__).parents[1] / "flows/table.py"
ANA, BEN, CLEO, SAM = "T1/ANA", "T1/BEN", "T1/CLEO", "T1/SAM"
POLICY = """
policy: 1
request: [everyone]
control: ["@ml-oncall", requester]
groups: {ml-oncall: [T1/BEN, T1/CLEO]}
rules:
  - {name: one of us, approve: 1, from: "@ml-oncall"}
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """The one line on stderr. Anything else there is a failure of the command."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("rollbot: "), self.err
        return lines[0].removeprefix("rollbot: ")

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Terminal:
    """Commands run in ``folder``; ``keys`` are people's personal keys."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, who: str = "", **env: str) -> Said:
        """In this process: fast, and the same but for the start of Python."""
        unset = {name: None for name in os.environ if name.startswith(("ROLLBOT_", "SLACK_"))}
        with contextlib.chdir(self.folder):
            result = CliRunner().invoke(app, list(words), env={**unset, **self._who(who), **env})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def program(self, *words: str, who: str = "", **env: str) -> Said:
        """As a program of its own."""
        with self.started(*words, who=who, **env) as process:
            return _ended(process)

    def python(self, code: str) -> Said:
        """Any code, in a Python of its own."""
        with self._process("-c", code) as process:
            return _ended(process)

    def started(
        self, *words: str, who: str = "", **env: str
    ) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        """A program that is killed at the end of the block, if it has not ended."""
        return self._process("-m", "bot", *words, **self._who(who), **env)

    def typed(self, answer: str, *words: str, who: str = "", **env: str) -> Said:
        """As a program before which a person sits, who types ``answer`` when it asks."""
        ours, theirs = pty.openpty()
        try:
            os.write(ours, f"{answer}\n".encode())
            with self._process("-m", "bot", *words, stdin=theirs, **self._who(who), **env) as process:
                return _ended(process)
        finally:
            os.close(ours)
            os.close(theirs)

    @contextlib.contextmanager
    def _process(self, *argv: str, stdin: int | None = None, **env: str) -> Iterator[subprocess.Popen[str]]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROLLBOT_", "SLACK_")) and k != "PORT"}
        path = os.pathsep.join(filter(None, [env.pop("PYTHONPATH", ""), str(ROOT)]))
        process = subprocess.Popen(
            [sys.executable, *argv],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": path, **env},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)

    def _who(self, who: str) -> dict[str, str]:
        return {"ROLLBOT_KEY": self.keys[who]} if who else {}

    def file(self, name: str) -> Path:
        return self.folder / name

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces ``old``, which must be there, in a file of the folder."""
        text = self.file(name).read_text()
        assert old in text
        self.file(name).write_text(text.replace(old, new, 1))

    def flag(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file("playbooks/flags.json").read_text())["flags"]["use_example"]
        return found

    def share(self, percent: int) -> None:
        """``percent`` of the keys get the feature."""
        rule = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
        if percent < 100:
            rule["targeting"] = {"fractional": [["on", percent], ["off", 100 - percent]]}
        self.file("playbooks/flags.json").write_text(json.dumps({"flags": {"use_example": rule}}))

    def models(self, live: str, **more: object) -> None:
        """The registry as it is now; it holds 11 and 12."""
        self.file("models.json").write_text(json.dumps({"held": ["11", "12"], "live": live, **more}))


def _ended(process: subprocess.Popen[str]) -> Said:
    out, err = process.communicate(timeout=60)
    return Said(process.returncode, out, err)


def with_model(terminal: Terminal) -> None:
    """The sample feature gets a model in a registry that a program speaks for."""
    verbs = ("inspect", "capture", "readiness", "restore", "verify")
    _with_programs(terminal, "model", REGISTRY, terminal.file("models.json"), verbs)
    terminal.models("12")


def with_table(terminal: Terminal) -> None:
    """The sample feature gets a dataset that a program speaks for; 38 is live, of which 37 was the version before."""
    times = {"37": "2026-11-12T09:00:00+00:00", "38": "2026-11-22T01:10:00+00:00"}
    terminal.file("table.json").write_text(json.dumps({"live": "38", "versions": times}))
    _with_programs(terminal, "dataset", TABLE, terminal.file("table.json"), ("inspect", "capture", "restore"))


def _with_programs(terminal: Terminal, component: str, program: Path, file: Path, verbs: tuple[str, ...]) -> None:
    argv = {verb: [sys.executable, "-I", "-S", str(program), verb, str(file)] for verb in verbs}
    terminal.edit("playbooks/targets.yaml", "# jobs:       {type: command}", "jobs:       {type: command}")
    feature = terminal.file("playbooks/features/example.yaml")
    part = json.dumps({"target": "jobs", **argv})
    feature.write_text(feature.read_text().replace("\nslo:", f"\n  {component}: {part}\n\nslo:"))


def make_keys(database: Path, *people: str) -> dict[str, str]:
    """Personal keys, as /rollback key makes them."""

    async def make() -> dict[str, str]:
        store = open_store(f"sqlite:///{database}")
        await store.start()
        try:
            return {p: await store.write(lambda c, p=p: keys.make(c, p, datetime.now(UTC))) for p in people}
        finally:
            await store.stop()

    return asyncio.run(make())
