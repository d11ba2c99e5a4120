"""A rollback from the typed command to the outcome, in a strict Slack over real HTTP and real sockets."""

from __future__ import annotations

import html
from datetime import timedelta

from bot.core.run import Status
from bot.flows import drills
from bot.store import events, inbox, messages, runs
from tests.flows.house import STANDARD
from tests.slack.office import ANA, BEN, CLEO, INC, LEA, PLAT, SAM, SECRET, Office, actions, key_of


def first(text: str) -> str:
    return html.unescape(text)


async def test_a_rollback_in_slack(both: Office) -> None:
    """Typed, carded, refused to the requester and a stranger, approved, run, verified, and said in the channel."""
    await both.two_releases()
    said = await both.type("fares to v1 because ETAs are — 40 % too long incident INC-142")
    assert said == "R-1: planning fares to v1"

    card = both.card()
    assert first(card.text).startswith("fares v2 -> v1 · PRODUCTION · needs 1 of @ml-oncall · until ")
    assert "@ana " in card.blocks[0]["text"]["text"] and "ETAs are — 40 % too long" in card.blocks[0]["text"]["text"]
    assert actions(card) == ["approve", "reject", "stop_harm", "details"]

    await both.press(card, "approve", ANA)
    assert both.told(ANA)[-1] == "Not done: you asked for this, so somebody else must decide."
    await both.press(card, "approve", SAM)
    assert both.told(SAM)[-1] == "Not done: this needs 1 of @ml-oncall."
    assert (await both.run(1)).status == Status.waiting

    await both.press(card, "approve", BEN)
    run = await both.run(1)
    assert run.status == Status.succeeded, run.why
    assert "targeting" not in both.house.flag()

    card = both.card()
    assert " · DONE " in card.text and card.text.endswith(", verified")
    assert "Approved by @ben" in card.blocks[0]["text"]["text"]
    assert actions(card) == ["put_back", "lift"]
    thread = both.slack.thread(INC, card.ts)
    assert [key_of(m) for m in thread] == ["R-1:live", "R-1:outcome"]
    assert [m.broadcast for m in thread] == [False, True]
    assert "✓ enable flag" in thread[0].blocks[0]["text"]["text"]
    assert "Read back" in thread[1].blocks[0]["text"]["text"]

    log = await both.house.store.read(lambda c: events.of_run(c, 1))
    acts = [e["act"] for e in log]
    assert acts.count("press_refused") == 2 and acts.count("run_approved") == 1
    assert not await both.troubles()


async def test_a_second_press_and_one_on_a_finished_run(office: Office) -> None:
    """Who has decided and who comes too late hears so alone; one decision counts."""
    card = await office.waiting()
    value = str(card.buttons[0]["value"])
    await office.press(card, "approve", BEN)
    await office.press(card, "approve", CLEO, force=True, value=value)
    assert office.told(CLEO)[-1].startswith("Not done: R-1 is already succeeded")
    log = await office.house.store.read(lambda c: events.of_run(c, 1))
    assert [e["act"] for e in log].count("run_approved") == 1


async def test_the_same_press_again_is_one_row(both: Office) -> None:
    """The same bytes or envelope again have one effect and are answered as before."""
    card = await both.waiting()
    await both.press(card, "reject", BEN)
    assert (await both.run(1)).status == Status.rejected
    before = await both.house.store.read(lambda c: len(inbox.waiting(c)))
    ack = await both.slack.redeliver()
    assert ack.ok
    assert await both.house.store.read(lambda c: len(inbox.waiting(c))) == before
    assert actions(both.card()) == [] and "REJECTED by @ben" in both.card().text


async def test_the_same_command_again_is_one_run(both: Office) -> None:
    """A replay gets the first answer; the same words anew get a link to the run that is open."""
    await both.two_releases()
    first_ack = await both.typed("fares to v1")
    again = await both.slack.redeliver()
    assert (again.status, again.body) == (200, first_ack.body)
    assert await both.type("fares to v1", BEN) == "R-1 is already doing exactly this"
    assert len(await both.house.store.read(runs.newest)) == 1


async def test_a_request_that_is_open_already_is_linked(office: Office) -> None:
    """Whoever asks for what an open run does gets the link to its card, alone."""
    card = await office.waiting("fares to v1")
    await office.type("fares to v1", SAM)
    link = office.slack.ephemerals(SAM)[-1]
    assert link.text.startswith("R-1: http") and link.text.endswith(card.ts.replace(".", ""))


