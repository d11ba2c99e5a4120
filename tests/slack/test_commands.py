"""What is answered to what is typed: clear, for the asker alone, and nothing is written where something is off."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.run import Status
from bot.practice.slack_server import Seed, default_seed
from bot.practice.slack_server.seed import SeedGroup
from bot.slack.commands.registry import SUBCOMMANDS
from bot.store import keys, messages, releases, runs
from bot.store.write import Connection
from tests.services import FakeClock
from tests.slack.office import ANA, BEN, FARES, INC, SAM, SECRET, Office, actions, open_office


def stored(conn: Connection) -> tuple[int, int]:
    """Rows of the inbox and runs."""
    return tuple(conn.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar_one() for t in ("inbox", "runs"))  # type: ignore[return-value]  # noqa: S608


WRONG = [
    ("faers to v1", "There is no feature 'faers'. Did you mean fares?"),
    ("stpo fares", "There is no feature 'stpo'. Did you mean stop?"),
    ("nonsense to v1", "There is no feature 'nonsense'."),
    ("fares to v9", "fares has no release 'v9'. Did you mean"),
    ("fares to v1 without dataset", "fares has no component 'dataset'; it has flag."),
    ("fares to v1 playbook carfeul", "there is no playbook 'carfeul'"),
    ("fares to v1 at 25:00", "'25:00' is no time of day"),
    ("fares to v1 at tomorrow", "'tomorrow' is no time"),
    ("fares to v1 at 2031-01-01T00:00", "is in the future"),
    ("fares too v1", "Did you mean to?"),
    ("fares to v1 because " + "x" * 4000, "a command has at most 2,000"),
    ("fares to v\u202e1", "is invisible (U+202E"),
    ("../../etc/passwd to v1", "There is no feature '../../etc/passwd'"),
    ("; rm -rf / to v1", "There is no feature ';'"),
    ("&lt;!channel&gt; to v1", "There is no feature '&lt;!channel&gt;'"),
    ("stop", "needs a feature"),
    ("stop faers", "Did you mean fares?"),
    ("stop fares to v1", "stop takes a feature and a reason"),
    ("lift", "needs a feature after it"),
    ("abort", "No run is active in this channel. Name one: R-17."),
    ("abort R-99", "There is no R-99."),
    ("abort now", "'now' is no run; write it as R-17."),
    ("retry", "No run is active in this channel."),
    ("put-back", "Put back which run? Name it: /rollback put-back R-17."),
    ("put back R-99", "There is no R-99."),
    ("capture fares", "'' is no version"),
    ("capture fares v/1", "'v/1' is no version"),
    ("capture fares previous", "'previous' is no version"),
    ("history", "Which feature?"),
    ("versions nope", "There is no feature 'nope'."),
    ("ready fares v9", "fares has no release 'v9'."),
    ("status fraes", "Did you mean fares?"),
]


@pytest.fixture
async def full(office: Office) -> Office:
    """With two releases."""
    await office.two_releases()
    return office


async def test_what_is_off_is_said_and_nothing_is_written(full: Office) -> None:
    """Each gets one clear line for the asker alone, and neither inbox nor runs have grown."""
    before = await full.house.store.read(stored)
    for text, answer in WRONG:
        ack = await full.typed(text, SAM)
        assert ack.ok and answer in ack.body["text"], (text, ack.body)
        assert ack.body["response_type"] == "ephemeral" and "\n" not in ack.body["text"]
    assert await full.house.store.read(stored) == before
    assert full.slack.channel(INC) == []


async def test_case_and_dashes_do_not_matter(full: Office) -> None:
    """FARES means fares where nothing else does, and an em dash is two hyphens."""
    assert await full.type("FARES TO V1 —dry-run") == "R-1: planning fares to v1 (dry run)"
    assert (await full.run(1)).mode == "dry_run" and "DRY RUN" in full.card().text


async def test_previous_is_the_release_before(full: Office) -> None:
    """``to previous`` finds v1 without anybody naming it."""
    assert await full.type("fares to previous") == "R-1: planning fares to previous"
    assert (await full.run(1)).to_version == "v1"


async def test_a_faulty_feature_disables_only_itself(full: Office) -> None:
    """Its file and line are in the answer; other features go on."""
    folder = full.house.folder / "playbooks/features"
    (folder / "broken.yaml").write_text("feature: broken\ncomponents:\n  flag: {targte: flags, flag: x}\n")
    (folder / "torn.yaml").write_text("feature: torn\ncomponents: {flag: [\n")
    assert "broken.yaml:3:" in await full.type("broken to v1")
    assert "torn.yaml:" in await full.type("torn to v1")
    assert "torn.yaml:" in await full.type("status torn")
    assert await full.type("fares to v1") == "R-1: planning fares to v1"


async def test_a_faulty_policy_is_said_in_status(full: Office) -> None:
    """The last good policy goes on, and status names the fault with its line."""
    await full.type("fares to v1")
    (full.house.folder / "playbooks/policy.yaml").write_text("policy: 1\nrules: [{approve: 99}]\n")
    ack = await full.typed("status")
    assert "policy.yaml:2" in str(ack.body) and "the last good policy is used" in str(ack.body)


async def test_faulty_files_are_listed_in_status(full: Office) -> None:
    """Features' files with file and line, also those that nobody has asked for, and a page that goes nowhere; mended
    ones are gone from the list."""
    team = full.house.folder / "playbooks"
    for n in range(12):
        (team / f"features/torn{n}.yaml").write_text(f"feature: torn{n}\ncomponents: {{flag: [\n")
    (team / "policy.yaml").write_text('policy: 1\npage: "${PAGER_OF_NOBODY}"\n')
    said = str((await full.typed("status")).body)
    assert said.count("Fault: ") == 12 and said.count(".yaml:2: ") + said.count(".yaml:3: ") == 11, said
    assert "PAGER_OF_NOBODY is not set (so nobody is paged)" in said and "and 2 more; rollbot check names all" in said
    assert "torn" not in str((await full.typed("status fares")).body)
    for n in range(12):
        (team / f"features/torn{n}.yaml").unlink()
    assert "torn" not in str((await full.typed("status")).body)


async def test_help_prints_the_registry(office: Office) -> None:
    """Every subcommand has its line, the rollback itself first."""
    ack = await office.typed("help")
    text = "\n".join(b["text"]["text"] for b in ack.body["blocks"])
    for name, subcommand in SUBCOMMANDS.items():
        assert f"/rollback {subcommand.usage} - {subcommand.about}" in text, name
    assert text.index("/rollback FEATURE") < text.index("/rollback abort")
    assert set(SUBCOMMANDS) == {
        *(
            "",
            "abort",
            "capture",
            "drill",
            "enable",
            "help",
            "history",
            "hold",
            "key",
            "lift",
            "pause",
            "put-back",
            "ready",
            "resume",
            "retry",
            "status",
        ),
        *("skip", "snooze", "speed", "stop", "switch", "unlock", "versions"),
    }


async def test_the_only_active_run_of_a_channel(full: Office) -> None:
    """Without a name a command means this channel's one active run; with two it says which there are."""
    await full.type("fares to v1")
    assert await full.type("abort because of lunch") == "R-1: aborting"
    run = await full.run(1)
    assert run.status == Status.aborted
    await full.type("fares to v1")
    await full.type("fares to v2 at 2026-11-23T04:00 dry run")
    await full.type("fares to v1 playbook standard", BEN)
    assert "No run" not in (said := await full.type("abort")) and "R-2 (fares to v1)" in said, said


