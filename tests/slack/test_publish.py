"""Messages that should stand: once, in order, paced, found again after a crash, and never in the way of others."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.core.commands import Abort, RunAnyway
from bot.core.run import Happened, Run, Status
from bot.practice.slack_server import PracticeSlack, Seed, default_seed
from bot.practice.slack_server.seed import SeedGroup, SeedUser
from bot.slack.client import SlackClient, Unsendable
from bot.slack.origin import answerable
from bot.slack.pace import Pace
from bot.slack.publish import Publisher
from bot.store import messages, occurrences, runs
from bot.store.write import Connection
from tests.services import FakeClock
from tests.slack.office import ANA, BEN, CLEO, INC, LEA, PLAT, SECRET, Office, actions, key_of, open_office


def calls(slack: PracticeSlack, method: str) -> int:
    return sum(c.method == method for c in slack.calls)


def cards(office: Office, channel: str = INC) -> list[str]:
    return [key_of(m) for m in office.slack.channel(channel) if key_of(m).endswith(":card")]


async def asked(office: Office, text: str = "fares to v1") -> None:
    """Two releases and a planned run whose card is due and not posted yet."""
    await office.two_releases()
    assert (await office.typed(text)).ok
    await office.app.desk.idle()
    await office.house.settle()


async def test_a_crash_between_post_and_commit(office: Office) -> None:
    """Slack has the card and the bot doesn't know: after a restart there is exactly one, and it is the bot's."""
    await asked(office)
    office.slack.fault("chat.postMessage", drop_reply=True)
    await office.app.publisher.publish_due()
    row = await office.house.store.read(lambda c: messages.get(c, "R-1:card"))
    assert row is not None and row.attempted_at is not None and row.ts is None

    reborn = Publisher(office.app.desk)
    for _ in range(30):
        await reborn.publish_due()
        office.clock.advance(1.0)
    assert cards(office) == ["R-1:card"]
    row = await office.house.store.read(lambda c: messages.get(c, "R-1:card"))
    assert row is not None and row.ts == office.card().ts and row.settled
    await office.press(office.card(), "approve", BEN)
    assert " · DONE " in office.card().text and cards(office) == ["R-1:card"]


async def test_a_lost_reply_in_the_thread(office: Office) -> None:
    """The same for what stands in a thread: one live view, one outcome."""
    card = await office.waiting()
    await office.slack.click(INC, card.ts, "approve", BEN)
    await office.house.settle()
    office.slack.fault("chat.postMessage", drop_reply=True, times=2)
    await office.publish()
    assert [key_of(m) for m in office.slack.thread(INC, card.ts)] == ["R-1:live", "R-1:outcome"]


async def test_a_crash_before_the_post(office: Office) -> None:
    """Noted and never sent: it is looked for, not found, and posted once."""
    await asked(office)
    now = office.clock.now()
    await office.house.store.write(lambda c: messages.attempt(c, "R-1:card", now))
    await office.publish()
    assert cards(office) == ["R-1:card"] and calls(office.slack, "conversations.history") == 1


async def test_too_fast_for_slack(office: Office) -> None:
    """A 429 is waited out for as long as Slack says, and the message then stands once."""
    await asked(office)
    office.slack.fault("chat.postMessage", status=429, error="ratelimited", headers={"Retry-After": "30"})
    began = office.clock.now()
    assert await office.app.publisher.publish_due() >= 0
    await office.publish()
    assert office.clock.now() - began >= timedelta(seconds=30) and cards(office) == ["R-1:card"]
    assert calls(office.slack, "conversations.history") == 0


async def test_one_message_a_second_in_a_channel(office: Office) -> None:
    """Ten cards at once come at Slack's pace, and Slack never has to refuse one."""
    await office.two_releases()
    for n in range(10):
        assert (await office.typed(f"fares to v1 at 2026-11-22 1{n}:00")).ok
    began = office.clock.now()
    await office.house.settle()
    await office.publish()
    assert sorted(cards(office)) == sorted(f"R-{n}:card" for n in range(1, 11))
    assert office.clock.now() - began >= timedelta(seconds=9)
    assert not [c for c in office.slack.calls if c.status == 429]


