"""The flag file target against real files: the contract, and what happens to the file."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest
from pydantic import ValidationError

from bot.core.errors import CorruptBlob, Moved, TargetError
from bot.core.target import Connection
from tests.targets.contract import SwitchableContract
from tests.targets.flag_world import FILE, RULE, FlagWorld, put
from tests.targets.nursery import ROOT, nursery_with


class TestFlagd(SwitchableContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> FlagWorld:
        return FlagWorld(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> FlagWorld:
    return FlagWorld(tmp_path)


def test_put_back_gives_the_same_bytes(world: FlagWorld) -> None:
    """Off and back on leaves the file byte for byte as it was, with odd spacing, order and accents."""
    original = world.file.read_bytes()
    for name in ("use_driver_stats", "staff_only", "née"):
        target = world.flag(name)
        now = target.capture(world.call())
        put(world, target, target.disabled(now))
        assert world.file.read_bytes() != original
        put(world, target, now)
        assert world.file.read_bytes() == original


def test_only_this_flags_bytes_change(world: FlagWorld) -> None:
    """Everything before and after the flag's own rule keeps every byte, and the new rule keeps the layout."""
    target = world.flag("use_driver_stats")
    put(world, target, target.disabled(target.capture(world.call())))
    before, after = FILE.encode(), world.file.read_bytes()
    head, tail = before.index(b'"use_driver_stats": ') + 20, before.index(b',\n    "banner"')
    assert after.startswith(before[:head])
    assert after.endswith(before[tail:])
    assert b'\n      "defaultVariant": "off"\n    },\n    "banner"' in after


@pytest.mark.parametrize("layout", ["one line", "crlf", "tabs", "flag on one line"])
def test_layouts_survive(world: FlagWorld, layout: str) -> None:
    """Whatever the layout, the result is valid JSON with only this flag changed, and put back is exact."""
    document = json.loads(FILE)
    texts = {
        "one line": json.dumps(document),
        "crlf": FILE.replace("\n", "\r\n"),
        "tabs": json.dumps(document, indent="\t"),
        "flag on one line": FILE,
    }
    world.file.write_bytes(texts[layout].encode())
    target = world.flag("banner" if layout == "flag on one line" else "use_driver_stats", off_variant=None)
    if layout == "flag on one line":
        target = world.flag("banner", off_variant="blue")
    now = target.capture(world.call())
    put(world, target, target.disabled(now))
    changed = json.loads(world.file.read_bytes())
    assert changed["flags"].pop(target.flag) != document["flags"].pop(target.flag)
    assert changed == document
    if layout == "crlf":
        assert world.file.read_bytes().count(b"\n") == world.file.read_bytes().count(b"\r\n")
    put(world, target, now)
    assert world.file.read_bytes() == texts[layout].encode()


