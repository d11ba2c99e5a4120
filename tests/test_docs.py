"""The documents and the code agree: whatever people type, set or write is documented, and nothing else is."""

from __future__ import annotations

import inspect
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from bot.__main__ import COMMANDS, loaded
from bot.core import errors
from bot.core.drill import Drill
from bot.core.feature import Feature, Slo
from bot.core.playbook import FITS, Step, Verb
from bot.core.policy import Match, Policy, Rule
from bot.core.target import Call, Connection
from bot.core.text import seconds
from bot.outside.books import TeamBooks
from bot.outside.registry import Registry
from bot.outside.yamlfile import parse
from bot.practice.demo import Interrupted
from bot.settings import Settings
from bot.slack import commands
from bot.slack.checkup import SCOPES
from bot.slack.commands.registry import DEFAULT, SUBCOMMANDS
from bot.slack.views import buttons
from bot.targets import feast_rebuild, feast_store
from bot.targets.command import CommandPipeline
from bot.web import health
from bot.web.server import build_app
from tests.documents import ALL, DOCUMENTS, FENCE, ROOT, Row, code, fences, listed, name, section, tables, words
from tests.targets.world import FolderBlobs

README, OPERATING, TARGETS, SECURITY, TUTORIAL = (
    (ROOT / name).read_text()
    for name in ("README.md", "docs/operating.md", "docs/targets.md", "docs/security.md", "docs/tutorial.md")
)
FEATURES = {"driver_stats", "example", "FEATURE"}
TYPES = Registry().types()


def defaults(model: type[BaseModel]) -> dict[str, Any]:
    """What a model takes, by the name that people write; ``...`` where there is no default."""
    found = {}
    for field, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True) if not info.is_required() else ...
        found[info.alias or field] = default
    return found


def said(value: Any) -> Any:
    """A default as a document would write it, for comparison."""
    if isinstance(value, BaseModel):
        return said(value.model_dump())
    if isinstance(value, list | tuple | dict):
        return [said(v) for v in value]
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value or "")


def written(cell: str) -> Any:
    """The default in a cell, for comparison; None where it is told in words or there is none."""
    marked = re.fullmatch(r"`([^`]*)`", cell)
    if not marked:
        return said([]) if cell == "none" else None
    value = parse(Path("cell"), marked[1].encode()).data
    try:
        return [seconds(v) for v in value] if isinstance(value, list) else seconds(value)
    except ValueError:
        return said(value)


