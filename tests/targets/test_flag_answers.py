"""What consumers get from a flag file, measured by evaluating it through OpenFeature: off, shares, shared rules."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest
from openfeature.evaluation_context import EvaluationContext

from bot.core.errors import TargetError
from bot.core.target import Json
from bot.targets.flag_file import answers, client_of
from tests.targets.flag_world import FILE, KEYS, RULE, FlagWorld, put
from tests.targets.nursery import ROOT


@pytest.fixture
def world(tmp_path: Path) -> FlagWorld:
    return FlagWorld(tmp_path)


def test_disabled_is_off_not_absent(world: FlagWorld) -> None:
    """Off means an explicit off answer: an app whose own default is on gets off, which state DISABLED would not do."""
    target = world.flag("use_driver_stats")
    put(world, target, target.disabled(target.capture(world.call())))
    with client_of(world.file) as client:
        details = client.get_boolean_details("use_driver_stats", True, EvaluationContext("driver-1"))
        absent = client.get_boolean_details("née", True, EvaluationContext("driver-1"))
    assert (details.value, details.variant) == (False, "off")
    assert (absent.value, absent.reason) == (True, "DISABLED")
    assert target.inspect(world.call()).pointer == "off"


@pytest.mark.parametrize(("percent", "expected"), [(10, 4), (25, 10), (50, 20), (75, 30)])
def test_a_share_of_a_percentage_rule(world: FlagWorld, percent: int, expected: float) -> None:
    """25 % of a rule that is on for 40 % is on for 10 % of consumers, measured, all of them from the 40 %."""
    target = world.flag("use_driver_stats")
    now = target.capture(world.call())
    full = answers(world.file, "use_driver_stats", RULE, KEYS, {})
    put(world, target, target.at(now, percent))
    got = answers(world.file, "use_driver_stats", RULE, KEYS, {})
    on = sum(1 for variant, _, _ in got if variant == "on")
    assert abs(100 * on / len(KEYS) - expected) < 2.5
    assert all(f[0] == "on" for f, g in zip(full, got, strict=True) if g[0] == "on")
    assert target.inspect(world.call()).pointer == f"{percent} % of: on for 40 %"
    assert target.verify(world.call(), target.at(now, percent)).ratio == 1.0


def test_a_ramp_only_adds_consumers(world: FlagWorld) -> None:
    """Who got the feature at 10 % keeps it at 25, 50 and 100 %; no targeting key means off until 100 %."""
    target = world.flag("ranking", off_variant="none")
    now = target.capture(world.call())
    seen: set[str] = set()
    for percent in (10, 25, 50, 100):
        put(world, target, target.at(now, percent))
        got = answers(world.file, "ranking", {"variants": {"a": 1}}, KEYS, {})
        in_it = {key for key, (variant, _, _) in zip(KEYS, got, strict=True) if variant != "none"}
        assert seen <= in_it
        seen = in_it
        if percent < 100:
            nobody = answers(world.file, "ranking", {"variants": {"a": 1}}, [""], {})
            assert nobody[0][0] == "none"


def test_a_share_of_a_plain_flag(world: FlagWorld) -> None:
    """A flag without targeting becomes a plain percentage that a person can read, off for callers without a key."""
    target = world.flag("banner", off_variant="blue")
    now = target.capture(world.call())
    part = target.at(now, 25)
    assert part.data["rule"]["targeting"] == {"fractional": [["red", 25], ["blue", 75]]}
    assert part.pointer == "red for 25 %"
    put(world, target, part)
    served = world.served("banner", {"variants": {"red": "x"}})
    assert abs(100 * served["red"] / len(KEYS) - 25) < 2.5
    assert answers(world.file, "banner", {"variants": {"red": "x"}}, [""], {})[0][0] == "blue"


def test_shares_of_a_targeted_rule(world: FlagWorld) -> None:
    """A rule by attribute keeps its meaning inside the share, also where it answers with its default."""
    target = world.flag("staff_only", evaluate_as={"email": "a@example.com"})
    now = target.capture(world.call())
    assert now.pointer == "by rule, else off"
    put(world, target, target.at(now, 50))
    like = {"variants": {"on": True}}
    inside = world.served("staff_only", like, email="a@example.com")
    assert abs(100 * inside["on"] / len(KEYS) - 50) < 4
    assert world.served("staff_only", like, email="a@elsewhere.org") == {"off": len(KEYS)}
    assert target.verify(world.call(), target.at(now, 50)).ratio == 1.0


def test_shared_rules_belong_to_the_version(world: FlagWorld) -> None:
    """A changed shared rule is another version of the flags that use it, of no other; a restore brings its sense back
    without touching the shared rule itself."""
    target, other = world.flag("staff_only", evaluate_as={"email": "a@example.com"}), world.flag("use_driver_stats")
    now, version = target.capture(world.call()), other.inspect(world.call()).version
    world.file.write_text(FILE.replace("@example.com", "@elsewhere.org"))
    bad = target.capture(world.call())
    assert bad.digest != now.digest
    assert other.inspect(world.call()).version == version
    assert target.verify(world.call(), now).ratio == 0.0
    target.restore(world.call(), now, bad)
    assert target.verify(world.call(), now).ratio == 1.0
    assert "@elsewhere.org" in json.loads(world.file.read_text())["$evaluators"]["inside"]["ends_with"]
    target.restore(world.call(), bad, target.capture(world.call()))
    assert world.file.read_text() == FILE.replace("@example.com", "@elsewhere.org")


def test_a_rule_that_the_sample_cannot_tell_apart_is_inconclusive(world: FlagWorld) -> None:
    """Verify never passes another rule, even if every sampled key gets the same answer from it."""
    target = world.flag("staff_only", evaluate_as={"email": "a@nowhere.org"})
    now = target.capture(world.call())
    world.rewrite("staff_only", {**now.data["rule"], "targeting": {"if": [{"var": "beta"}, "on"]}})
    accuracy = target.verify(world.call(), now)
    assert accuracy.matched == accuracy.expected
    assert accuracy.ratio == 0.0
    assert "another rule" in (accuracy.inconclusive or "")


def test_verify_says_the_shares(world: FlagWorld) -> None:
    """A wrong percentage shows as counts: what it should be, and what it is."""
    good = world.target.capture(world.call())
    world.rewrite("use_driver_stats", {**RULE, "targeting": {"fractional": [["on", 60], ["off", 40]]}})
    accuracy = world.target.verify(world.call(), good)
    assert 0.7 < accuracy.ratio < 0.9
    assert accuracy.sampled
    assert "should be off for" in accuracy.examples[0]
    world.rewrite("use_driver_stats", {**RULE, "state": "DISABLED"})
    assert world.target.verify(world.call(), good).null == 1000
    assert world.target.inspect(world.call()).warnings


def test_which_variant_is_off(world: FlagWorld) -> None:
    """Nothing is guessed: a flag without a plain off refuses in words, and off_variant must exist."""
    now = world.flag("banner").capture(world.call())
    with pytest.raises(TargetError, match="which of the variants red, blue is off"):
        world.flag("banner").disabled(now)
    with pytest.raises(TargetError, match="green is no variant"):
        world.flag("banner", off_variant="green").at(now, 50)
    with pytest.raises(TargetError, match="nothing to take a share of"):
        world.flag("née").at(world.flag("née").capture(world.call()), 50)
    two: dict[str, Json] = {"state": "ENABLED", "variants": {"Off": False, "no": False, "on": True}}
    world.rewrite("banner", {**two, "defaultVariant": "on"})
    assert world.flag("banner").disabled(world.flag("banner").capture(world.call())).pointer == "off"


def test_seen_after_the_poll_interval(world: FlagWorld) -> None:
    """With ``poll``, consumers see a change only that long after the file was written; without, at once."""
    target = world.flag("use_driver_stats", poll=30)
    now = target.capture(world.call())
    off = target.disabled(now)
    assert world.flag("use_driver_stats").visible(world.call(), off).visible is False
    target.restore(world.call(), off, now)
    assert world.flag("use_driver_stats").visible(world.call(), off).visible
    waiting = target.visible(world.call(), off)
    assert (waiting.visible, waiting.seen) == (False, 0)
    assert 25 < waiting.again_after <= 30
    assert target.visible(world.call(now=datetime.now(UTC) + timedelta(seconds=31)), off).visible


def test_captures_say_what_changes(world: FlagWorld) -> None:
    """The diff speaks in percentages, field by field."""
    good = world.target.capture(world.call())
    put(world, world.flag("use_driver_stats"), world.flag("use_driver_stats").disabled(good))
    diff = world.target.diff(world.call(), good)
    assert diff.summary == "off -> on for 40 %"
    changes = {c.name: (c.before, c.after) for c in diff.changes}
    assert changes["percent"] == ({"off": 100.0}, {"on": 40.0, "off": 60.0})


UNWRITABLE = """
import os, sys
from datetime import UTC, datetime
from bot.core.target import Call, Connection
from bot.targets.flagd import FlagdFlag