async def test_a_run_is_known_where_its_card_stands(full: Office) -> None:
    """Asked for in a channel that the bot can't enter, it is controlled from the one where the card went."""
    await full.type("fares to v1", ANA, SECRET)
    assert await full.type("abort", ANA, "C0PLAT") == "R-1: aborting"
    assert (await full.run(1)).status == Status.aborted


async def test_a_stranger_may_not_abort(full: Office) -> None:
    """Who may not control a run is refused privately, and the run goes on."""
    await full.type("fares to v1")
    await full.type("abort R-1", SAM)
    assert full.told(SAM)[-1].startswith("Not done: only @ml-oncall or the requester may do this")
    assert (await full.run(1)).status == Status.waiting


async def test_capture_is_heard_of_when_it_stands(office: Office) -> None:
    """The command is taken at once; the person hears what was captured, with the changelog harmless."""
    said = await office.type('capture fares v1 "the <!channel> one"')
    assert said == "Capturing fares v1. You will hear when it stands."
    assert office.told(ANA)[-1].startswith("Captured fares v1: flag on for ")
    found = await office.house.store.read(lambda c: releases.get(c, "fares", "v1"))
    assert found is not None and found.changelog == "the @channel one"
    blocks = str((await office.typed("versions fares")).body)
    assert "v1 LIVE since" in blocks and "<!channel>" not in blocks


@pytest.mark.parametrize("command", ["stop fares", "put-back R-1", "lift fares", "enable fares because of lunch"])
async def test_the_same_command_twice_is_one_run_and_a_link_to_it(full: Office, command: str) -> None:
    """Whatever the run is for: the second one who types it hears which run does that, and where its card stands."""
    await full.type("fares to v1")
    await full.press(full.card(), "approve")
    first = await full.typed(command, BEN)
    now = full.clock.now()
    await full.house.store.write(lambda c: messages.want(c, "R-2:card", purpose="card", channel=INC, run=2, now=now))
    await full.publish()
    second = await full.typed(command, BEN)
    await full.app.desk.idle()

    assert str(first.body["text"]).startswith("R-2: ")
    assert second.body["text"] == "R-2 is already doing exactly this"
    card = full.card(run=2)
    assert full.told(BEN)[-1].startswith("R-2: http") and full.told(BEN)[-1].endswith(card.ts.replace(".", ""))


