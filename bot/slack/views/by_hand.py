"""How a person finishes without Rollbot: a command a component where the system has one, and full pointers always."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from bot.core.plan import Plan
from bot.core.target import Capture, Kind


def by_hand(plan: Plan) -> list[str]:
    """In the order of the plan's steps; not escaped, one command a line."""
    said: list[str] = []
    for step in plan.body.steps:
        capture = plan.captures.get(step.component)
        if step.verb == "hold":
            said.append(f"# {step.component}: stop whatever writes, {step.resource}")
        elif step.verb == "disable":
            said.append(f"# {step.component}: switch the flag off, {step.resource}")
        elif step.verb in ("restore", "enable") and capture is not None:
            said += [f"# {step.component}: {step.resource} to {capture.pointer}", *_command(step.kind, capture)]
            said += [f"#   {name}: {ref.place} in ROLLBOT_ARTIFACTS" for name, ref in capture.blobs.items()]
        elif step.verb == "verify":
            said.append(f"# {step.component}: read it back")
    return list(dict.fromkeys(said))


def _command(kind: Kind, capture: Capture) -> list[str]:
    scheme, _, rest = capture.resource.partition(":")
    made = _COMMANDS.get((scheme, kind))
    return made(rest, capture) if made else []


def _delta(uri: str, capture: Capture) -> list[str]:
    if not (capture.pointer.isascii() and capture.pointer.isdecimal()):
        return []
    return [_python(f"from deltalake import DeltaTable; DeltaTable({uri!r}).restore({int(capture.pointer)})")]


def _mlflow(rest: str, capture: Capture) -> list[str]:
    uri, _, name = rest.rpartition("#")
    model, _, alias = name.partition("@")
    call = f"MlflowClient(registry_uri={uri!r}).set_registered_model_alias({model!r}, {alias!r}, {capture.pointer!r})"
    return [_python(f"from mlflow import MlflowClient; {call}")]


def _python(program: str) -> str:
    return f"python -c {shlex.quote(program)}"


def _flagd(rest: str, capture: Capture) -> list[str]:
    path, _, flag = rest.rpartition("#")
    return [f"#   in {path} set the flag {flag!r} to:", str(capture.data.get("text", ""))]


_COMMANDS: dict[tuple[str, Kind], Callable[[str, Capture], list[str]]] = {
    ("delta", Kind.dataset): _delta,
    ("mlflow", Kind.model): _mlflow,
    ("flagd", Kind.flag): _flagd,
}