connection = Connection(name="flags", type="flagd", settings={"file": sys.argv[1]})
call = Call(connection=connection, blobs=None, now=datetime.now(UTC))
target = FlagdFlag(flag="use_driver_stats")
good = target.capture(call)
print(target.readiness(call, good).status)
os.chmod(os.path.dirname(sys.argv[1]), 0o555)
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
print(target.readiness(call, good).model_dump_json())
try:
    target.restore(call, target.disabled(good), good)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_an_unwritable_folder_is_not_ready() -> None:
    """A flag file that this process may not replace is found by readiness; restore says so in one line."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder, "flags.json")
        file.write_text(FILE)
        script = [sys.executable, "-c", UNWRITABLE, str(file)]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        Path(folder).chmod(0o755)
        lines = done.stdout.splitlines()
        assert lines[0] == "ready"
        assert json.loads(lines[1])["status"] == "not_ready"
        assert "is not writable" in lines[1]
        assert lines[2].startswith("TargetError can't write")
        assert file.read_text() == FILE


def test_timings(world: FlagWorld) -> None:
    """Off takes well under the five seconds promised for Stop the harm, also in a file of 1,000 flags."""
    document = {"flags": {f"f{n}": RULE for n in range(1000)}}
    world.file.write_text(json.dumps(document, indent=2))
    target = world.flag("f500")
    now = target.capture(world.call())
    spent = {}
    for name, act in {
        "inspect": lambda: target.inspect(world.call()),
        "restore": lambda: target.restore(world.call(), target.disabled(now), now),
        "verify": lambda: target.verify(world.call(), target.disabled(now)),
        "readiness": lambda: target.readiness(world.call(), now),
    }.items():
        begun = perf_counter()
        act()
        spent[name] = perf_counter() - begun
    sys.stdout.write(", ".join(f"{name} {1000 * s:.0f} ms" for name, s in spent.items()) + "\n")
    assert spent["restore"] < 5