async def test_status_history_and_versions(full: Office) -> None:
    """They say what is open, what was and what there is."""
    await full.type("fares to v1 because of a test")
    status = str((await full.typed("status fares")).body)
    assert "v2 is live" in status and "R-1 fares v2 -&gt; v1" in status and "needs 1 of @ml-oncall" in status
    assert "R-1 fares" in str((await full.typed("status")).body)
    assert "of a test" in str((await full.typed("history fares")).body)
    versions = str((await full.typed("versions fares")).body)
    assert versions.index("v2 LIVE") < versions.index("v1 live ") and '"the good one"' in versions


async def test_status_says_whose_data_is_live(full: Office) -> None:
    """Data that a rollback left out is named while it is another release's."""
    assert "MIXED" not in str((await full.typed("status fares")).body)
    await full.house.store.write(lambda c: releases.mix(c, "fares", ["dataset"]))
    assert "MIXED: dataset holds another release's data since a rollback" in str(
        (await full.typed("status fares")).body
    )


async def test_history_is_paged(full: Office) -> None:
    """Ten to a page; the button shows the next ten in their place, for this person."""
    for n in range(12):
        await full.type(f"fares to v1 dry run incident INC-{n}")
    ack = await full.typed("history fares")
    page = full.slack.ephemerals(ANA, INC)[-1]
    assert "R-12 " in str(ack.body) and "R-2 " not in str(ack.body) and actions(page) == ["more_history"]
    await full.press(page, "more_history", ANA)
    assert "R-2 " in str(page.blocks) and "R-12 " not in str(page.blocks) and actions(page) == []


async def test_ready_asks_the_systems(full: Office) -> None:
    """The answer comes behind the ack: ready or not, and why."""
    assert (await full.type("ready fares v1")).startswith("Looking whether fares v1")
    assert full.told(ANA)[-1] == "fares v1: flag ready"
    (full.house.folder / "flags.json").unlink()
    await full.type("ready fares v1")
    assert "flag NOT ready" in full.told(ANA)[-1] and "flags.json" in full.told(ANA)[-1]


async def test_a_personal_key_is_shown_once(office: Office) -> None:
    """It is the person's, stored hashed, and the next one replaces it."""
    first = (await office.type("key")).split("ROLLBOT_KEY=")[1].split(".")[0]
    assert await office.house.store.read(lambda c: keys.person_of(c, first)) == f"T0PRACTICE/{ANA}"
    everything = await office.house.store.read(lambda c: str(c.exec_driver_sql("SELECT * FROM keys").all()))
    assert first not in everything
    second = (await office.type("key")).split("ROLLBOT_KEY=")[1].split(".")[0]
    assert second != first and await office.house.store.read(lambda c: keys.person_of(c, first)) is None


async def test_a_refusal_of_policy_is_on_the_card(full: Office) -> None:
    """Who may not ask is told so by the run that was refused."""
    (full.house.folder / "playbooks/policy.yaml").write_text('policy: 1\nrequest: ["@ml-platform"]\n')
    await full.type("fares to v1", SAM)
    assert (await full.run(1)).status == Status.refused
    assert "REFUSED" in full.card().text and "Only @ml-platform may ask" in full.card().blocks[0]["text"]["text"]


async def test_nobody_can_approve(tmp_path: Path, clock: FakeClock) -> None:
    """A group without members is said on the card, with the way to run without approval."""
    seed = default_seed()
    empty = tuple(SeedGroup(g.id, g.handle, g.name, ()) for g in seed.groups)
    async with open_office(tmp_path, clock, "http", seed=Seed(seed.users, empty, seed.channels)) as office:
        card = await office.waiting()
        assert "Nobody can approve this: @ml-oncall has 0 who may decide, 1 needed" in str(card.blocks)
        assert "run_anyway" in actions(card)


async def test_what_can_not_be_restored_offers_what_can(full: Office) -> None:
    """The card of a refused run has the offers as buttons, and a press asks for exactly that."""
    (full.house.folder / "playbooks/features/fares.yaml").write_text(
        FARES + "  second: {kind: flag, target: flags, flag: fares}\n"
    )
    await full.type("fares to v1 because of lunch")
    run = await full.run(1)
    assert run.status == Status.refused and "second: this release holds no capture of it" in run.why
    card = full.card()
    assert "NOT RESTORABLE" in card.text and actions(card) == ["offer_0", "offer_1", "details"]
    await full.press(card, "offer_0", ANA)
    again = await full.run(2)
    assert again.request["without"] == ["second"] and again.request["to"] == "v1" and again.status == Status.waiting
    assert (again.channel, again.reason) == (INC, "of lunch") and "needs 1 of" in full.card(run=2).text
    assert len(await full.house.store.read(runs.newest)) == 2
