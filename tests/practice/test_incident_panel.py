"""Each button of the incident panel does to the real small platform what it says, and takes back what it promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.core.errors import Fault
from bot.practice.page.incident import IncidentPanel
from bot.practice.place import Place, in_thread, manifest
from bot.practice.slack_server import CannotDo, PracticeSlack
from bot.practice.stack.build import make_stack
from bot.practice.stack.host import Ended
from bot.practice.stack.stack import Stack
from tests.practice.page_place import DRIVERS, Bell
from tests.practice.small_stack import assert_served_is_source
from tests.practice.test_stack_processes import get

pytestmark = pytest.mark.timeout(240)


class Office:
    """The panel on a platform, and what to measure with. There is no bot."""

    def __init__(self, stack: Stack, slack: PracticeSlack) -> None:
        self.stack, self.bell = stack, Bell()
        self.panel = IncidentPanel(cast("Place", SimpleNamespace(stack=stack, slack=slack)), self.bell, every=0.2)

    async def press(self, name: str) -> None:
        await self.panel.do(name, {})

    async def undo(self, name: str) -> None:
        await self.panel.do("undo", {"act": name})

    def act(self, name: str) -> dict[str, Any]:
        return next(a for a in self.panel.state()["acts"] if a["name"] == name)

    async def asked(self, verb: str, **words: Any) -> Any:
        return await in_thread(self.stack.ask, verb, **words)

    async def error(self) -> Any:
        return await in_thread(self.stack.eta_error)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with make_stack(tmp_path_factory.mktemp("panel") / "stack", drivers=DRIVERS, publish=()) as stack:
        yield stack


@pytest.fixture
async def office(platform: Stack) -> AsyncIterator[Office]:
    """v12 is live, newly shipped, and served; there is no pipeline yet."""
    await in_thread(platform.publish, "v12")
    await in_thread(platform.start_serving)
    made = Office(platform, PracticeSlack(manifest()))
    yield made
    await made.panel.close()
    await in_thread(platform.stop_pipeline)
    await in_thread(platform.lift_pipeline)


async def test_v13_is_shipped_and_ci_undoes_a_rollback(office: Office) -> None:
    """Shipping makes ETAs wrong and is refused while v13 is live; a definition brought back is overwritten by CI."""
    assert abs((await office.error()).bias) < 0.05
    await office.press("ship")
    assert (await office.error()).bias == pytest.approx(0.4, abs=0.05)
    assert office.act("ship")["state"] == "done" and "Delta" in office.act("ship")["result"]
    with pytest.raises(CannotDo, match="v13 is live already"):
        await office.press("ship")
    with pytest.raises(CannotDo, match="live already"):
        await office.press("apply")
    assert office.act("apply")["state"] == "available" and "live already" in office.act("apply")["error"]
    with pytest.raises(CannotDo, match="roll it back in Slack"):
        await office.undo("ship")
    await in_thread(office.stack.ci_apply, "v12")
    await office.press("apply")
    assert (await office.asked("live"))["definition"] == "v13"
    await office.bell.until(lambda: office.panel.state()["live"].get("definition") == "v13")


async def test_the_pipeline_is_stopped_and_started(office: Office) -> None:
    """Stopped, nothing is written; started, rounds come again. Without one there is nothing to stop, nor to drift."""
    for name in ("pipeline", "drift"):
        with pytest.raises(CannotDo, match="stopped"):
            await office.press(name)
    await office.undo("pipeline")
    assert office.stack.pipeline is not None
    first = (await in_thread(office.stack.pipeline.next))["delta"]
    await office.press("pipeline")
    assert office.stack.pipeline is None and await in_thread(office.stack.delta_version) >= first
    assert office.act("pipeline")["state"] == "done"
    stopped = await in_thread(office.stack.delta_version)
    await office.bell.until(lambda: office.panel.state()["live"].get("pipeline") == "stopped")
    assert await in_thread(office.stack.delta_version) == stopped
    await office.undo("pipeline")
    assert (await in_thread(office.stack.pipeline.next))["delta"] == stopped + 1
    assert office.act("pipeline")["state"] == "undone"


async def test_values_drift_and_are_right_again(office: Office) -> None:
    """With each round more drivers are further off; taken back, all are written as they should be, also in Delta."""
    child = await in_thread(office.stack.start_pipeline, 0.05)
    await in_thread(child.next)
    await office.press("drift")
    errors = []
    for _ in range(2):
        for _ in range(5):
            await in_thread(child.next)
        errors.append((await office.error()).bias)
    assert 0.02 < errors[0] < errors[1]
    await office.undo("drift")
    assert abs((await office.error()).bias) < 0.03
    await in_thread(office.stack.stop_pipeline)
    await in_thread(office.stack.run_rounds, 1)  # what a round in the middle left open
    await in_thread(assert_served_is_source, office.stack)


async def test_a_held_pipeline_can_not_drift(office: Office) -> None:
    """What Rollbot holds the panel does not get round."""
    await in_thread(office.stack.start_pipeline)
    await in_thread(office.stack.hold_pipeline)
    with pytest.raises(CannotDo, match="is held"):
        await office.press("drift")


async def test_online_rows_are_lost_and_come_back(office: Office) -> None:
    """A third of the drivers have no values; the team's materialization brings back what the table says."""
    await office.press("missing")
    error = await office.error()
    assert error.missing == pytest.approx(error.read / 3, abs=2)
    await office.undo("missing")
    assert (await office.error()).missing == 0
    await in_thread(assert_served_is_source, office.stack)