async def test_updates_are_paced_and_skipped(office: Office) -> None:
    """A card is brought up to date at most every three seconds, and not at all where it says the same."""
    card = await office.waiting()
    for _ in range(5):
        await office.house.store.write(lambda c: messages.again(c, 1, ("card",)))
        await office.publish()
    assert updates(office, card.ts) == 0
    office.clock.advance(60)

    await office.house.say(Abort(run=1), f"T0PRACTICE/{ANA}")
    await office.house.settle()
    await office.app.publisher.publish_due()
    assert "ABORTED" in office.card().text and updates(office, card.ts) == 1
    await office.house.store.write(lambda c: _forget_digest(c, card.ts))
    await office.app.publisher.publish_due()
    office.clock.advance(2.9)
    await office.app.publisher.publish_due()
    assert updates(office, card.ts) == 1
    office.clock.advance(0.1)
    await office.app.publisher.publish_due()
    assert updates(office, card.ts) == 2


def updates(office: Office, ts: str) -> int:
    return sum(c.method == "chat.update" and c.args["ts"] == ts for c in office.slack.calls)


def _forget_digest(conn: Connection, ts: str) -> None:
    conn.exec_driver_sql("UPDATE messages SET sent_digest = NULL, wanted = wanted + 1 WHERE ts = ?", (ts,))


@pytest.mark.parametrize("error", ["internal_error", "invalid_auth", "service_unavailable"])
async def test_slack_is_down_for_a_while(office: Office, error: str) -> None:
    """What may pass is tried again, more and more rarely, and nothing is lost."""
    await asked(office)
    office.slack.fault("*", times=6, error=error, status=503 if error == "service_unavailable" else 200)
    await office.publish()
    assert cards(office) == ["R-1:card"] and not await office.due()


async def test_what_slack_never_takes_is_given_up(office: Office) -> None:
    """A hopeless message is kept with its trouble and stops nothing else; with other words it is tried again."""
    await asked(office)
    office.slack.fault("chat.postMessage", error="invalid_blocks")
    await office.publish()
    assert [(k, e.split(":")[0]) for k, e in await office.troubles() if e] == [("R-1:card", "invalid_blocks")]
    await office.type("status")
    await office.publish()
    assert cards(office) == []
    office.clock.advance(30)
    await office.type("abort R-1")
    assert cards(office) == ["R-1:card"]


async def test_a_payload_that_the_lint_refuses_is_not_sent(office: Office) -> None:
    """Every call passes one choke point, which names the place as a JSON pointer."""
    client: SlackClient = office.app.client
    before = len(office.slack.calls)
    with pytest.raises(Unsendable, match=r"chat\.postMessage: /blocks/0/text/text: 3001 characters, at most 3000"):
        await client.chat_postMessage(
            channel=INC, text="x", blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
        )
    with pytest.raises(Unsendable, match=r"views\.open: /view: title is missing"):
        await client.views_open(trigger_id="1", view={"type": "modal", "blocks": []})
    assert len(office.slack.calls) == before


async def test_a_reminder_says_who_is_missing(office: Office) -> None:
    """Said in the thread and the channel while the run waits, with the way out; not any more once it is decided."""
    card = await office.waiting()
    await office.house.store.write(lambda c: _want(c, "R-1:remind:1:1", "reminder", office.clock))
    await office.publish()
    said = office.slack.thread(INC, card.ts)[-1]
    assert said.broadcast and "Still waiting: fares v2 -&gt; v1" in said.text and actions(said) == ["run_anyway"]
    await office.press(card, "reject", BEN)
    await office.house.store.write(lambda c: _want(c, "R-1:remind:1:2", "reminder", office.clock))
    await office.publish()
    assert office.slack.thread(INC, card.ts)[-1] is said and not await office.due()