async def test_approvers_get_the_card_directly(office: Office) -> None:
    """Everybody whose yes would count gets it, also who is not in the private channel; the requester doesn't. A yes
    from there counts, and the buttons go from every copy."""
    office.slack.workspace.join("U0BOT", SECRET)
    await office.waiting(channel=SECRET)
    assert [len(office.slack.dms(u)) for u in (BEN, CLEO, LEA, ANA, SAM)] == [1, 1, 1, 0, 0]
    copy = office.slack.dms(BEN)[0]
    assert BEN not in office.slack.workspace.channels[SECRET].members
    assert actions(copy) == ["approve", "reject", "stop_harm", "details"]
    await office.press(copy, "approve", BEN)
    assert (await office.run(1)).status == Status.succeeded
    assert " · DONE " in office.slack.dms(BEN)[0].text and "approve" not in actions(office.slack.dms(CLEO)[0])
    assert [key_of(m) for m in office.slack.channel(SECRET)] == ["R-1:card", "R-1:outcome"]


async def test_a_requester_who_could_approve_is_not_asked(office: Office) -> None:
    """Who is in the group and asks is told nothing directly: their yes would not count."""
    await office.waiting(who=BEN)
    assert [len(office.slack.dms(u)) for u in (BEN, CLEO, LEA)] == [0, 1, 1]


async def test_a_private_channel_without_the_bot(both: Office) -> None:
    """The card goes to the feature's channel, the requester is told where it is, and the run goes on there."""
    await both.two_releases()
    said = await both.type("fares to v1", ANA, SECRET)
    assert said == "R-1: planning fares to v1"
    card = both.card(PLAT)
    assert key_of(card) == "R-1:card" and both.slack.channel(SECRET) == []
    told = [t for t in both.told(ANA, SECRET) if "stands in" in t]
    assert told == [
        "I can't post in that channel (channel_not_found), so R-1 stands in #ml-platform. Next time invite me first."
    ]
    await both.press(card, "approve", BEN)
    assert [key_of(m) for m in both.slack.thread(PLAT, card.ts)] == ["R-1:live", "R-1:outcome"]


async def test_no_channel_at_all(office: Office) -> None:
    """Where neither channel can be posted to, the card goes to the requester directly."""
    await office.two_releases()
    office.slack.workspace.leave("U0BOT", PLAT)
    await office.type("fares to v1", ANA, SECRET)
    assert [key_of(m) for m in office.slack.dms(ANA)] == ["R-1:card"]
    await office.type("abort R-1 enough", ANA, SECRET)
    assert (await office.run(1)).status == Status.aborted
    assert "ABORTED" in office.slack.dms(ANA)[0].text


async def test_stop_the_harm_from_the_card(both: Office) -> None:
    """One press switches the flag off with nobody's approval; what it changed is the rollback's to put back."""
    card = await both.waiting()
    await both.press(card, "stop_harm", SAM)
    assert both.house.flag()["defaultVariant"] == "off"
    stop = await both.run(2)
    assert (stop.purpose, stop.of_run, stop.status) == ("stop", 1, Status.succeeded)
    assert "R-2: stopping the harm of fares" in both.told(SAM)
    assert "enable" in actions(both.card(run=2)) and actions(both.card(run=1))[0] == "approve"
    await both.press(both.card(run=1), "approve", BEN)
    assert (await both.run(1)).status == Status.succeeded and both.house.flag()["defaultVariant"] == "on"


async def test_stop_typed_while_a_rollback_waits(office: Office) -> None:
    """What a typed stop changes belongs to the open rollback too: putting that back brings the first rule again."""
    card = await office.waiting()
    before = office.house.flag()
    assert await office.type("stop fares because it hurts", SAM) == "R-2: stopping the harm of fares"
    assert (await office.run(2)).of_run == 1 and office.house.flag() != before
    await office.press(card, "approve", BEN)
    await office.press(office.card(run=1), "put_back", ANA)
    await office.press(office.card(run=3), "approve", CLEO)
    assert office.house.flag() == before


async def test_what_is_left_behind_is_lifted(office: Office) -> None:
    """Lift closes what the rollback left; then no card and no outcome offers it any more."""
    card = await office.waiting()
    await office.press(card, "approve", BEN)
    outcome = office.slack.thread(INC, card.ts)[-1]
    assert actions(outcome) == ["put_back", "lift"]
    await office.press(outcome, "lift", BEN)
    assert (await office.run(2)).status == Status.succeeded
    assert actions(office.card(run=1)) == ["put_back"]
    assert actions(office.slack.thread(INC, card.ts)[-1]) == ["put_back"]
    assert "nothing any more" in office.card(run=1).blocks[0]["text"]["text"]