async def test_the_feature_server_is_slow_and_quick_again(office: Office) -> None:
    """The delay is inside the server, so whoever asks waits; and the panel's own measurement shows it."""

    def p99() -> float:
        points = office.panel.state()["series"]
        return float(points[-1][4] or 0.0) if points else 0.0

    await office.press("slow")
    began = asyncio.get_running_loop().time()
    await in_thread(get, f"{office.stack.model_url}/predict?driver_id=7")
    assert asyncio.get_running_loop().time() - began > 0.6
    await office.bell.until(lambda: p99() > 600)
    await office.undo("slow")
    began = asyncio.get_running_loop().time()
    await in_thread(get, f"{office.stack.model_url}/predict?driver_id=7")
    assert asyncio.get_running_loop().time() - began < 0.6


async def test_the_registry_is_out_of_reach_and_comes_back(office: Office) -> None:
    """Whoever opens it finds nothing and makes nothing; the loaded model is served on; nothing in it is lost."""
    file, before = office.stack.layout.tracking, await office.asked("live")
    await office.press("registry")
    assert not file.exists()
    await office.press("registry")  # twice is as once
    assert "minutes" in await in_thread(get, f"{office.stack.model_url}/predict?driver_id=7")
    await office.undo("registry")
    assert file.is_file() and await office.asked("live") == before
    await in_thread(office.stack.publish, "v13")
    assert (await office.error()).release == "v13"


async def test_what_v12_stands_on_is_taken_away_for_good(office: Office) -> None:
    """Vacuum deletes v12's data files once v13 is live and says when there is nothing to delete; its model goes too."""
    await in_thread(office.stack.vacuum)
    with pytest.raises(CannotDo, match="nothing to delete"):
        await office.press("vacuum")
    files = sorted(office.stack.layout.lake.glob("*.parquet"))
    await office.press("ship")
    await office.press("vacuum")
    assert files and not any(file.exists() for file in files)
    with pytest.raises(CannotDo, match="can't be undone"):
        await office.undo("vacuum")
    models = set(office.stack.layout.artifacts.glob("*/*/model/eta.json"))
    await office.press("model")
    assert len(models - set(office.stack.layout.artifacts.glob("*/*/model/eta.json"))) == 1
    assert (await office.error()).release == "v13"


async def test_what_fails_there_is_said_and_can_be_tried_again(office: Office) -> None:
    """A button that is unknown, at work or broken says so in words, and does not stay at work."""
    with pytest.raises(CannotDo, match="nothing here"):
        await office.press("explode")
    first = asyncio.create_task(office.press("ship"))
    await office.bell.until(lambda: office.act("ship")["state"] == "running")
    with pytest.raises(CannotDo, match="still at work"):
        await office.press("ship")
    await first
    lake, away = office.stack.layout.lake, office.stack.layout.folder / "away"
    lake.rename(away)
    with pytest.raises(Fault, match="Vacuum Delta"):
        await office.press("vacuum")
    away.rename(lake)
    assert office.act("vacuum")["state"] == "available" and office.act("vacuum")["error"]


async def test_two_presses_at_once_are_one(office: Office) -> None:
    """Two people press in the same moment: it is done once, the other is told so, and it does not stay at work."""
    said = await asyncio.gather(office.press("ship"), office.press("ship"), return_exceptions=True)
    assert said[0] is None and "still at work" in str(said[1])
    assert office.act("ship")["state"] == "done"


async def test_what_nobody_can_say_is_unknown() -> None:
    """When the platform has ended, the panel does not go on naming what was live before."""
    live = [{"definition": "v13", "model": "v13"}]

    def ask(verb: str, **_words: Any) -> Any:
        if verb == "live" and live:
            return live.pop()
        raise Ended("the work process has ended")

    office = Office(cast("Stack", SimpleNamespace(ask=ask)), PracticeSlack(manifest()))
    await office.bell.until(lambda: office.panel.state()["live"] == {"definition": "v13", "model": "v13"})
    with pytest.raises(Fault, match="has ended"):
        await office.press("apply")
    await office.bell.until(lambda: office.panel.state()["live"] == {"definition": None, "model": None})
    await office.panel.close()