async def test_what_is_left_is_said_until_it_is_not(office: Office) -> None:
    """The list of what was left behind has its buttons, and is not said when it is empty."""
    card = await office.waiting()
    await office.press(card, "approve", BEN)
    await office.house.store.write(lambda c: _want(c, "R-1:left:1", "left", office.clock))
    await office.publish()
    said = office.slack.thread(INC, card.ts)[-1]
    assert "still left behind" in said.text and actions(said) == ["lift"]
    await office.press(said, "lift", BEN)
    await office.house.store.write(lambda c: _want(c, "R-1:left:2", "left", office.clock))
    await office.publish()
    assert office.slack.thread(INC, card.ts)[-1].ts == said.ts and not await office.due()


async def test_an_approvers_copy_follows_the_run_into_its_steps(office: Office) -> None:
    """Once the steps have begun it says so, and not for the whole run that it is starting."""
    await office.waiting()
    now = office.clock.now()
    for moved, said in (
        ({"status": Status.running, "waiting_for": None}, "starting"),
        ({"started_at": now}, "running"),
    ):
        await office.house.store.write(partial(runs.change, run=1, move=partial(_moved, moved), now=now))
        await office.publish()
        assert f" · {said}" in office.slack.dms(BEN)[0].text


def _moved(changes: dict[str, Any], run: Run) -> tuple[Run, list[Happened]]:
    return run.to(**changes), []


async def test_what_was_undone_is_restored_again_by_one_press(office: Office) -> None:
    """The message stands in the thread and the channel; the press needs nobody's approval, the run is verified, and
    then the message has no buttons any more."""
    card = await office.waiting()
    await office.press(card, "approve", BEN)
    body = {"moved": {"flag": "off"}}
    want = partial(messages.want, purpose="drift", channel=INC, run=1, parent="R-1:card", now=office.clock.now())
    await office.house.store.write(lambda c: want(c, "R-1:drift:1", body=body))
    await office.publish()
    said = office.slack.thread(INC, card.ts)[-1]
    assert said.broadcast and "fares is not v1 any more" in said.text
    assert actions(said) == ["restore_again", "stop_harm"]
    await office.press(said, "restore_again", BEN)
    run = await office.run(2)
    assert (run.status, run.nods) == (Status.succeeded, []) and run.verified_at, run.why
    await office.publish()
    assert actions(said) == []


async def test_what_a_later_run_put_right_is_no_longer_said_by_an_older_one(office: Office) -> None:
    """The flag that Stop the harm left off is on after the verified rollback: the stop's card and outcome say so."""
    card = await office.waiting()
    await office.press(card, "stop_harm", BEN)
    stopped = [m for m in office.slack.channel(INC) if "stop the harm" in m.text]
    assert len(stopped) == 2 and all("flag is off" in str(m.blocks) and "enable" in actions(m) for m in stopped)
    await office.press(card, "approve", BEN)
    await office.publish()
    assert all("flag is off" not in str(m.blocks) and "enable" not in actions(m) for m in stopped)


def _want(conn: Connection, key: str, purpose: str, clock: FakeClock) -> None:
    messages.want(conn, key, purpose=purpose, channel=INC, run=1, parent="R-1:card", now=clock.now())


async def test_a_checkpoint_stands_to_the_letter(office: Office) -> None:
    """Copied from Slack, a signed note is the note."""
    note = "rollbot\n12\n9hX+/a=\n\n— rollbot Az3+/x==\n"
    now = office.clock.now()
    await office.house.store.write(
        lambda c: messages.want(
            c, "checkpoint:12", purpose="checkpoint", channel="#rollbot-audit", body={"note": note}, now=now
        )
    )
    await office.publish()
    assert office.slack.channel("C0AUDIT")[0].blocks[0]["text"]["text"] == f"```\n{note}```"