def assert_documented(model: type[BaseModel], rows: dict[str, Row], leave: set[str] = frozenset()) -> None:
    """Every field has a row, every row a field, and the default that a row gives is the real one."""
    real = {key: value for key, value in defaults(model).items() if key not in leave}
    assert set(rows) == set(real)
    for key, row in rows.items():
        told = written(row.get("default", ""))
        if told is not None and told != []:
            assert told == said(real[key]), key


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(path: Path) -> None:
    """A link or picture within the project is there; who sees no picture has words for it."""
    text = FENCE.sub("", path.read_text())
    for said, where in re.findall(r"!?\[([^\]]*)\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert said and (path.parent / where).exists(), where


# -- what people type ------------------------------------------------------------------------------


def leaves() -> dict[str, Any]:
    """Every command of the terminal by its words."""
    found = {}
    for first in COMMANDS:
        command = loaded(first)
        below = getattr(command, "commands", None)
        found |= {f"{first} {second}": each for second, each in below.items()} if below else {first: command}
    return found


LEAVES = leaves()


def typed() -> list[tuple[str, str]]:
    """Every command line of the documents: what was typed after ``rollbot``."""
    starts = re.compile(r"(?:\$ )?(?:rollbot|practice/(?:ana|ben)) (?!is )([a-z].*)")
    return [(line, found[1]) for line in code(ALL) if (found := starts.match(line))]


@pytest.mark.parametrize("words_", sorted(LEAVES))
def test_every_command_is_in_the_readme(words_: str) -> None:
    """README names each command of the terminal."""
    assert re.search(rf"`rollbot {words_}[ `\[]", README)


def test_every_typed_command_exists() -> None:
    """A command line in a document names a real command and real options."""
    assert len(typed()) > 50
    for line, rest in typed():
        parts = re.split(r" #|[;|<>]", rest)[0].split()
        own = next((key for key in (" ".join(parts[:2]), parts[0]) if key in LEAVES), None)
        assert own is not None, line
        known = {option for param in LEAVES[own].params for option in (*param.opts, *param.secondary_opts)}
        assert {part for part in parts if re.fullmatch(r"--[a-z-]+", part)} <= known | {"--help"}, line


def test_every_subcommand_of_slack_is_in_the_readme() -> None:
    """README's list is the registry's, and says the same of each."""
    assert commands.__all__
    shown = [words(row["command"])[0] for row in next(tables(section(README, "## Commands")))]
    assert shown[0].startswith("FEATURE to VERSION")
    assert sorted(shown[1:]) == sorted(s.usage for s in SUBCOMMANDS.values() if s.name != DEFAULT)


def test_what_is_typed_in_slack_exists() -> None:
    """After /rollback stands a subcommand or a feature."""
    found = {m[1] for text in code(ALL) for m in re.finditer(r"/rollback ([\w-]+)", text)}
    assert found - FEATURES <= set(SUBCOMMANDS)


def test_every_button_is_in_the_tutorial() -> None:
    """What can be pressed is explained."""
    rows = [row["button"] for t in tables(section(TUTORIAL, "## What the buttons do")) for row in t]
    made = set(re.findall(r'button\(\s*"([^"]+)"', inspect.getsource(buttons)))
    assert set(re.findall(r"\*([^*]+)\*", " ".join(rows))) == made | {"Put v13 back", "Unlock R-17"}


def test_exit_codes() -> None:
    """The table has the codes that errors carry."""
    kinds = [e for e in vars(errors).values() if inspect.isclass(e) and issubclass(e, errors.RollbotError)]
    rows = {row["code"] for t in tables(section(OPERATING, "## Exit codes")) for row in t}
    assert rows == {str(e.code) for e in [*kinds, Interrupted]} | {"0"}


# -- what people set and write ---------------------------------------------------------------------


def test_settings() -> None:
    """Every environment variable of the bot is documented with its default, and no other is named anywhere."""
    rows = listed(section(OPERATING, "## Settings"), "variable")
    assert_documented(Settings, rows)
    elsewhere = {w for p in (ROOT / "Makefile", *ROOT.glob("tests/**/*.py")) for w in names_of(p.read_text())}
    assert names_of(ALL) - set(rows) <= elsewhere


def names_of(text: str) -> set[str]:
    return set(re.findall(r"\b(?:ROLLBOT|SLACK)_[A-Z_]+\b", text))


@pytest.mark.parametrize(
    ("heading", "model", "leave"),
    [
        ("### A feature: `features/NAME.yaml`", Feature, set()),
        ("### A drill: `drills/NAME.yaml`", Drill, set()),
        ("### A playbook: `playbooks/NAME.yaml`", Step, {"verb", "on"}),
    ],
)
def test_keys_of_features_and_steps(heading: str, model: type[BaseModel], leave: set[str]) -> None:
    """Every key of the YAML is documented with its default."""
    columns = listed(section(OPERATING, heading), "key") | listed(section(OPERATING, heading), "key of a step")
    assert_documented(model, columns, leave)
    assert set(Slo.model_fields) <= set(words(columns["slo"]["meaning"])) if "slo" in columns else True


def test_verbs() -> None:
    """The table of verbs says which kinds each fits."""
    rows = listed(section(OPERATING, "### A playbook: `playbooks/NAME.yaml`"), "verb")
    assert set(rows) == set(Verb)
    for verb, kinds in FITS.items():
        assert rows[verb]["kinds"] == "all but pipeline" or set(rows[verb]["kinds"].split(", ")) == set(kinds)


def test_policy() -> None:
    """Every key of the policy, of a rule and of what a rule matches is documented."""
    text = section(OPERATING, "### The policy: `policy.yaml`")
    rows = listed(text, "key of a rule")
    assert_documented(Policy, listed(text, "key"))
    assert_documented(Rule, rows)
    assert set(Match.model_fields) <= set(words(rows["when"]["meaning"]))


def test_extras() -> None:
    """Every extra is documented."""
    text = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1].split("\n[")[0]
    real = set(re.findall(r"^(\w+) = \[", text, re.MULTILINE)) - {"dev"}
    assert set(listed(section(OPERATING, "## Install"), "extra")) == real


@pytest.mark.parametrize("type_", TYPES)
def test_parameters_and_settings_of_targets(type_: str) -> None:
    """Each type of system has its section with every parameter and every setting, and no others."""
    text = section(TARGETS, f"## {type_}")
    real: dict[str, Any] = {}
    for cls in Registry().classes(type_).values():
        real |= defaults(cls)  # type: ignore[arg-type]
    rows = listed(text, "parameter")
    assert set(rows) == set(real)
    for key, row in rows.items():
        told = written(row.get("default", ""))
        assert told in (None, []) or told == said(real[key]), key
    assert set(listed(text, f"setting of {'an' if type_ == 'mlflow' else 'a'} `{type_}` connection")) == given(type_)


def given(type_: str) -> set[str]:
    """The settings that a type's code reads."""
    if type_ == "feast":
        return set(feast_store.Settings.model_fields)
    files = ROOT.glob(f"bot/targets/{type_}*.py")
    return {key for f in files for key in re.findall(r'settings\.get\("(\w+)"\)', f.read_text())}


def test_feast_in_particular() -> None:
    """The settings' defaults, the keys of a rebuild, and the supported range."""
    assert_documented(feast_store.Settings, listed(TARGETS, "setting of a `feast` connection"))
    assert_documented(feast_rebuild.Rebuild, listed(section(TARGETS, "### `rebuild`"), "key"))
    assert f"`{feast_store.SUPPORTED}`" in TARGETS