async def test_put_back_by_button(office: Office) -> None:
    """Putting back is a plan of its own with its own approval, and brings back what was there."""
    card = await office.waiting()
    await office.press(card, "approve", BEN)
    assert "targeting" not in office.house.flag()
    await office.press(office.card(run=1), "put_back", ANA)
    again = office.card(run=2)
    assert first(again.text).startswith("fares: put v2 back · PRODUCTION · needs ")
    await office.press(again, "approve", CLEO)
    assert (await office.run(2)).status == Status.succeeded, (await office.run(2)).why
    assert "targeting" in office.house.flag()


async def test_put_back_of_a_run_that_is_stuck(both: Office) -> None:
    """A run whose verification failed is ended and put back with one press and one approval."""
    playbook = both.house.folder / "playbooks/playbooks/standard.yaml"
    playbook.write_text("playbook: standard\nsteps:\n  - disable: flag\n  - verify: flag\n  - enable: flag\n")
    card = await both.waiting()
    await both.press(card, "approve", BEN)
    stuck = both.card(run=1)
    assert "WAITING FOR A PERSON" in stuck.text and both.house.flag()["defaultVariant"] == "off"
    playbook.write_text(STANDARD)
    await both.press(stuck, "put_back", ANA)
    assert (await both.run(1)).status == Status.aborted
    await both.press(both.card(run=2), "approve", CLEO)
    assert both.house.flag()["defaultVariant"] == "on" and "targeting" in both.house.flag()


async def test_a_replanned_card_loses_its_approval(office: Office) -> None:
    """A yes to a plan that is no longer the one on the card is refused, privately."""
    card = await office.waiting()
    stale = str(card.buttons[0]["value"]).replace("sha256:", "sha256:0")
    await office.press(card, "approve", BEN, force=True, value=stale)
    assert "has changed since this card" in office.told(BEN)[-1]
    assert (await office.run(1)).status == Status.waiting


async def test_an_expired_card_loses_its_buttons(office: Office) -> None:
    """When nobody decides in time the card says so and can't be pressed."""
    card = await office.waiting()
    office.clock.advance(3601)
    await office.settle()
    assert "EXPIRED" in office.card().text and actions(office.card()) == []
    assert await office.house.store.read(lambda c: messages.get(c, "R-1:outcome")) is None
    await office.press(card, "approve", BEN, force=True, value='{"run":1,"digest":""}')
    assert "already expired" in office.told(BEN)[-1]


async def test_a_scheduled_drill_in_slack(office: Office) -> None:
    """Announced and begun in the feature's channel, approved with the same button; its first words say everywhere that
    it is a drill, and the outcome that production is as it was."""
    await office.two_releases()
    folder = office.house.folder / "playbooks/drills"
    folder.mkdir()
    ahead = office.clock.now() + timedelta(minutes=2)
    (folder / "soon.yaml").write_text(f"drill: soon\nfeature: fares\nrelease: v1\nschedule: {ahead:%M %H} * * *\n")
    flag = office.house.flag()
    for _ in range(4):
        await drills.call(office.house.world)
        await office.settle()
        office.clock.advance(60)
    told = [first(m.text) for m in office.slack.channel(PLAT)]
    assert told[0].startswith("DRILL soon in an hour or less: ")
    assert "DRILL soon begins: R-1 takes fares to v1, in sandboxes." in " ".join(told)
    card = office.card(PLAT)
    assert first(card.text).startswith("DRILL - production is not touched · fares v2 -> v1 · needs 1 of @ml-oncall")
    assert "schedule soon" in card.blocks[0]["text"]["text"]
    assert actions(card) == ["approve", "reject", "details"]

    await office.press(card, "approve", BEN)
    run = await office.run(1)
    assert run.status == Status.succeeded, run.why
    assert office.house.flag() == flag
    live, outcome = office.slack.thread(PLAT, card.ts)
    assert all("DRILL - production is not touched" in first(m.text) for m in (live, outcome))
    assert "Production has the versions that it had before: 1 part of 1" in str(outcome.blocks)
    assert "In the sandboxes, before they were removed: flag on for 100 %" in str(outcome.blocks)
    assert actions(office.card(PLAT)) == []
    assert not await office.troubles()


async def test_a_drill_by_hand(office: Office) -> None:
    """``drill`` takes what a rollback takes; alone it lists what is scheduled; a version must be said."""
    await office.two_releases()
    assert await office.type("drill fares to v1 because practice") == "R-1: planning a drill of fares to v1"
    assert first(office.card().text).startswith("DRILL - production is not touched")
    assert "Say which release" in await office.type("drill fares")
    assert "None. A drill is a file" in str((await office.typed("drill")).body)
    assert "was a drill" in await office.type("put-back R-1")
    await office.type("fares to v1")
    assert await office.type("abort") == "R-2: aborting"
    assert await office.type("abort") == "R-1: aborting"
