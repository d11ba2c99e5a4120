"""From exec to the line that says that it is ready: ``rollbot serve``, with nothing to read and with very much."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bot.practice.bot_process import environment
from tests.bench import Number, cpu, median, spread
from tests.bench.ack_scene import FEATURE, write_books

MANY = 10_000
TIMES = 5
READY = b"is ready on"


def settings(folder: Path) -> dict[str, str]:
    return environment(
        {
            "ROLLBOT_DATABASE_URL": f"sqlite:///{folder / 'rollbot.db'}",
            "ROLLBOT_PLAYBOOKS": str(folder / "playbooks"),
            "ROLLBOT_ARTIFACTS": str(folder / "artifacts"),
            "ROLLBOT_AUDIT_KEY_FILE": str(folder / "rollbot-audit.key"),
            "ROLLBOT_HOST": "127.0.0.1",
            "PORT": "0",
        }
    )


def ready(folder: Path) -> tuple[float, float]:
    """Seconds until it is ready, and its CPU seconds; then it is ended. Raises RuntimeError with its last words if it
    never is."""
    began = time.perf_counter()
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", "serve"], cwd=folder, env=settings(folder), stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout
    try:
        for line in process.stdout:
            if READY in line:
                return time.perf_counter() - began, cpu.own(process.pid)
        raise RuntimeError(f"rollbot serve ended: {(folder / 'serve.log').read_text()[-300:]}")
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def imports() -> float:
    """Seconds that this Python takes, from exec to its end, for what ``serve`` imports and nothing else."""
    began = time.perf_counter()
    words = [sys.executable, "-c", "import bot.cli.serve"]
    subprocess.run(words, check=True, env=environment({}), stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def write_many(folder: Path) -> None:
    features = folder / "playbooks/features"
    for n in range(MANY):
        name = f"other_{n:05}"
        (features / f"{name}.yaml").write_text(FEATURE.format(name=name))


def numbers() -> Iterator[Number]:
    with tempfile.TemporaryDirectory(prefix="rollbot-bench-") as few, tempfile.TemporaryDirectory() as many:
        for place in (few, many):
            write_books(Path(place))
        for feature in (Path(few) / "playbooks/features").iterdir():
            feature.unlink()
        write_many(Path(many))
        first, _ = ready(Path(few))
        ready(Path(many))
        took = [(imports(), *ready(Path(few)), *ready(Path(many))) for _ in range(TIMES)]
        floor, none, none_cpu, full, full_cpu = ([t[n] for t in took] for n in range(5))
        yield Number("python with everything that serve imports", median(floor), "s", note=spread(floor, "s"))
        yield Number("rollbot serve ready, no database yet, no features", first, "s", 3, "once; makes the schema")
        for what, walls, cpus in (("no", none, none_cpu), (f"{MANY:,}", full, full_cpu)):
            note = f"{spread(walls, 's')}; {median(cpus):.2f} s of CPU"
            yield Number(f"rollbot serve ready, {what} features", median(walls), "s", 3, note)