def test_concurrent_writers_lose_nothing(world: FlagWorld) -> None:
    """Eight processes that each restore their own flag of one file at once all get their rule in, whole."""
    document = {"flags": {f"f{n}": RULE for n in range(8)}}
    world.file.write_text(json.dumps(document, indent=2))
    code = (
        "import sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from bot.core.target import Call, Connection\nfrom bot.targets.flagd import FlagdFlag\n"
        "from tests.targets.contract import FolderBlobs\n"
        "c = Connection(name='flags', type='flagd', settings={'file': sys.argv[1]})\n"
        "call = Call(connection=c, blobs=FolderBlobs(Path(sys.argv[3])), now=datetime.now(UTC))\n"
        "t = FlagdFlag(flag=sys.argv[2]); now = t.capture(call); off = t.disabled(now)\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(20): t.restore(call, off, now); t.restore(call, now, off)\n"
        "t.restore(call, off, now)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(world.file), f"f{n}", str(world.folder / "blobs")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for n in range(8)
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == b"ready\n"
    begun = perf_counter()
    for process in started:
        process.communicate(b"go\n", timeout=60)
    sys.stdout.write(f"8 writers x 41 restores: {perf_counter() - begun:.2f} s\n")
    assert [p.returncode for p in started] == [0] * 8
    flags = json.loads(world.file.read_text())["flags"]
    assert [f["defaultVariant"] for f in flags.values()] == ["off"] * 8
    assert not any("targeting" in f for f in flags.values())
    assert world.beside() == ["flags.json"]


def test_a_writer_without_our_lock_is_not_overwritten(world: FlagWorld) -> None:
    """A deploy that changes another flag between our read and our rename survives."""
    target = world.flag("use_driver_stats")
    now = target.capture(world.call())

    def deploy() -> None:
        document = json.loads(world.file.read_text())
        if "late" not in document["flags"]:
            world.rewrite("late", RULE)

    target.restore(world.call(check=deploy), target.disabled(now), now)
    flags = json.loads(world.file.read_text())["flags"]
    assert flags["late"] == RULE
    assert "targeting" not in flags["use_driver_stats"]


def test_a_deploy_of_the_same_flag_in_between_is_moved(world: FlagWorld) -> None:
    """If this very flag changes between our read and our rename, nothing of ours is written."""
    target = world.flag("use_driver_stats")
    now = target.capture(world.call())
    with pytest.raises(Moved, match="somebody else changed it"):
        target.restore(world.call(check=world.change), target.disabled(now), now)
    assert json.loads(world.file.read_text())["flags"]["use_driver_stats"]["targeting"]["fractional"][0] == ["on", 99]


def test_endless_rewriting_ends_in_a_retriable_error(world: FlagWorld) -> None:
    """A file that somebody rewrites faster than we can is given up with a clear line, without a scratch file left."""
    target = world.flag("use_driver_stats")
    now = target.capture(world.call())
    with pytest.raises(TargetError, match="being rewritten all the time") as error:
        target.restore(world.call(check=world.append), target.disabled(now), now)
    assert error.value.retriable
    assert world.beside() == ["flags.json"]


def test_killed_before_the_rename_leaves_the_old_file_and_is_mended(world: FlagWorld) -> None:
    """A kill -9 between scratch file and rename leaves the flag as it was; the repetition is exact and tidies up."""
    original = world.file.read_bytes()
    target = world.flag("use_driver_stats")
    now = target.capture(world.call())
    off = target.disabled(now)
    assert nursery_with(world.preload).restore(target, world.call(), off, now, 1).killed
    assert world.file.read_bytes() == original
    assert world.beside() == [".flags.json.rollbot-new", "flags.json"]
    assert target.restore(world.call(), off, now).changed
    assert world.beside() == ["flags.json"]
    assert world.stopped()


def test_links_modes_and_times(world: FlagWorld) -> None:
    """A linked flag file (as in a config map) stays a link; mode and attributes stay; the file gets younger."""
    link = world.folder / "mounted.json"
    link.symlink_to(world.file)
    world.connection = Connection(name="flags", type="flagd", settings={"file": str(link)})
    world.file.chmod(0o640)
    with suppress(OSError):  # not every file system has them
        os.setxattr(world.file, "user.owner", b"ml-platform")
    attributes = os.listxattr(world.file)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    os.utime(world.file, (ahead.timestamp(), ahead.timestamp()))
    target = world.flag("use_driver_stats")
    put(world, target, target.disabled(target.capture(world.call())))
    assert link.is_symlink()
    assert stat.S_IMODE(world.file.stat().st_mode) == 0o640
    assert os.listxattr(world.file) == attributes
    assert world.file.stat().st_mtime > ahead.timestamp()
    assert world.stopped()


def test_a_held_lock_is_waited_for_until_the_deadline(world: FlagWorld) -> None:
    """Another process in its critical section makes a restore wait, and give up with a retriable line."""
    target = world.flag("use_driver_stats")
    now = target.capture(world.call())
    folder = os.open(world.file.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(TargetError, match="holds the lock") as error:
        target.restore(replace(world.call(), deadline=0.05), target.disabled(now), now)
    assert error.value.retriable
    waiting = threading.Thread(target=target.restore, args=(world.call(), target.disabled(now), now))
    waiting.start()
    os.close(folder)
    waiting.join(10)
    assert world.stopped()


FAULTS = {
    "truncated": (FILE[:200], r"flags\.json:\d+:\d+: not valid JSON"),
    "comma": ('{"flags": {"use_driver_stats": {},}}', r"flags\.json:1:35: not valid JSON"),
    "empty": ("", r"flags\.json:1:1: not valid JSON"),
    "list": ("[]", r"must hold a JSON object"),
    "no flags": ("{}", r'"flags" must be an object'),
    "no variants": ('{"flags": {"use_driver_stats": {"state": "ENABLED"}}}', r"must be an object with variants"),
    "state": ('{"flags": {"use_driver_stats": {"state": "ON", "variants": {"a": 1}}}}', r"not 'ON'"),
    "not a number": ('{"flags": {"use_driver_stats": {"x": NaN}}}', r"NaN is not a JSON value"),
    "infinite": ('{"flags": {"use_driver_stats": {"x": 1e999}}}', r"not valid JSON"),
    "deep": ("[" * 100_000, r"not valid JSON"),
    "half a character": ('{"flags": {"a": "\\ud800"}}', r"not valid UTF-8"),
    "twice": (FILE.replace('"banner"', '"use_driver_stats"'), r"use_driver_stats stands 2 times"),
    "evaluators": ('{"$evaluators": [1], "flags": ' + json.dumps({"use_driver_stats": RULE}) + "}", r"evaluators"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_file_is_one_clear_line(world: FlagWorld, fault: str) -> None:
    """A broken file gives one line with the place, also as a reason of readiness, and is never written to."""
    good = world.target.capture(world.call())
    text, pattern = FAULTS[fault]
    world.file.write_text(text)
    for method in (world.target.inspect, world.target.capture):
        with pytest.raises(TargetError, match=pattern) as error:
            method(world.call())
        assert "\n" not in error.value.message
    readiness = world.target.readiness(world.call(), good)
    assert (readiness.status, len(readiness.reasons)) == ("not_ready", 1)
    with pytest.raises(TargetError):
        world.target.restore(world.call(), good, good)
    assert world.file.read_text() == text


def test_bytes_that_are_no_text(world: FlagWorld) -> None:
    """A file in another encoding is refused with the position of the first bad byte."""
    world.file.write_bytes(b'{"flags": {"n\xe9e": 1}}')
    with pytest.raises(TargetError, match="not valid UTF-8 at byte 13"):
        world.target.inspect(world.call())


def test_names_that_do_not_exist(world: FlagWorld) -> None:
    """A missing flag names near misses; a missing file and a bad connection say so; typos in parameters too."""
    with pytest.raises(TargetError, match="did you mean use_driver_stats"):
        world.flag("use_driver_stat").inspect(world.call())
    with pytest.raises(TargetError, match="it has banner"):
        world.flag("zzz").inspect(world.call())
    with pytest.raises(ValidationError):
        world.flag("banner", of_variant="x")
    world.file.unlink()
    with pytest.raises(TargetError, match=r"flags\.json does not exist"):
        world.target.inspect(world.call())
    for bad in ({}, {"file": "flags.json"}, {"file": "/x/flags.yaml"}):
        with pytest.raises(TargetError, match="absolute path of a flagd"):
            world.target.resource(Connection(name="flags", type="flagd", settings=bad))


def test_a_damaged_capture_is_refused(world: FlagWorld) -> None:
    """A stored rule or its text that no longer has its digest is found by readiness and refused by restore."""
    good = world.target.capture(world.call())
    world.change()
    bad, before = world.target.capture(world.call()), world.fingerprint()
    for data in (
        {**good.data, "rule": {**RULE, "defaultVariant": "on"}},
        {**good.data, "text": good.data["text"].replace("40", "41")},
        {**good.data, "text": "{"},
        {},
    ):
        damaged = good.model_copy(update={"data": data})
        assert world.target.readiness(world.call(), damaged).status == "not_ready"
        with pytest.raises(CorruptBlob):
            world.target.restore(world.call(), damaged, bad)
    assert world.fingerprint() == before


def test_a_rule_that_flagd_cannot_evaluate_is_not_ready(world: FlagWorld) -> None:
    """A rule that answers a variant that does not exist is found before it is restored."""
    world.rewrite("use_driver_stats", {**RULE, "targeting": {"fractional": [["on", 50], ["of", 50]]}})
    broken = world.target.capture(world.call())
    readiness = world.target.readiness(world.call(), broken)
    assert readiness.status == "not_ready"
    assert "GENERAL" in readiness.reasons[0]