# -- what Rollbot answers --------------------------------------------------------------------------


def test_routes() -> None:
    """The table of routes is what the server has."""
    world: Any = SimpleNamespace(clock=None)
    slack: Any = SimpleNamespace(config=SimpleNamespace(signing_secret=""))
    app = build_app(world, slack)
    real = {f"{r.method} {r.resource.canonical}" for r in app.router.routes() if r.method != "HEAD" and r.resource}
    assert set(listed(section(OPERATING, "## CI"), "route")) == real


def test_metrics() -> None:
    """The table of metrics is what the code counts."""
    real = set(re.findall(r'_metric\("(\w+)"', inspect.getsource(health)))
    found = listed(section(OPERATING, "## Health and metrics"), "metric")
    assert {key.split("{")[0] for key in found} == real


def test_acts_of_the_log() -> None:
    """Every kind of event is documented."""
    made: set[str] = set()
    for path in (ROOT / "bot").rglob("*.py"):
        for line in re.findall(r"\bact ?= ?(\"[a-z_]+\".*)", path.read_text()):
            made |= set(re.findall(r'^"([a-z_]+)"|else "([a-z_]+)"', line)[0][:1])
            made |= set(re.findall(r'else "([a-z_]+)"', line))
    assert set(listed(SECURITY, "act")) == made


def test_scopes() -> None:
    """The table of scopes is the manifest's and the check's."""
    manifest = json.loads((ROOT / "manifest.json").read_text())
    found = set(listed(SECURITY, "scope"))
    assert found == set(manifest["oauth_config"]["scopes"]["bot"]) == set(SCOPES)


# -- what people copy ------------------------------------------------------------------------------


def samples() -> list[tuple[str, str]]:
    """Every YAML sample with the document that it stands in."""
    return [(name(path), body) for path in DOCUMENTS for body in fences(path.read_text(), "yaml")]


@pytest.mark.parametrize("document", sorted({document for document, _ in samples()}))
def test_yaml_samples_are_valid(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples of a document make a folder that ``rollbot check`` accepts."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    written_: dict[str, str] = {}
    parts = "".join(f"  {line}\n" for doc, body in samples() if doc == document for line in part_of(body))
    for doc, body in samples():
        if doc == document or place_of(body) == "targets.yaml":
            written_[place_of(body)] = body
    if parts:
        written_["features/sample.yaml"] = f"feature: sample\ncomponents:\n{parts}"
    written_.pop("", None)
    for place, body in {**shipped(), **written_}.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(body)
    assert list(TeamBooks(tmp_path, Registry()).faults()) == []


def place_of(body: str) -> str:
    """The file that a sample is of: its first line says so, or its first key does."""
    found = re.match(r"# playbooks/(\S+\.yaml)", body)
    playbook = re.match(r"playbook: (\w+)", body)
    return found[1] if found else f"playbooks/{playbook[1]}.yaml" if playbook else ""


def part_of(body: str) -> list[str]:
    """Components that stand alone."""
    return body.splitlines() if body.startswith("# components of a feature") else []


def shipped() -> dict[str, str]:
    """What a sample may lean on: the samples that Rollbot ships."""
    root = ROOT / "playbooks"
    return {str(f.relative_to(root)): f.read_text() for f in root.rglob("*.yaml") if f.parent.name != "features"}


def test_every_yaml_sample_is_checked() -> None:
    """A sample that is neither a file nor components would be checked by nobody."""
    assert [body for _, body in samples() if not place_of(body) and not part_of(body)] == []


def test_the_program_for_a_pipeline(tmp_path: Path) -> None:
    """The program in the documents holds and lifts, as the command target asks it to."""
    (program := tmp_path / "pipeline").write_text(
        fences(TARGETS, "python")[0].replace("env python3", f"env -S {sys.executable}")
    )
    program.chmod(0o755)
    argv = {verb: [str(program), word] for verb, word in (("inspect", "status"), ("hold", "pause"), ("lift", "resume"))}
    target = CommandPipeline.model_validate(argv)
    connection = Connection(name="jobs", type="command", settings={"cwd": str(tmp_path)})
    call = Call(connection=connection, blobs=FolderBlobs(tmp_path / "blobs"), now=datetime.now(UTC), key="k")
    running = target.capture(call)
    held = target.held(running)

    assert target.restore(call, held, running).changed
    assert target.inspect(call).pointer == "held"
    assert target.restore(call, running, held).changed
    assert target.inspect(call).pointer == "running"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_anchors(path: Path) -> None:
    """A link to a place in a document leads to a heading there."""
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", path.read_text()):
        text = (path.parent / target if target else path).read_text()
        headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, f"{target}#{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_no_place_of_one_machine(path: Path) -> None:
    """No document names a folder or a registry of the machine that it was written on."""
    assert re.findall(r"(?<![\w.:/])/(?:home|root|work|tmp|opt|srv)/\S*|pypi\.org\S*", path.read_text()) == []
