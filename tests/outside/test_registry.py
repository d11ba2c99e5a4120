"""Types of system come from entry points, ours like a stranger's, and a wrong component is one clear line."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from importlib.metadata import entry_points

import pytest

from bot.core.errors import Fault, LostOwnership, TargetError, Unknown
from bot.core.ports import Component, Errand, Targets
from bot.core.target import Connection, Kind
from bot.outside.child import Children
from bot.outside.registry import GROUP, Registry, TargetPort
from tests.outside import fakes
from tests.outside.fakes import Job, Switch, Thing, capture_of

SHELF = Connection(name="shelf", type="thing", settings={})
NOW = datetime(2026, 11, 22, 3, 2, tzinfo=UTC)


class Stopped:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW


def part(kind: Kind = Kind.dataset, target: str = "shelf", **params: object) -> Component:
    return Component(name="trips", kind=kind, target=target, params=params)


def registry() -> Registry:
    return Registry({"thing": fakes.TARGETS})


@pytest.fixture
async def port(tmp_path):
    children = Children(str(tmp_path / "artifacts"), preload=[])
    await children.start()
    faults = {"models": Fault("the environment variable X is not set", file="targets.yaml", line=6)}
    yield TargetPort(registry(), children, lambda: {"shelf": SHELF}, Stopped(), lambda: faults)
    await children.stop()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs packages that exist only for this test: ``package(name, entry_points, module_text)``."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, points: str, text: str = "") -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
        (tmp_path / f"{name}.py").write_text(text)

    yield install
    for name in ("acme", "zenith"):
        sys.modules.pop(name, None)


def test_a_class_is_found_by_type_and_kind():
    """One type of system may offer one class per kind."""
    assert registry().classes("thing") == {Kind.dataset: Thing, Kind.flag: Switch, Kind.pipeline: Job}
    assert isinstance(registry().build(part(Kind.flag), SHELF), Switch)


def test_a_strangers_package_adds_its_type(package):
    """One entry point is enough, whether it names a class, a list, or classes by kind."""
    text = "from tests.outside.fakes import Thing, Switch\nBOTH = {'dataset': Thing, 'flag': Switch}\nLIST = [Thing]\n"
    package("acme", "warehouse = acme:BOTH\nbucket = acme:LIST\nvault = acme:Switch", text)
    made = Registry()
    assert {"warehouse", "bucket", "vault"} <= set(made.types())
    assert set(made.classes("warehouse")) == {Kind.dataset, Kind.flag}
    assert set(made.classes("bucket")) == {Kind.dataset} and set(made.classes("vault")) == {Kind.flag}


def test_names_are_listed_without_importing_anything(package):
    """A stranger's broken module can't disturb what does not use it."""
    package("acme", "warehouse = acme:BOTH", "raise RuntimeError('no licence')\n")
    made = Registry({"thing": fakes.TARGETS})
    assert "warehouse" in made.types() and made.classes("thing")
    with pytest.raises(
        Fault, match=r"the type 'warehouse' of acme can't be loaded from acme:BOTH: RuntimeError: no lic"
    ):
        made.classes("warehouse")


def test_two_packages_with_one_type_are_refused(package):
    """Nobody wins by chance."""
    package("acme", "warehouse = acme:A")
    package("zenith", "warehouse = zenith:A")
    with pytest.raises(Fault, match="the type 'warehouse' is offered by acme and zenith: uninstall all but one"):
        Registry().classes("warehouse")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([fakes.Broken], "lists Broken, which is no pydantic class with a 'kind'"),
        ([Connection], "lists Connection, which is no pydantic class with a 'kind'"),
        ([Thing, Thing], "lists two classes for a dataset"),
        ([], "lists no target class"),
    ],
)
def test_what_is_no_target_is_refused(given, words):
    """A class without a kind, two for one kind, or none at all is said by name."""
    with pytest.raises(Fault, match=words):
        Registry({"odd": given})


def test_a_class_that_lacks_a_method_is_refused():
    """The methods of the contract that are missing are named."""
    words = "lists Half, which lacks readiness, diff, restore, visible, verify, sandbox and discard"
    with pytest.raises(Fault, match=words):
        Registry({"odd": [fakes.Half]})


def test_an_unknown_type_gets_a_suggestion():
    """A misspelt type names the near misses; a strange one, what there is."""
    with pytest.raises(Unknown, match=r"there is no type of system 'thign'\. Did you mean thing\?"):
        registry().classes("thign")
    with pytest.raises(Unknown, match=r"there is no type of system 'q'; known are .*thing"):
        registry().classes("q")


@pytest.mark.parametrize(
    ("component", "words"),
    [
        (part(servin=["x"]), "component trips: unknown key 'servin', did you mean 'serving'?"),
        (part(size="many"), "component trips: size: input should be a valid integer, .*, not 'many'"),
        (part(size="many", servin=[]), "component trips: unknown key 'servin', .*; size: input"),
        (
            part(Kind.model),
            "component trips: shelf can't be used for a model; a thing connection has dataset, flag and",
        ),
    ],
)
def test_wrong_parameters_are_one_line(component, words):
    """The line names the component and the key, with a suggestion where one is near."""
    with pytest.raises(Fault, match=words) as raised:
        registry().build(component, SHELF)
    assert "\n" not in raised.value.message


def test_problems_carry_their_place():
    """Who has the file can say the line of each fault."""
    found = registry().problems(part(servin=[], serving=[1]), SHELF)
    assert [p.where for p in found] == [("servin",), ("serving", 0)]
    assert registry().problems(part(), SHELF) == []


def test_our_targets_are_listed_like_strangers():
    """Whatever this distribution registers can be loaded and is complete."""
    ours = [p for p in entry_points(group=GROUP) if p.value.startswith("bot.targets.")]
    if not ours and not os.environ.get("CI"):
        pytest.skip("rollbot is not installed here: pip install -e .")
    assert {p.name for p in ours} == {"command", "delta", "feast", "flagd", "mlflow"}
    for point in ours:
        assert Registry().classes(point.name)


async def test_the_port_keeps_its_promise(port):
    """TargetPort is what the flows ask for."""
    targets: Targets = port
    assert targets.resource(part(arg="x")) == "thing:shelf/x" and targets.fault(part()) is None


async def test_calls_go_through_children_and_come_back_as_values(port, tmp_path):
    """Every method of the port answers with its own kind of value."""
    errand = Errand(key="R-1:3", fence=7, timeout=20, context={"feature": "f"})
    state = await port.inspect(part(), errand)
    assert state.facts["pid"] != os.getpid() and state.facts["now"] == NOW.isoformat()
    assert (state.facts["key"], state.facts["fence"], state.facts["context"]) == ("R-1:3", 7, {"feature": "f"})
    capture = await port.capture(part(), errand, at="v12")
    assert capture.pointer == "v12" and (await port.capture(part(), errand)).pointer == "live"
    assert (await port.readiness(part(), errand, capture)).status == "ready"
    assert (await port.diff(part(), errand, capture)).counts == {"rows_added": 1}
    receipt = await port.restore(part(arg=str(tmp_path / "w")), errand, capture, capture_of("v13"))
    assert receipt.pointer == "v13->v12"
    assert (await port.visible(part(), errand, capture)).total == 2
    assert (await port.verify(part(), errand, capture)).matched == 9


async def test_a_sandbox_is_a_component(port, tmp_path):
    """A sandbox can be called like the real one, and be discarded."""
    sandbox = await port.sandbox(part(arg=str(tmp_path / "t")), Errand(timeout=20))
    assert sandbox.kind == Kind.dataset and port.resource(sandbox) == f"thing:shelf/{tmp_path}/t-sandbox"
    await port.discard(sandbox, Errand(timeout=20))
    assert (tmp_path / "t-sandbox").read_text() == "discarded"


async def test_a_lost_run_writes_nothing_through_the_port(port, tmp_path):
    """The errand's check reaches the child, and its no comes back."""

    async def check() -> None:
        raise LostOwnership("R-1 belongs to another worker")

    component, capture = part(arg=str(tmp_path / "w")), capture_of()
    with pytest.raises(LostOwnership):
        await port.restore(component, Errand(timeout=20, check=check), capture, capture)
    assert not (tmp_path / "w").exists()