async def test_a_thread_waits_for_its_card(office: Office) -> None:
    """No reply is posted before its card stands, and none is posted to a card that never will."""
    await asked(office)
    await office.house.store.write(lambda c: _want(c, "R-1:remind:1:1", "reminder", office.clock))
    office.slack.fault("chat.postMessage", error="invalid_blocks")
    await office.publish()
    assert office.slack.channel(INC) == []
    assert "does not stand" in dict(await office.troubles())["R-1:remind:1:1"]


async def test_break_glass_is_told_to_everybody_who_was_skipped(office: Office) -> None:
    """Run without approval: every approver but the one who did it hears of it directly."""
    card = await office.waiting()
    await office.press(card, "details", BEN)
    view = office.slack.view_of(BEN)
    assert view is not None
    await office.slack.click_view(view.id, "run_anyway", BEN)
    await office.app.desk.idle()
    top = office.slack.view_of(BEN)
    assert top is not None and top.callback_id == "run_anyway_form"
    ack = await office.slack.submit(top.id, {"typed_version": "v2", "typed_reason": "nobody is awake"}, BEN)
    assert ack.body == {"response_action": "errors", "errors": {"version": "type v1 to run this plan"}}
    assert (await office.slack.submit(top.id, {"typed_version": "v1", "typed_reason": "nobody is awake"}, BEN)).ok
    await office.settle()
    run = await office.run(1)
    assert run.status == Status.succeeded and run.glass is not None and run.glass.reason == "nobody is awake"
    assert "RUN WITHOUT APPROVAL" in office.card().text
    told = {u: [key_of(m) for m in office.slack.dms(u)] for u in (BEN, CLEO, LEA, ANA)}
    assert told[CLEO] == ["R-1:dm:T0PRACTICE/U0CLEO", "R-1:glass:T0PRACTICE/U0CLEO"]
    assert told[BEN] == ["R-1:dm:T0PRACTICE/U0BEN"] and told[ANA] == [] and len(told[LEA]) == 2


async def test_break_glass_is_told_to_a_large_group_too(tmp_path: Path, clock: FakeClock) -> None:
    """The card goes directly to 25 of 40 approvers, the channel has it for the others; but whoever was skipped hears
    of that, all 40, but the one who did it."""
    seed, ids = default_seed(), [f"U1P{n:02}" for n in range(38)]
    users = (*seed.users, *(SeedUser(i, i.lower(), i) for i in ids))
    groups = (SeedGroup("S0ONCALL", "ml-oncall", "ML on-call", (BEN, CLEO, *ids)),)
    async with open_office(tmp_path, clock, "http", seed=Seed(users, groups, seed.channels)) as office:
        await office.waiting()
        run = await office.run(1)
        anyway = RunAnyway(run=1, digest=run.plan_digest or "", version="v1", reason="nobody is awake")
        await office.house.say(anyway, f"T0PRACTICE/{BEN}")
        await office.settle()
        rows = await office.house.store.read(lambda c: [len(messages.of_run(c, 1, p)) for p in ("dm", "glass")])
        told = {who for who in (BEN, CLEO, *ids) if any(":glass:" in key_of(m) for m in office.slack.dms(who))}

    assert rows == [25, 39]
    assert told == {CLEO, *ids}


async def test_break_glass_is_told_once_slack_says_who_was_skipped(office: Office) -> None:
    """While nobody can say who is in the group nobody is told; with the next look at the card they are."""
    policy = office.house.folder / "playbooks/policy.yaml"
    policy.write_text(policy.read_text() + "break_glass: [leads]\ngroups: {leads: [U0BEN]}\n")
    office.slack.fault("usergroups.list", error="internal_error", times=1000)
    await office.waiting()
    run = await office.run(1)
    anyway = RunAnyway(run=1, digest=run.plan_digest or "", version="v1", reason="nobody is awake")
    await office.house.say(anyway, f"T0PRACTICE/{BEN}")
    await office.settle()
    before = await office.house.store.read(lambda c: messages.of_run(c, 1, "glass"))
    office.slack._api.faults.clear()
    office.clock.advance(10)
    await office.house.store.write(lambda c: messages.again(c, 1, ("card",)))
    await office.publish()

    assert before == []
    assert [key_of(office.slack.dms(who)[-1]) for who in (CLEO, LEA)] == [
        "R-1:glass:T0PRACTICE/U0CLEO",
        "R-1:glass:T0PRACTICE/U0LEA",
    ]


