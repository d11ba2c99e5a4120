"""A scheduled drill whose file, or whose feature's file, is faulty for a while: nothing of it is lost unsaid."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.core.errors import Fault
from bot.flows import drills
from bot.store import runs
from tests.flows.house import House
from tests.flows.test_drill_calls import notices, schedule
from tests.flows.test_drills import acts
from tests.flows.test_rollback import two_releases

FILES = ["drills/weekly.yaml", "features/fares.yaml"]


class File:
    """One that people break and mend."""

    def __init__(self, house: House, name: str) -> None:
        self.path = house.folder / "playbooks" / name
        self.good = self.path.read_text()

    def spoil(self) -> None:
        self.path.write_text(self.good + "nonsense: 1\n")

    def mend(self) -> None:
        """Also brings it back."""
        self.path.write_text(self.good)


@pytest.fixture(params=FILES)
async def file(request: pytest.FixtureRequest, house: House) -> File:
    """The file that will be faulty. The drill was announced, and begins in two hours."""
    await two_releases(house)
    schedule(house, f"{house.clock.now() + timedelta(hours=2):%M %H} * * *")
    assert await drills.call(house.world) == 1
    return File(house, str(request.param))


async def ticks(house: House, minutes: int) -> list[str]:
    """A look every five minutes; what was said meanwhile."""
    before = await notices(house)
    for _ in range(minutes // 5):
        house.clock.advance(timedelta(minutes=5))
        await drills.call(house.world)
        await house.settle()
    return [text for text in await notices(house) if text not in before]


async def practised(house: House) -> list[str]:
    return [r.name for r in await house.store.read(runs.newest) if r.mode == "drill"]


async def test_a_time_that_passed_while_a_file_was_faulty_is_missed(house: House, file: File) -> None:
    """Faulty for hours and then mended: nothing was claimed, begun or refused meanwhile. Then it is said once, in the
    channel and in the log, that it was not run, and the next one is announced."""
    file.spoil()
    assert await ticks(house, 200) == []
    assert await practised(house) == [] and "drill_begun" not in await acts(house)
    file.mend()
    said = await ticks(house, 15)

    assert len([text for text in said if "was missed" in text and "faulty" in text]) == 1, said
    assert (await acts(house)).count("drill_missed") == 1
    assert await practised(house) == []
    assert await ticks(house, 24 * 60)
    assert (await acts(house)).count("drill_begun") == 1 and (await acts(house)).count("drill_missed") == 1


async def test_a_file_that_is_mended_in_time_costs_nothing(house: House, file: File) -> None:
    """Faulty for more than an hour, and good again ten minutes after the drill's time: it begins."""
    file.spoil()
    assert await ticks(house, 125) == []
    file.mend()
    said = await ticks(house, 5)

    assert [text for text in said if "DRILL weekly begins" in text], said
    assert len(await practised(house)) == 1 and "drill_missed" not in await acts(house)


async def test_a_file_that_is_faulty_and_then_removed_owes_nothing(house: House, file: File) -> None:
    """A drill that is added again after hours is a new one, also if its file was faulty before it was removed."""
    weekly = File(house, FILES[0])
    file.spoil()
    await ticks(house, 10)
    weekly.path.unlink()
    await ticks(house, 180)
    file.mend()
    weekly.mend()

    assert not [text for text in await ticks(house, 15) if "missed" in text]


async def test_a_drill_that_is_added_beside_a_faulty_feature_is_missed_too(house: House) -> None:
    """Its own file is sound, so people count on it from then on; it was never sound together with its feature."""
    await two_releases(house)
    feature = File(house, FILES[1])
    feature.spoil()
    schedule(house, f"{house.clock.now() + timedelta(hours=2):%M %H} * * *", channel="'#drills'")
    assert await ticks(house, 200) == []
    feature.mend()

    assert [text for text in await ticks(house, 5) if "was missed" in text]
    assert await practised(house) == []


async def test_the_list_of_drills_says_which_file_keeps_one_from_running(house: House, file: File) -> None:
    """With file and line, in place of a next time that would not be kept."""
    file.spoil()
    ((name, said),) = drills.next_times(house.world)

    assert name == "weekly" and isinstance(said, Fault)
    assert f"{file.path.name}:" in said.message and "nonsense" in said.message, said.message