async def test_abilities_are_pure_and_here(port):
    """Switching and holding make captures without any child."""
    now = capture_of()
    flag, job = part(Kind.flag), part(Kind.pipeline)
    assert (port.disabled(flag, now).pointer, port.at(flag, now, 25).pointer) == ("off", "25 %")
    assert (port.held(job, now).pointer, port.lifted(job, now).pointer) == ("held", "running")


async def test_a_missing_ability_is_said(port):
    """A dataset can be neither switched nor held."""
    with pytest.raises(TargetError, match="component trips: a dataset in thing can't be disabled or set to a share"):
        port.disabled(part(), capture_of())
    with pytest.raises(TargetError, match="component trips: a dataset in thing can't be held or lifted"):
        port.held(part(), capture_of())


async def test_a_wrong_component_is_one_line_everywhere(port):
    """fault() tells, resource() raises, and a call fails as a TargetError, like any other trouble of a step."""
    wrong = part(sise=1)
    assert port.fault(wrong) == "component trips: unknown key 'sise', did you mean 'size'?"
    with pytest.raises(Fault, match="did you mean 'size'"):
        port.resource(wrong)
    with pytest.raises(TargetError, match="did you mean 'size'") as raised:
        await port.inspect(wrong, Errand(timeout=20))
    assert not raised.value.retriable


async def test_a_connection_that_is_not_there_is_said(port):
    """A misspelt one gets a suggestion, a faulty one its own fault with file and line."""
    words = "component trips: there is no connection 'shelv' in targets.yaml. Did you mean shelf?"
    assert port.fault(part(target="shelv")) == words
    assert port.fault(part(target="models")) == "targets.yaml:6: the environment variable X is not set"
