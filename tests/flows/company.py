"""A house with a flag, a pipeline and a model, and hands that interfere while a run works."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bot.core.commands import CaptureRelease, Retry
from bot.core.run import Run
from bot.store import events, inbox
from tests.flows.house import BEN, House, write_flag

PROGRAM = Path(__file__).with_name("thing.py")


@dataclass
class Company:
    """``folder`` holds the systems that the programs speak for."""

    house: House
    folder: Path

    def model(self) -> int:
        return int(json.loads((self.folder / "model.json").read_text())["number"])

    def put_model(self, number: int) -> None:
        (self.folder / "model.json").write_text(json.dumps({"number": number}))

    def after(self, verb: str, **writes: str) -> None:
        """Once ``verb`` was answered somebody writes these files: by name here, or ``flags``."""
        places = {"flags": self.house.folder / "flags.json", "model": self.folder / "model.json"}
        places |= {"held": self.folder / "held", "targets": self.house.folder / "playbooks/targets.yaml"}
        wish = {str(places[name]): text for name, text in writes.items()}
        (self.folder / f"on_{verb}.json").write_text(json.dumps(wish))

    async def retry(self, run: Run) -> Run:
        await self.house.say(Retry(run=run.id), BEN)
        await self.house.settle()
        return await self.house.run(run.id)

    async def acts(self, run: Run) -> list[str]:
        return [str(e["act"]) for e in await self.house.store.read(lambda c: events.of_run(c, run.id))]

    async def capture(self, version: str) -> dict[str, object]:
        taken = await self.house.say(CaptureRelease(feature="fares", version=version))
        await self.house.settle()
        result = await self.house.store.read(lambda c: inbox.result_of(c, taken.id))
        assert result is not None
        return result


def write_company(house: House) -> Company:
    """Adds a pipeline and a model to the house's feature."""
    folder = house.folder / "company"
    folder.mkdir()
    (folder / "held").write_text("lift")
    argv = {verb: json.dumps([sys.executable, "-I", "-S", str(PROGRAM), verb, str(folder)]) for verb in VERBS}
    books = house.folder / "playbooks"
    (books / "targets.yaml").write_text("flags: {type: flagd, file: ../flags.json}\njobs: {type: command}\n")
    feature = books / "features/fares.yaml"
    feature.write_text(feature.read_text() + COMPONENTS.format(**argv))
    return Company(house, folder)


VERBS = ("pipeline", "hold", "lift", "model", "restore", "visible", "verify")
COMPONENTS = """\
  pipeline: {{target: jobs, thing: jobs, inspect: {pipeline}, hold: {hold}, lift: {lift}}}
  model: {{target: jobs, thing: eta, inspect: {model}, restore: {restore}, visible: {visible}, verify: {verify}}}
"""


async def two_releases(company: Company) -> None:
    """v1: model 2; v2: model 3 and the flag for a quarter; v2 is live."""
    company.put_model(2)
    first = await company.capture("v1")
    assert first["ok"], first
    company.house.clock.advance(25 * 3600)
    company.put_model(3)
    await asyncio.to_thread(write_flag, company.house.folder, share=25)
    second = await company.capture("v2")
    assert second["ok"], second