async def test_the_bot_is_thrown_out_of_the_channel(office: Office) -> None:
    """A card that can't be brought up to date any more stops nothing; the approvers' copies still work."""
    card = await office.waiting()
    office.slack.workspace.leave("U0BOT", INC)
    await office.press(office.slack.dms(BEN)[0], "approve", BEN)
    assert (await office.run(1)).status == Status.succeeded
    assert "needs 1 of" in card.text and " · DONE " in office.slack.dms(BEN)[0].text
    assert not await office.due()


async def test_a_private_answer_finds_its_way(office: Office) -> None:
    """In the channel if the person is there, by response_url where the bot isn't, else directly."""
    tell = office.app.desk.private.tell
    await tell(f"T0PRACTICE/{ANA}", INC, "<!channel> one")
    assert office.told(ANA, INC) == ["&lt;!channel&gt; one"]
    url = office.slack.workspace.response_url(ANA, SECRET)
    await tell(f"T0PRACTICE/{ANA}", SECRET, "two", url)
    assert office.told(ANA, SECRET) == ["two"]
    await tell(f"T0PRACTICE/{ANA}", SECRET, "three")
    assert [m.text for m in office.slack.dms(ANA)] == ["three"]


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://hooks.slack.com/commands/1/2", True),
        ("https://hooks.slack-gov.com/x", True),
        ("http://hooks.slack.com/x", False),
        ("https://hooks.slack.com:8080/x", False),
        ("https://hooks.slack.com.evil.test/x", False),
        ("https://user@evil.test/hooks.slack.com", False),
        ("http://169.254.169.254/latest", False),
        ("http://127.0.0.1:1/x", False),
        ("http://[::1/x", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_answers_go_to_slack_alone(url: str, fine: bool) -> None:
    """A response_url anywhere else is never called."""
    assert answerable(url, "https://slack.com/api/") is fine


def test_a_longer_hold_stays() -> None:
    """A wish to wait a second does not shorten Slack's wish to wait thirty."""
    pace, clock = Pace(), FakeClock()
    pace.hold("C1", 30, clock.now())
    pace.hold("C1", 1, clock.now())
    assert not pace.free("C1", clock.advance(29)) and pace.free("C1", clock.advance(1))
    assert pace.free("C2", clock.now())


async def test_nothing_is_done_twice_by_an_occurrence(office: Office) -> None:
    """The claim behind the personal key is taken once, also by two at a time."""
    now = office.clock.now()
    got = [await office.house.store.write(lambda c: occurrences.claim(c, "k", now)) for _ in range(2)]
    assert got == [True, False]


async def test_the_feature_channel_of_another_run(office: Office) -> None:
    """A run asked for in the feature's own channel stays there."""
    await office.two_releases()
    await office.type("fares to v1", ANA, PLAT)
    assert cards(office, PLAT) == ["R-1:card"] and cards(office) == []


async def test_removed_from_the_channel_in_the_middle(office: Office) -> None:
    """The card goes on in the feature's channel, as the run stands now, the outcome in its thread; the requester is
    told. A frozen card with buttons would be the last thing that anybody saw."""
    card = await office.waiting()
    office.slack.workspace.leave("U0BOT", INC)
    await office.slack.click(INC, card.ts, "approve", BEN)
    await office.settle()
    assert (await office.run(1)).status == Status.succeeded
    [moved] = [m for m in office.slack.channel(PLAT) if key_of(m) == "R-1:card"]
    assert "DONE" in moved.text
    assert key_of(office.slack.thread(PLAT, moved.ts)[-1]) == "R-1:outcome"
    assert any("R-1" in text for text in office.told(ANA))
