"""``rebuild:``: the company's own job that fills the online store as of a moment, started and followed."""

from __future__ import annotations

import json
import os
import subprocess

from pydantic import BaseModel, ConfigDict, Field

from bot.core.errors import Fault, TargetError
from bot.core.target import Call, Capture, Json

LATER = 75
"""The exit code of a program that wants to be asked again (EX_TEMPFAIL)."""
DAY_S = 86_400.0


class Rebuild(BaseModel):
    """``argv`` (no shell) gets one JSON object on stdin and answers one on stdout, as a ``command`` component's do.

    In: ``method`` (``rebuild``), ``view``, ``version``, ``as_of`` (ISO 8601), ``now``, ``context``, and ``key``, the
    same for every repetition of one step: the job must be started once per key. Out: ``again_after`` (seconds)
    while it works, left out when it is done; ``note``. Exit code 75 means *try again later*, any other but 0 a
    failure. ``timeout`` in seconds bounds one call. ``target``: a ``command`` connection, whose ``cwd`` and ``env``
    the program gets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    argv: list[str] = Field(min_length=1)
    timeout: float = Field(default=60.0, gt=0)
    target: str = ""


def run(rebuild: Rebuild, call: Call, view: str, c: Capture) -> tuple[float | None, str]:
    """Start or follow the job: seconds until it is worth asking again (None: done), and its note."""
    order = {
        "method": "rebuild",
        "key": call.key,
        "now": call.now.isoformat(),
        "context": call.context,
        "view": view,
        "version": c.data.get("serves"),
        "as_of": c.data.get("as_of"),
    }
    cwd, env = _surroundings(rebuild, call)
    try:
        done = subprocess.run(  # noqa: S603 - argv comes from the team's own playbook, and no shell reads it
            rebuild.argv,
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=min(rebuild.timeout, call.deadline),
            cwd=cwd,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TargetError(f"rebuild of {view}: {rebuild.argv[0]} did not answer in time", retriable=True) from None
    except OSError as error:
        raise TargetError(f"rebuild of {view}: {error}") from error
    if done.returncode != 0:
        text = " ".join(done.stderr.split())[-200:]
        said = f"rebuild of {view}: {rebuild.argv[0]} ended with {done.returncode}: {text}"
        raise TargetError(said, retriable=done.returncode == LATER)
    answer = _answer(done.stdout, view)
    again = answer.get("again_after")
    return (None if again is None else float(again)), str(answer.get("note", ""))


def _surroundings(rebuild: Rebuild, call: Call) -> tuple[str | None, dict[str, str]]:
    inherited = {k: os.environ[k] for k in ("PATH", "LANG") if k in os.environ}  # no secrets of the bot's
    if not rebuild.target:
        return None, inherited
    connection = call.connections.get(rebuild.target)
    if connection is None:
        raise Fault(f"rebuild: there is no connection {rebuild.target}")
    env = connection.settings.get("env") or {}
    return connection.settings.get("cwd"), {**inherited, **{str(k): str(v) for k, v in env.items()}}


def _answer(text: str, view: str) -> dict[str, Json]:
    try:
        answer = json.loads(text or "{}")
    except ValueError as error:
        raise TargetError(f"rebuild of {view}: its answer is not JSON: {error}") from error
    again = answer.get("again_after") if isinstance(answer, dict) else ""
    if not isinstance(again, (int, float, type(None))) or not 0 <= (again or 0) <= DAY_S:
        raise TargetError(
            f"rebuild of {view}: its answer must be an object, and again_after seconds, a day of them at most"
        )
    return dict(answer)
