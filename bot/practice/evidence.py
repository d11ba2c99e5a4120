"""What is true after the practice, asked for in the ways an operator has, and measured apart from the bot."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from ruamel.yaml import YAML

from bot.practice.bot_process import Finished
from bot.practice.place import FEATURE, Place, in_thread
from bot.practice.stack.stack import Broken, EtaError

WRONG = 0.05
"""ETAs more than 5 % off on average are not back to normal."""


@dataclass(frozen=True)
class Evidence:
    """``run`` is ``rollbot run show --json``; ``gate`` what CI is answered; ``audit`` the log, exported and verified;
    ``eta`` None if nothing could be measured."""

    run: dict[str, Any]
    gate: str
    exported: str
    audit: Finished
    eta: EtaError | None
    slo: float


async def gather(place: Place, run: str) -> Evidence:
    """All of it. Raises nothing of its own: what fails is part of the evidence."""
    shown, gate, (exported, audit), eta = await asyncio.gather(
        place.bot.command("run", "show", run, "--json"), _gate(place), _audit(place), _eta(place)
    )
    body = json.loads(shown.out) if shown.code == 0 else {"id": run, "status": "unknown", "why": shown.last}
    return Evidence(body, gate, exported, audit, eta, _slo(place))


async def _gate(place: Place) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"{place.bot.url}/gate/{FEATURE}") as answer:
        return f"{answer.status} {(await answer.text()).strip()}"


async def _audit(place: Place) -> tuple[str, Finished]:
    """Exported and verified with the public key and, where one was signed already, the kept checkpoint."""
    file, key = place.folder / "audit.jsonl", place.folder / "rollbot-audit.key"
    exported = await place.bot.command("audit", "export", str(file))
    if exported.code:
        return exported.last, exported
    words = ["audit", "verify", str(file)]
    for option, kept in (("--key", Path(f"{key}.pub")), ("--checkpoint", key.with_suffix(".checkpoint"))):
        words += [option, str(kept)] if kept.is_file() else []
    return exported.last, await place.bot.command(*words)


async def _eta(place: Place) -> EtaError | None:
    try:
        return await in_thread(place.stack.eta_error)
    except Broken:
        return None


def _slo(place: Place) -> float:
    text = (place.stack.playbooks / "features" / f"{FEATURE}.yaml").read_text(encoding="utf-8")
    return float(YAML(typ="safe", pure=True).load(text)["slo"]["accuracy"])


def why_not(found: Evidence) -> str | None:
    """Why this is no verified rollback, in one line; None if it is one. Both must hold: what the bot has recorded,
    and what was measured without it."""
    run, accuracy, eta = found.run, found.run.get("accuracy") or {}, found.eta
    if run["status"] != "succeeded":
        return f"{run['id']} is {run['status']}: {run.get('why', '')}"
    expected = accuracy.get("expected", 0)
    if not expected or accuracy["matched"] / expected < found.slo or accuracy["extra"] or accuracy["inconclusive"]:
        return f"{run['id']} succeeded without proof: {json.dumps(accuracy)}"
    if eta is None or eta.bias is None:
        return "the bot says verified, but no ETA can be computed"
    if abs(eta.bias) > WRONG or eta.missing or eta.release != "v12":
        return f"the bot says verified, but ETAs are {eta.bias * 100:+.0f} % off with {eta.release}"
    if found.audit.code:
        return f"the audit log does not verify: {found.audit.last}"
    return None
